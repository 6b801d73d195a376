/**
 * What RFC 9113 asks of a server, rule by rule, over plain text and TLS: what breaks a rule of the connection ends it, what
 * breaks one of a stream resets that stream alone, and what is only odd is served.
 */
import { systemClock } from '@cometmq/shared';
import { flag, frameType, h2Error, setting } from '../http2/constants.js';
import { settingsPayload } from '../http2/settings.js';
import { echoService, newEchoNotes } from '../testing/echo.js';
import { encodeHeaders, encodeLiteral } from '../testing/hpack-encoder.js';
import { frame, greeting, grpcMessage, headersFrame, RawH2Client, requestHeaders } from '../testing/raw-h2-client.js';
import type { SeenFrame } from '../testing/raw-h2-client.js';
import { FrontDoorServer } from './front-door-server.js';

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } = frameType;
const { END_STREAM, END_HEADERS } = flag;
const both = END_STREAM | END_HEADERS;

const echo = requestHeaders('/test.Echo/Echo');
const chat = requestHeaders('/test.Echo/Chat');
const hello = grpcMessage(Buffer.from('hello'));
const number = (value: number): Buffer => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
const data = (streamId: number, payload: Uint8Array, flags = 0): Buffer => frame(DATA, flags, streamId, payload);
const settings = (...entries: [number, number][]): Buffer => frame(SETTINGS, 0, 0, settingsPayload(entries));
const priority = (streamId: number, dependsOn: number): Buffer =>
  frame(PRIORITY, 0, streamId, Buffer.concat([number(dependsOn), Buffer.of(16)]));
/** A whole request whose headers are changed by `change`; `undefined` leaves one out. */
function request(change: Readonly<Record<string, string | undefined>>, more: number[] = []): Buffer[] {
  const headers: Record<string, string> = {};
  const base: Record<string, string | undefined> = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': '/test.Echo/Echo',
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...change,
  };
  for (const [name, value] of Object.entries(base)) if (value !== undefined) headers[name] = value;
  return [headersFrame(1, Buffer.concat([encodeHeaders(headers), Buffer.from(more)])), data(1, hello, END_STREAM)];
}
const twice = (name: string, value: string): Buffer[] => [
  headersFrame(1, Buffer.concat([Buffer.from(encodeLiteral(name, value)), echo])),
  data(1, hello, END_STREAM),
];

const open = headersFrame(1, chat);
const ended = [headersFrame(1, echo), data(1, hello, END_STREAM)];
const hanging = headersFrame(1, requestHeaders('/test.Echo/Hang'));

let server: FrontDoorServer;
beforeAll(async () => {
  server = new FrontDoorServer({
    port: 0,
    services: [echoService(newEchoNotes())],
    clock: systemClock,
    log: (said, cause) => {
      throw new Error(said, { cause });
    },
    stopMs: 200,
  });
  await server.start();
});
afterAll(() => server.stop());

