import { epoch, everything, groupId, logPosition, queueId, queueOffset, topicId, type Receipt } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import type { ReceiveCall, SendCall } from './broker-link.js';
import { GrpcBrokerLink, type FrameStream } from './grpc-broker-link.js';
import { decodeLinkFrame } from './link-codec.js';

// Goal: what waits for a broker that does not read is bounded, whatever clients ask for meanwhile. Method: a stream that
// takes one frame and then nothing, until it is told to.

const bytesMax = 64 * 1024;

function blockedLink() {
  const clock = new ManualClock();
  const frames: Uint8Array[] = [];
  let drain: () => void = () => undefined;
  let takes = 1;
  const stream: FrameStream = {
    write: (frame) => {
      frames.push(frame);
      takes -= 1;
      return takes > 0;
    },
    onDrain: (act) => (drain = act),
    onMessage: () => undefined,
    onEnd: () => undefined,
    end: () => undefined,
  };
  const link = new GrpcBrokerLink(() => stream, clock, undefined, undefined, bytesMax);
  const codes: (string | undefined)[] = [];
  const done = (error?: { readonly code: string }): void => void codes.push(error?.code);
  const written = (): unknown[] =>
    frames.flatMap((frame) => decodeLinkFrame(frame).calls.map(({ id, call }) => [call?.$case, id]));
  return {
    link,
    codes,
    done,
    written,
    turn: () => new Promise((resolve) => clock.soon(() => resolve(undefined))),
    unblock: () => {
      takes = Infinity;
      drain();
    },
  };
}

const ids = { groupId: groupId(1), topicId: topicId(2) };
const poll: ReceiveCall = {
  ...{ ...ids, queueId: -1, clientId: 'c', messagesMax: 1, bytesMax: 1, filter: everything },
  ...{ invisibleMs: 1, waitMs: 1, attemptId: undefined, autoRenew: false },
};
const send: SendCall = {
  ...{ topicId: topicId(2), queueId: queueId(0), layout: 0, tagHash: 0, groupHash: 0, deadlineMs: undefined },
  ...{ envelope: new Uint8Array(10), message: [new Uint8Array(1000)] },
};
const receipt: Receipt = {
  ...{ ...ids, broker: 'b', queueId: queueId(0), offset: queueOffset(1), leaseEpoch: epoch(1) },
  ...{ leasePosition: logPosition(1), generation: 1, attempt: 1 },
};

it('keeps nothing of polls that were taken back before the broker heard of them', async () => {
  const { link, done, codes, written, turn, unblock } = blockedLink();
  const takeBack = link.receive(poll, done);
  await turn(); // Written; from here on nothing is taken.
  for (let count = 0; count < 10_000; count += 1) link.receive(poll, done)();
  const last = link.receive(poll, done);
  takeBack();
  await turn();
  unblock();
  expect(codes).toEqual([]);
  expect(written()).toEqual([
    ['receive', 1],
    ['receive', 10_002],
    ['cancel', 0],
  ]);
  last();
  await turn();
  expect(written().at(-1)).toEqual(['cancel', 0]);
});

it('refuses calls of every kind above its bound, and takes them again when the broker reads', async () => {
  const { link, done, codes, written, turn, unblock } = blockedLink();
  link.receive(poll, done);
  await turn();
  for (let count = 0; count < 10_000; count += 1) {
    if (count % 3 === 0) link.ack({ receipt }, done);
    else if (count % 3 === 1) link.receive(poll, done);
    else link.send(send, done);
  }
  expect(codes.length).toBeGreaterThan(9_500);
  expect(new Set(codes)).toEqual(new Set(['TOO_MANY_REQUESTS']));
  const refused = codes.length;
  unblock();
  expect(written().length).toBe(10_001 - refused);
  link.receive(poll, done);
  await turn();
  expect(codes.length).toBe(refused);
  expect(written().length).toBe(10_002 - refused);
});
