/** One set of promises for both channels of the port, at both servers: old and new processes speak with each other. */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { MqError, systemClock } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import { Http2Channel } from './channel/http2-channel.js';
import { FrontDoorServer } from './front-door/front-door-server.js';
import { GrpcJsChannel } from './grpc-js/grpc-js-channel.js';
import type { GrpcJsChannelOptions } from './grpc-js/grpc-js-channel.js';
import { GrpcJsServer } from './testing/grpc-js-server.js';
import type { GrpcJsServerOptions } from './testing/grpc-js-server.js';
import type { GrpcServer, GrpcService } from './grpc-server.js';
import type { IncomingStream, RpcChannel } from './rpc-channel.js';
import { echoService, newEchoNotes, streamRequest } from './testing/echo.js';
import type { EchoNotes } from './testing/echo.js';
import { until } from './testing/until.js';
import { certifiedBy, newAuthority } from './tls/authority.js';
import type { Certified } from './tls/authority.js';
import { nameOfRole, ProcessTls } from './tls/process-tls.js';
import type { ProcessCallers, ProcessRole } from './tls/process-tls.js';

const clock = systemClock;
const MiB = 1_024 * 1_024;

interface ServerChoice {
  readonly port?: number;
  readonly services: readonly GrpcService[];
  readonly tls?: GrpcJsServerOptions['tls'];
}

const channels: Record<string, (options: Pick<GrpcJsChannelOptions, 'address' | 'tls'>) => RpcChannel> = {
  Http2Channel: (options) => new Http2Channel({ clock, ...options }),
  GrpcJsChannel: (options) => new GrpcJsChannel({ clock, ...options }),
};
const servers: Record<string, (choice: ServerChoice) => GrpcServer> = {
  FrontDoorServer: ({ port = 0, services, tls }) =>
    new FrontDoorServer({
      ...{ port, services, clock, log: () => undefined, stopMs: 100, internal: { tls } },
    }),
  GrpcJsServer: ({ port = 0, ...choice }) =>
    new GrpcJsServer({ port, clock, log: () => undefined, stopMs: 100, ...choice }),
};
const pairs = Object.keys(channels).flatMap((channel) => Object.keys(servers).map((server) => [channel, server]));

