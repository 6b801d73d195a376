/** PullMessage, UpdateOffset, GetOffset, QueryOffset: what a client hears, and what brokers are asked. */
import type { PulledMessage } from '@cometmq/client';
import { queueOffset } from '@cometmq/model';
import {
  Code,
  GetOffsetRequest,
  GetOffsetResponse,
  PullMessageRequest,
  PullMessageResponse,
  QueryOffsetPolicy,
  QueryOffsetRequest,
  QueryOffsetResponse,
  SendMessageRequest,
  UpdateOffsetRequest,
  UpdateOffsetResponse,
} from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { type ProxyFixture, openProxy } from '../testing.js';

let context: ProxyFixture;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('orders');
  context.nameService.putGroup('workers');
});
afterEach(() => context.stop());

const queue = { topic: { name: 'orders' }, id: 1, broker: { name: 'broker-0' } };
const group = { name: 'workers' };

async function pull(change: Record<string, unknown> = {}) {
  const request = PullMessageRequest.fromPartial({
    group,
    messageQueue: queue,
    offset: 5,
    batchSize: 10,
    ...change,
  } as never);
  const call = context.call('PullMessage', PullMessageRequest.encode(request).finish());
  await call.untilEnd();
  return call.items.map((item) => PullMessageResponse.decode(item).content);
}

async function sendOne(text: string): Promise<void> {
  const message = { topic: { name: 'orders' }, systemProperties: { messageId: text }, body: Buffer.from(text) };
  const request = SendMessageRequest.fromPartial({ messages: [message] } as never);
  await context.call('SendMessage', SendMessageRequest.encode(request).finish()).untilEnd();
}

const stored = (index: number, offset: number): PulledMessage => {
  const { payload, storedMs, originTopicId } = context.broker.delivered(index);
  return { payload, storedMs, originTopicId, offset: queueOffset(offset) };
};

