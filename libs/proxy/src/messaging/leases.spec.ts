/** AckMessage, ChangeInvisibleDuration and ForwardMessageToDeadLetterQueue: what clients do with a receipt handle. */
import { type Receipt, ReceiptHandles, defaultRetryPolicy, retryDelayMs } from '@cometmq/model';
import {
  AckMessageRequest,
  AckMessageResponse,
  ChangeInvisibleDurationRequest,
  ChangeInvisibleDurationResponse,
  ClientType,
  Code,
  ForwardMessageToDeadLetterQueueRequest,
  ForwardMessageToDeadLetterQueueResponse,
  HeartbeatRequest,
} from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { type CallOptions, type ProxyFixture, openProxy } from '../testing.js';

let context: ProxyFixture;
let receipt: Receipt;
let handle: string;
beforeEach(async () => {
  context = await openProxy();
  const topic = context.nameService.putTopic('orders');
  const group = context.nameService.putGroup('workers');
  receipt = context.broker.receipt({ topicId: topic.id, groupId: group.id, attempt: 3 });
  handle = new ReceiptHandles(context.directory.secret).write(receipt);
});
afterEach(() => context.stop());

const names = { group: { name: 'workers' }, topic: { name: 'orders' } };

async function ack(
  handles: string[],
  change: Record<string, unknown> = {},
  options?: CallOptions,
): Promise<AckMessageResponse> {
  const entries = handles.map((receiptHandle, i) => ({ messageId: `m${i}`, receiptHandle }));
  const request = AckMessageRequest.fromPartial({ ...names, entries, ...change } as never);
  const call = context.call('AckMessage', AckMessageRequest.encode(request).finish(), options);
  await call.untilEnd();
  return AckMessageResponse.decode(call.items[0] as Buffer);
}

describe('AckMessage', () => {
  it('acknowledges by the handle, also twice', async () => {
    const okay = { code: Code.OK, message: 'OK' };
    expect(await ack([handle])).toEqual({
      status: okay,
      entries: [{ messageId: 'm0', receiptHandle: handle, status: okay }],
    });
    expect((await ack([handle])).status).toEqual(okay);
    expect(context.broker.acked).toEqual([{ receipt }, { receipt }]);
  });

  it.each([
    ['RUST', '5.0.0', Code.OK],
    ['RUST', '', Code.OK],
    ['RUST', '5.1.0', Code.INVALID_RECEIPT_HANDLE],
    ['JAVA', '5.0.0', Code.INVALID_RECEIPT_HANDLE],
  ])(
    'answers %s %s a handle whose lease is over with %i, which old Rust clients would repeat for ever',
    async (language, version, code) => {
      context.broker.fault = () => new MqError('INVALID_RECEIPT_HANDLE', 'the lease is over');
      const answer = await ack([handle], {}, { language, version });
      expect([answer.status?.code, answer.entries[0]?.status?.code]).toEqual([code, code]);
      const changed = await change({}, { language, version });
      expect([changed.status?.code, changed.receiptHandle]).toEqual([code, handle]);
      expect((await ack(['garbage'], {}, { language, version })).status?.code).toBe(Code.INVALID_RECEIPT_HANDLE);
    },
  );

  it.each([
    ['garbage', () => 'garbage'],
    ['nothing', () => ''],
    ['another form', () => '0 1 2 3 4 broker-a 6 7 8'],
    ['a changed handle', () => `${handle.slice(0, 20)}${handle[20] === 'A' ? 'B' : 'A'}${handle.slice(21)}`],
    ['a handle of another cluster', () => new ReceiptHandles(Buffer.alloc(32, 8)).write(receipt)],
    ['a handle of another group', () => issued({ groupId: context.nameService.putGroup('others').id })],
    ['a handle of another topic', () => issued({ topicId: context.nameService.putTopic('mails').id })],
  ])('refuses %s for ever', async (_what, bad) => {
    const answer = await ack([bad(), handle]);
    expect(answer.status?.code).toBe(Code.MULTIPLE_RESULTS);
    expect(answer.entries.map(({ messageId, status }) => [messageId, status?.code])).toEqual([
      ['m0', Code.INVALID_RECEIPT_HANDLE],
      ['m1', Code.OK],
    ]);
    expect(context.broker.acked.length).toBe(1);
  });

  it.each([
    ['an illegal topic', { topic: { name: 'a b' } }, Code.ILLEGAL_TOPIC],
    ['an illegal group', { group: { name: '' } }, Code.ILLEGAL_CONSUMER_GROUP],
  ])('answers as many entries as it got for %s', async (_what, change, code) => {
    const answer = await ack([handle, handle], change);
    expect(answer.entries.map(({ status }) => status?.code)).toEqual([code, code]);
    expect(answer.status?.code).toBe(code);
  });

  it('refuses a request without entries, a stranger, garbage', async () => {
    expect((await ack([])).status?.code).toBe(Code.BAD_REQUEST);
    expect((await ack([handle], {}, { clientId: '' })).entries[0]?.status?.code).toBe(Code.CLIENT_ID_REQUIRED);
    const call = context.call('AckMessage', Buffer.from([0x1a, 99]));
    expect(AckMessageResponse.decode(call.items[0] as Buffer).status?.code).toBe(Code.BAD_REQUEST);
  });

  it('goes to the broker set that the handle names, and waits for its leader', async () => {
    const second = context.addBroker('broker-1');
    context.nameService.putSet({ name: 'broker-1', leader: undefined });
    const waiting = ack([issued({ broker: 'broker-1' })], {}, { timeoutMs: 3_000 });
    context.clock.advance(1_000);
    context.nameService.putSet({ name: 'broker-1', epoch: 2 });
    context.clock.advance(10);
    expect((await waiting).status?.code).toBe(Code.OK);
    expect(second.acked.length).toBe(1);

    context.broker.fault = () => new MqError('NOT_LEADER', 'somebody else leads');
    const late = ack([handle], {}, { timeoutMs: 3_000 });
    context.clock.advance(2_800);
    expect((await late).status?.code).toBe(Code.PROXY_TIMEOUT);
  });

  const issued = (change: Partial<Receipt>): string =>
    new ReceiptHandles(context.directory.secret).write({ ...receipt, ...change });
});

