/**
 * Callers who want to be in the way: each kind of frame that moves nothing ends its connection in the end, is counted and
 * told; what honest clients send beside their messages does not; and who comes from elsewhere is served meanwhile.
 */
import { SocketPlaces, systemClock } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import { flag, frameType, h2Error, setting } from '../http2/constants.js';
import { settingsPayload } from '../http2/settings.js';
import { echoService, newEchoNotes, streamRequest } from '../testing/echo.js';
import type { EchoNotes } from '../testing/echo.js';
import { encodeLiteral } from '../testing/hpack-encoder.js';
import { frame, greeting, grpcMessage, headersFrame, RawH2Client, requestHeaders } from '../testing/raw-h2-client.js';
import type { SeenFrame } from '../testing/raw-h2-client.js';
import { until } from '../testing/until.js';
import { FrontDoorServer } from './front-door-server.js';
import type { FrontDoorOptions } from './front-door-server.js';
import { defaultFrontDoorLimits } from './limits.js';

let server: FrontDoorServer;
let notes: EchoNotes;
let warned: { said: string; facts: Readonly<Record<string, unknown>> }[];
const clients: RawH2Client[] = [];

async function serve(options: Partial<FrontDoorOptions> = {}): Promise<void> {
  notes = newEchoNotes();
  warned = [];
  server = new FrontDoorServer({
    port: 0,
    services: [echoService(notes)],
    clock: systemClock,
    log: (said, cause) => {
      throw new Error(said, { cause });
    },
    tell: (_level, said, facts) => void warned.push({ said, facts }),
    mode: 'plaintext-only',
    stopMs: 200,
    ...options,
  });
  await server.start();
}

async function raw(from?: string): Promise<RawH2Client> {
  const client = await RawH2Client.open(server.port, from === undefined ? {} : { from });
  clients.push(client);
  return client;
}

/** Several connections at once; those that are closed again count as what they are. */
const many = (count: number, from?: string): Promise<RawH2Client[]> =>
  Promise.all(Array.from({ length: count }, () => raw(from)));

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server.stop();
});

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE } = frameType;
const echo = requestHeaders('/test.Echo/Echo');
const hello = grpcMessage(Buffer.from('hello'));
const number = (value: number): Buffer => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
const ends = (streamId: number) => (each: SeenFrame) =>
  each.streamId === streamId && each.type === HEADERS && (each.flags & flag.END_STREAM) !== 0;
