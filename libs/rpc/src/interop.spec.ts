/** One set of expectations for both servers of the port, asked by grpc-js's own client. */
import { connect as connectHttp2 } from 'node:http2';
import { Client, credentials, Metadata, status as jsStatus } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { systemClock } from '@cometmq/shared';
import { FrontDoorServer } from './front-door/front-door-server.js';
import { GrpcJsServer } from './testing/grpc-js-server.js';
import type { GrpcServer } from './grpc-server.js';
import { echoService, newEchoNotes, shortBytesMax, streamRequest } from './testing/echo.js';
import type { EchoNotes } from './testing/echo.js';
import { until } from './testing/until.js';

const asIs = (bytes: Buffer): Buffer => bytes;
const clock = systemClock;

describe.each(['FrontDoorServer', 'GrpcJsServer'])('%s', (kind) => {
  let server: GrpcServer;
  let client: Client;
  let notes: EchoNotes;
  let logged: string[];

  beforeEach(async () => {
    notes = newEchoNotes();
    logged = [];
    const options = {
      port: 0,
      services: [echoService(notes)],
      clock,
      log: (message: string) => void logged.push(message),
      stopMs: 1_000,
    };
    server = kind === 'FrontDoorServer' ? new FrontDoorServer(options) : new GrpcJsServer(options);
    await server.start();
    client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
  });

  afterEach(async () => {
    client.close();
    await server.stop();
  });

  function unary(method: string, request: Buffer, timeoutMs = 10_000, metadata = new Metadata()): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const deadline = clock.wallMs() + timeoutMs;
      client.makeUnaryRequest(`/test.Echo/${method}`, asIs, asIs, request, metadata, { deadline }, (error, answer) => {
        if (error) reject(error);
        else resolve(answer ?? Buffer.alloc(0));
      });
    });
  }

  const failure = (call: Promise<unknown>): Promise<ServiceError> =>
    call.then(
      () => Promise.reject(new Error('no failure')),
      (error: ServiceError) => error,
    );

  it.each([0, 1, 1_024, 16_379, 16_384, 70_000, 4 * 1_024 * 1_024])('answers a message of %d bytes', async (bytes) => {
    const request = Buffer.alloc(bytes, 'abcdefg');
    expect((await unary('Echo', request)).equals(request)).toBe(true);
    expect((await unary('Chunks', request)).equals(request)).toBe(true);
  });

  it('tells handlers of headers, peer and deadline', async () => {
    const metadata = new Metadata();
    metadata.set('x-mq-client-id', 'me');
    await unary('Echo', Buffer.alloc(1), 5_000, metadata);
    const call = notes.calls[0];
    expect(call?.headers.get('x-mq-client-id')).toBe('me');
    expect(call?.headers.get('x-mq-missing')).toBeUndefined();
    expect(call?.peer).toMatch(/127\.0\.0\.1\]?:\d+$/);
    expect(call?.encrypted).toBe(false);
    const leftMs = (call?.deadlineMs ?? 0) - clock.monotonicMs();
    expect(leftMs).toBeGreaterThan(3_000);
    expect(leftMs).toBeLessThan(5_100);
  });

  it('answers failures with status and message', async () => {
    const notFound = await failure(unary('Fail', Buffer.from('größer als 100 %')));
    expect([notFound.code, notFound.details]).toEqual([jsStatus.NOT_FOUND, 'größer als 100 %']);
    const thrown = await failure(unary('Throw', Buffer.alloc(0)));
    expect([thrown.code, thrown.details]).toEqual([jsStatus.INTERNAL, 'internal error']);
    expect(logged).toEqual(['/test.Echo/Throw failed']);
    expect((await failure(unary('Nothing', Buffer.alloc(0)))).code).toBe(jsStatus.UNIMPLEMENTED);
  });

  it('holds each method to the request size of its own', async () => {
    const fits = Buffer.alloc(shortBytesMax, 1);
    expect((await unary('Short', fits)).equals(fits)).toBe(true);
    const refused = await failure(unary('Short', Buffer.alloc(shortBytesMax + 1)));
    expect([refused.code, refused.details]).toEqual([
      jsStatus.RESOURCE_EXHAUSTED,
      'a message of 101 bytes: at most 100',
    ]);
    expect((await failure(unary('Short', Buffer.alloc(100_000)))).code).toBe(jsStatus.RESOURCE_EXHAUSTED);

    const chat = client.makeBidiStreamRequest('/test.Echo/ShortChat', asIs, asIs);
    const heard: Buffer[] = [];
    chat.on('data', (message: Buffer) => {
      heard.push(message);
      chat.write(Buffer.alloc(shortBytesMax + 1));
    });
    chat.on('error', () => undefined);
    chat.write(fits);
    const end = await new Promise<number>((resolve) => chat.on('status', ({ code }) => resolve(code)));
    expect([heard.map(({ length }) => length), end]).toEqual([[shortBytesMax], jsStatus.RESOURCE_EXHAUSTED]);
  });

  it('streams with back-pressure, and in both directions', async () => {
    const stream = client.makeServerStreamRequest('/test.Echo/Stream', asIs, asIs, streamRequest(300, 50_000));
    let bytes = 0;
    for await (const message of stream) bytes += (message as Buffer).length;
    expect(bytes).toBe(15_000_000);

    const chat = client.makeBidiStreamRequest('/test.Echo/Chat', asIs, asIs);
    const heard: string[] = [];
    chat.on('data', (message: Buffer) => {
      heard.push(message.toString());
      if (heard.length === 3) chat.end();
    });
    for (const word of ['one', 'two', 'three']) chat.write(Buffer.from(word));
    const end = await new Promise<number>((resolve) => chat.on('status', ({ code }) => resolve(code)));
    expect([heard, end]).toEqual([['one', 'two', 'three'], jsStatus.OK]);
  });

  it('carries 1000 calls at once on one connection', async () => {
    const asked = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`call ${i}`));
    const answers = await Promise.all(asked.map((request) => unary('Echo', request)));
    expect(answers.map(String)).toEqual(asked.map(String));
  });

  it('tells handlers when the caller goes or its time is up', async () => {
    const hanging = client.makeServerStreamRequest('/test.Echo/HangStream', asIs, asIs, Buffer.alloc(0));
    hanging.on('error', () => undefined);
    await new Promise((resolve) => hanging.once('metadata', resolve)); // Headers come before any message.
    hanging.cancel();
    await until(() => notes.cancelled === 1);
    expect((await failure(unary('Hang', Buffer.alloc(0), 150))).code).toBe(jsStatus.DEADLINE_EXCEEDED);
    await until(() => notes.cancelled === 2);
    expect(notes.calls.map((call) => call.cancelled)).toEqual([true, true]);
  });

  // The official Java client's Telemetry; grpc-js alone would end it within milliseconds.
  it.each(['31535999M', '31535999S', '31536000M'])('keeps a stream open whose grpc-timeout is %s', async (timeout) => {
    const session = connectHttp2(`http://127.0.0.1:${server.port}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/test.Echo/Chat',
      'content-type': 'application/grpc',
      'grpc-timeout': timeout,
    });
    await new Promise((resolve) => stream.once('response', resolve));
    await new Promise((resolve) => setTimeout(resolve, 200)); // The fault would show after about 15 ms.
    expect(notes.calls[0]?.cancelled).toBe(false);
    expect(notes.calls[0]?.deadlineMs).toBeUndefined();
    stream.write(Buffer.from([0, 0, 0, 0, 1, 65]));
    expect(await new Promise((resolve) => stream.once('data', resolve))).toEqual(Buffer.from([0, 0, 0, 0, 1, 65]));
    session.destroy();
    await until(() => notes.calls[0]?.cancelled === true);
  });

  it('lets open calls end when it stops, and tells those who asked', async () => {
    const chat = client.makeBidiStreamRequest('/test.Echo/Chat', asIs, asIs);
    const heard = new Promise((resolve) => chat.once('data', resolve));
    const ended = new Promise<number>((resolve) => chat.on('status', ({ code }) => resolve(code)));
    chat.write(Buffer.from('hello'));
    await heard;
    let told = false;
    server.onStopping(() => {
      told = true;
      chat.write(Buffer.from('last'));
      chat.end();
    });
    await server.stop();
    expect([told, await ended]).toEqual([true, jsStatus.OK]);
  });
});
