/** The front door against callers that are hostile, slow, or odd. What proper clients see is in interop.spec.ts. */
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { connect as connectTls, getCiphers } from 'node:tls';
import fc from 'fast-check';
import { systemClock } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import { GrpcJsChannel } from '../grpc-js/grpc-js-channel.js';
import { flag, frameType, h2Error, setting } from '../http2/constants.js';
import { settingsPayload } from '../http2/settings.js';
import { echoService, newEchoNotes, streamRequest } from '../testing/echo.js';
import type { EchoNotes } from '../testing/echo.js';
import { frame, greeting, grpcMessage, headersFrame, RawH2Client, requestHeaders } from '../testing/raw-h2-client.js';
import type { SeenFrame } from '../testing/raw-h2-client.js';
import { until } from '../testing/until.js';
import { selfSignedIdentity } from '../tls/tls-identity.js';
import { FrontDoorServer } from './front-door-server.js';
import type { FrontDoorOptions } from './front-door-server.js';

let server: FrontDoorServer;
let notes: EchoNotes;
let logged: unknown[];
let warned: [string, object][];
const clients: RawH2Client[] = [];

async function serve(options: Partial<FrontDoorOptions> = {}): Promise<void> {
  notes = newEchoNotes();
  logged = [];
  warned = [];
  server = new FrontDoorServer({
    port: 0,
    services: [echoService(notes)],
    clock: systemClock,
    log: (message, cause) => void logged.push(message, cause),
    tell: (_level, said, facts) => void warned.push([said, facts]),
    mode: 'plaintext-only',
    stopMs: 200,
    ...options,
  });
  await server.start();
}

async function raw(): Promise<RawH2Client> {
  const client = await RawH2Client.open(server.port);
  clients.push(client);
  return client;
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server.stop();
});

const echo = requestHeaders('/test.Echo/Echo');
const data = (streamId: number, payload: Uint8Array, flags = 0): Buffer =>
  frame(frameType.DATA, flags, streamId, payload);
const ends = (streamId: number) => (each: SeenFrame) =>
  each.streamId === streamId && each.type === frameType.HEADERS && (each.flags & flag.END_STREAM) !== 0;
const isData = (streamId: number) => (each: SeenFrame) => each.type === frameType.DATA && each.streamId === streamId;

/** The connection still answers. */
async function alive(client: RawH2Client): Promise<void> {
  const mark = Buffer.from(String(client.frames.length).padStart(8, '0'));
  client.send(frame(frameType.PING, 0, 0, mark));
  await client.seen((each) => each.type === frameType.PING && each.payload.equals(mark));
}

describe('an answer whose arrival is asked for', () => {
  beforeEach(() => serve());
  const asks = (each: SeenFrame): boolean => each.type === frameType.PING && each.flags === 0;
  const stream = (streamId: number, count: number, bytes: number): Buffer[] => [
    headersFrame(streamId, requestHeaders('/test.Echo/Stream')),
    data(streamId, grpcMessage(streamRequest(count, bytes)), flag.END_STREAM),
  ];
  const confirm = (client: RawH2Client, ping: SeenFrame): void =>
    client.send(frame(frameType.PING, flag.ACK, 0, ping.payload));

  it('has arrived when a ping behind it is answered, not before', async () => {
    const client = await raw();
    notes.arrivals = [];
    client.send(greeting, ...stream(1, 2, 50_000)); // More than the window takes.
    await client.seen(isData(1));
    await alive(client);
    expect(client.frames.some(asks)).toBe(false);
    client.send(frame(frameType.WINDOW_UPDATE, 0, 1, Buffer.from([0, 1, 0, 0])));
    client.send(frame(frameType.WINDOW_UPDATE, 0, 0, Buffer.from([0, 1, 0, 0])));
    const ping = await client.seen(asks);
    expect(client.frames.indexOf(ping)).toBeGreaterThan(client.frames.findIndex(ends(1)));
    client.send(frame(frameType.PING, flag.ACK, 0, Buffer.alloc(8))); // Of another ping.
    await alive(client);
    expect(notes.arrivals).toEqual([]);
    confirm(client, ping);
    await alive(client);
    expect(notes.arrivals).toEqual([true]);
  });

  it('shares its ping with others, one at a time', async () => {
    const client = await raw();
    notes.arrivals = [];
    client.send(greeting, ...stream(1, 1, 10), ...stream(3, 1, 10));
    const ping = await client.seen(asks);
    client.send(...stream(5, 1, 10));
    await client.seen(ends(5));
    await alive(client);
    expect(client.frames.filter(asks)).toHaveLength(1);
    confirm(client, ping);
    const next = await client.seen((each) => asks(each) && each !== ping);
    expect(notes.arrivals).toEqual([true, true]);
    confirm(client, next);
    await alive(client);
    expect(notes.arrivals).toEqual([true, true, true]);
    expect(server.seen.protocolErrors).toBe(0);
  });

  it('is known to be lost when the connection ends first, whole or not', async () => {
    const client = await raw();
    notes.arrivals = [];
    client.send(greeting, ...stream(1, 1, 10), ...stream(3, 2, 50_000));
    await client.seen(asks);
    client.close();
    await until(() => notes.arrivals?.length === 2);
    expect(notes.arrivals).toEqual([false, false]);
  });

  it('is known to be lost when the caller gave it up before it had all', async () => {
    const client = await raw();
    notes.arrivals = [];
    client.send(greeting, ...stream(1, 1, 10), ...stream(3, 1, 10));
    const ping = await client.seen(asks);
    client.send(frame(frameType.RST_STREAM, 0, 3, Buffer.from([0, 0, 0, h2Error.CANCEL])));
    confirm(client, ping);
    await alive(client);
    expect(notes.arrivals).toEqual([false, true]);
  });

  it('is waited for a little before a connection ends in good order', async () => {
    const client = await raw();
    notes.arrivals = [];
    client.send(greeting, ...stream(1, 1, 10));
    const ping = await client.seen(asks);
    const stopped = server.stop();
    await client.seen((each) => each.type === frameType.GOAWAY);
    confirm(client, ping);
    await client.closed();
    await stopped;
    expect(notes.arrivals).toEqual([true]);
  });
});

