/** Delayed messages and transactions at the front context: what the broker is told, and what clients bring back. */
import { Envelope, MessageType } from '@cometmq/model';
import {
  ClientType,
  Code,
  EndTransactionRequest,
  EndTransactionResponse,
  Message,
  RecallMessageRequest,
  RecallMessageResponse,
  SendMessageRequest,
  SendMessageResponse,
  type SendResultEntry,
  TelemetryCommand,
  TransactionResolution,
  TransactionSource,
} from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { type ProxyFixture, openProxy } from '../testing.js';

const seconds = 1_700_000_000;

let context: ProxyFixture;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('later', { type: MessageType.delay });
  context.nameService.putTopic('deals', { type: MessageType.transaction });
  context.nameService.putTopic('all', { type: MessageType.mixed });
  context.nameService.putTopic('orders');
});
afterEach(() => context.stop());

async function send(topic: string, system: Record<string, unknown>): Promise<SendResultEntry> {
  const message = Message.fromPartial({
    topic: { name: topic },
    body: Buffer.from('hello'),
    userProperties: new Map([['colour', 'red']]),
    systemProperties: { messageId: '01AB', bodyEncoding: 1, tag: 'A', keys: ['k'], ...system },
  } as never);
  const call = context.call('SendMessage', SendMessageRequest.encode({ messages: [message] }).finish());
  await call.untilEnd();
  const [entry] = SendMessageResponse.decode(call.items[0] as Buffer).entries;
  if (!entry) throw new Error('an answer has an entry a message');
  return entry;
}

const delayed = (topic = 'later') => send(topic, { deliveryTimestamp: { seconds: seconds + 60, nanos: 123_456_789 } });
const half = (topic = 'deals', more: Record<string, unknown> = {}) => send(topic, { messageType: 4, ...more });
const envelope = (index: number): Envelope => new Envelope(context.broker.sent[index]?.envelope ?? Buffer.alloc(0));

async function recall(topic: string, recallHandle: string): Promise<[number | undefined, string]> {
  const request = RecallMessageRequest.fromPartial({ topic: { name: topic }, recallHandle });
  const call = context.call('RecallMessage', RecallMessageRequest.encode(request).finish());
  await call.untilEnd();
  const { status, messageId } = RecallMessageResponse.decode(call.items[0] as Buffer);
  return [status?.code, messageId];
}

async function end(topic: string, transactionId: string, change: Record<string, unknown> = {}): Promise<number> {
  const request = EndTransactionRequest.fromPartial({
    topic: { name: topic },
    messageId: '01AB',
    transactionId,
    resolution: TransactionResolution.COMMIT,
    ...change,
  } as never);
  const call = context.call('EndTransaction', EndTransactionRequest.encode(request).finish());
  await call.untilEnd();
  return EndTransactionResponse.decode(call.items[0] as Buffer).status?.code ?? 0;
}

/** The stream of a producer of `deals`, once its settings are answered. */
async function producing() {
  const settings = TelemetryCommand.encode(
    TelemetryCommand.fromPartial({
      command: {
        $case: 'settings',
        value: {
          clientType: ClientType.PRODUCER,
          pubSub: { $case: 'publishing', value: { topics: [{ name: 'deals' }] } },
        },
      },
    } as never),
  ).finish();
  const stream = context.call('Telemetry', settings, { clientId: 'producer-1' });
  await stream.until(1);
  return stream;
}

