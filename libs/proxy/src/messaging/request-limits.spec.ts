/**
 * Two bytes on the wire can be an object in memory. So every call has a size of its own, and what is in it is counted
 * before it is made.
 */
import {
  Address,
  Code,
  HeartbeatRequest,
  Message,
  QueryRouteRequest,
  ReceiveMessageRequest,
  Status,
} from '@cometmq/proto';
import type { GrpcMethod } from '@cometmq/rpc';
import { Prng } from '@cometmq/shared';

import { defaultLimits, sendRequestBytesMax } from '../limits.js';
import { type ProxyFixture, openProxy } from '../testing.js';

let context: ProxyFixture;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('orders');
  context.nameService.putGroup('workers');
});
afterEach(() => context.stop());

const methodOf = (name: string): GrpcMethod => {
  const method = context.messaging.service.methods[name];
  if (!method) throw new RangeError(`no method ${name}`);
  return method;
};
const bytesMaxOf = (name: string): number => methodOf(name).requestBytesMax ?? NaN;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

/** As many empty entries of the field at the end of the path as fit into so many bytes. */
function emptyEntries(path: readonly number[], bytesMax: number): Buffer {
  const tags = path.map((field) => varint(field * 8 + 2));
  const entry = Buffer.concat([tags.at(-1) as Buffer, Buffer.of(0)]);
  let bytes: Buffer = Buffer.alloc(Math.floor((bytesMax - 16 * path.length) / entry.length) * entry.length, entry);
  for (const tag of tags.slice(0, -1).reverse()) bytes = Buffer.concat([tag, varint(bytes.length), bytes]);
  return bytes;
}

/** The code of the first answer; -1: none, as commands that nobody knows are skipped. */
async function answer(
  method: string,
  request: Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ code: number; bytes: number }> {
  const call = context.call(method, request, { timeoutMs: 1_000, headers });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 30; i += 1) await Promise.resolve();
  };
  await settle();
  context.clock.advance(2_000);
  await settle();
  call.cancel();
  const [first = Buffer.alloc(0)] = call.items;
  const code = first[0] === 0x0a ? Status.decode(first.subarray(2, 2 + (first[1] ?? 0))).code : -1;
  return { code, bytes: call.items.reduce((sum, item) => sum + item.length, 0) };
}

it('what is kept of headers is short, and so are the ids of attempts', async () => {
  const headers = {
    'x-mq-client-id': 'c'.repeat(10_000),
    'x-mq-language': 'l'.repeat(10_000),
    'x-mq-client-version': 'v'.repeat(10_000),
  };
  const receive = (attemptId: string): Promise<number> => {
    const request = ReceiveMessageRequest.fromPartial({
      group: { name: 'workers' },
      messageQueue: { topic: { name: 'orders' } },
      invisibleDuration: { seconds: 30 },
      attemptId,
    });
    return answer('ReceiveMessage', Buffer.from(ReceiveMessageRequest.encode(request).finish()), headers).then(
      ({ code }) => code,
    );
  };
  expect(await receive('a'.repeat(256))).toBe(Code.BAD_REQUEST);
  expect(context.broker.receives).toEqual([]);
  await receive('a'.repeat(255));
  expect(context.broker.receives.length).toBe(1);
  const beat = HeartbeatRequest.encode(HeartbeatRequest.fromPartial({ clientType: 1 })).finish();
  await answer('Heartbeat', Buffer.from(beat), { ...headers, 'x-mq-client-id': 'other' });
  const [first, second] = [...context.messaging.sessions.all()];
  expect(first?.clientId).toBe('c'.repeat(255));
  for (const session of [first, second]) {
    expect([session?.language, session?.version]).toEqual(['l'.repeat(64), 'v'.repeat(64)]);
  }
});

it('every call has a limit: small where little is named, larger for lists, and for sends alone a large one', () => {
  const { requestBytesMax, listBytesMax, telemetryBytesMax } = defaultLimits;
  const larger = {
    SendMessage: sendRequestBytesMax(defaultLimits),
    AckMessage: listBytesMax,
    SyncLiteSubscription: listBytesMax,
    Telemetry: telemetryBytesMax,
  };
  const limits = Object.keys(context.messaging.service.methods).map((name) => [name, bytesMaxOf(name)]);
  expect(Object.fromEntries(limits)).toEqual({
    ...Object.fromEntries(limits.map(([name]) => [name, requestBytesMax])),
    ...larger,
  });
});

