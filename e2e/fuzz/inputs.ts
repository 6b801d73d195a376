/** What the fuzzer throws: whole openings of connections, frames behind a good greeting, and calls with bad messages. */
import {
  AckMessageRequest,
  AddressScheme,
  ChangeInvisibleDurationRequest,
  ClientType,
  Encoding,
  EndTransactionRequest,
  FilterType,
  ForwardMessageToDeadLetterQueueRequest,
  GetOffsetRequest,
  HeartbeatRequest,
  MessageType,
  MessagingServiceDefinition,
  NotifyClientTerminationRequest,
  Permission,
  PullMessageRequest,
  QueryAssignmentRequest,
  QueryOffsetRequest,
  QueryRouteRequest,
  RecallMessageRequest,
  ReceiveMessageRequest,
  SendMessageRequest,
  SyncLiteSubscriptionRequest,
  TelemetryCommand,
  TransactionResolution,
  UpdateOffsetRequest,
} from '@cometmq/proto';
import fc from 'fast-check';

export type Input =
  /** The first bytes of a connection, instead of a greeting. */
  | { readonly kind: 'opening'; readonly bytes: Uint8Array }
  /** Frames behind a good greeting. */
  | { readonly kind: 'frames'; readonly frames: readonly Frame[] }
  /** A call, with whatever stands in its body. */
  | { readonly kind: 'call'; readonly method: string; readonly body: Uint8Array };

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Uint8Array;
  /** What the head says beyond what comes. */
  readonly missingBytes: number;
}

const endpoints = { scheme: AddressScheme.IPv4, addresses: [{ host: '127.0.0.1', port: 8081 }] };
const topic = { name: 'fuzzed' };
const group = { name: 'fuzzers' };
const messageQueue = { topic, id: 0, permission: Permission.READ_WRITE, acceptMessageTypes: [MessageType.NORMAL] };
const sentMessage = {
  topic,
  userProperties: new Map([['colour', 'grün']]),
  systemProperties: {
    tag: 'T',
    keys: ['k1', 'k2'],
    messageId: '01A2B3C4D5E6F7A8B9C0D1E2F3A4B5C6D7',
    bodyEncoding: Encoding.IDENTITY,
    messageType: MessageType.NORMAL,
    bornHost: 'here',
    bornTimestamp: { seconds: 1_700_000_000, nanos: 0 },
  },
  body: Buffer.from('a body'),
};
const handle = Buffer.alloc(64, 7).toString('base64');
const subscription = {
  group,
  subscriptions: [{ topic, expression: { type: FilterType.TAG, expression: 'A || B' } }],
};

/** A good message for every call there is; what is thrown are bad copies of them. */
const good: Readonly<Record<keyof typeof MessagingServiceDefinition.methods, Uint8Array>> = {
  queryRoute: QueryRouteRequest.encode(QueryRouteRequest.fromPartial({ topic, endpoints })).finish(),
  heartbeat: HeartbeatRequest.encode(
    HeartbeatRequest.fromPartial({ group, clientType: ClientType.SIMPLE_CONSUMER }),
  ).finish(),
  sendMessage: SendMessageRequest.encode(SendMessageRequest.fromPartial({ messages: [sentMessage] })).finish(),
  queryAssignment: QueryAssignmentRequest.encode(
    QueryAssignmentRequest.fromPartial({ topic, group, endpoints }),
  ).finish(),
  receiveMessage: ReceiveMessageRequest.encode(
    ReceiveMessageRequest.fromPartial({
      group,
      messageQueue,
      filterExpression: { type: FilterType.TAG, expression: 'A || B' },
      batchSize: 8,
      invisibleDuration: { seconds: 15, nanos: 0 },
      longPollingTimeout: { seconds: 0, nanos: 1_000_000 },
    }),
  ).finish(),
  ackMessage: AckMessageRequest.encode(
    AckMessageRequest.fromPartial({ group, topic, entries: [{ messageId: 'm', receiptHandle: handle }] }),
  ).finish(),
  forwardMessageToDeadLetterQueue: ForwardMessageToDeadLetterQueueRequest.encode(
    ForwardMessageToDeadLetterQueueRequest.fromPartial({
      ...{ group, topic, receiptHandle: handle, messageId: 'm', deliveryAttempt: 1, maxDeliveryAttempts: 16 },
    }),
  ).finish(),
  pullMessage: PullMessageRequest.encode(
    PullMessageRequest.fromPartial({ group, messageQueue, batchSize: 8 }),
  ).finish(),
  updateOffset: UpdateOffsetRequest.encode(
    UpdateOffsetRequest.fromPartial({ group, messageQueue, offset: 5 }),
  ).finish(),
  getOffset: GetOffsetRequest.encode(GetOffsetRequest.fromPartial({ group, messageQueue })).finish(),
  queryOffset: QueryOffsetRequest.encode(QueryOffsetRequest.fromPartial({ messageQueue })).finish(),
  endTransaction: EndTransactionRequest.encode(
    EndTransactionRequest.fromPartial({
      ...{ topic, messageId: 'm', transactionId: 't', resolution: TransactionResolution.COMMIT },
    }),
  ).finish(),
  telemetry: TelemetryCommand.encode(
    TelemetryCommand.fromPartial({
      command: {
        $case: 'settings',
        value: {
          clientType: ClientType.PUSH_CONSUMER,
          accessPoint: endpoints,
          pubSub: { $case: 'subscription', value: subscription },
        },
      },
    }),
  ).finish(),
  notifyClientTermination: NotifyClientTerminationRequest.encode(
    NotifyClientTerminationRequest.fromPartial({ group }),
  ).finish(),
  changeInvisibleDuration: ChangeInvisibleDurationRequest.encode(
    ChangeInvisibleDurationRequest.fromPartial({
      ...{ group, topic, receiptHandle: handle, messageId: 'm', invisibleDuration: { seconds: 15, nanos: 0 } },
    }),
  ).finish(),
  recallMessage: RecallMessageRequest.encode(
    RecallMessageRequest.fromPartial({ topic, recallHandle: handle }),
  ).finish(),
  syncLiteSubscription: SyncLiteSubscriptionRequest.encode(
    SyncLiteSubscriptionRequest.fromPartial({ topic, group, liteTopicSet: ['a', 'b'] }),
  ).finish(),
};