describe('a delayed message', () => {
  it('tells the broker when it is due, to the millisecond, and its sender how to take it back', async () => {
    const entry = await delayed();
    expect(entry).toMatchObject({ status: { code: Code.OK }, messageId: '01AB', offset: 0, transactionId: '' });
    expect([envelope(0).type, envelope(0).dueMs]).toEqual([MessageType.delay, seconds * 1000 + 60_123]);
    expect(await recall('later', entry.recallHandle)).toEqual([Code.OK, 'recalled']);
    const dueMs = seconds * 1000 + 60_123;
    expect(context.broker.recalls).toEqual([
      { place: expect.objectContaining({ topicId: context.nameService.topics.get('later')?.id, dueMs }) as unknown },
    ]);
  });

  it('of an impossible time is due as early or late as there is time', async () => {
    await send('later', { deliveryTimestamp: { seconds: -5, nanos: 0 } });
    expect(envelope(0).dueMs).toBe(1);
  });

  it('is taken back through its own topic only, by a handle of its own', async () => {
    const { recallHandle } = await delayed();
    expect(await recall('all', recallHandle)).toEqual([Code.BAD_REQUEST, '']);
    expect(await recall('orders', recallHandle)).toEqual([Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, '']);
    expect(await recall('nobody', recallHandle)).toEqual([Code.TOPIC_NOT_FOUND, '']);
    expect(await recall('later', 'garbage')).toEqual([Code.BAD_REQUEST, '']);
    expect(await recall('later', '')).toEqual([Code.BAD_REQUEST, '']);
    expect(await recall('later', (await half()).transactionId)).toEqual([Code.BAD_REQUEST, '']);
    expect(context.broker.recalls).toEqual([]);
  });

  it('that was delivered already is not found', async () => {
    const { recallHandle } = await delayed();
    context.broker.fault = (kind) => (kind === 'recall' ? new MqError('MESSAGE_NOT_FOUND', 'too late') : undefined);
    expect(await recall('later', recallHandle)).toEqual([Code.MESSAGE_NOT_FOUND, '']);
  });

  it('is taken back at the broker set that has it, when that has a leader again', async () => {
    const { recallHandle } = await delayed();
    context.nameService.putSet({ name: 'broker-0', leader: undefined });
    const answer = recall('later', recallHandle);
    context.nameService.putSet({ name: 'broker-0', leader: '' });
    context.clock.advance(1_000);
    expect(await answer).toEqual([Code.OK, 'recalled']);
  });

  it('is taken back at the set that it was handed over to, by the handle of the one that took it', async () => {
    const { recallHandle } = await delayed();
    const [other, third] = [context.addBroker('broker-1'), context.addBroker('broker-2')];
    const notFound = (kind: string): MqError | undefined =>
      kind === 'recall' ? new MqError('MESSAGE_NOT_FOUND', 'not here') : undefined;
    context.broker.fault = third.fault = notFound;
    expect(await recall('later', recallHandle)).toEqual([Code.OK, 'recalled']);
    // The set is no more: nobody is waited for.
    context.nameService.putSet({ name: 'broker-0', stage: 'gone', leader: undefined });
    expect(await recall('later', recallHandle)).toEqual([Code.OK, 'recalled']);
    const { place } = context.broker.recalls[0]!;
    expect(context.broker.recalls).toEqual([{ place }]);
    const asked = [{ place: { ...place, from: 'broker-0' } }];
    expect(other.recalls).toEqual([...asked, ...asked]);
    other.fault = notFound;
    expect(await recall('later', recallHandle)).toEqual([Code.MESSAGE_NOT_FOUND, '']);
    other.fault = () => undefined;
    // Nobody has heard yet that it has stopped: it is not asked, and so not waited for.
    context.nameService.putSet({ name: 'broker-0', stage: 'gone', leader: '' });
    expect(await recall('later', recallHandle)).toEqual([Code.OK, 'recalled']);
    expect(context.broker.recalls).toEqual([{ place }]);
  });

  it('is not said to be delivered while a set can not be asked that may have it', async () => {
    const { recallHandle } = await delayed();
    const other = context.addBroker('broker-1');
    context.broker.fault = (kind) => (kind === 'recall' ? new MqError('MESSAGE_NOT_FOUND', 'not here') : undefined);
    other.fault = (kind) => (kind === 'recall' ? new MqError('DISK_FAILED', 'it fails') : undefined);
    expect((await recall('later', recallHandle))[0]).toBe(Code.INTERNAL_SERVER_ERROR);
  });
});