describe.each(pairs)('%s at %s', (channelKind, serverKind) => {
  let notes: EchoNotes;
  let server: GrpcServer;
  let channel: RpcChannel;

  const newChannel = (port: number, tls?: GrpcJsChannelOptions['tls']): RpcChannel =>
    (channels[channelKind] as (typeof channels)[string])({ address: `localhost:${port}`, ...(tls && { tls }) });
  const newServer = async (choice: ServerChoice): Promise<GrpcServer> => {
    const made = (servers[serverKind] as (typeof servers)[string])(choice);
    await made.start();
    return made;
  };

  beforeEach(async () => {
    notes = newEchoNotes();
    server = await newServer({ services: [echoService(notes)] });
    channel = newChannel(server.port);
  });

  afterEach(async () => {
    channel.close();
    await server.stop();
  });

  const messagesOf = (stream: IncomingStream): { heard: Uint8Array[]; ended: Promise<MqError | undefined> } => {
    const heard: Uint8Array[] = [];
    const ended = new Promise<MqError | undefined>((resolve) => stream.onEnd(resolve));
    stream.onMessage((message) => heard.push(message));
    return { heard, ended };
  };

  it.each([0, 1, 1_024, 16_379, 70_000, 300_000, 12 * MiB])(
    'carries a message of %d bytes both ways',
    async (bytes) => {
      const request = Buffer.alloc(bytes, 'abcdefg');
      expect(request.equals(await channel.unary('/test.Echo/Echo', request))).toBe(true);
      const third = Math.ceil(bytes / 3);
      const chunks = [request.subarray(0, third), request.subarray(third, 2 * third), request.subarray(2 * third)];
      expect(request.equals(await channel.unary('/test.Echo/Chunks', chunks))).toBe(true);
    },
  );

  it('gives back the MqError that was meant, also where there was an answer before', async () => {
    await expect(channel.unary('/test.Echo/Fail', Buffer.from('größer als 100 %'))).rejects.toMatchObject({
      code: 'TOPIC_NOT_FOUND',
      reason: 'größer als 100 %',
    });
    await expect(channel.unary('/test.Echo/Throw', Buffer.alloc(0))).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(channel.unary('/test.Echo/Nothing', Buffer.alloc(0))).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    const deadlineMs = clock.monotonicMs() + 100;
    await expect(channel.unary('/test.Echo/Hang', Buffer.alloc(0), { deadlineMs })).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    await until(() => notes.cancelled === 1);

    const chat = channel.bidi('/test.Echo/Chat');
    const heard: string[] = [];
    const ended = new Promise<unknown>((resolve) => chat.onEnd(resolve));
    chat.onMessage((message) => {
      heard.push(Buffer.from(message).toString());
      chat.write(Buffer.of(0xff));
    });
    chat.write([Buffer.from('in '), Buffer.from('chunks')]);
    expect(await ended).toMatchObject({ code: 'CONFLICT', reason: 'as asked' });
    expect(heard).toEqual(['in chunks']);
  });

  it('tells handlers of headers and deadline', async () => {
    const deadlineMs = clock.monotonicMs() + 60_000;
    await channel.unary('/test.Echo/Echo', Buffer.alloc(1), { deadlineMs, headers: { 'x-mq-client-id': 'me' } });
    const [call] = notes.calls;
    expect(call?.headers.get('x-mq-client-id')).toBe('me');
    // Clocks of one process: what the way there took has been taken off.
    expect(call?.deadlineMs).toBeLessThan(deadlineMs + 1_000);
    expect(call?.deadlineMs).toBeGreaterThan(deadlineMs - 50_000);
  });

  it('carries many calls at once', async () => {
    const asked = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`call ${i}`));
    const answers = await Promise.all(asked.map((request) => channel.unary('/test.Echo/Echo', request)));
    expect(answers.map((answer) => Buffer.from(answer).toString())).toEqual(asked.map(String));
  });

  it('ends a chat well when the caller has said all', async () => {
    const chat = channel.bidi('/test.Echo/Chat');
    const { heard, ended } = messagesOf(chat);
    for (const word of ['one', 'two']) chat.write(Buffer.from(word));
    chat.end();
    expect(await ended).toBeUndefined();
    expect(heard.map((each) => Buffer.from(each).toString())).toEqual(['one', 'two']);
  });

  it('gives messages that nobody was there for, and the end behind them', async () => {
    const stream = channel.serverStream('/test.Echo/Stream', streamRequest(10, 1_000));
    const order: string[] = [];
    const ended = new Promise<void>((resolve) => {
      stream.onEnd(() => {
        order.push('end');
        resolve();
      });
    });
    await until(() => notes.calls.length === 1);
    await channel.unary('/test.Echo/Echo', Buffer.alloc(1)); // What the stream said came before.
    stream.onMessage(() => order.push('message'));
    await ended;
    expect(order).toEqual([...Array.from({ length: 10 }, () => 'message'), 'end']);
  });

  it.each(['at once', 'kept'])(
    'ends a call, and nothing else, whose messages (%s) can not be understood',
    async (when) => {
      const stream = channel.serverStream('/test.Echo/Stream', streamRequest(5, 10));
      const others = channel.unary('/test.Echo/Echo', Buffer.from('x'));
      if (when === 'kept') await others; // What came on the same connection before has been read.
      let heard = 0;
      const ends: (MqError | undefined)[] = [];
      stream.onMessage(() => {
        heard += 1;
        if (heard === 2) throw new MqError('CORRUPT_RECORD', 'no message of ours');
      });
      stream.onEnd((error) => ends.push(error));
      await until(() => ends.length > 0);
      expect(Buffer.from(await channel.unary('/test.Echo/Echo', Buffer.from('y'))).toString()).toBe('y');
      expect([heard, ends]).toEqual([2, [expect.objectContaining({ code: 'CORRUPT_RECORD' })]]);
      await others;
    },
  );

  it('fails a call, and nothing else, whose handler throws at a message', async () => {
    const chat = channel.bidi('/test.Echo/ThrowChat');
    const end = new Promise<MqError | undefined>((resolve) => chat.onEnd(resolve));
    chat.onMessage(() => undefined);
    chat.write(Buffer.from('x'));
    expect(await end).toMatchObject({ code: 'INTERNAL' });
    expect(Buffer.from(await channel.unary('/test.Echo/Echo', Buffer.from('y'))).toString()).toBe('y');
  });

  it('slows the other side down while it is paused, and loses nothing', async () => {
    const count = 200;
    const stream = channel.serverStream('/test.Echo/Stream', streamRequest(count, MiB / 4));
    let heard = 0;
    let bytes = 0;
    const ended = new Promise<unknown>((resolve) => stream.onEnd(resolve));
    stream.onMessage((message) => {
      heard += 1;
      bytes += message.length;
      stream.pause();
      setImmediate(() => stream.resume());
    });
    expect(await ended).toBeUndefined();
    expect([heard, bytes]).toEqual([count, (count * MiB) / 4]);
  });

  it('says when enough waits, and when it may go on', async () => {
    const chat = channel.bidi('/test.Echo/Deaf');
    let drained = 0;
    chat.onDrain(() => (drained += 1));
    chat.onEnd(() => undefined);
    const message = Buffer.alloc(MiB / 4);
    let written = 0;
    while (chat.write(message) && written < 200) written += 1;
    expect(written).toBeLessThan(200);
    chat.cancel();

    const echo = channel.bidi('/test.Echo/Chat');
    let heard = 0;
    let resumed = 0;
    let left = 80;
    const pour = (): void => {
      while (left > 0) {
        left -= 1;
        if (!echo.write(message)) return;
      }
    };
    echo.onDrain(() => {
      resumed += 1;
      pour();
    });
    echo.onEnd(() => undefined);
    echo.onMessage(() => (heard += 1));
    pour();
    await until(() => heard === 80);
    expect(resumed).toBeGreaterThan(0);
    echo.cancel();
  });

  it('tells the handler that the caller gave up, and the caller too', async () => {
    const stream = channel.serverStream('/test.Echo/HangStream', Buffer.alloc(0));
    const { ended } = messagesOf(stream);
    await until(() => notes.calls.length === 1);
    stream.cancel();
    expect(await ended).toMatchObject({ code: 'CANCELLED' });
    await until(() => notes.cancelled === 1);
  });

  it('ends open calls when it is closed, and takes no more', async () => {
    const { ended } = messagesOf(channel.serverStream('/test.Echo/HangStream', Buffer.alloc(0)));
    await until(() => notes.calls.length === 1);
    channel.close();
    expect(await ended).toMatchObject({ code: 'CANCELLED' });
    await until(() => notes.cancelled === 1);
    await expect(channel.unary('/test.Echo/Echo', Buffer.alloc(0))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    for (const stream of [
      channel.bidi('/test.Echo/Chat'),
      channel.serverStream('/test.Echo/Stream', Buffer.alloc(0)),
    ]) {
      expect(await messagesOf(stream).ended).toMatchObject({ code: 'UNAVAILABLE' });
    }
  });

  it('says UNAVAILABLE while nobody answers, and connects again', async () => {
    await channel.unary('/test.Echo/Echo', Buffer.alloc(1));
    const chat = channel.bidi('/test.Echo/Chat');
    const { ended } = messagesOf(chat);
    chat.write(Buffer.alloc(1));
    const { port } = server;
    await server.stop();
    expect(['UNAVAILABLE', 'CANCELLED']).toContain((await ended)?.code);
    await expect(channel.unary('/test.Echo/Echo', Buffer.alloc(1))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    server = await newServer({ port, services: [echoService(notes)] });
    let answered = false;
    const ask = (): void => {
      channel.unary('/test.Echo/Echo', Buffer.alloc(1)).then(
        () => (answered = true),
        () => setTimeout(ask, 50),
      );
    };
    ask();
    await until(() => answered);
  });

  it('speaks TLS with the processes it looks for, and lets in those whose call it is', async () => {
    const [ours, theirs] = await Promise.all(['ours', 'theirs'].map((name) => newAuthority(name, clock.wallMs())));
    const tlsOf = async (role: ProcessRole, authority = ours): Promise<ProcessTls> => {
      const certified = await certifiedBy(authority as Certified, {
        names: [nameOfRole(role)],
        wallMs: clock.wallMs(),
      });
      const identity = { ...certified, caPem: (ours as Certified).certPem };
      return new ProcessTls({ load: () => identity, clock, tell: () => undefined });
    };
    const callers: ProcessCallers = new Map([['/test.Echo/Echo', ['proxy']]]);
    const services = [echoService(newEchoNotes())];
    const secure = await newServer({ services, tls: { process: await tlsOf('broker'), callers } });
    const ask = async (tls: GrpcJsChannelOptions['tls'], path = '/test.Echo/Echo'): Promise<string> => {
      const asking = newChannel(secure.port, tls);
      const asked = asking.unary(path, Buffer.from('x'), { deadlineMs: clock.monotonicMs() + 30_000 });
      const said = await asked.then(
        () => 'OK',
        (caught: unknown) => MqError.from(caught).code,
      );
      asking.close();
      return said;
    };
    const proxy = await tlsOf('proxy');
    expect(await ask({ process: proxy, to: 'broker' })).toBe('OK');
    expect(await ask({ process: proxy, to: 'broker' }, '/test.Echo/Chunks')).toBe('UNAUTHORIZED'); // No rule: nobody's.
    expect(await ask({ process: await tlsOf('dashboard-api'), to: 'broker' })).toBe('UNAUTHORIZED');
    expect(await ask({ process: proxy, to: 'namesrv' })).toBe('UNAVAILABLE');
    expect(await ask({ process: await tlsOf('proxy', theirs), to: 'broker' })).toBe('UNAVAILABLE');
    expect(await ask({ caPem: (ours as Certified).certPem, serverName: nameOfRole('broker') })).toBe('UNAVAILABLE');
    expect(await ask(undefined)).toBe('UNAVAILABLE');
    await secure.stop();
  });
});