const times = (count: number, make: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
const call = (streamId: number, block: Buffer = echo): Buffer =>
  Buffer.concat([headersFrame(streamId, block), frame(DATA, flag.END_STREAM, streamId, hello)]);

async function settled(client: RawH2Client): Promise<void> {
  const mark = Buffer.from(String(client.frames.length).padStart(8, 'm'));
  client.send(frame(PING, 0, 0, mark));
  await client.seen((each) => each.type === PING && each.payload.equals(mark));
}

/** Calls, one after the other, and how many were answered. */
async function served(client: RawH2Client, first: number, count: number): Promise<number> {
  for (let i = 0; i < count; i += 1) {
    client.send(call(first + 2 * i));
    await client.seen(ends(first + 2 * i));
  }
  return client.frames.filter((each) => each.type === HEADERS && (each.flags & flag.END_STREAM) !== 0).length;
}

const frames = defaultFrontDoorLimits.effortBurst + 5_000;

describe('frames that move nothing', () => {
  const chat = headersFrame(1, requestHeaders('/test.Echo/Chat'));
  const floods: [string, Buffer, string][] = [
    // Each opens a window by much, so that it could be meant; together they reach no limit of a window.
    [
      'window updates of the connection',
      times(frames, () => frame(WINDOW_UPDATE, 0, 0, number(4_096))),
      'window updates',
    ],
    [
      'window updates of a stream',
      Buffer.concat([chat, times(frames, () => frame(WINDOW_UPDATE, 0, 1, number(4_096)))]),
      'window updates',
    ],
    ['tiny window updates', times(frames, () => frame(WINDOW_UPDATE, 0, 0, number(1))), 'window updates'],
    ['pings', times(frames, () => frame(PING, 0, 0, Buffer.alloc(8))), 'pings'],
    ['answers to no ping', times(frames, () => frame(PING, flag.ACK, 0, Buffer.alloc(8))), 'answers to no ping'],
    ['settings', times(frames / 4, () => frame(SETTINGS, 0, 0)), 'settings'],
    [
      'settings that change the windows of many calls',
      Buffer.concat([
        times(1_000, (i) => headersFrame(2 * i + 1, requestHeaders('/test.Echo/Hang'))),
        times(200, (i) => frame(SETTINGS, 0, 0, settingsPayload([[setting.INITIAL_WINDOW_SIZE, i % 2]]))),
      ]),
      'settings',
    ],
    ['acknowledgements of no settings', times(frames, () => frame(SETTINGS, flag.ACK, 0)), 'settings'],
    ['priorities', times(frames, () => frame(PRIORITY, 0, 1, Buffer.alloc(5))), 'frames of no use'],
    ['frames nobody knows', times(frames, () => frame(0xee, 0, 0)), 'frames of no use'],
    [
      'goodbyes',
      Buffer.concat([chat, times(frames / 4, () => frame(GOAWAY, 0, 0, Buffer.alloc(8)))]),
      'frames of no use',
    ],
    ['empty data', Buffer.concat([chat, times(frames / 4, () => frame(DATA, 0, 1))]), 'empty frames of data'],
    [
      'padding',
      Buffer.concat([chat, times(frames / 4, () => frame(DATA, flag.PADDED, 1, Buffer.of(3, 0, 0, 0)))]),
      'empty frames of data',
    ],
    [
      'data in single bytes',
      Buffer.concat([
        chat,
        frame(DATA, 0, 1, Buffer.of(0, 1, 0, 0, 0)),
        times(frames, () => frame(DATA, 0, 1, Buffer.of(0))),
      ]),
      'small frames of data',
    ],
    [
      'data on ended streams',
      Buffer.concat([
        call(1, requestHeaders('/test.Echo/Who')),
        times(frames, () => frame(DATA, 0, 1, Buffer.alloc(300))),
      ]),
      'frames on ended streams|broken streams',
    ],
    [
      'resets of ended streams',
      Buffer.concat([call(1), times(frames, () => frame(RST_STREAM, 0, 1, number(8)))]),
      'resets',
    ],
    [
      'calls that are reset at once',
      times(frames / 10, (i) =>
        Buffer.concat([
          headersFrame(2 * i + 1, requestHeaders('/test.Echo/Hang')),
          frame(RST_STREAM, 0, 2 * i + 1, number(8)),
        ]),
      ),
      'resets',
    ],
    [
      'calls of no method',
      times(frames / 10, (i) => headersFrame(2 * i + 1, requestHeaders('/test.Echo/Who'))),
      'calls that are refused',
    ],
    [
      'calls above the limit',
      times(1_024 + frames / 10, (i) => headersFrame(2 * i + 1, requestHeaders('/test.Echo/Hang'))),
      'calls that are refused',
    ],
    [
      'calls after a goodbye',
      Buffer.concat([
        chat,
        frame(GOAWAY, 0, 0, Buffer.alloc(8)),
        times(frames / 10, (i) => headersFrame(2 * i + 3, echo)),
      ]),
      'calls that are refused',
    ],
    [
      'malformed calls',
      times(frames / 10, (i) => headersFrame(2 * i + 1, requestHeaders('/test.Echo/Echo', { te: 'me' }))),
      'calls that are refused|broken streams',
    ],
    // A header of 4,000 bytes goes into the table once and is then named in one byte, eight times a block.
    [
      'long lists of headers',
      times(2_000, (i) =>
        headersFrame(
          2 * i + 1,
          i === 0
            ? Buffer.concat([echo, Buffer.from(encodeLiteral('x', 'y'.repeat(4_000), 'indexing'))])
            : Buffer.concat([echo, Buffer.alloc(7, 0xbe)]),
          flag.END_HEADERS | flag.END_STREAM,
        ),
      ),
      'long lists of headers|calls that are refused',
    ],
  ];

  it.each(floods)('%s end their connection, counted and told, and nobody else’s', async (_kind, flood, what) => {
    await serve();
    const other = await raw('127.0.0.2');
    other.send(greeting);
    const hostile = await raw();
    hostile.send(greeting, flood);
    const count = served(other, 1, 20);
    await hostile.closed();
    expect(hostile.goAwayCode).toBe(h2Error.ENHANCE_YOUR_CALM);
    expect(await count).toBe(20);
    expect(server.seen.cut).toEqual({ protocol: 0, flood: 1, unread: 0, slow: 0, silent: 0, displaced: 0 });
    expect(warned).toHaveLength(1);
    expect(warned[0]).toMatchObject({
      said: 'a connection of a client was ended',
      facts: { reason: 'flood', why: expect.stringMatching(`too many (${what})`) as unknown },
    });
    expect(String(warned[0]?.facts['peer'])).toMatch(/^127\.0\.0\.1:\d+$/);
    await until(() => server.seen.connectionsOpen === 1);
    expect(server.seen).toMatchObject({ callsOpen: 0, heldBytes: 0, queuedBytes: 0, answerBytes: 0 });
  });

  it('a list of headers that is a bomb ends the connection at once', async () => {
    await serve();
    const client = await raw();
    const large = Buffer.from(encodeLiteral('x', 'y'.repeat(4_000), 'indexing'));
    client.send(greeting, headersFrame(1, Buffer.concat([echo, large]), flag.END_HEADERS | flag.END_STREAM));
    client.send(headersFrame(3, Buffer.concat([echo, Buffer.alloc(15_000, 0xbe)])));
    await client.closed();
    expect(client.goAwayCode).toBe(h2Error.ENHANCE_YOUR_CALM);
    expect(server.seen.cut.flood).toBe(1);
  });

  it('coming back renews no burst: what an address has spent it has spent', async () => {
    await serve({ limits: { addressEffortFactor: 2, effortPerSecond: 1 } });
    const flood = times(15_000, () => frame(WINDOW_UPDATE, 0, 0, number(4_096)));
    const rounds: boolean[] = [];
    for (let round = 0; round < 4; round += 1) {
      const client = await raw();
      client.send(greeting, flood, frame(PING, 0, 0, Buffer.from('the end.')));
      rounds.push(
        await client
          .seen((each) => each.type === PING)
          .then(
            () => true,
            () => false,
          ),
      );
      client.close();
    }
    expect(rounds).toEqual([true, true, false, false]);
    const calm = await raw(); // Of the same address, and does nothing of the kind.
    calm.send(greeting);
    expect(await served(calm, 1, 50)).toBe(50);
    await settled(calm);
  });

  it('what comes with messages is paid for by them, as clients on gRPC’s C core send it', async () => {
    await serve({ limits: { effortPerSecond: 0 } });
    const client = await raw();
    client.send(greeting);
    const rounds = 60;
    const messages = 1_000;
    for (let round = 0; round < rounds; round += 1) {
      const streamId = 2 * round + 1;
      client.send(headersFrame(streamId, requestHeaders('/test.Echo/Stream')));
      client.send(frame(DATA, flag.END_STREAM, streamId, grpcMessage(streamRequest(messages, 20))));
      await client.seen(ends(streamId));
      // For each message: its bytes on the stream and on the connection, one of them in two parts, and now and then a ping.
      client.send(
        times(messages, (i) =>
          Buffer.concat([
            frame(WINDOW_UPDATE, 0, streamId, number(5)),
            frame(WINDOW_UPDATE, 0, streamId, number(20)),
            frame(WINDOW_UPDATE, 0, 0, number(25)),
            ...(i % 8 === 0 ? [frame(PING, 0, 0, Buffer.alloc(8))] : []),
          ]),
        ),
      );
      client.frames.length = 0;
    }
    await settled(client);
    expect(rounds * messages * 3).toBeGreaterThan(5 * defaultFrontDoorLimits.effortBurst);
    expect(server.seen.cut.flood).toBe(0);
    expect(client.goAwayCode).toBeUndefined();
  }, 60_000);
});

describe('one address that takes all places', () => {
  it('is held to its own number, and others are served', async () => {
    await serve({ limits: { connectionsMax: 50, addressConnectionsMax: 30 } });
    const greedy = await many(60, '127.0.0.3');
    await until(() => greedy.filter((each) => each.ended).length === 30);
    const others = await many(20, '127.0.0.2');
    for (const each of others) each.send(greeting);
    expect(await Promise.all(others.map((each) => served(each, 1, 5)))).toEqual(Array(20).fill(5));
    expect(server.seen.refused).toEqual({ full: 0, address: 30, rate: 0, stopping: 0 });
    expect(server.seen.connectionsOpen).toBe(50);
    expect(warned[0]).toMatchObject({ said: 'a connection was refused', facts: { reason: 'address' } });
    expect(warned.length).toBeLessThanOrEqual(21); // Told in measure.
  });

  it('gives up what others need when all places are taken, first what is idle', async () => {
    await serve({ limits: { connectionsMax: 20, addressConnectionsMax: 20 } });
    const [busy] = await many(1, '127.0.0.3');
    busy?.send(greeting, headersFrame(1, requestHeaders('/test.Echo/Hang')));
    await until(() => server.seen.callsOpen === 1);
    const idle = await many(19, '127.0.0.3');
    for (const each of idle) each.send(greeting);
    await Promise.all(idle.map(settled));
    const others = await many(8, '127.0.0.2');
    for (const each of others) each.send(greeting);
    expect(await Promise.all(others.map((each) => served(each, 1, 5)))).toEqual(Array(8).fill(5));
    expect(server.seen.cut.displaced).toBe(8);
    expect(idle.filter((each) => each.ended)).toHaveLength(8);
    expect([busy?.ended, server.seen.callsOpen]).toEqual([false, 1]);
    // Who has as many as any other takes from nobody.
    const more = await many(6, '127.0.0.2');
    await until(() => more.some((each) => each.ended));
    expect(server.seen.connectionsOpen).toBe(20);
    expect(server.seen.refused.full).toBeGreaterThanOrEqual(1);
  });

  it('gives up what others need where the process may have no more connections, however many it was to have', async () => {
    const places = new SocketPlaces(20);
    await serve({ places });
    expect(warned).toEqual([expect.objectContaining({ facts: { connections: 20, wanted: 10_000 } })]);
    const idle = await many(40, '127.0.0.3');
    for (const each of idle) each.send(greeting);
    await until(() => idle.filter((each) => each.ended).length === 20);
    const others = await many(8, '127.0.0.2');
    for (const each of others) each.send(greeting);
    expect(await Promise.all(others.map((each) => served(each, 1, 5)))).toEqual(Array(8).fill(5));
    await until(() => server.seen.connectionsOpen === 20);
    expect(server.seen).toMatchObject({ cut: { displaced: 8 }, refused: { full: 20 } });
    for (const each of [...idle, ...others]) each.close();
    await until(() => !places.full() && server.seen.connectionsOpen === 0);
  });

  it('that comes and goes all the time is held to a rate', async () => {
    const clock = new ManualClock();
    await serve({ clock, limits: { addressConnectionsMax: 10, addressConnectionsPerSecond: 5 } });
    for (let i = 0; i < 15; i += 1) {
      const client = await raw('127.0.0.3');
      client.send(greeting);
      await client.seen((each) => each.type === SETTINGS).catch(() => undefined);
      client.close();
      await until(() => server.seen.connectionsOpen === 0);
    }
    expect(server.seen).toMatchObject({ connectionsTotal: 10, refused: { rate: 5 } });
    clock.advance(1_000);
    const later = await raw('127.0.0.3');
    later.send(greeting);
    await settled(later);
    const other = await raw('127.0.0.2');
    other.send(greeting);
    expect(await served(other, 1, 5)).toBe(5);
  });

  it('is counted by what the balancer says, where one stands in front', async () => {
    await serve({ proxyProtocol: true, limits: { addressConnectionsMax: 3 } });
    const connect = async (address: string): Promise<RawH2Client> => {
      const client = await raw();
      client.send(Buffer.from(`PROXY TCP4 ${address} 192.0.2.9 5000 8081\r\n`), greeting);
      return client;
    };
    const greedy = await Promise.all(Array.from({ length: 5 }, () => connect('192.0.2.7')));
    await until(() => greedy.filter((each) => each.ended).length === 2);
    const other = await connect('192.0.2.8');
    expect(await served(other, 1, 5)).toBe(5);
  });
});

describe('a connection on which nothing is heard', () => {
  const seconds = async (clock: ManualClock, count: number, between: () => Promise<void>): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      clock.advance(1_000);
      await between();
    }
  };
  const asks = (each: SeenFrame): boolean => each.type === PING && each.flags === 0;

  it('is asked, and ended with its calls when nobody answers', async () => {
    const clock = new ManualClock();
    await serve({ clock });
    const [dead, living] = [await raw(), await raw()];
    for (const each of [dead, living]) each.send(greeting, call(1, requestHeaders('/test.Echo/Hang')));
    await until(() => notes.calls.length === 2);
    let answered = 0;
    const answer = async (): Promise<void> => {
      await new Promise(setImmediate);
      const pings = living.frames.filter(asks);
      for (const ping of pings.slice(answered)) living.send(frame(PING, flag.ACK, 0, ping.payload));
      if (pings.length > answered) await until(() => server.seen.bytesIn > 0);
      answered = pings.length;
    };
    await seconds(clock, 11, answer);
    await dead.seen(asks);
    await living.seen(asks);
    await answer();
    await settled(living);
    expect(notes.cancelled).toBe(0);
    await seconds(clock, 22, async () => settled(living));
    await until(() => dead.ended);
    expect([notes.cancelled, living.ended, server.seen.callsOpen]).toEqual([1, false, 1]);
    expect(server.seen.cut.silent).toBe(1);
    expect(warned).toMatchObject([{ facts: { reason: 'silent' } }]);
  });

  it('is not taken for silent when it was the server that stood still', async () => {
    const clock = new ManualClock();
    await serve({ clock });
    const client = await raw();
    client.send(greeting, call(1, requestHeaders('/test.Echo/Hang')));
    await until(() => notes.calls.length === 1);
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    await seconds(clock, 12, turn);
    await client.seen(asks);
    clock.standStill(60_000);
    clock.advance(0);
    expect(server.seen.cut.silent).toBe(0);
    await seconds(clock, 22, turn);
    await until(() => client.ended);
    expect(server.seen.cut.silent).toBe(1);
  });

  it('and that only answers pings is idle all the same', async () => {
    const clock = new ManualClock();
    await serve({ clock, limits: { idleMs: 60_000 } });
    const client = await raw();
    client.send(greeting);
    await settled(client);
    let answered = 0;
    await seconds(clock, 70, async () => {
      await new Promise((resolve) => setTimeout(resolve, 2)); // For the ping to come, if there is one.
      const pings = client.frames.filter(asks);
      for (const ping of pings.slice(answered)) client.send(frame(PING, flag.ACK, 0, ping.payload));
      answered = pings.length;
      await new Promise((resolve) => setTimeout(resolve, 2));
    });
    await client.closed();
    expect(answered).toBeGreaterThan(2);
    expect(client.goAwayCode).toBe(h2Error.NO_ERROR);
    expect(server.seen.cut.silent).toBe(0);
  });
});