export const methods = Object.entries(MessagingServiceDefinition.methods).map(([key, { name }]) => ({
  path: `/${MessagingServiceDefinition.fullName}/${name}`,
  good: good[key as keyof typeof good],
}));

type Change = (bytes: number[]) => number[];
const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const place = (bytes: readonly number[], where: number): number => Math.floor(where * bytes.length);

/** Small damage, as lines and mistaken programs do it. */
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(at, fc.integer({ min: 1, max: 255 })).map(([where, mask]): Change => (bytes) => {
    const i = place(bytes, where);
    return bytes.with(Math.min(i, bytes.length - 1), (bytes[i] ?? 0) ^ mask);
  }),
  at.map(
    (where): Change =>
      (bytes) =>
        bytes.slice(0, place(bytes, where)),
  ),
  fc.tuple(at, fc.uint8Array({ minLength: 1, maxLength: 12 })).map(
    ([where, more]): Change =>
      (bytes) =>
        bytes.toSpliced(place(bytes, where), 0, ...more),
  ),
  fc.tuple(at, fc.integer({ min: 1, max: 16 })).map(
    ([where, count]): Change =>
      (bytes) =>
        bytes.toSpliced(place(bytes, where), count),
  ),
  // A length or a number that is as large as one can be, or larger.
  fc
    .tuple(at, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 127 }))
    .map(([where, length, last]): Change => (bytes) => {
      const varint = [...Array.from({ length }, () => 0xff), last];
      return bytes.toSpliced(place(bytes, where), 1, ...varint);
    }),
  fc.constant<Change>((bytes) => [...bytes, ...bytes]),
);

function damaged(bytes: Uint8Array, changes: readonly Change[]): Uint8Array {
  return Uint8Array.from(changes.reduce((now, act) => (now.length === 0 ? now : act(now)), [...bytes]));
}

const nestedBytesMax = 16_000;
/** A message in a message in a message … */
const nested = fc.tuple(fc.integer({ min: 1, max: 15 }), fc.integer({ min: 1, max: 2_000 })).map(([field, depth]) => {
  const bytes = Buffer.alloc(nestedBytesMax + 3); // Filled from its end, where the innermost is.
  let from = bytes.length;
  for (let i = 0; i < depth && bytes.length - from < nestedBytesMax; i += 1) {
    const length = bytes.length - from;
    if (length >= 128) bytes[(from -= 1)] = length >> 7;
    bytes[(from -= 1)] = length < 128 ? length : (length & 127) | 128;
    bytes[(from -= 1)] = (field << 3) | 2;
  }
  return Uint8Array.from(bytes.subarray(from));
});

const call: fc.Arbitrary<Input> = fc
  .constantFrom(...methods)
  .chain((method) =>
    fc
      .oneof(
        { weight: 8, arbitrary: fc.array(change, { minLength: 1, maxLength: 4 }).map((c) => damaged(method.good, c)) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
        { weight: 1, arbitrary: nested },
        { weight: 1, arbitrary: fc.constantFrom(...methods).map((other) => other.good) },
      )
      .map((body): Input => ({ kind: 'call', method: method.path, body })),
  );

const frame: fc.Arbitrary<Frame> = fc.record({
  type: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 255 })),
  flags: fc.oneof(fc.constantFrom(0, 1, 4, 5, 8, 0x20), fc.integer({ min: 0, max: 255 })),
  streamId: fc.oneof(fc.constantFrom(0, 1, 2, 3, 5), fc.integer({ min: 0, max: 2 ** 31 - 1 })),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.constantFrom(4, 5, 6, 8).map((length) => new Uint8Array(length)),
  ),
  missingBytes: fc.oneof(
    { weight: 9, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 ** 24 - 100 }) },
  ),
});
const frames: fc.Arbitrary<Input> = fc
  .array(frame, { minLength: 1, maxLength: 5 })
  .map((list): Input => ({ kind: 'frames', frames: list }));

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');
const opening: fc.Arbitrary<Input> = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 100 }),
    // A TLS hello that is none, HTTP/1, half a preface, a PROXY header.
    fc.uint8Array({ maxLength: 100 }).map((rest) => Uint8Array.of(0x16, 3, 1, ...rest)),
    fc.constantFrom('GET / HTTP/1.1\r\n\r\n', 'PRI * HTTP/2.0\r\n', 'PROXY TCP4 1.2.3.4\r\n', 'POST ').map(text),
  )
  .map((bytes): Input => ({ kind: 'opening', bytes }));

/** So many inputs, the same for the same seed. */
export function inputs(seed: number, count: number): Input[] {
  const any = fc.oneof(
    { weight: 14, arbitrary: call },
    { weight: 5, arbitrary: frames },
    { weight: 1, arbitrary: opening },
  );
  return fc.sample(any, { seed, numRuns: count });
}