describe('half a message', () => {
  it('is known to its sender by an id that any node understands', async () => {
    const entry = await half('deals', { orphanedTransactionRecoveryDuration: { seconds: 30, nanos: 0 } });
    expect(entry).toMatchObject({ status: { code: Code.OK }, offset: 0, recallHandle: '' });
    expect([envelope(0).type, envelope(0).checkAfterMs]).toEqual([MessageType.transaction, 30_000]);
    expect(await end('deals', entry.transactionId)).toBe(Code.OK);
    expect(context.broker.ended).toMatchObject([{ resolution: 'commit', checked: false, place: { dueMs: 0 } }]);
  });

  it('is committed, rolled back or left open, by its producer or because that was asked', async () => {
    const { transactionId } = await half('all');
    const source = TransactionSource.SOURCE_SERVER_CHECK;
    await end('all', transactionId, { resolution: TransactionResolution.ROLLBACK, source });
    await end('all', transactionId, { resolution: TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED });
    expect(context.broker.ended).toMatchObject([
      { resolution: 'rollback', checked: true },
      { resolution: 'unknown', checked: false },
    ]);
  });

  it('is ended at the set that it was handed over to, by the id of the one that took it', async () => {
    const { transactionId } = await half();
    const other = context.addBroker('broker-1');
    context.broker.fault = (kind) =>
      kind === 'endTransaction' ? new MqError('INVALID_TRANSACTION_ID', 'not here') : undefined;
    expect(await end('deals', transactionId)).toBe(Code.OK);
    expect(other.ended).toMatchObject([{ resolution: 'commit', place: { from: 'broker-0', dueMs: 0 } }]);
    other.fault = context.broker.fault;
    expect(await end('deals', transactionId)).toBe(Code.INVALID_TRANSACTION_ID);
  });

  it('is not ended by an id of something else', async () => {
    const { transactionId } = await half();
    expect(await end('deals', '')).toBe(Code.INVALID_TRANSACTION_ID);
    expect(await end('deals', 'garbage')).toBe(Code.INVALID_TRANSACTION_ID);
    expect(await end('all', transactionId)).toBe(Code.INVALID_TRANSACTION_ID);
    expect(await end('later', (await delayed()).recallHandle)).toBe(Code.INVALID_TRANSACTION_ID);
    expect(context.broker.ended).toEqual([]);
  });

  // Goal: C++, whose settings name no topics, can be asked. Method: such settings, a half message, and what brokers hear.
  it('makes its sender a producer of the topic, named in its settings or not', async () => {
    const publishing = { $case: 'publishing', value: { topics: [] } };
    const value = { clientType: ClientType.PRODUCER, pubSub: publishing };
    const settings = TelemetryCommand.fromPartial({ command: { $case: 'settings', value } } as never);
    await context.call('Telemetry', TelemetryCommand.encode(settings).finish()).until(1);
    context.clock.advance(20);
    expect(context.broker.reports.at(-1)?.producers).toEqual([]);
    await half();
    context.clock.advance(20);
    const topicId = context.nameService.topics.get('deals')?.id;
    expect(context.broker.reports.at(-1)?.producers).toMatchObject([{ topicIds: [topicId], streaming: true }]);
  });

  it('is asked about over the stream of a producer, with its message whole and an id to answer with', async () => {
    const { transactionId } = await half();
    const stream = await producing();
    const sent = context.broker.sent[0];
    const topicId = context.nameService.topics.get('deals')?.id;
    if (!sent || !topicId) throw new Error('the message was sent');
    const [tell] = context.broker.tell.values();
    tell?.({
      kind: 'recoverOrphan',
      clientId: 'producer-1',
      place: { topicId, position: 5096 as never, size: 500, dueMs: 0 },
      payload: Buffer.concat([sent.envelope, ...sent.message]),
      storedMs: 1_700_000_123_456,
    });
    await stream.until(2);
    const { command } = TelemetryCommand.decode(stream.items[1] as Buffer);
    if (command?.$case !== 'recoverOrphanedTransactionCommand') throw new Error('a check was expected');
    const { message, transactionId: asked } = command.value;
    expect(asked).toBe(transactionId);
    expect(message?.topic?.name).toBe('deals');
    expect(Buffer.from(message?.body ?? []).toString()).toBe('hello');
    expect(message?.userProperties.get('colour')).toBe('red');
    expect(message?.systemProperties).toMatchObject({ messageId: '01AB', tag: 'A', keys: ['k'], bodyEncoding: 1 });
    expect(message?.systemProperties?.bodyDigest?.checksum).toMatch(/^[0-9A-F]{32}$/);
    expect(message?.systemProperties?.bornTimestamp).toBeDefined();
  });

  it('are not checked where the message can not be read, and nothing else suffers for it', async () => {
    await half('deals', { queueOffset: Number.MAX_SAFE_INTEGER });
    const stream = await producing();
    const sent = context.broker.sent[0];
    const topicId = context.nameService.topics.get('deals')?.id;
    if (!sent || !topicId) throw new Error('the message was sent');
    const payload = Buffer.concat([sent.envelope, ...sent.message]);
    const offsetAt = payload.indexOf(Buffer.from('70ffffffffffffff0f', 'hex'));
    expect(offsetAt).toBeGreaterThan(0);
    payload[offsetAt + 8] = 0x7f; // 2^56 - 1
    const [tell] = context.broker.tell.values();
    const place = { topicId, position: 5096 as never, size: 500, dueMs: 0 };
    tell?.({ kind: 'recoverOrphan', clientId: 'producer-1', place, payload, storedMs: 1_700_000_123_456 });
    expect(stream.items.length).toBe(1);
    tell?.({ kind: 'printStack', clientId: 'producer-1', nonce: 'n1' });
    expect(stream.items.length).toBe(2);
  });
});
