// Goal: bodies come from whichever member answers, and none is taken for unreadable before the leader has said so.
// Method: channels made by hand, on faked time.
import { internal } from '@cometmq/proto';
import type { RpcChannel } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import type { RemotePlace } from './broker-link.js';
import { encodeReadMessage } from './peer-frames.js';
import type { ReadBody, ReadMessage } from './read-message.js';
import { MemberReads } from './member-reads.js';

type Answer =
  | 'all'
  | 'nothing'
  | 'silence'
  | 'away'
  | 'the second is damaged'
  | 'one too few'
  | 'the last is missing'
  | 'one too many';

let clock: ManualClock;
let reads: MemberReads;
let answers: Record<string, Answer>;
let asked: string[];
let closed: string[];

const bodyOf = (position: number): ReadBody => ({
  payload: Buffer.from(`body at ${position}`),
  storedMs: position,
  originTopicId: 3 as never,
});
const place = (position: number, members: readonly string[] = ['b:1', 'c:1']): RemotePlace => ({
  position: position as never,
  size: 100,
  members,
});

function partsOf(answer: Answer, positions: readonly number[]): ReadMessage[] {
  const damaged = new MqError('CORRUPT_RECORD', 'damaged');
  const isDamaged = (i: number): boolean => answer === 'nothing' || (answer === 'the second is damaged' && i === 1);
  const parts = positions.map((at, i) => ({ position: at as never, body: isDamaged(i) ? damaged : bodyOf(at) }));
  if (answer === 'one too few') return parts.slice(1);
  if (answer === 'the last is missing') return parts.slice(0, -1);
  return answer === 'one too many' ? [...parts, { position: 0 as never, body: bodyOf(0) }] : parts;
}

function channelTo(address: string): RpcChannel {
  return {
    serverStream: (_path: string, request: Uint8Array) => {
      const { places } = internal.ReadMessagesRequest.decode(request);
      asked.push(`${address} ${places.map(({ position }) => position).join(' ')}`);
      const answer = answers[address] ?? 'all';
      let message: (part: Uint8Array) => void = () => undefined;
      let end: (error?: MqError) => void = () => undefined;
      queueMicrotask(() => {
        if (answer === 'silence') return;
        if (answer === 'away') return end(new MqError('UNAVAILABLE', `${address} is away`));
        try {
          for (const part of partsOf(
            answer,
            places.map(({ position }) => position),
          ))
            message(Buffer.concat(encodeReadMessage(part)));
          end();
        } catch (caught) {
          end(MqError.from(caught)); // As a channel does with what a listener throws.
        }
      });
      return {
        onMessage: (act: typeof message) => (message = act),
        onEnd: (act: typeof end) => (end = act),
        cancel: () => end(new MqError('CANCELLED', 'given up')),
      };
    },
    close: () => closed.push(address),
  } as unknown as RpcChannel;
}

beforeEach(() => {
  clock = new ManualClock();
  answers = {};
  asked = [];
  closed = [];
  reads = new MemberReads(channelTo, clock);
});
afterEach(() => reads.close());

const texts = (found: readonly (ReadBody | undefined)[]): (string | undefined)[] =>
  found.map((body) => body && Buffer.from(body.payload).toString());
const two = [place(10), place(20)];
const whole = ['body at 10', 'body at 20'];

it('asks one member, and gives what it has read', async () => {
  const found = await reads.read('s', 'a:1', two);
  expect(texts(found)).toEqual(whole);
  expect(found[1]).toMatchObject({ storedMs: 20, originTopicId: 3 });
  expect(asked).toEqual(['b:1 10 20']);
});

it.each<Answer>(['away', 'one too few', 'the last is missing', 'one too many'])(
  'goes to the next where one is wrong: %s',
  async (answer) => {
    answers['b:1'] = answer;
    expect(texts(await reads.read('s', 'a:1', two))).toEqual(whole);
    expect(asked[0]).toBe('b:1 10 20');
    // One that failed is asked last for a while.
    asked = [];
    answers['b:1'] = 'all';
    await reads.read('s', 'a:1', two);
    expect(asked).toEqual(['c:1 10 20']);
  },
);

it('does not wait for a silent member', async () => {
  answers['b:1'] = 'silence';
  const reading = reads.read('s', 'a:1', two);
  clock.advance(1_000);
  expect(texts(await reading)).toEqual(whole);
  expect(asked).toEqual(['b:1 10 20', 'c:1 10 20']);
});

it('asks another for what one can not read, and the leader last', async () => {
  answers = { 'b:1': 'the second is damaged', 'c:1': 'nothing' };
  expect(texts(await reads.read('s', 'a:1', two))).toEqual(whole);
  expect(asked).toEqual(['b:1 10 20', 'c:1 20', 'a:1 20']);
});

it('takes for unreadable only what the leader says it can not read', async () => {
  answers = { 'b:1': 'nothing', 'c:1': 'nothing', 'a:1': 'the second is damaged' };
  expect(texts(await reads.read('s', 'a:1', two))).toEqual(['body at 10', undefined]);
  answers['a:1'] = 'away';
  await expect(reads.read('s', 'a:1', two)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  answers['a:1'] = 'the last is missing';
  await expect(reads.read('s', 'a:1', two)).rejects.toMatchObject({ code: 'INTERNAL' });
});

it('closes connections that nobody uses any more, and all at its end', async () => {
  await reads.read('s', 'a:1', two);
  clock.advance(120_000);
  expect(closed).toEqual(['b:1']);
  await reads.read('s', 'a:1', two);
  reads.close();
  expect(closed).toEqual(['b:1', 'b:1']);
  await expect(reads.read('s', 'a:1', two)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