describe.each([
  ['plain text', false],
  ['TLS', true],
])('over %s', (_how, tls) => {
  let client: RawH2Client;
  beforeEach(async () => {
    client = await RawH2Client.open(server.port, { tls });
    client.send(greeting);
  });
  afterEach(() => client.close());

  const endsStream = (streamId: number) => (each: SeenFrame) =>
    each.streamId === streamId && (each.flags & END_STREAM) !== 0 && (each.type === HEADERS || each.type === DATA);

  /** All that was sent has been read, and the connection lives. */
  async function settled(): Promise<void> {
    const mark = Buffer.from(String(client.frames.length).padStart(8, 'm'));
    client.send(frame(PING, 0, 0, mark));
    await client.seen((each) => each.type === PING && each.payload.equals(mark));
  }

  const connectionErrors: [string, Buffer[], number][] = [
    ['4.2 a frame above the announced size', [data(1, Buffer.alloc(16_385))], h2Error.FRAME_SIZE_ERROR],
    ['4.2 a header block above it', [headersFrame(1, Buffer.alloc(16_385))], h2Error.FRAME_SIZE_ERROR],
    ['4.3 a block that is no HPACK', [headersFrame(1, Buffer.of(0x80))], h2Error.COMPRESSION_ERROR],
    ['4.3 a block with another frame inside', [headersFrame(1, echo, 0), priority(3, 0)], h2Error.PROTOCOL_ERROR],
    ['5.1 DATA on an idle stream', [data(1, hello)], h2Error.PROTOCOL_ERROR],
    ['5.1 RST_STREAM on an idle stream', [frame(RST_STREAM, 0, 1, number(8))], h2Error.PROTOCOL_ERROR],
    ['5.1 WINDOW_UPDATE on an idle stream', [frame(WINDOW_UPDATE, 0, 1, number(9))], h2Error.PROTOCOL_ERROR],
    ['5.1 CONTINUATION on an idle stream', [frame(CONTINUATION, END_HEADERS, 1, echo)], h2Error.PROTOCOL_ERROR],
    ['5.1 HEADERS on a closed stream', [...ended, headersFrame(1, echo, both)], h2Error.STREAM_CLOSED],
    [
      '5.1 HEADERS on a stream the client reset',
      [open, frame(RST_STREAM, 0, 1, number(8)), headersFrame(1, echo, both)],
      h2Error.STREAM_CLOSED,
    ],
    ['5.1.1 an even stream', [headersFrame(2, echo)], h2Error.PROTOCOL_ERROR],
    ['5.1.1 a lower stream than one before', [headersFrame(5, echo), headersFrame(3, echo)], h2Error.STREAM_CLOSED],
    ['5.3.1 a stream that is idle and depends on itself', [priority(1, 1)], h2Error.PROTOCOL_ERROR],
    ['6.1 DATA on the connection', [data(0, hello)], h2Error.PROTOCOL_ERROR],
    ['6.1 more padding than frame', [open, data(1, Buffer.from([9, 1, 2]), flag.PADDED)], h2Error.PROTOCOL_ERROR],
    ['6.2 HEADERS on the connection', [headersFrame(0, echo)], h2Error.PROTOCOL_ERROR],
    [
      '6.2 more padding than headers',
      [headersFrame(1, Buffer.concat([Buffer.of(255), echo]), END_HEADERS | flag.PADDED)],
      h2Error.PROTOCOL_ERROR,
    ],
    ['6.3 PRIORITY on the connection', [priority(0, 1)], h2Error.PROTOCOL_ERROR],
    ['6.3 PRIORITY of 4 bytes', [frame(PRIORITY, 0, 1, Buffer.alloc(4))], h2Error.FRAME_SIZE_ERROR],
    ['6.4 RST_STREAM on the connection', [frame(RST_STREAM, 0, 0, number(8))], h2Error.PROTOCOL_ERROR],
    ['6.4 RST_STREAM of 3 bytes', [open, frame(RST_STREAM, 0, 1, Buffer.alloc(3))], h2Error.FRAME_SIZE_ERROR],
    ['6.5 SETTINGS on a stream', [frame(SETTINGS, 0, 1)], h2Error.PROTOCOL_ERROR],
    ['6.5 SETTINGS of 5 bytes', [frame(SETTINGS, 0, 0, Buffer.alloc(5))], h2Error.FRAME_SIZE_ERROR],
    ['6.5 an acknowledgement with settings', [frame(SETTINGS, flag.ACK, 0, Buffer.alloc(6))], h2Error.FRAME_SIZE_ERROR],
    ['6.5.2 ENABLE_PUSH of 2', [settings([setting.ENABLE_PUSH, 2])], h2Error.PROTOCOL_ERROR],
    ['6.5.2 a window above 2^31-1', [settings([setting.INITIAL_WINDOW_SIZE, 2 ** 31])], h2Error.FLOW_CONTROL_ERROR],
    ['6.5.2 frames below 2^14', [settings([setting.MAX_FRAME_SIZE, 16_383])], h2Error.PROTOCOL_ERROR],
    ['6.5.2 frames above 2^24-1', [settings([setting.MAX_FRAME_SIZE, 2 ** 24])], h2Error.PROTOCOL_ERROR],
    ['6.6 PUSH_PROMISE', [frame(frameType.PUSH_PROMISE, END_HEADERS, 1, number(2))], h2Error.PROTOCOL_ERROR],
    ['6.7 PING on a stream', [frame(PING, 0, 1, Buffer.alloc(8))], h2Error.PROTOCOL_ERROR],
    ['6.7 PING of 6 bytes', [frame(PING, 0, 0, Buffer.alloc(6))], h2Error.FRAME_SIZE_ERROR],
    ['6.8 GOAWAY on a stream', [frame(GOAWAY, 0, 1, Buffer.alloc(8))], h2Error.PROTOCOL_ERROR],
    ['6.9 a connection window that grows by 0', [frame(WINDOW_UPDATE, 0, 0, number(0))], h2Error.PROTOCOL_ERROR],
    ['6.9 WINDOW_UPDATE of 3 bytes', [frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3))], h2Error.FRAME_SIZE_ERROR],
    [
      '6.9.1 a connection window above 2^31-1',
      [frame(WINDOW_UPDATE, 0, 0, number(2 ** 31 - 1)), frame(WINDOW_UPDATE, 0, 0, number(2 ** 31 - 1))],
      h2Error.FLOW_CONTROL_ERROR,
    ],
    [
      '6.9.2 a stream window above 2^31-1 by settings',
      [open, frame(WINDOW_UPDATE, 0, 1, number(2 ** 31 - 1 - 65_535)), settings([setting.INITIAL_WINDOW_SIZE, 65_536])],
      h2Error.FLOW_CONTROL_ERROR,
    ],
    [
      '6.10 CONTINUATION behind a whole block',
      [headersFrame(1, echo), frame(CONTINUATION, END_HEADERS, 1, echo)],
      h2Error.PROTOCOL_ERROR,
    ],
    [
      '6.10 CONTINUATION of another stream',
      [headersFrame(1, echo.subarray(0, 9), 0), frame(CONTINUATION, END_HEADERS, 3, echo.subarray(9))],
      h2Error.PROTOCOL_ERROR,
    ],
  ];

  it.each(connectionErrors)('%s ends the connection', async (_rule, frames, code) => {
    client.send(...frames);
    await client.closed();
    expect(client.goAwayCode).toBe(code);
  });

  const streamErrors: [string, Buffer[], number][] = [
    [
      '5.1 DATA behind the end of a stream',
      [hanging, data(1, hello, END_STREAM), data(1, hello)],
      h2Error.STREAM_CLOSED,
    ],
    [
      '5.1 HEADERS behind it',
      [hanging, data(1, hello, END_STREAM), headersFrame(1, echo, both)],
      h2Error.STREAM_CLOSED,
    ],
    ['5.1 DATA on a closed stream', [...ended, data(1, hello)], h2Error.STREAM_CLOSED],
    [
      '5.1 DATA on a stream the client reset',
      [open, frame(RST_STREAM, 0, 1, number(8)), data(1, hello)],
      h2Error.STREAM_CLOSED,
    ],
    [
      '5.3.1 headers that depend on themselves',
      [headersFrame(1, Buffer.concat([number(1), Buffer.of(16), echo]), END_HEADERS | flag.PRIORITY)],
      h2Error.PROTOCOL_ERROR,
    ],
    ['5.3.1 an open stream that depends on itself', [open, priority(1, 1)], h2Error.PROTOCOL_ERROR],
    ['6.9 a stream window that grows by 0', [open, frame(WINDOW_UPDATE, 0, 1, number(0))], h2Error.PROTOCOL_ERROR],
    [
      '6.9.1 a stream window above 2^31-1',
      [open, frame(WINDOW_UPDATE, 0, 1, number(2 ** 31 - 1))],
      h2Error.FLOW_CONTROL_ERROR,
    ],
    ['8.1 second headers that do not end the stream', [open, headersFrame(1, echo)], h2Error.PROTOCOL_ERROR],
    ['8.1 trailers with a pseudo-header', [open, headersFrame(1, echo, both)], h2Error.PROTOCOL_ERROR],
    ['8.1.1 less data than its length', request({ 'content-length': '11' }), h2Error.PROTOCOL_ERROR],
    ['8.1.1 more data than its length', request({ 'content-length': '9' }), h2Error.PROTOCOL_ERROR],
    ['8.1.1 a length that is none', request({ 'content-length': '-1' }), h2Error.PROTOCOL_ERROR],
    [
      '8.1.1 two lengths',
      request({ 'content-length': '10' }, encodeLiteral('content-length', '11')),
      h2Error.PROTOCOL_ERROR,
    ],
    [
      '8.1.1 a length and no data',
      [headersFrame(1, requestHeaders('/test.Echo/Echo', { 'content-length': '10' }), both)],
      h2Error.PROTOCOL_ERROR,
    ],
    ['8.2.1 a name with capitals', request({ 'X-Name': 'a' }), h2Error.PROTOCOL_ERROR],
    ['8.2.1 a name with a space', request({ 'x name': 'a' }), h2Error.PROTOCOL_ERROR],
    ['8.2.1 a name with a colon', request({ 'x:name': 'a' }), h2Error.PROTOCOL_ERROR],
    ['8.2.1 no name', request({ '': 'a' }), h2Error.PROTOCOL_ERROR],
    ['8.2.1 a value with a line feed', request({ 'x-name': 'a\nb' }), h2Error.PROTOCOL_ERROR],
    ['8.2.2 connection', request({ connection: 'keep-alive' }), h2Error.PROTOCOL_ERROR],
    ['8.2.2 proxy-connection', request({ 'proxy-connection': 'close' }), h2Error.PROTOCOL_ERROR],
    ['8.2.2 keep-alive', request({ 'keep-alive': '1' }), h2Error.PROTOCOL_ERROR],
    ['8.2.2 transfer-encoding', request({ 'transfer-encoding': 'chunked' }), h2Error.PROTOCOL_ERROR],
    ['8.2.2 upgrade', request({ upgrade: 'h2c' }), h2Error.PROTOCOL_ERROR],
    ['8.2.2 te other than trailers', request({ te: 'gzip' }), h2Error.PROTOCOL_ERROR],
    ['8.3 an unknown pseudo-header', request({ ':who': 'a' }), h2Error.PROTOCOL_ERROR],
    ['8.3 a response’s pseudo-header', twice(':status', '200'), h2Error.PROTOCOL_ERROR],
    [
      '8.3 a pseudo-header behind another header',
      request({}, encodeLiteral(':scheme', 'http')),
      h2Error.PROTOCOL_ERROR,
    ],
    ['8.3.1 :method twice', twice(':method', 'POST'), h2Error.PROTOCOL_ERROR],
    ['8.3.1 :scheme twice', twice(':scheme', 'http'), h2Error.PROTOCOL_ERROR],
    ['8.3.1 :path twice', twice(':path', '/test.Echo/Echo'), h2Error.PROTOCOL_ERROR],
    ['8.3.1 :authority twice', twice(':authority', 'here'), h2Error.PROTOCOL_ERROR],
    ['8.3.1 an empty :path', request({ ':path': '' }), h2Error.PROTOCOL_ERROR],
    ['8.3.1 no :method', request({ ':method': undefined }), h2Error.PROTOCOL_ERROR],
    ['8.3.1 no :scheme', request({ ':scheme': undefined }), h2Error.PROTOCOL_ERROR],
    ['8.3.1 no :path', request({ ':path': undefined }), h2Error.PROTOCOL_ERROR],
  ];

  it.each(streamErrors)('%s resets the stream alone', async (_rule, frames, code) => {
    client.send(...frames);
    const reset = await client.seen((each) => each.type === RST_STREAM);
    expect([reset.streamId, reset.payload.readUInt32BE(0)]).toEqual([1, code]);
    client.send(headersFrame(3, echo), data(3, hello, END_STREAM));
    await client.seen(endsStream(3));
    await settled();
    expect(client.frames.filter((each) => each.type === RST_STREAM)).toHaveLength(1);
    expect(client.goAwayCode).toBeUndefined();
  });

  const fine: [string, Buffer[]][] = [
    ['5.1 PRIORITY on an idle stream', [priority(7, 0), ...ended]],
    [
      '5.1 PRIORITY and WINDOW_UPDATE on a closed stream',
      [...ended, priority(1, 0), frame(WINDOW_UPDATE, 0, 1, number(9))],
    ],
    ['5.1 RST_STREAM on a closed stream', [...ended, frame(RST_STREAM, 0, 1, number(8))]],
    ['5.5 frames nobody knows', [frame(0xee, 0xff, 1, Buffer.alloc(8)), ...ended]],
    ['6.5 settings nobody knows', [settings([0xff, 1]), ...ended]],
    ['6.5.3 acknowledgements', [frame(SETTINGS, flag.ACK, 0), ...ended]],
    ['6.7 a ping acknowledged that was not sent', [frame(PING, flag.ACK, 0, Buffer.alloc(8)), ...ended]],
    ['7 errors nobody knows', [headersFrame(1, chat), frame(RST_STREAM, 0, 1, number(0xff))]],
    ['8.1 trailers', [headersFrame(1, echo), data(1, hello), headersFrame(1, encodeHeaders({ 'x-late': 'a' }), both)]],
    ['8.1.1 a length that is right', request({ 'content-length': '10' })],
    ['8.3.1 no :authority', request({ ':authority': undefined })],
  ];

  it.each(fine)('%s does no harm', async (_rule, frames) => {
    client.send(...frames);
    client.send(headersFrame(3, echo), data(3, hello, END_STREAM));
    await client.seen(endsStream(3));
    await settled();
    expect(client.frames.filter((each) => each.type === RST_STREAM || each.type === GOAWAY)).toEqual([]);
  });

  it('5.1 what is late for a stream that we ended is nobody’s fault', async () => {
    client.send(headersFrame(1, requestHeaders('/test.Echo/Nobody')));
    await client.seen((each) => each.type === RST_STREAM && each.streamId === 1);
    client.send(data(1, hello), headersFrame(1, encodeHeaders({ 'x-late': 'a' }), both));
    await settled();
    expect(client.frames.filter((each) => each.type === RST_STREAM || each.type === GOAWAY)).toHaveLength(1);
  });

  it('5.1.2 more streams at once than announced are refused', async () => {
    const asked = 1_025;
    for (let i = 0; i < asked; i += 1) client.send(headersFrame(2 * i + 1, requestHeaders('/test.Echo/Hang')));
    const reset = await client.seen((each) => each.type === RST_STREAM);
    expect([reset.streamId, reset.payload.readUInt32BE(0)]).toEqual([2 * asked - 1, h2Error.REFUSED_STREAM]);
  });

  it('8.3 what is not gRPC is answered in HTTP, once it is whole', async () => {
    client.send(headersFrame(1, encodeHeaders({ ':method': 'GET', ':scheme': 'http', ':path': '/' })));
    await settled();
    expect(client.frames.some((each) => each.streamId === 1)).toBe(false);
    client.send(data(1, Buffer.from('x'.repeat(300)), END_STREAM));
    await client.seen(endsStream(1));
    const [headers, body] = client.frames.filter((each) => each.streamId === 1);
    expect([headers?.type, headers?.payload.toString('latin1')]).toEqual([HEADERS, expect.stringContaining('405')]);
    expect(body?.payload.toString()).toMatch(/speaks gRPC/);
  });
});
