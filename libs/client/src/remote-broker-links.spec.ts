// Goal: calls go to the newest leader at once; what the one before still answers is not lost, and a message group's order
// is not either. Method: channels made by hand, whose ends say what brokers would.
import { queueId, topicId, type BrokerSet } from '@cometmq/model';
import type { RpcChannel } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import type { SendCall } from './broker-link.js';
import { Directory } from './directory.js';
import { Leaders } from './leaders.js';
import { decodeLinkFrame, encodeLinkFrame } from './link-codec.js';
import { errorToWire } from './link-frames.js';
import { NotLeader } from './not-leader.js';
import { RemoteBrokerLinks } from './remote-broker-links.js';
import { FakeNameService } from './testing/fake-name-service.js';

/** The other end of a channel: what was asked, and how it answers. */
class FakeLeader {
  readonly asked: number[] = [];
  isThere = true;
  looks = 0;
  closed = false;
  private message: (bytes: Uint8Array) => void = () => undefined;
  private end: (error?: MqError) => void = () => undefined;

  readonly channel = {
    bidi: () => ({
      write: (bytes: Uint8Array) => {
        for (const { id } of decodeLinkFrame(bytes).calls) this.asked.push(id);
        return true;
      },
      onDrain: () => undefined,
      onMessage: (act: (bytes: Uint8Array) => void) => (this.message = act),
      onEnd: (act: (error?: MqError) => void) => (this.end = act),
      end: () => undefined,
    }),
    unary: async () => {
      this.looks += 1;
      if (!this.isThere) throw new MqError('UNAVAILABLE', 'nobody listens');
      return new Uint8Array();
    },
    close: () => (this.closed = true),
  } as unknown as RpcChannel;

  answer(id: number, error?: MqError): void {
    const nothing = { receive: undefined, receipt: undefined, recall: undefined, pull: undefined, offsets: undefined };
    const wire = error && errorToWire(error);
    const send = error ? undefined : { offset: 7, pending: undefined };
    const answers = [{ id, error: wire, send, roomBytes: 0, ...nothing }];
    this.message(encodeLinkFrame({ calls: [], answers, commands: [] }));
  }
  breakOff(): void {
    this.end(new MqError('UNAVAILABLE', 'connection reset'));
  }
}

let clock: ManualClock;
let directory: Directory;
let leaders: Leaders;
let links: RemoteBrokerLinks;
let made: Map<string, FakeLeader>;

beforeEach(async () => {
  clock = new ManualClock();
  made = new Map();
  directory = new Directory(new FakeNameService(), clock);
  leaders = new Leaders(directory, clock);
  links = new RemoteBrokerLinks(
    leaders,
    (address) => {
      const leader = new FakeLeader();
      made.set(address, leader);
      return leader.channel;
    },
    clock,
  );
  await leaders.start();
  await links.start();
  leads(1, 'a:1');
});
afterEach(() => links.stop());

let revision = 0;
function leads(epoch: number, leader: string | undefined, inSync: readonly string[] = []): void {
  const broker: BrokerSet = {
    name: 's',
    epoch,
    leader,
    members: ['a', 'b', 'c'].map((place) => ({ member: `${place}/1`, address: `${place}:1` })),
    quorum: 1,
    stage: 'serving',
    inSync,
    writable: true,
    registeredMs: 0,
  };
  directory.apply({ kind: 'broker', revision: (revision += 1), broker });
}

