import { systemClock } from '@cometmq/shared';

import { grpcStatus, type GrpcService } from '../grpc-server.js';
import { flag, frameType } from '../http2/constants.js';
import { frame, greeting, grpcMessage, headersFrame, RawH2Client, requestHeaders } from '../testing/raw-h2-client.js';
import { until } from '../testing/until.js';
import { FrontDoorServer } from './front-door-server.js';
import { LastInTurn, waitingMax, type GivingWay } from './last-in-turn.js';

const { DATA, HEADERS } = frameType;

const call = (method: string, streamId: number): Buffer =>
  Buffer.concat([
    headersFrame(streamId, requestHeaders(`/test.Door/${method}`)),
    frame(DATA, flag.END_STREAM, streamId, grpcMessage(Buffer.alloc(8))),
  ]);
const many = (method: string, firstStreamId: number, count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => call(method, firstStreamId + 2 * i)));
const answersOf = (client: RawH2Client): number =>
  client.frames.filter(({ type, flags }) => type === HEADERS && (flags & flag.END_STREAM) !== 0).length;

let server: FrontDoorServer;
let handled: string[];
/** Runs when a call was refused for the first time. */
let atRefusal: () => void;
const clients: RawH2Client[] = [];

beforeEach(async () => {
  handled = [];
  atRefusal = () => undefined;
  const door: GrpcService = {
    name: 'test.Door',
    methods: {
      Serve: {
        kind: 'unary',
        handler: (request, _call, reply) => {
          handled.push('served');
          reply.send(request);
        },
      },
      Refuse: {
        kind: 'unary',
        handler: (_request, caller, reply) => {
          if (handled.push('refused') === 1) atRefusal();
          caller.giveWay();
          reply.fail(grpcStatus.RESOURCE_EXHAUSTED, 'too many');
        },
      },
    },
  };
  const log = (said: string, cause: unknown): void => {
    throw new Error(said, { cause });
  };
  server = new FrontDoorServer({
    port: 0,
    services: [door],
    clock: systemClock,
    log,
    mode: 'plaintext-only',
    stopMs: 200,
  });
  await server.start();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server.stop();
});

async function open(): Promise<RawH2Client> {
  const client = await RawH2Client.open(server.port);
  client.send(greeting);
  clients.push(client);
  return client;
}

// Goal: what it costs to refuse one caller does not come before what others ask.
// Method: others ask when the first call is refused, while hundreds lie in the same bytes behind it.
describe('a connection whose calls are refused for their number', () => {
  const noise = 300;

  it('gives way to another, and has all of its calls answered', async () => {
    const [noisy, quiet] = [await open(), await open()];
    atRefusal = () => quiet.send(call('Serve', 1));
    noisy.send(many('Refuse', 1, noise));
    await until(() => answersOf(noisy) === noise && answersOf(quiet) === 1);
    expect(handled.indexOf('served')).toBeLessThan(noise / 4);
  });

  it('gives way with all it sends for a while, and nothing is lost or answered twice', async () => {
    const noisy = await open();
    noisy.send(many('Refuse', 1, 5));
    for (let i = 0; i < 20; i += 1) noisy.send(many(i % 3 === 0 ? 'Serve' : 'Refuse', 11 + 20 * i, 10));
    await until(() => answersOf(noisy) === 205);
    expect(handled.filter((what) => what === 'served')).toHaveLength(70);
    const streams = noisy.frames.filter(({ type, flags }) => type === HEADERS && (flags & flag.END_STREAM) !== 0);
    expect(new Set(streams.map(({ streamId }) => streamId)).size).toBe(205);
  });

  it('may go while its bytes wait', async () => {
    const [noisy, quiet] = [await open(), await open()];
    atRefusal = () => noisy.close();
    noisy.send(many('Refuse', 1, noise));
    await until(() => handled.length > 0);
    quiet.send(call('Serve', 1));
    await until(() => answersOf(quiet) === 1);
    await until(() => server.counters.connectionsOpen === 1);
    expect(handled.length).toBeLessThan(noise);
  });

  it('is told what was wrong with frames behind those calls', async () => {
    const noisy = await open();
    noisy.send(Buffer.concat([many('Refuse', 1, 20), frame(frameType.WINDOW_UPDATE, 0, 0, Buffer.alloc(4))]));
    await noisy.seen(({ type }) => type === frameType.GOAWAY);
    expect(answersOf(noisy)).toBe(20);
  });
});

// Goal: what those who give way make the server keep is bounded, and nothing is lost where as many wait as may.
// Method: the queue is full of others whose turn never comes.
it('a connection is read at once where too many give way already', async () => {
  const noisy = await open();
  server.lastInTurn.join = () => false;
  noisy.send(many('Refuse', 1, 50));
  for (let i = 0; i < 5; i += 1) noisy.send(many('Refuse', 101 + 20 * i, 10));
  await until(() => answersOf(noisy) === 100);
  expect(handled).toHaveLength(100);
});

describe('LastInTurn', () => {
  it('takes no more than may wait, and others again when some have gone on', () => {
    const turns: (() => void)[] = [];
    const queue = new LastInTurn((act) => void turns.push(act));
    const member: GivingWay = { goOn: () => undefined };
    const joined = Array.from({ length: waitingMax + 10 }, () => queue.join(member));
    expect(joined.lastIndexOf(true)).toBe(waitingMax - 1);
    turns.shift()?.();
    expect(queue.join(member)).toBe(true);
  });

  it('lets a few go on in each turn, and everybody within sixteen', () => {
    const turns: (() => void)[] = [];
    const queue = new LastInTurn((act) => void turns.push(act));
    const went: number[] = [];
    const members = Array.from({ length: 100 }, (_, i): GivingWay => ({ goOn: () => void went.push(i) }));
    for (const member of members) queue.join(member);
    const perTurn: number[] = [];
    while (turns.length > 0) {
      const before = went.length;
      turns.shift()?.();
      perTurn.push(went.length - before);
    }
    expect(went).toEqual(members.map((_, i) => i));
    expect(Math.max(...perTurn)).toBe(7);
  });

  it('asks for one turn at a time, and takes who joins again meanwhile behind the others', () => {
    const turns: (() => void)[] = [];
    const queue = new LastInTurn((act) => void turns.push(act));
    const went: string[] = [];
    let again = 2;
    const back: GivingWay = {
      goOn: () => {
        went.push('back');
        if ((again -= 1) > 0) queue.join(back);
      },
    };
    queue.join(back);
    queue.join({ goOn: () => void went.push('other') });
    expect(turns).toHaveLength(1);
    while (turns.length > 0) turns.shift()?.();
    expect(went).toEqual(['back', 'other', 'back']);
  });
});
