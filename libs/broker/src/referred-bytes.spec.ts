/**
 * Goal: what an entry of a queue refers to counts for what an answer may hold and what there must be room for; the entry itself is
 * small. Method: delayed messages that are large come due, as a real leader writes it; in memory, and read from the disk.
 */
import type { AskRoom, Delivered, PullResult } from '@cometmq/client';
import { everything, MessageType, queueId, queueOffset, type ConsumerGroup } from '@cometmq/model';
import type { StoredMessage } from '@cometmq/store';

import { BrokerWorld, settle } from './broker-world.js';

const bodyBytes = 300_000;
const bytesMax = 700_000;
const names = ['a', 'b', 'c', 'd', 'e'];

let world: BrokerWorld;

/** Those that are large come due together. */
async function large(): Promise<void> {
  world.topic = await world.nameService.createTopic({ name: 'later', type: MessageType.delay });
  const dueMs = world.clock.wallMs() + 1_000;
  for (const id of names) {
    await world.sendAny(id, { dueMs, group: Buffer.from('g') }, world.topic, 0, Buffer.alloc(bodyBytes, id));
  }
  const { broker } = world;
  world.clock.advance(2_000);
  while (broker.store.bounds(world.topic.id, queueId(0)).committed < names.length) {
    world.clock.advance(0);
    await new Promise(setImmediate);
  }
}

const bodies = (messages: readonly { readonly payload: Uint8Array }[]): string[] =>
  messages.map(({ payload }) => String.fromCharCode(payload.at(-1) ?? 0));

/** What is asked for is there. */
function noted(asked: number[]): AskRoom {
  return (bytes) => {
    asked.push(bytes);
    return true;
  };
}

describe.each([
  { where: 'in memory', isCold: false },
  { where: 'on the disk', isCold: true },
])('large messages that entries refer to, $where', ({ isCold }) => {
  beforeEach(async () => {
    world = await new BrokerWorld().start();
    await large();
    if (isCold) await world.restart();
  });
  afterEach(() => world.broker.stop());

  const readBy = async (group: ConsumerGroup): Promise<string[][]> => {
    const answers: string[][] = [];
    for (let got: readonly Delivered[]; ;) {
      const asked: number[] = [];
      got = await world.poll({ groupId: group.id, bytesMax, askRoom: noted(asked), waitMs: 0 });
      if (got.length === 0) return answers;
      answers.push(bodies(got));
      expect(got.map(({ receipt }) => receipt.attempt)).toEqual(got.map(() => 1));
      expect(asked).toHaveLength(1);
      expect(asked[0]).toBeGreaterThan(got.length * bodyBytes);
      expect(asked[0]).toBeLessThanOrEqual(bytesMax);
      for (const { receipt } of got) await world.ack(receipt);
    }
  };

  it('are as many in an answer as fit, and the next ones come with the next, as if they had not been handed out', async () => {
    const answers = await readBy(world.group);
    expect(answers.map((answer) => answer.length)).toEqual([2, 2, 1]);
    expect(answers.flat().sort()).toEqual(names);
  });

  it('keep the order of their message group', async () => {
    const orderly = await world.nameService.createGroup({ name: 'orderly', fifo: true });
    expect(await readBy(orderly)).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  it('are read as many at a time as were asked for', async () => {
    const { store } = world.broker;
    const entries = await store.scan(world.topic.id, queueId(0), queueOffset(0), names.length);
    const places = names.map((_, i) => ({ position: entries.position(i), size: entries.size(i) }));
    expect(bodies((await store.readSome(places, bytesMax)) as StoredMessage[])).toEqual(['a', 'b']);
    expect(bodies((await store.readSome(places.slice(2), 1)) as StoredMessage[])).toEqual(['c']);
  });

  it('are as many in a pull as fit', async () => {
    const asked: number[] = [];
    const call = { groupId: world.group.id, topicId: world.topic.id, queueId: queueId(0), offset: queueOffset(0) };
    const { messages, nextOffset } = await settle<PullResult>((done) =>
      world.broker.pull(
        {
          ...{ ...call, messagesMax: 32, bytesMax, filter: everything, clientId: 'c1', waitMs: 0 },
          askRoom: noted(asked),
        },
        done,
      ),
    );
    expect([bodies(messages), nextOffset]).toEqual([['a', 'b'], 2]);
    expect(asked[0]).toBeGreaterThan(2 * bodyBytes);
  });
});