/** @returns what the sends came to, as they come. */
async function send(groupHash: number, outcomes: string[], name: string): Promise<void> {
  const call: SendCall = {
    ...{ topicId: topicId(1), queueId: queueId(0), layout: 1, deadlineMs: undefined, tagHash: 0, groupHash },
    ...{ envelope: new Uint8Array(1), message: [new Uint8Array(1)] },
  };
  links.link('s')?.send(call, (error, result) => outcomes.push(`${name} ${error?.code ?? result?.offset}`));
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

it('a leader that has handed over still answers what it was asked, for a moment', async () => {
  const outcomes: string[] = [];
  await send(0, outcomes, 'first');
  await send(0, outcomes, 'second');
  const first = made.get('a:1')!;
  leads(2, 'b:1');
  first.answer(first.asked[0]!);
  expect(outcomes).toEqual(['first 7']);
  await send(0, outcomes, 'third');
  expect(made.get('b:1')!.asked).toHaveLength(1);
  expect(first.closed).toBe(false);
  clock.advance(200);
  expect(outcomes).toEqual(['first 7', 'second UNAVAILABLE']);
  expect(first.closed).toBe(true);
});

it('what is open of a message group is not waited for: the next of it goes to the new leader', async () => {
  const outcomes: string[] = [];
  await send(5, outcomes, 'first of the group');
  await send(0, outcomes, 'another');
  leads(2, 'b:1');
  expect(outcomes).toEqual(['first of the group UNAVAILABLE']);
});

it('NOT_LEADER that says who leads sends the next call there', async () => {
  const outcomes: string[] = [];
  await send(0, outcomes, 'first');
  const first = made.get('a:1')!;
  first.answer(first.asked[0]!, new NotLeader('not here', { epoch: 2, address: 'b:1', member: 'b/1' }));
  await send(0, outcomes, 'second');
  expect(outcomes).toEqual(['first NOT_LEADER']);
  expect(made.get('b:1')!.asked).toHaveLength(1);
});

it('a leader is in doubt from when its link broke until it has answered again', async () => {
  const outcomes: string[] = [];
  await send(0, outcomes, 'first');
  const leader = made.get('a:1')!;
  leader.breakOff();
  expect(links.doubtful('s')).toBe(true);
  await send(0, outcomes, 'second');
  leader.answer(leader.asked[1]!);
  expect(links.doubtful('s')).toBe(false);
  expect(outcomes).toEqual(['first UNAVAILABLE', 'second 7']);
});

it('who may lead next is connected to before, by whoever is there, and only while it is in sync', async () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  leads(1, 'a:1', ['a/1', 'b/1', 'c/1']);
  clock.advance(5_000);
  const [next, other] = ['b:1', 'c:1'].map((address) => made.get(address) as FakeLeader);
  expect([next!.looks, other!.looks, made.has('a:1')]).toEqual([1, 1, false]);
  other!.isThere = false;
  await turn();
  clock.advance(5_000);
  await turn();
  expect([next!.looks, other!.closed]).toEqual([2, true]); // It is tried by another connection from now on.
  leads(2, 'b:1', ['b/1']);
  await send(0, [], 'first');
  expect([made.get('b:1'), next!.asked.length]).toEqual([next, 1]);
  clock.advance(5_000);
  expect([next!.looks, next!.closed]).toEqual([2, false]);
});

it('without a leader that can be reached or is shown, there is no link', async () => {
  await send(0, [], 'first');
  made.get('a:1')!.breakOff();
  expect(links.link('s')).toBeDefined();
  leads(1, undefined);
  expect(links.link('s')).toBeUndefined();
});

it('the link to a set goes with the set, after a moment for what was asked', async () => {
  const outcomes: string[] = [];
  await send(0, outcomes, 'first');
  const leader = made.get('a:1')!;
  directory.apply({ kind: 'brokerDeleted', revision: (revision += 1), broker: directory.brokerSet('s')! });
  expect([links.link('s'), leader.closed]).toEqual([undefined, false]);
  clock.advance(200);
  expect([outcomes, leader.closed]).toEqual([['first UNAVAILABLE'], true]);
});

it('a leader from which nothing comes while a send waits is in doubt, and is trusted again when it answers', async () => {
  const outcomes: string[] = [];
  await send(0, outcomes, 'first');
  const leader = made.get('a:1')!;
  clock.advance(900);
  leader.answer(leader.asked[0]!);
  clock.advance(5_000); // Nothing waits.
  expect(links.doubtful('s')).toBe(false);
  await send(0, outcomes, 'second');
  clock.advance(999);
  expect(links.doubtful('s')).toBe(false);
  clock.advance(1);
  expect(links.doubtful('s')).toBe(true);
  leader.answer(leader.asked[1]!);
  expect([links.doubtful('s'), outcomes]).toEqual([false, ['first 7', 'second 7']]);
});