async function change(
  changed: Record<string, unknown> = {},
  options?: CallOptions,
): Promise<ChangeInvisibleDurationResponse> {
  const request = ChangeInvisibleDurationRequest.fromPartial({
    ...names,
    receiptHandle: handle,
    invisibleDuration: { seconds: 20, nanos: 0 },
    ...changed,
  } as never);
  const call = context.call(
    'ChangeInvisibleDuration',
    ChangeInvisibleDurationRequest.encode(request).finish(),
    options,
  );
  await call.untilEnd();
  return ChangeInvisibleDurationResponse.decode(call.items[0] as Buffer);
}

describe('ChangeInvisibleDuration', () => {
  it('moves the end of the lease and gives the new handle', async () => {
    expect(await change()).toEqual({ status: { code: Code.OK, message: 'OK' }, receiptHandle: handle });
    await change({ invisibleDuration: undefined });
    await change({ invisibleDuration: { seconds: 43_200, nanos: 0 } });
    expect(context.broker.changed.map(({ invisibleMs }) => invisibleMs)).toEqual([20_000, 0, 43_200_000]);
  });

  it.each([
    ['a time above 12 h', { invisibleDuration: { seconds: 43_201, nanos: 0 } }, Code.ILLEGAL_INVISIBLE_TIME],
    ['a time below 0', { invisibleDuration: { seconds: -1, nanos: 0 } }, Code.ILLEGAL_INVISIBLE_TIME],
    ['a bad handle', { receiptHandle: 'garbage' }, Code.INVALID_RECEIPT_HANDLE],
    ['a bad group', { group: { name: ' ' } }, Code.ILLEGAL_CONSUMER_GROUP],
  ])('refuses %s and echoes the handle', async (_what, changed, code) => {
    const answer = await change(changed);
    expect(answer.status?.code).toBe(code);
    expect(answer.receiptHandle).toBe('receiptHandle' in changed ? changed.receiptHandle : handle);
    expect(context.broker.changed).toEqual([]);
  });

  it('names the time as Apache does, and what is allowed', async () => {
    const { status } = await change({ invisibleDuration: { seconds: 43_201, nanos: 0 } });
    expect(status?.message).toBe('the invisibleTime is too large: 43201000 ms; allowed are 0 to 43200000 ms');
  });

  it("takes a Node.js push consumer's tiny nack for the group's retry delay", async () => {
    const beat = HeartbeatRequest.encode({
      group: { name: 'workers', resourceNamespace: '' },
      clientType: ClientType.PUSH_CONSUMER,
    });
    const node = { clientId: 'node-1', language: 'HTTP' };
    const tiny = { invisibleDuration: { seconds: 0, nanos: 5_000_000 } };
    await change(tiny, node); // Nobody knows yet what it is.
    context.call('Heartbeat', beat.finish(), node);
    await Promise.resolve();
    await change(tiny, node);
    await change({ invisibleDuration: { seconds: 2, nanos: 0 } }, node);
    context.call('Heartbeat', beat.finish(), { clientId: 'java-1' });
    await change(tiny, { clientId: 'java-1' });
    const retryMs = retryDelayMs(defaultRetryPolicy, 3);
    expect(context.broker.changed.map(({ invisibleMs }) => invisibleMs)).toEqual([5, retryMs, 2_000, 5]);
  });
});

async function forward(changed: Record<string, unknown> = {}): Promise<number | undefined> {
  const request = ForwardMessageToDeadLetterQueueRequest.fromPartial({
    ...names,
    receiptHandle: handle,
    ...changed,
  } as never);
  const call = context.call(
    'ForwardMessageToDeadLetterQueue',
    ForwardMessageToDeadLetterQueueRequest.encode(request).finish(),
  );
  await call.untilEnd();
  return ForwardMessageToDeadLetterQueueResponse.decode(call.items[0] as Buffer).status?.code;
}

describe('ForwardMessageToDeadLetterQueue', () => {
  it('forwards, as often as it is asked', async () => {
    expect([await forward(), await forward()]).toEqual([Code.OK, Code.OK]);
    expect(context.broker.deadLetters).toEqual([{ receipt }, { receipt }]);
  });

  it("looks, for the C++ client's empty handle, for whoever holds the message for it", async () => {
    const second = context.addBroker('broker-1');
    context.broker.fault = (kind) =>
      kind === 'deadLetter' ? new MqError('INVALID_RECEIPT_HANDLE', 'holds no such message') : undefined;
    expect(await forward({ receiptHandle: '', messageId: 'm1' })).toBe(Code.OK);
    expect(second.deadLetters).toEqual([
      { held: { groupId: receipt.groupId, topicId: receipt.topicId, messageId: 'm1', clientId: 'client-1' } },
    ]);
    second.fault = context.broker.fault;
    expect(await forward({ receiptHandle: '', messageId: 'm2' })).toBe(Code.INVALID_RECEIPT_HANDLE);
    expect(await forward({ receiptHandle: '', messageId: '' })).toBe(Code.INVALID_RECEIPT_HANDLE);
    expect(await forward({ receiptHandle: 'garbage' })).toBe(Code.INVALID_RECEIPT_HANDLE);
  });
});