// Goal: no request within its size makes more objects than its fields may be. Method: every repeated field that there
// is, filled with millions of empty entries, up to the last byte that is allowed.
it.each([
  ['QueryRoute', [2, 2]],
  ['QueryAssignment', [3, 2]],
  ['SendMessage', [1]],
  ['SendMessage', [1, 2]],
  ['SendMessage', [1, 3, 2]],
  ['SendMessage', [99]],
  ['ReceiveMessage', [2, 4, 99]],
  ['ReceiveMessage', [99]],
  ['AckMessage', [3]],
  ['AckMessage', [99]],
  ['Telemetry', [2, 2, 2]],
  ['Telemetry', [2, 3, 3, 1]],
  ['Telemetry', [2, 5, 1]],
  ['Telemetry', [2, 6, 2]],
  ['Telemetry', [2, 9]],
  ['Telemetry', [5, 1, 2]],
  ['Telemetry', [7, 2, 3, 2]],
  ['PullMessage', [2, 4, 3, 2]],
  ['UpdateOffset', [2, 4, 3, 2]],
  ['GetOffset', [2, 4, 3, 2]],
  ['QueryOffset', [1, 4, 3, 2]],
  ['SyncLiteSubscription', [4]],
])('refuses %s with as many entries of field %p as fit into its size', async (method, path) => {
  const { code, bytes } = await answer(method, emptyEntries(path, bytesMaxOf(method)));
  expect(code).toBe(Code.BAD_REQUEST);
  expect(bytes).toBeLessThan(2_000);
});

// Goal: the same for fields that nobody thought of. Method: paths by chance.
const seeds = [20_261_130, 20_261_131];
it.each(seeds)('answers each call filled with empty entries of any field (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const number = (max: number): number => 1 + Math.floor(chance.next() * max);
  for (const method of Object.keys(context.messaging.service.methods)) {
    for (let i = 0; i < 20; i += 1) {
      const path = Array.from({ length: number(4) }, () => number(24));
      const request = emptyEntries(path, Math.min(bytesMaxOf(method), 1_000_000));
      const { code, bytes } = await answer(method, request);
      expect([method, path, code]).toEqual([method, path, expect.any(Number)]);
      expect(bytes).toBeLessThan(request.length + 10_000); // At most what was said comes back, once.
    }
  }
});

it('makes no addresses of those that are too many', async () => {
  const made = jest.spyOn(Address, 'decode');
  await answer('QueryRoute', emptyEntries([2, 2], bytesMaxOf('QueryRoute')));
  expect(made.mock.calls.length).toBeLessThanOrEqual(defaultLimits.fieldsMax);
  made.mockRestore();
});

it.each([
  ['addresses', { endpoints: { addresses: Array.from({ length: 65 }, () => ({ host: 'h', port: 1 })) } }],
  ['a host', { endpoints: { addresses: [{ host: 'h'.repeat(256), port: 1 }] } }],
  ['a namespace', { topic: { name: 'orders', resourceNamespace: 'n'.repeat(256) } }],
])('refuses %s that would come back with every queue', async (_what, change) => {
  const request = QueryRouteRequest.fromPartial({ topic: { name: 'orders' }, ...change } as never);
  const { code, bytes } = await answer('QueryRoute', Buffer.from(QueryRouteRequest.encode(request).finish()));
  expect(code).toBe(Code.BAD_REQUEST);
  expect(bytes).toBeLessThan(200);
});

it('quotes no more of a request in its answer than a line', async () => {
  const request = QueryRouteRequest.fromPartial({ topic: { name: 'x'.repeat(100_000) } } as never);
  const { code, bytes } = await answer('QueryRoute', Buffer.from(QueryRouteRequest.encode(request).finish()));
  expect(code).toBe(Code.ILLEGAL_TOPIC);
  expect(bytes).toBeLessThan(1_100);
});

it('takes a batch of as many messages as are allowed', async () => {
  const message = Message.fromPartial({
    topic: { name: 'orders' },
    userProperties: new Map([['colour', 'green']]),
    systemProperties: { messageId: 'm', keys: ['k'] },
    body: Buffer.of(1),
  });
  const one = Message.encode(message).finish();
  const field = Buffer.concat([Buffer.of(0x0a), varint(one.length), one]);
  const batch = Buffer.alloc(field.length * defaultLimits.entriesMax, field);
  expect((await answer('SendMessage', batch)).code).toBe(Code.OK);
  expect((await answer('SendMessage', Buffer.concat([batch, field]))).code).toBe(Code.BAD_REQUEST);
});