describe('odd, but allowed', () => {
  beforeEach(() => serve());

  it('takes a request in single bytes, with padding, priority and continuations', async () => {
    const client = await raw();
    const block = echo;
    const padded = Buffer.concat([Buffer.of(3), Buffer.alloc(5), block.subarray(0, 20), Buffer.alloc(3)]);
    const body = grpcMessage(Buffer.from('hello'));
    const wire = Buffer.concat([
      greeting,
      headersFrame(1, padded, flag.PADDED | flag.PRIORITY),
      frame(frameType.CONTINUATION, 0, 1, block.subarray(20, 50)),
      frame(frameType.CONTINUATION, flag.END_HEADERS, 1, block.subarray(50)),
      data(1, Buffer.concat([Buffer.of(7), body.subarray(0, 3), Buffer.alloc(7)]), flag.PADDED),
      frame(frameType.PRIORITY, 0, 1, Buffer.alloc(5)),
      frame(0xbe, 0xff, 1, Buffer.from('who knows this frame')),
      data(1, Buffer.concat([Buffer.of(0), body.subarray(3)]), flag.PADDED),
      data(1, Buffer.alloc(0), flag.END_STREAM),
    ]);
    client.socket.setNoDelay(true);
    for (const byte of wire) {
      client.send(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    await client.seen(ends(1));
    expect(client.frames.find(isData(1))?.payload).toEqual(body);
    expect(server.seen).toMatchObject({ protocolErrors: 0, callsOpen: 0, heldBytes: 0, queuedBytes: 0 });
  });

  it('answers pings at once, hundreds of them, with no call open', async () => {
    const client = await raw();
    client.send(greeting);
    const pings = Array.from({ length: 2_000 }, (_, i) =>
      frame(frameType.PING, 0, 0, Buffer.from(String(i).padStart(8))),
    );
    client.send(...pings);
    await client.seen((each) => each.type === frameType.PING && each.payload.toString() === '1999'.padStart(8));
    expect(client.frames.filter((each) => each.type === frameType.PING && each.flags === flag.ACK)).toHaveLength(2_000);
    expect(client.goAwayCode).toBeUndefined();
  });

  it('acknowledges SETTINGS and keeps to them: window, frame size, no header table', async () => {
    const client = await raw();
    const settings = settingsPayload([
      [setting.INITIAL_WINDOW_SIZE, 10],
      [setting.MAX_FRAME_SIZE, 20_000],
      [setting.HEADER_TABLE_SIZE, 0],
    ]);
    client.send(greeting, frame(frameType.SETTINGS, 0, 0, settings));
    const body = grpcMessage(Buffer.alloc(30_000, 1));
    client.send(
      headersFrame(1, echo),
      data(1, body.subarray(0, 16_000)),
      data(1, body.subarray(16_000), flag.END_STREAM),
    );
    const headers = await client.seen((each) => each.type === frameType.HEADERS);
    expect(headers.payload.subarray(0, 2)).toEqual(Buffer.of(0x20, 0x88)); // The table is given up first.
    await client.seen(isData(1));
    await alive(client);
    expect(client.frames.filter(isData(1)).map((each) => each.payload.length)).toEqual([10]);
    client.send(frame(frameType.WINDOW_UPDATE, 0, 1, Buffer.from([0, 0, 0x4e, 0x20])));
    await until(() => client.frames.filter(isData(1)).length === 2);
    const more = settingsPayload([[setting.INITIAL_WINDOW_SIZE, 1_000_000]]);
    client.send(frame(frameType.SETTINGS, 0, 0, more));
    await client.seen(ends(1));
    const sizes = client.frames.filter(isData(1)).map((each) => each.payload.length);
    expect(sizes).toEqual([10, 20_000, 9_995]);
    expect(Buffer.concat(client.frames.filter(isData(1)).map((each) => each.payload))).toEqual(body);
  });

  it('serves calls whose windows are open while another waits, and forgets a reset one', async () => {
    const client = await raw();
    client.send(greeting);
    client.send(
      headersFrame(1, requestHeaders('/test.Echo/Stream')),
      data(1, grpcMessage(streamRequest(1_000, 10_000)), flag.END_STREAM),
    );
    await until(() => client.frames.filter(isData(1)).reduce((sum, each) => sum + each.payload.length, 0) === 65_535);
    client.send(frame(frameType.WINDOW_UPDATE, 0, 0, Buffer.from([0, 1, 0, 0])));
    client.send(headersFrame(3, echo), data(3, grpcMessage(Buffer.from('me too')), flag.END_STREAM));
    await client.seen(ends(3));
    expect(server.seen.queuedBytes).toBeGreaterThan(100_000); // Bounded: the handler was told to stop.
    expect(server.seen.queuedBytes).toBeLessThan(200_000);
    client.send(frame(frameType.RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
    await until(() => notes.cancelled === 1);
    expect(server.seen).toMatchObject({ queuedBytes: 0, callsOpen: 0 });
    await alive(client);
  });

  it('refuses calls above the limit, and only those', async () => {
    await server.stop();
    await serve({ limits: { streamsMax: 2 } });
    const client = await raw();
    client.send(greeting);
    for (const id of [1, 3, 5]) client.send(headersFrame(id, requestHeaders('/test.Echo/Hang')));
    const reset = await client.seen((each) => each.type === frameType.RST_STREAM);
    expect([reset.streamId, reset.payload.readUInt32BE(0)]).toEqual([5, h2Error.REFUSED_STREAM]);
    client.send(frame(frameType.RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
    client.send(headersFrame(7, echo), data(7, grpcMessage(Buffer.alloc(3)), flag.END_STREAM));
    await client.seen(ends(7));
  });
});

describe('requests that end in a status', () => {
  beforeEach(() => serve({ limits: { messageBytesMax: 1_000, headerListBytesMax: 2_000 } }));

  const text = (client: RawH2Client, id: number): string =>
    client.frames.find(ends(id))?.payload.toString('latin1') ?? '';

  it.each([
    ['a compressed message', [data(1, Buffer.from([1, 0, 0, 0, 1, 65]), flag.END_STREAM)], '12', 'compressed'],
    ['a message above the limit', [data(1, Buffer.from([0, 0, 1, 0, 0]))], '8', 'at most 1000'],
    ['a message cut short', [data(1, Buffer.from([0, 0, 0, 0, 9, 65]), flag.END_STREAM)], '13', 'within a message'],
    ['no message', [data(1, Buffer.alloc(0), flag.END_STREAM)], '13', 'no message'],
    [
      'two messages',
      [data(1, Buffer.concat([grpcMessage(Buffer.of(1)), grpcMessage(Buffer.of(2))]), flag.END_STREAM)],
      '13',
      'more than one',
    ],
  ])('%s', async (_what, frames, status, words) => {
    const client = await raw();
    client.send(greeting, headersFrame(1, echo), ...frames);
    await client.seen(ends(1));
    expect(text(client, 1)).toMatch(new RegExp(`grpc-status.${status}.*${words}`, 's'));
    await alive(client);
    expect(server.seen).toMatchObject({ callsOpen: 0, heldBytes: 0 });
  });

  it.each([
    ['a compressed message', data(1, Buffer.from([1, 0, 0, 0, 1, 65]))],
    ['a message above the limit', data(1, Buffer.from([0, 0, 1, 0, 0]))],
    ['a message cut short', data(1, Buffer.from([0, 0, 0, 0, 9, 65]), flag.END_STREAM)],
  ])('%s: the handler of a call that has begun hears of it', async (_what, sent) => {
    const client = await raw();
    client.send(greeting, headersFrame(1, requestHeaders('/test.Echo/Chat')), sent);
    await client.seen(ends(1));
    expect(notes.cancelled).toBe(1);
  });

  it('unknown methods, too many headers, other methods and content than gRPC', async () => {
    const client = await raw();
    client.send(greeting, headersFrame(1, requestHeaders('/test.Echo/Who%'), flag.END_HEADERS | flag.END_STREAM));
    client.send(
      headersFrame(
        3,
        requestHeaders('/test.Echo/Echo', { big: 'x'.repeat(3_000) }),
        flag.END_HEADERS | flag.END_STREAM,
      ),
    );
    client.send(
      headersFrame(5, requestHeaders('/test.Echo/Echo', { ':method': 'GET' }), flag.END_HEADERS | flag.END_STREAM),
    );
    client.send(
      headersFrame(
        7,
        requestHeaders('/test.Echo/Echo', { 'content-type': 'text/html' }),
        flag.END_HEADERS | flag.END_STREAM,
      ),
    );
    const lastOf = (id: number) => (each: SeenFrame) => isData(id)(each) && (each.flags & flag.END_STREAM) !== 0;
    await client.seen(lastOf(7));
    expect(text(client, 1)).toMatch(/grpc-status.12.*unknown method \/test.Echo\/Who%25/s);
    expect(text(client, 3)).toMatch(/grpc-status.8.*2000 bytes/s);
    const answer = (id: number): string =>
      client.frames.flatMap((each) => (each.streamId === id ? [each.payload.toString('latin1')] : [])).join('');
    expect(answer(5)).toMatch(/405.*gRPC/s);
    expect(answer(7)).toMatch(/415.*gRPC/s);
    await alive(client);
    expect(server.seen.callsRefused).toBe(4);
  });
});

describe('what breaks the protocol ends the connection with its code', () => {
  beforeEach(() => serve());

  const cases: [string, Buffer[], number][] = [
    [
      'no SETTINGS first',
      [greeting.subarray(0, 24), frame(frameType.PING, 0, 0, Buffer.alloc(8))],
      h2Error.PROTOCOL_ERROR,
    ],
    ['a frame too large', [greeting, frame(frameType.DATA, 0, 1, Buffer.alloc(16_385))], h2Error.FRAME_SIZE_ERROR],
    ['data on an idle stream', [greeting, data(1, Buffer.alloc(1))], h2Error.PROTOCOL_ERROR],
    ['an even stream', [greeting, headersFrame(2, echo)], h2Error.PROTOCOL_ERROR],
    [
      'a block interrupted',
      [greeting, headersFrame(1, echo, 0), frame(frameType.PING, 0, 0, Buffer.alloc(8))],
      h2Error.PROTOCOL_ERROR,
    ],
    ['CONTINUATION of nothing', [greeting, frame(frameType.CONTINUATION, 4, 1)], h2Error.PROTOCOL_ERROR],
    ['bad HPACK', [greeting, headersFrame(1, Buffer.of(0x80))], h2Error.COMPRESSION_ERROR],
    ['PUSH_PROMISE', [greeting, frame(frameType.PUSH_PROMISE, 4, 1, Buffer.alloc(4))], h2Error.PROTOCOL_ERROR],
    ['a ping of 7 bytes', [greeting, frame(frameType.PING, 0, 0, Buffer.alloc(7))], h2Error.FRAME_SIZE_ERROR],
    ['SETTINGS of 5 bytes', [greeting, frame(frameType.SETTINGS, 0, 0, Buffer.alloc(5))], h2Error.FRAME_SIZE_ERROR],
    [
      'a window of 2^31',
      [greeting, frame(frameType.SETTINGS, 0, 0, Buffer.from('000480000000', 'hex'))],
      h2Error.FLOW_CONTROL_ERROR,
    ],
    ['a window update by 0', [greeting, frame(frameType.WINDOW_UPDATE, 0, 0, Buffer.alloc(4))], h2Error.PROTOCOL_ERROR],
    [
      'an overflowing window',
      [greeting, frame(frameType.WINDOW_UPDATE, 0, 0, Buffer.from('7fffffff', 'hex'))],
      h2Error.FLOW_CONTROL_ERROR,
    ],
    [
      'a reset of an idle stream',
      [greeting, frame(frameType.RST_STREAM, 0, 9, Buffer.alloc(4))],
      h2Error.PROTOCOL_ERROR,
    ],
    [
      'padding above the frame',
      [greeting, headersFrame(1, echo), data(1, Buffer.from([200, 1, 2]), flag.PADDED)],
      h2Error.PROTOCOL_ERROR,
    ],
    [
      'rapid resets',
      [
        greeting,
        ...Array.from({ length: 2_500 }, (_, i) =>
          Buffer.concat([
            headersFrame(2 * i + 1, requestHeaders('/test.Echo/HangStream')),
            frame(frameType.RST_STREAM, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8])),
          ]),
        ),
      ],
      h2Error.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of CONTINUATION',
      [
        greeting,
        headersFrame(1, echo, 0),
        ...Array.from({ length: 100 }, () => frame(frameType.CONTINUATION, 0, 1, Buffer.from([0x82]))),
      ],
      h2Error.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of SETTINGS',
      [greeting, ...Array.from({ length: 6_000 }, () => frame(frameType.SETTINGS, 0, 0))],
      h2Error.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of pings',
      [greeting, Buffer.concat(Array.from({ length: 40_000 }, () => frame(frameType.PING, 0, 0, Buffer.alloc(8))))],
      h2Error.ENHANCE_YOUR_CALM,
    ],
    [
      'a flood of empty data',
      [greeting, headersFrame(1, echo), ...Array.from({ length: 6_000 }, () => data(1, Buffer.alloc(0)))],
      h2Error.ENHANCE_YOUR_CALM,
    ],
  ];

  it.each(cases)('%s', async (_what, parts, code) => {
    const client = await raw();
    client.send(...parts);
    await client.closed();
    expect(client.goAwayCode).toBe(code);
    await until(() => server.seen.connectionsOpen === 0);
    expect(server.seen).toMatchObject({ callsOpen: 0, heldBytes: 0, queuedBytes: 0, protocolErrors: 1 });
    expect(logged).toEqual([]);
  });

  it('more data than the window allows', async () => {
    await server.stop();
    await serve({ limits: { streamWindowBytes: 65_535, connectionWindowBytes: 1_000_000 } });
    const client = await raw();
    client.send(greeting, headersFrame(1, requestHeaders('/test.Echo/Deaf')));
    const message = grpcMessage(Buffer.alloc(10_000));
    for (let i = 0; i < 8; i += 1) client.send(data(1, message));
    await client.closed();
    expect(client.goAwayCode).toBe(h2Error.FLOW_CONTROL_ERROR);
  });

  it('HTTP/1.1 is told so in its own words', async () => {
    const client = await raw();
    client.send(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    await client.closed();
    expect(client.text).toMatch(/^HTTP\/1\.1 505 .*gRPC, which needs HTTP\/2/s);
  });

  it('neither TLS nor HTTP is just closed', async () => {
    const client = await raw();
    client.send(Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'));
    await client.closed();
    expect(client.text).toBe('');
    expect(server.seen.protocolErrors).toBe(1);
  });
});

describe('memory', () => {
  it('an unfinished message in frames of one byte holds at most twice its bytes', async () => {
    await serve({ limits: { effortBurst: 1_000_000 } });
    const client = await raw();
    client.send(greeting, headersFrame(1, echo), data(1, Buffer.from([0, 0, 0, 0xff, 0xff])));
    const one = data(1, Buffer.of(1));
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => one));
    for (let sent = 1; sent <= 6; sent += 1) {
      client.send(many);
      await until(() => server.seen.bytesIn >= sent * many.length);
      expect(server.seen.heldBytes).toBeLessThanOrEqual(Math.max(4_096, 2 * sent * 10_000));
    }
    expect(server.seen.heldBytes).toBeGreaterThanOrEqual(60_000); // The counter counts.
    client.close();
    await until(() => server.seen.heldBytes === 0);
  });

  it('large requests wait for room by flow control, and all are served', async () => {
    const bound = 32 * 1_024 * 1_024;
    await serve({ limits: { serverHeldBytesMax: bound, connectionHeldBytesMax: bound / 4, addressMemoryShare: 1 } });
    const address = `127.0.0.1:${server.port}`;
    const channels = Array.from({ length: 8 }, () => new GrpcJsChannel({ address, clock: systemClock }));
    const body = Buffer.alloc(1_024 * 1_024, 'large ');
    let most = 0;
    const looking = setInterval(() => (most = Math.max(most, server.seen.heldBytes)), 1);
    const answers = await Promise.all(
      channels.flatMap((channel) => Array.from({ length: 16 }, () => channel.unary('/test.Echo/Echo', body))),
    );
    clearInterval(looking);
    expect(answers.filter((answer) => Buffer.from(answer).equals(body))).toHaveLength(128); // 128 MiB in all.
    expect(most).toBeGreaterThan(bound / 4);
    expect(most).toBeLessThanOrEqual(bound);
    for (const channel of channels) channel.close();
    await until(() => server.seen.heldBytes === 0);
  });

  it('a request that is worked on counts until it is answered', async () => {
    await serve();
    const client = await raw();
    const body = grpcMessage(Buffer.alloc(100_000));
    const hang = requestHeaders('/test.Echo/Hang');
    client.send(greeting, headersFrame(1, hang));
    for (let at = 0; at < body.length; at += 16_000) client.send(data(1, body.subarray(at, at + 16_000)));
    client.send(data(1, Buffer.alloc(0), flag.END_STREAM));
    await until(() => notes.calls.length === 1);
    expect(server.seen.heldBytes).toBe(100_000);
    client.send(frame(frameType.RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
    await until(() => server.seen.heldBytes === 0);
  });

  it('who has room for a request and sends it too slowly gives it up for others', async () => {
    const clock = new ManualClock();
    const MiB = 1_024 * 1_024;
    await serve({ clock, limits: { serverHeldBytesMax: 8 * MiB, addressMemoryShare: 1 } });
    const [slow, other] = [await raw(), await raw()];
    const large = Buffer.from([0, 0, 0x30, 0, 0]); // 3 MiB to come.
    const first = Buffer.concat([large, Buffer.alloc(1_000)]);
    slow.send(greeting, headersFrame(1, echo), data(1, first));
    await until(() => server.seen.heldBytes === 3 * MiB);
    other.send(greeting, headersFrame(1, echo), data(1, first));
    await alive(other);
    const grown = (client: RawH2Client): boolean =>
      client.frames.some((each) => each.type === frameType.WINDOW_UPDATE && each.streamId === 1);
    expect([grown(slow), grown(other)]).toEqual([true, false]);
    for (let i = 0; i < 5; i += 1) clock.advance(1_000);
    await alive(slow);
    expect(slow.frames.some(ends(1))).toBe(false); // It is given a while.
    for (let i = 0; i < 2; i += 1) clock.advance(1_000);
    await slow.seen(ends(1));
    await until(() => grown(other));
    const rest = Buffer.alloc(3 * MiB - 1_000);
    for (let at = 0; at < rest.length; at += 16_000) other.send(data(1, rest.subarray(at, at + 16_000)));
    other.send(data(1, Buffer.alloc(0), flag.END_STREAM));
    await until(() => notes.calls.length === 1); // The whole of it has come.
  });

  it('a handler that takes nothing in stops its caller, within the window', async () => {
    await serve({ limits: { streamWindowBytes: 65_535 } });
    const channel = new GrpcJsChannel({ address: `127.0.0.1:${server.port}`, clock: systemClock });
    const deaf = channel.bidi('/test.Echo/Deaf');
    deaf.onEnd(() => undefined);
    for (let i = 0; i < 200; i += 1) deaf.write(Buffer.alloc(1_000));
    await until(() => server.seen.heldBytes > 50_000);
    const hello = Buffer.from('hello');
    expect(Buffer.from(await channel.unary('/test.Echo/Echo', hello))).toEqual(hello); // Others go on.
    expect(server.seen.heldBytes).toBeLessThan(90_000);
    channel.close();
    await until(() => server.seen.heldBytes === 0);
  });

  it('many unfinished messages are refused at the budget, and the connection lives', async () => {
    await serve({ limits: { connectionHeldBytesMax: 1_000_000 } });
    const client = await raw();
    client.send(greeting);
    for (let id = 1; id < 400; id += 2) {
      client.send(
        headersFrame(id, echo),
        data(id, Buffer.concat([Buffer.from([0, 0, 1, 0, 0]), Buffer.alloc(10_000)])),
      );
    }
    await alive(client);
    expect(server.seen.heldBytes).toBeLessThanOrEqual(1_000_000);
    expect(client.frames.filter((each) => ends(each.streamId)(each)).length).toBeGreaterThan(80);
  });

  it('a caller that never reads is cut off', async () => {
    await serve({ limits: { effortBurst: 100_000_000 } });
    const client = await raw();
    client.send(greeting);
    client.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 10_000 }, () => frame(frameType.PING, 0, 0, Buffer.alloc(8))));
    for (let i = 0; i < 400 && !client.ended; i += 1) {
      await new Promise((resolve) => client.socket.write(pings, resolve));
    }
    await until(() => server.seen.connectionsOpen === 0);
    expect(server.seen.cut.unread).toBe(1);
    expect(warned).toEqual([['a connection of a client was ended', expect.objectContaining({ reason: 'unread' })]]);
  });

  it('answers are made only as far as there is room for them, and one that reads nothing takes from nobody', async () => {
    const MiB = 1_024 * 1_024;
    await serve({ limits: { connectionQueuedBytesMax: 1.1 * MiB, serverQueuedBytesMax: 5 * MiB } });
    const greedy = await raw();
    const noWindow = settingsPayload([[setting.INITIAL_WINDOW_SIZE, 0]]);
    greedy.send(greeting, frame(frameType.SETTINGS, 0, 0, noWindow));
    const ask = grpcMessage(Buffer.from('00040000', 'hex'));
    const heavy = requestHeaders('/test.Echo/Heavy');
    for (let id = 1; id <= 799; id += 2) greedy.send(headersFrame(id, heavy), data(id, ask, flag.END_STREAM));
    await until(() => notes.calls.length === 400);
    await alive(greedy);
    expect(notes.made).toBe(4); // Of 400: as much as its connection may have waiting.
    expect(server.seen.answerBytes).toBeLessThan(1.2 * MiB);

    const others = Array.from(
      { length: 3 },
      () => new GrpcJsChannel({ address: `127.0.0.1:${server.port}`, clock: systemClock }),
    );
    const answers = await Promise.all(
      others.flatMap((channel) => Array.from({ length: 10 }, () => channel.unary('/test.Echo/Heavy', ask.subarray(5)))),
    );
    expect(answers.map((answer) => answer.length)).toEqual(Array(30).fill(MiB / 4));
    expect(notes.made).toBe(34);

    // Once it reads, it gets all that it asked for.
    greedy.send(
      frame(frameType.SETTINGS, 0, 0, settingsPayload([[setting.INITIAL_WINDOW_SIZE, 4 * MiB]])),
      frame(frameType.WINDOW_UPDATE, 0, 0, Buffer.from('7f000000', 'hex')),
    );
    await until(() => notes.made === 430);
    await greedy.seen(ends(799));
    for (const channel of others) channel.close();
    greedy.close();
    await until(() => server.seen.answerBytes === 0);
  }, 60_000);

  it('room that was asked for is given back when its caller goes', async () => {
    const MiB = 1_024 * 1_024;
    await serve({ limits: { connectionQueuedBytesMax: 2.1 * MiB } });
    const client = await raw();
    client.send(greeting, frame(frameType.SETTINGS, 0, 0, settingsPayload([[setting.INITIAL_WINDOW_SIZE, 0]])));
    const heavy = requestHeaders('/test.Echo/Heavy');
    const request = grpcMessage(Buffer.from('00100000', 'hex'));
    for (let id = 1; id <= 9; id += 2) client.send(headersFrame(id, heavy), data(id, request, flag.END_STREAM));
    await until(() => notes.calls.length === 5);
    expect(notes.made).toBe(2);
    client.send(frame(frameType.RST_STREAM, 0, 5, Buffer.from([0, 0, 0, 8]))); // One that waits.
    client.send(frame(frameType.RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8]))); // One that holds.
    await until(() => notes.made === 3);
    client.close();
    await until(() => server.seen.answerBytes === 0);
    expect(notes.made).toBe(3);
  });

  it('a slow reader of large answers holds back its handlers, and gets everything', async () => {
    await serve();
    const session = connectHttp2(`http://127.0.0.1:${server.port}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/test.Echo/Stream',
      'content-type': 'application/grpc',
    });
    stream.end(grpcMessage(streamRequest(500, 100_000)));
    let bytes = 0;
    let most = 0;
    for await (const chunk of stream) {
      bytes += (chunk as Buffer).length;
      most = Math.max(most, server.seen.queuedBytes);
      if (bytes % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(bytes).toBe(500 * 100_005);
    expect(most).toBeLessThan(400_000);
    session.destroy();
  });
});

describe('one port', () => {
  it('speaks TLS and plain text, and changes its certificate for new connections', async () => {
    const identity = await selfSignedIdentity(systemClock.wallMs());
    await serve({ mode: 'both', identity });
    const address = `localhost:${server.port}`;
    const plain = new GrpcJsChannel({ address, clock: systemClock });
    const secure = new GrpcJsChannel({ address, clock: systemClock, tls: { caPem: identity.certPem } });
    const large = Buffer.alloc(4 * 1_024 * 1_024, 'xyz');
    for (const channel of [plain, secure, plain, secure]) {
      expect(Buffer.from(await channel.unary('/test.Echo/Echo', large)).equals(large)).toBe(true);
    }
    expect(notes.calls.map((call) => call.encrypted)).toEqual([false, true, false, true]);
    const next = await selfSignedIdentity(systemClock.wallMs());
    server.useIdentity(next);
    const later = new GrpcJsChannel({ address, clock: systemClock, tls: { caPem: next.certPem } });
    await later.unary('/test.Echo/Echo', large);
    await secure.unary('/test.Echo/Echo', large);
    for (const channel of [plain, secure, later]) channel.close();
  });

  it('offers authenticated encryption only, TLS 1.2 at least', async () => {
    await serve({ mode: 'both' });
    const suite = (options: { ciphers?: string; maxVersion?: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' }): Promise<string> =>
      new Promise((resolve, reject) => {
        const minVersion = options.maxVersion === 'TLSv1.1' ? 'TLSv1.1' : 'TLSv1.2';
        const socket = connectTls(
          {
            port: server.port,
            host: '127.0.0.1',
            rejectUnauthorized: false,
            ALPNProtocols: ['h2'],
            minVersion,
            ...options,
          },
          () => {
            resolve(socket.getCipher().standardName);
            socket.destroy();
          },
        );
        socket.on('error', reject);
      });
    expect(await suite({})).toMatch(/^TLS_(AES|CHACHA20)_/);
    expect(await suite({ maxVersion: 'TLSv1.2' })).toMatch(/GCM|CHACHA20/);
    const cbc = getCiphers().filter(
      (name) => /^ecdhe-(rsa|ecdsa)-.*-sha(256|384)?$/.test(name) && !/gcm|chacha|ccm/.test(name),
    );
    expect(cbc.length).toBeGreaterThan(3);
    for (const name of cbc) {
      await expect(suite({ ciphers: `${name.toUpperCase()}:@SECLEVEL=0`, maxVersion: 'TLSv1.2' })).rejects.toThrow(
        /handshake failure/,
      );
    }
    await expect(suite({ ciphers: 'DEFAULT@SECLEVEL=0', maxVersion: 'TLSv1.1' })).rejects.toThrow();
  });

  it('does not begin with a certificate that is empty', async () => {
    await expect(serve({ mode: 'tls-only', identity: () => ({ certPem: '', keyPem: '' }) })).rejects.toThrow(
      'the TLS certificate is empty',
    );
  });

  it('serves a renewed certificate without a restart, under load, and keeps the old one where the new one is bad', async () => {
    const clock = new ManualClock();
    const [first, second] = [await selfSignedIdentity(clock.wallMs()), await selfSignedIdentity(clock.wallMs())];
    const ended = await selfSignedIdentity(clock.wallMs() - 20 * 365 * 24 * 3_600_000);
    let files = first;
    const limits = { quietMs: Infinity, greetingMs: Infinity, stalledMs: Infinity, idleMs: Infinity };
    await serve({ mode: 'tls-only', clock, identity: () => files, limits });
    const served = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connectTls(
          { port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] },
          () => {
            resolve(socket.getPeerX509Certificate()?.toString() ?? '');
            socket.destroy();
          },
        );
        socket.on('error', reject);
      });
    const pem = (text: string): string => text.replace(/\s/g, '');
    expect(pem(await served())).toBe(pem(first.certPem));

    const address = `localhost:${server.port}`;
    const channel = new GrpcJsChannel({ address, clock: systemClock, tls: { caPem: first.certPem } });
    let calls = 0;
    let loading = true;
    const load = (async () => {
      for (; loading; calls += 1) await channel.unary('/test.Echo/Echo', Buffer.from('under load'));
    })();
    const bad = [
      { ...second, keyPem: first.keyPem },
      { ...second, certPem: 'not a certificate' },
      { certPem: '', keyPem: '' },
      ended,
    ];
    for (const each of bad) {
      files = each;
      clock.advance(10_000);
      expect(warned).toEqual([]); // The key may come a moment after the certificate.
      clock.advance(10_000);
      clock.advance(10_000);
      expect(warned.splice(0).map(([said]) => said)).toEqual([
        'the new TLS certificate can not be served; the one before stays',
      ]);
      expect(pem(await served())).toBe(pem(first.certPem));
    }
    files = second;
    clock.advance(10_000);
    expect(pem(await served())).toBe(pem(second.certPem));
    expect(warned.map(([said]) => said)).toEqual(['a renewed TLS certificate is served']);
    const later = new GrpcJsChannel({ address, clock: systemClock, tls: { caPem: second.certPem } });
    await later.unary('/test.Echo/Echo', Buffer.alloc(1));
    const before = calls;
    await until(() => calls > before + 10); // Who was connected before notices nothing.
    loading = false;
    await load;
    for (const each of [channel, later]) each.close();
    await server.stop();
    clock.advance(30_000);
    expect(clock.timersWaiting).toBe(0); // It looks no longer.
  });

  it('offers h2 and nothing else, and counts failed handshakes', async () => {
    await serve({ mode: 'both' });
    const protocol = (protocols: string[]): Promise<string | false | null> =>
      new Promise((resolve, reject) => {
        const socket = connectTls(
          { port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: protocols },
          () => {
            resolve(socket.alpnProtocol);
            socket.destroy();
          },
        );
        socket.on('error', reject);
      });
    expect(await protocol(['http/1.1', 'h2'])).toBe('h2');
    await expect(protocol(['http/1.1'])).rejects.toThrow();
    await until(() => server.seen.connectionsOpen === 0);
    expect(server.seen.tlsFailures).toBeGreaterThanOrEqual(1);
  });

  it('keeps to its mode', async () => {
    await serve({ mode: 'tls-only' });
    const client = await raw();
    client.send(greeting);
    await client.closed();
    expect(client.frames).toEqual([]);
  });

  it('believes a PROXY header only where it is told to', async () => {
    await serve({ proxyProtocol: true });
    const client = await raw();
    client.send(
      Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.9 5000 8081\r\n'),
      greeting,
      headersFrame(1, echo),
      data(1, grpcMessage(Buffer.alloc(1)), flag.END_STREAM),
    );
    await client.seen(ends(1));
    expect(notes.calls[0]?.peer).toBe('192.0.2.7:5000');
    await server.stop();
    await serve();
    const other = await raw();
    other.send(Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.9 5000 8081\r\n'), greeting);
    await other.closed();
    expect(server.seen.protocolErrors).toBe(1);
  });
});

describe('time', () => {
  it('ends what is too slow: preface, headers, requests, idle connections', async () => {
    const clock = new ManualClock();
    await serve({ clock, limits: { quietMs: Infinity } });
    const [silent, midway, slow, idle] = [await raw(), await raw(), await raw(), await raw()];
    midway.send(greeting, headersFrame(1, echo, 0));
    slow.send(greeting, headersFrame(1, echo), data(1, Buffer.from([0, 0, 0, 0, 9])));
    idle.send(greeting);
    await Promise.all(
      [midway, slow, idle].map((client) =>
        client.seen((each) => each.type === frameType.SETTINGS && each.flags === flag.ACK),
      ),
    );
    for (let i = 0; i < 13; i += 1) clock.advance(1_000);
    await silent.closed();
    await midway.seen((each) => each.type === frameType.GOAWAY);
    expect(midway.goAwayCode).toBe(h2Error.ENHANCE_YOUR_CALM);
    for (let i = 0; i < 20; i += 1) clock.advance(1_000);
    await slow.seen(ends(1));
    expect(slow.frames.find(ends(1))?.payload.toString('latin1')).toMatch(/grpc-status.4/s);
    for (let i = 0; i < 620; i += 1) clock.advance(1_000);
    await idle.closed();
    expect(idle.goAwayCode).toBe(h2Error.NO_ERROR);
    await slow.closed();
    expect(server.seen.connectionsOpen).toBe(0);
    for (let i = 0; i < 3; i += 1) clock.advance(1_000);
    expect(clock.timersWaiting).toBe(0); // Nobody is here: nothing ticks.
  });

  it('ends calls whose answers are left unread', async () => {
    const clock = new ManualClock();
    await serve({ clock, limits: { quietMs: Infinity } });
    const client = await raw();
    client.send(greeting, headersFrame(1, requestHeaders('/test.Echo/Stream')));
    client.send(data(1, grpcMessage(streamRequest(10, 100_000)), flag.END_STREAM));
    await until(() => server.seen.queuedBytes > 0);
    for (let i = 0; i < 50; i += 1) clock.advance(1_000);
    client.send(frame(frameType.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1])));
    client.send(frame(frameType.WINDOW_UPDATE, 0, 1, Buffer.from([0, 0, 0, 1]))); // It reads on, if little.
    await alive(client);
    for (let i = 0; i < 50; i += 1) clock.advance(1_000);
    await alive(client);
    expect(server.seen.callsOpen).toBe(1);
    for (let i = 0; i < 12; i += 1) clock.advance(1_000);
    await client.seen((each) => each.type === frameType.RST_STREAM && each.streamId === 1);
    expect(server.seen).toMatchObject({ callsOpen: 0, queuedBytes: 0 });
    expect(notes.cancelled).toBe(1);
    await alive(client);
  });

  it('ends calls that begin a message and do not end it, in both directions too', async () => {
    const clock = new ManualClock();
    await serve({ clock, limits: { quietMs: Infinity } });
    const client = await raw();
    const chat = requestHeaders('/test.Echo/Chat');
    client.send(greeting, headersFrame(1, chat), headersFrame(3, chat));
    client.send(data(1, grpcMessage(Buffer.alloc(300)).subarray(0, 200)));
    await until(() => server.seen.heldBytes > 0);
    for (let i = 0; i < 29; i += 1) clock.advance(1_000);
    await alive(client);
    expect(server.seen.callsOpen).toBe(2);
    for (let i = 0; i < 4; i += 1) clock.advance(1_000);
    await client.seen(ends(1));
    expect(server.seen).toMatchObject({ callsOpen: 1, heldBytes: 0 });
    expect(notes.cancelled).toBe(1);
  });

  it('one timer serves the deadlines of all calls', async () => {
    const clock = new ManualClock();
    await serve({ clock });
    const client = await raw();
    client.send(greeting);
    for (let id = 1; id <= 199; id += 2) {
      const headers = requestHeaders('/test.Echo/Hang', { 'grpc-timeout': `${id * 10}m` });
      client.send(headersFrame(id, headers), data(id, grpcMessage(Buffer.alloc(1)), flag.END_STREAM));
    }
    await alive(client);
    expect(server.seen.callsOpen).toBe(100);
    expect(clock.timersWaiting).toBe(1);
    clock.advance(1_000);
    await alive(client);
    expect(server.seen.callsOpen).toBe(50);
    expect(notes.cancelled).toBe(50);
    clock.advance(1_100);
    await client.seen(ends(199));
    expect(server.seen).toMatchObject({ callsOpen: 0, deadlinesPassed: 100 });
  });
});

describe('node:http2 as an oracle', () => {
  let session: ClientHttp2Session;

  beforeEach(async () => {
    await serve();
    session = connectHttp2(`http://127.0.0.1:${server.port}`);
  });
  afterEach(() => session.destroy());

  const finish = (stream: ClientHttp2Stream): Promise<{ bytes: Buffer; status: unknown }> =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let status: unknown;
      stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
      stream.on('response', (headers) => (status ??= headers['grpc-status']));
      stream.on('trailers', (headers: IncomingHttpHeaders) => (status = headers['grpc-status']));
      stream.on('error', reject);
      stream.on('close', () => resolve({ bytes: Buffer.concat(chunks), status }));
    });

  it('both sides understand each other however headers and bodies are (seed 9113)', async () => {
    const value = fc.stringMatching(/^[!-~]([ -~]{0,200}[!-~])?$/);
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.stringMatching(/^x-[a-z0-9-]{1,20}$/), value, { maxKeys: 10 }),
        fc.uint8Array({ maxLength: 3_000 }),
        async (headers, body) => {
          const stream = session.request({
            ':method': 'POST',
            ':path': '/test.Echo/Echo',
            'content-type': 'application/grpc+proto',
            ...headers,
          });
          stream.end(grpcMessage(body));
          const { bytes, status } = await finish(stream);
          expect(status).toBe('0');
          expect(bytes.equals(grpcMessage(body))).toBe(true);
          const call = notes.calls.at(-1);
          for (const [name, text] of Object.entries(headers)) expect(call?.headers.get(name)).toBe(text);
        },
      ),
      { seed: 9_113, numRuns: 150 },
    );
  });

  it('drains with GOAWAY: open calls end, new ones are refused', async () => {
    const chat = session.request({ ':method': 'POST', ':path': '/test.Echo/Chat', 'content-type': 'application/grpc' });
    await new Promise((resolve) => chat.once('response', resolve));
    const goaway = new Promise((resolve) => session.once('goaway', resolve));
    const stopped = server.stop();
    expect(await goaway).toBe(h2Error.NO_ERROR);
    chat.end(grpcMessage(Buffer.from('still here')));
    expect(await finish(chat)).toEqual({ bytes: grpcMessage(Buffer.from('still here')), status: '0' });
    await stopped;
  });
});