describe('PullMessage', () => {
  it('answers status, messages, and where to go on', async () => {
    await sendOne('one');
    await sendOne('two');
    context.broker.pulled = {
      messages: [stored(0, 5), stored(1, 7)],
      nextOffset: queueOffset(8),
      firstOffset: queueOffset(0),
      endOffset: queueOffset(9),
    };
    const items = await pull({ filterExpression: { type: 2, expression: 'a > 1' } });
    expect(items.map((item) => item?.$case)).toEqual(['status', 'message', 'message', 'nextOffset']);
    expect(items[0]).toMatchObject({ value: { code: Code.OK } });
    expect(items[2]).toMatchObject({
      value: { systemProperties: { queueId: 1, queueOffset: 7, deliveryAttempt: 1, bodyDigest: { type: 2 } } },
    });
    expect(items[3]).toMatchObject({ value: 8 });
    expect(context.broker.pulls[0]).toMatchObject({
      queueId: 1,
      offset: 5,
      messagesMax: 10,
      filter: { type: 'sql', expression: 'a > 1' },
      clientId: 'client-1',
    });
  });

  it('says that there is nothing, and how far was looked', async () => {
    context.broker.pulled = {
      messages: [],
      nextOffset: queueOffset(9),
      firstOffset: queueOffset(0),
      endOffset: queueOffset(9),
    };
    expect(await pull()).toMatchObject([
      { value: { code: Code.MESSAGE_NOT_FOUND } },
      { $case: 'nextOffset', value: 9 },
    ]);
  });

  it.each([
    [3, 4],
    [12, 9],
  ])('corrects offset %i, which is outside the queue, to %i', async (offset, nearest) => {
    context.broker.pulled = {
      messages: [],
      nextOffset: queueOffset(nearest),
      firstOffset: queueOffset(4),
      endOffset: queueOffset(9),
    };
    expect(await pull({ offset })).toMatchObject([
      { value: { code: Code.ILLEGAL_OFFSET } },
      { $case: 'nextOffset', value: nearest },
    ]);
  });

  it('finds nothing while nobody leads, and says so before the deadline', async () => {
    context.broker.fault = () => new MqError('NOT_LEADER', 'not now');
    const request = PullMessageRequest.fromPartial({ group, messageQueue: queue, offset: 5 } as never);
    const call = context.call('PullMessage', PullMessageRequest.encode(request).finish(), { timeoutMs: 3_000 });
    for (let i = 0; i < 40 && !call.ended; i += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      context.clock.advance(100);
    }
    expect(call.items.map((item) => PullMessageResponse.decode(item).content)).toMatchObject([
      { value: { code: Code.MESSAGE_NOT_FOUND } },
      { $case: 'nextOffset', value: 5 },
    ]);
  });

  it.each<[string, () => unknown, Code]>([
    ['its topic is deleted', () => context.nameService.deleteTopic('orders'), Code.TOPIC_NOT_FOUND],
    ['its group is deleted', () => context.nameService.deleteGroup('workers'), Code.CONSUMER_GROUP_NOT_FOUND],
    ['its topic is closed', () => context.nameService.putTopic('orders', { permission: 'write' }), Code.FORBIDDEN],
  ])('is answered at once, also while nobody leads, when %s', async (_what, act, code) => {
    context.broker.fault = () => new MqError('NOT_LEADER', 'not now');
    const request = PullMessageRequest.fromPartial({ group, messageQueue: queue, offset: 5 } as never);
    const call = context.call('PullMessage', PullMessageRequest.encode(request).finish(), { timeoutMs: 30_000 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(call.ended).toBe(false);
    act();
    context.clock.advance(1);
    expect(call.items.map((item) => PullMessageResponse.decode(item).content)).toMatchObject([{ value: { code } }]);
    await call.untilEnd();
  });

  it('asks no new leader for a client that has gone meanwhile', async () => {
    context.broker.fault = () => new MqError('NOT_LEADER', 'not now');
    const request = PullMessageRequest.fromPartial({ group, messageQueue: queue, offset: 5 } as never);
    const call = context.call('PullMessage', PullMessageRequest.encode(request).finish(), { timeoutMs: 30_000 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(context.broker.pulls.length).toBe(1);
    call.cancel();
    context.broker.fault = () => undefined;
    context.clock.advance(1_000);
    expect(context.broker.pulls.length).toBe(1);
  });

  it.each([
    ['a queue that is not there', { messageQueue: { ...queue, id: 9 } }, Code.BAD_REQUEST],
    ['an unknown broker set', { messageQueue: { ...queue, broker: { name: 'x' } } }, Code.BAD_REQUEST],
    ['an unknown topic', { messageQueue: { ...queue, topic: { name: 'x' } } }, Code.TOPIC_NOT_FOUND],
    ['no group', { group: undefined }, Code.ILLEGAL_CONSUMER_GROUP],
    ['a wrong filter', { filterExpression: { type: 2, expression: 'a >' } }, Code.ILLEGAL_FILTER_EXPRESSION],
  ])('refuses %s', async (_what, change, code) => {
    expect(await pull(change)).toMatchObject([{ value: { code } }]);
  });
});

describe('offsets', () => {
  const ask = async (method: string, request: Uint8Array) => {
    const call = context.call(method, request);
    await call.untilEnd();
    return call.items[0] as Buffer;
  };
  const update = async (offset: number) => {
    const request = UpdateOffsetRequest.fromPartial({ group, messageQueue: queue, offset } as never);
    return UpdateOffsetResponse.decode(await ask('UpdateOffset', UpdateOffsetRequest.encode(request).finish())).status
      ?.code;
  };
  const get = async () => {
    const request = GetOffsetRequest.fromPartial({ group, messageQueue: queue } as never);
    return GetOffsetResponse.decode(await ask('GetOffset', GetOffsetRequest.encode(request).finish()));
  };
  const query = async (queryOffsetPolicy: number, timestamp?: { seconds: number; nanos: number }) => {
    const request = QueryOffsetRequest.fromPartial({ messageQueue: queue, queryOffsetPolicy, timestamp } as never);
    return QueryOffsetResponse.decode(await ask('QueryOffset', QueryOffsetRequest.encode(request).finish()));
  };

  it('are told and asked for', async () => {
    expect(await get()).toMatchObject({ status: { code: Code.OFFSET_NOT_FOUND } });
    context.broker.offset = { offset: queueOffset(7) };
    expect(await update(7)).toBe(Code.OK);
    expect(await get()).toMatchObject({ status: { code: Code.OK }, offset: 7 });
    expect(context.broker.offsetCalls.map((call) => call.ask)).toMatchObject([
      { kind: 'ofGroup' },
      { kind: 'setForGroup', offset: 7 },
      { kind: 'ofGroup' },
    ]);
  });

  it('below 0 are refused', async () => {
    expect(await update(-1)).toBe(Code.ILLEGAL_OFFSET);
    expect(context.broker.offsetCalls).toEqual([]);
  });

  it('of the ends and of a time', async () => {
    context.broker.offset = { offset: queueOffset(3) };
    expect(await query(QueryOffsetPolicy.BEGINNING)).toMatchObject({ status: { code: Code.OK }, offset: 3 });
    await query(QueryOffsetPolicy.END);
    await query(QueryOffsetPolicy.TIMESTAMP, { seconds: 12, nanos: 345_000_000 });
    expect(context.broker.offsetCalls.map((call) => call.ask)).toEqual([
      { kind: 'first' },
      { kind: 'end' },
      { kind: 'time', atMs: 12_345 },
    ]);
    await query(QueryOffsetPolicy.TIMESTAMP, { seconds: Number.MAX_SAFE_INTEGER, nanos: 0 });
    await query(QueryOffsetPolicy.TIMESTAMP, { seconds: Number.MIN_SAFE_INTEGER, nanos: 0 });
    expect(context.broker.offsetCalls.slice(3).map((call) => call.ask)).toEqual([
      { kind: 'time', atMs: 253_402_300_799_999 }, // A number that brokers can read.
      { kind: 'time', atMs: 0 },
    ]);
    expect((await query(QueryOffsetPolicy.TIMESTAMP)).status?.code).toBe(Code.BAD_REQUEST);
    expect((await query(7)).status?.code).toBe(Code.BAD_REQUEST);
  });
});