describe('Http2Channel', () => {
  const opened: { close(): void }[] = [];
  afterEach(() => {
    for (const each of opened.splice(0)) each.close();
  });

  /** Somebody who listens and says what the spec wants. */
  const listener = async (act: (socket: Socket) => void): Promise<number> => {
    const sockets = new Set<Socket>();
    const listening = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      act(socket);
    });
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    opened.push({
      close: () => {
        for (const socket of sockets) socket.destroy();
        listening.close();
      },
    });
    return (listening.address() as AddressInfo).port;
  };
  const channelTo = (address: string): Http2Channel => {
    const channel = new Http2Channel({ address, clock });
    opened.push(channel);
    return channel;
  };

  it('says of a refused connection that there is none, and of an address that it is none', async () => {
    const asked = (address: string) => channelTo(address).unary('/test.Echo/Echo', Buffer.alloc(0));
    await expect(asked('127.0.0.1:1')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: expect.stringContaining('ECONNREFUSED') as string,
    });
    await expect(asked('nowhere')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(asked('no.such.host.invalid:1')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it.each(['', 'nowhere', 'nowhere:', ':1', 'here:0', 'here:65536', 'here:1e3', 'a b:1', 'a\0b:1', 'http://a/b:1'])(
    'fails every kind of call to %j, which is no address, and throws at none',
    async (address) => {
      const channel = channelTo(address);
      const streams = [channel.bidi('/test.Echo/Chat'), channel.serverStream('/test.Echo/Stream', Buffer.alloc(0))];
      const ends = streams.map((stream) => new Promise((resolve) => stream.onEnd(resolve)));
      const failure = { code: 'UNAVAILABLE', reason: `no connection: ${JSON.stringify(address)} must be host:port` };
      for (const end of ends) expect(await end).toMatchObject(failure);
      await expect(channel.unary('/test.Echo/Echo', Buffer.alloc(0))).rejects.toMatchObject(failure);
      // Who listens later hears of it too, and nothing else comes.
      const late = channel.bidi('/test.Echo/Chat');
      await new Promise((resolve) => setImmediate(resolve));
      expect(late.write(Buffer.alloc(1))).toBe(false);
      late.end();
      late.cancel();
      expect(await new Promise((resolve) => late.onEnd(resolve))).toMatchObject(failure);
    },
  );

  it('refuses an answer of two messages to a unary call', async () => {
    const server = new FrontDoorServer({
      port: 0,
      services: [echoService(newEchoNotes())],
      clock,
      log: () => undefined,
      internal: {},
    });
    await server.start();
    const channel = channelTo(`127.0.0.1:${server.port}`);
    await expect(channel.unary('/test.Echo/Stream', streamRequest(2, 10))).rejects.toMatchObject({ code: 'INTERNAL' });
    channel.close();
    await server.stop();
  });

  it('does not call again and again where nobody takes its calls', async () => {
    let connections = 0;
    const port = await listener((socket) => {
      connections += 1;
      socket.destroy();
    });
    const channel = channelTo(`127.0.0.1:${port}`);
    for (let i = 0; i < 50; i += 1) {
      await expect(channel.unary('/test.Echo/Echo', Buffer.alloc(0))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }
    expect(connections).toBeLessThan(10);
  });

  it.each([
    ['HTTP/1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a frame beyond all bounds', Buffer.from('ffffff040000000000', 'hex')],
    [
      'a window update of a call that was never made',
      Buffer.from('00000004000000000000000408000000006300000001', 'hex'),
    ],
    ['data of a call that was never made', Buffer.from('0000000400000000000000010000000000634142', 'hex')],
  ])('ends a connection on which %s comes', async (_what, bytes) => {
    const port = await listener((socket) => socket.write(bytes));
    const asked = channelTo(`127.0.0.1:${port}`).unary('/test.Echo/Echo', Buffer.alloc(0));
    await expect(asked).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('finds out by a ping that nobody is there any more', async () => {
    const [settings, settingsHeard] = ['000000040000000000', '000000040100000000'].map((hex) =>
      Buffer.from(hex, 'hex'),
    );
    let told = Buffer.alloc(0);
    const port = await listener((socket) => {
      socket.write(settings as Buffer);
      socket.on('data', (bytes) => (told = Buffer.concat([told, bytes])));
    });
    const manual = new ManualClock();
    const channel = new Http2Channel({ address: `127.0.0.1:${port}`, clock: manual });
    opened.push(channel);
    const asked = errorOf(channel.unary('/test.Echo/Echo', Buffer.alloc(0)));
    const passes = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 500) {
        manual.advance(500);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await until(() => told.includes(settingsHeard as Buffer)); // From here on it is silent.
    await passes(11_000);
    await until(() => told.includes('cometmq.'));
    let isOver = false;
    void asked.then(() => (isOver = true));
    manual.standStill(60_000); // Its own silence says nothing of the other side's.
    await passes(500);
    expect(isOver).toBe(false);
    await passes(17_000);
    expect(await asked).toMatchObject({ code: 'UNAVAILABLE', reason: `nothing is heard of 127.0.0.1:${port}` });
  });

  it('gives up a connection on which nothing comes, so that the address is looked up anew', async () => {
    let taken = 0;
    const port = await listener(() => (taken += 1));
    const manual = new ManualClock();
    const channel = new Http2Channel({ address: `127.0.0.1:${port}`, clock: manual });
    opened.push(channel);
    const asked = errorOf(channel.unary('/test.Echo/Echo', Buffer.alloc(0)));
    await until(() => taken === 1);
    manual.advance(6_500);
    const reason = `no connection: 127.0.0.1:${port} does not answer`;
    expect(await asked).toMatchObject({ code: 'UNAVAILABLE', reason });
    manual.advance(2_500);
    channel.unary('/test.Echo/Echo', Buffer.alloc(0)).catch(() => undefined);
    await until(() => taken === 2);
  });

  it('leaves one that asks and asks, and reads no answer', async () => {
    const ping = Buffer.from('0000080600000000000000000000000000', 'hex');
    const port = await listener((socket) => {
      socket.pause();
      socket.write(Buffer.from('000000040000000000', 'hex'));
      const pings = Buffer.alloc(100_000 * ping.length, ping);
      for (let i = 0; i < 20; i += 1) socket.write(pings);
    });
    const asked = errorOf(channelTo(`127.0.0.1:${port}`).unary('/test.Echo/Echo', Buffer.alloc(0)));
    const reason = `127.0.0.1:${port} takes nothing of what is sent`;
    expect(await asked).toMatchObject({ code: 'UNAVAILABLE', reason });
  });

  it('holds no more than its window of a stream that is not taken in', async () => {
    const notes = newEchoNotes();
    const service = echoService(notes);
    const server = new FrontDoorServer({ port: 0, services: [service], clock, log: () => undefined, internal: {} });
    await server.start();
    const channel = channelTo(`127.0.0.1:${server.port}`);
    const stream = channel.serverStream('/test.Echo/Stream', streamRequest(100, MiB));
    stream.pause();
    let bytes = 0;
    stream.onMessage((message) => (bytes += message.length));
    const ended = new Promise<unknown>((resolve) => stream.onEnd(resolve));
    // The server's own queue fills when the window is used up, and its handler stops.
    await until(() => server.seen.bytesOut > 7 * MiB && server.seen.queuedBytes > 0);
    await channel.unary('/test.Echo/Echo', Buffer.alloc(1));
    expect(server.seen.bytesOut).toBeLessThan(9 * MiB);
    stream.resume();
    expect([await ended, bytes]).toEqual([undefined, 100 * MiB]);
    channel.close();
    await server.stop();
  });

  it('begins new calls elsewhere once a server says that it goes, and lets the open ones end', async () => {
    const services = [echoService(newEchoNotes())];
    const first = new FrontDoorServer({ port: 0, services, clock, log: () => undefined, internal: {} });
    await first.start();
    const channel = channelTo(`127.0.0.1:${first.port}`);
    const chat = channel.bidi('/test.Echo/Chat');
    const heard: string[] = [];
    chat.onMessage((message) => heard.push(Buffer.from(message).toString()));
    const ended = new Promise<unknown>((resolve) => chat.onEnd(resolve));
    chat.write(Buffer.from('one'));
    await until(() => heard.length === 1);
    const stopped = first.stop();
    await expect(channel.unary('/test.Echo/Echo', Buffer.alloc(0))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    chat.write(Buffer.from('two'));
    chat.end();
    expect(await ended).toBeUndefined();
    expect(heard).toEqual(['one', 'two']);
    await stopped;
  });
});

function errorOf(asked: Promise<unknown>): Promise<MqError> {
  return asked.then(
    () => new MqError('INTERNAL', 'it was answered'),
    (caught: unknown) => MqError.from(caught),
  );
}