// Goal: nothing a stranger sends brings the process down, leaks a call or keeps bytes. Method: proper beginnings, then
// frames of chance: types, flags, streams and payloads, cut and mangled.
it('lives through frames of chance (seed 29)', async () => {
  await serve();
  const someFrame = fc
    .record({
      type: fc.integer({ min: 0, max: 11 }),
      flags: fc.constantFrom(0, 1, 4, 5, 8, 9, 13, 0x20, 0x2d, 0xff),
      streamId: fc.constantFrom(0, 1, 1, 3, 5, 2, 99),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 64 }),
        fc.constant(new Uint8Array(echo)),
        fc.constant(new Uint8Array(requestHeaders('/test.Echo/Chat'))),
        fc.constant(new Uint8Array(grpcMessage(Buffer.from('abc')))),
        fc.uint8Array({ minLength: 4, maxLength: 8 }),
      ),
    })
    .map(({ type, flags, streamId, payload }) => frame(type, flags, streamId, payload));
  const input = fc.record({
    frames: fc.array(someFrame, { maxLength: 20 }),
    tail: fc.uint8Array({ maxLength: 30 }),
    proper: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(input, async ({ frames, tail, proper }) => {
      const client = await raw();
      if (proper) client.send(greeting, ...frames, tail);
      else client.send(...frames, tail);
      client.socket.end();
      await client.closed();
      clients.length = 0;
    }),
    { seed: 29, numRuns: 1_500 },
  );
  await until(() => server.seen.connectionsOpen === 0);
  expect(server.seen).toMatchObject({ callsOpen: 0, heldBytes: 0, queuedBytes: 0, handlerFailures: 0 });
  expect(logged).toEqual([]);
}, 60_000);
