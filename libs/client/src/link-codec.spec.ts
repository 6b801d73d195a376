/** Goal: the hand-written frames are the generated ones. Method: both write and read the same frames, made by chance. */
import { internal } from '@cometmq/proto';
import fc from 'fast-check';

import { decodeLinkFrame, encodeLinkFrame } from './link-codec.js';

const u32 = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const u53 = fc.oneof(u32, fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
const bytes = fc.uint8Array({ maxLength: 300 });

const receipt = fc.record({
  broker: fc.oneof(fc.constant(''), fc.constant('broker-0'), fc.string({ unit: 'grapheme', maxLength: 20 })),
  groupId: u32,
  topicId: u32,
  queueId: u32,
  offset: u53,
  leaseEpoch: u32,
  leasePosition: u53,
  generation: u32,
  attempt: u32,
});
const send = fc.record({
  topicId: u32,
  queueId: u32,
  layout: u32,
  deadlineMs: fc.option(u32, { nil: undefined }),
  tagHash: u32,
  groupHash: u32,
  envelope: bytes,
  message: bytes,
});
const delivered = fc.record({
  receipt: fc.option(receipt, { nil: undefined }),
  payload: bytes,
  storedMs: u53,
  originTopicId: u32,
  place: fc.option(fc.record({ position: u53, size: u32, members: fc.array(fc.string(), { maxLength: 2 }) }), {
    nil: undefined,
    freq: 20, // Most have none.
  }),
});
const place = fc.record({ topicId: u32, position: u53, size: u32, dueMs: u53, from: fc.string() });

const call: fc.Arbitrary<internal.LinkCall> = fc.record({
  id: u53,
  call: fc.oneof(
    fc.record({ $case: fc.constant('send' as const), value: send }),
    fc.record({
      $case: fc.constant('ack' as const),
      value: fc.record({ receipt: fc.option(receipt, { nil: undefined }) }),
    }),
    fc.record({ $case: fc.constant('cancel' as const), value: fc.record({ id: u53 }) }),
    fc.record({ $case: fc.constant('handBack' as const), value: fc.record({ receipts: fc.array(receipt) }) }),
    fc.constant(undefined),
  ),
});
const option = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });
const leader = fc.record({ epoch: u53, address: fc.string(), member: fc.string() });
const answer: fc.Arbitrary<internal.LinkAnswer> = fc.record({
  id: u53,
  error: fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.record({ code: fc.string(), reason: fc.string(), leader: option(leader) }) },
  ),
  send: option(fc.record({ offset: u53, pending: option(place) })),
  receive: option(fc.record({ messages: fc.array(delivered, { maxLength: 4 }) })),
  receipt: fc.constant(undefined),
  recall: option(fc.record({ messageId: fc.string() })),
  pull: fc.constant(undefined),
  offsets: option(fc.record({ offset: option(u53) })),
  roomBytes: u32,
});
const frame: fc.Arbitrary<internal.LinkFrame> = fc.record({
  calls: fc.array(call, { maxLength: 5 }),
  answers: fc.array(answer, { maxLength: 5 }),
  commands: fc.array(fc.record({ clientId: fc.string(), command: fc.constant(undefined) }), { maxLength: 2 }),
});

/** Whichever kind of array holds the bytes. */
function plain(found: internal.LinkFrame): unknown {
  return JSON.parse(
    JSON.stringify(found, (_key, value: unknown) =>
      value instanceof Uint8Array
        ? Buffer.from(value).toString('hex')
        : isBufferJson(value)
          ? Buffer.from(value.data).toString('hex')
          : value,
    ),
  );
}

function isBufferJson(value: unknown): value is { type: 'Buffer'; data: number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value;
}

it('writes, byte for byte, what the generated code writes', () => {
  fc.assert(
    fc.property(frame, (made) => {
      const expected = Buffer.from(internal.LinkFrame.encode(made).finish());
      expect(encodeLinkFrame(made).toString('hex')).toBe(expected.toString('hex'));
    }),
    { numRuns: 500 },
  );
});

it('reads what the generated code reads', () => {
  fc.assert(
    fc.property(frame, (made) => {
      const encoded = internal.LinkFrame.encode(made).finish();
      expect(plain(decodeLinkFrame(encoded))).toEqual(plain(internal.LinkFrame.decode(encoded)));
    }),
    { numRuns: 500 },
  );
});

it('passes over fields that a later version may add', () => {
  const made = internal.LinkFrame.fromPartial({
    calls: [{ id: 7, call: { $case: 'send', value: { topicId: 3, message: Buffer.from('body') } } }],
  });
  const encoded = encodeLinkFrame(made);
  // Field 99 as text: at the end of the frame, of the call, and of the send.
  const more = Buffer.from([0x9a, 0x06, 0x01, 0x78]);
  const frameMore = Buffer.concat([encoded, more]);
  const sendMore = Buffer.concat([encoded, more]);
  sendMore[1] = (sendMore[1] ?? 0) + more.length;
  const callMore = Buffer.from(sendMore);
  sendMore[5] = (sendMore[5] ?? 0) + more.length;
  for (const each of [frameMore, callMore, sendMore]) expect(plain(decodeLinkFrame(each))).toEqual(plain(made));
});

it('takes any bytes without harm: a frame, or an error', () => {
  fc.assert(
    fc.property(frame, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }), (made, changes) => {
      const encoded = encodeLinkFrame(made);
      for (const [at, byte] of changes) if (encoded.length > 0) encoded[at % encoded.length] = byte;
      try {
        decodeLinkFrame(encoded);
      } catch (caught) {
        expect(caught).toBeInstanceOf(Error);
      }
    }),
    { numRuns: 1_000 },
  );
});
