// Goal: no caller of a port that speaks HTTP/1 costs more than its place, and none takes another's. Method: sockets that say
// exactly what they are told to, from two addresses of the loopback, and a clock that is moved by hand where time decides.
import { createConnection, type Socket } from 'node:net';

import { placesBeyond, SocketPlaces, systemClock } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { HttpListener, type HttpListenerOptions } from './http-listener.js';

const [attacker, honest] = ['127.0.0.3', '127.0.0.2'];
const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function listener(options: Partial<HttpListenerOptions> = {}): Promise<HttpListener> {
  const made = new HttpListener({
    what: 'a spec',
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    answer: (_request, response) => response.end('well'),
    ...options,
  });
  await made.start();
  open.push(() => {
    const closed = made.close();
    made.cut();
    return closed;
  });
  return made;
}

interface Caller {
  readonly socket: Socket;
  said: string;
  /** Resolves when the connection is over, or something has been heard that holds `text`. */
  hears(text: string): Promise<string>;
  readonly over: Promise<string>;
}

async function call({ port }: HttpListener, from: string, first = ''): Promise<Caller> {
  const socket = createConnection({ port, host: '127.0.0.1', localAddress: from, allowHalfOpen: true });
  open.push(() => socket.destroy());
  const heard: (() => void)[] = [];
  const over = new Promise<string>((resolve) => socket.once('close', () => resolve(caller.said)));
  const caller: Caller = {
    socket,
    said: '',
    over,
    hears: (text) => {
      const told = new Promise<string>((resolve) => {
        const look = (): void => {
          if (caller.said.includes(text)) resolve(caller.said);
        };
        heard.push(look);
        look();
      });
      return Promise.race([told, over]);
    },
  };
  socket.on('error', () => undefined);
  socket.on('end', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    caller.said += chunk.toString('latin1');
    for (const look of heard) look();
  });
  await new Promise((resolve) => socket.once('connect', resolve));
  if (first !== '') socket.write(first);
  return caller;
}

it('gives so many places to one address, and the others to others', async () => {
  const port = await listener({ connections: { connectionsMax: 6, addressConnectionsMax: 4 } });
  const callers: Caller[] = [];
  for (let i = 0; i < 4; i += 1) {
    callers.push(await call(port, attacker, get));
    expect(await callers[i]?.hears('well')).toContain('200 OK');
  }
  expect(await (await call(port, attacker, get)).over).toBe('');
  expect(await (await call(port, honest, get)).hears('well')).toContain('200 OK');
  // Whoever goes leaves the place to another.
  callers[0]?.socket.destroy();
  let said = '';
  while (!said.includes('well')) said = await (await call(port, attacker, get)).hears('well');
});

it('takes a place from the address that has the most when none is left, one that is idle first', async () => {
  const answers: (() => void)[] = [];
  const port = await listener({
    connections: { connectionsMax: 4, addressConnectionsMax: 4 },
    answer: (request, response) => {
      if (request.url === '/slow') answers.push(() => response.end('late'));
      else response.end('well');
    },
  });
  const idle = await call(port, attacker, get);
  await idle.hears('well');
  const busy: Caller[] = [];
  for (let i = 0; i < 3; i += 1) busy.push(await call(port, attacker, get.replace('/ ', '/slow ')));
  while (answers.length < 3) await new Promise((resolve) => setImmediate(resolve));
  expect(await (await call(port, honest, get)).hears('well')).toContain('200 OK');
  expect(await idle.over).toContain('200 OK');
  for (const answer of answers) answer();
  for (const each of busy) expect(await each.hears('late')).toContain('200 OK');
});

it('keeps few places beyond those of the process, and gives one back for each caller that goes', async () => {
  const places = new SocketPlaces(4);
  for (let i = 0; i < 4 + placesBeyond - 2; i += 1) places.take(); // By other ports.
  const port = await listener({ places });
  const callers: Caller[] = [];
  for (let i = 0; i < 2; i += 1) {
    callers.push(await call(port, attacker, get));
    expect(await callers[i]?.hears('well')).toContain('200 OK');
  }
  expect(await (await call(port, attacker, get)).over).toBe('');
  for (const each of callers) each.socket.destroy();
  let said = '';
  while (!said.includes('well')) said = await (await call(port, attacker, get)).hears('well');
});

it('closes who does not say in time what is wanted: nothing, half of the headers, half of a body', async () => {
  const port = await listener({ times: { headersMs: 200, requestMs: 400, keepAliveMs: 200 } });
  const half = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf';
  const callers = await Promise.all(['', 'GET / HT', half, get].map((first) => call(port, attacker, first)));
  for (const caller of callers) await caller.over;
});

it('closes who leaves an answer unread', async () => {
  const clock = new ManualClock();
  let queued = 0;
  const port = await listener({
    clock,
    answer: (request, response) => {
      response.end(Buffer.alloc(64 * 1024 * 1024));
      queued = request.socket.writableLength;
      request.socket.once('close', () => (queued = 0));
    },
  });
  const caller = await call(port, attacker);
  caller.socket.pause();
  caller.socket.write(get);
  while (queued === 0) await new Promise((resolve) => setImmediate(resolve));
  while (queued > 0) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
});

it('leaves alone who takes an answer slowly, however much is always waiting', async () => {
  const clock = new ManualClock();
  const piece = Buffer.alloc(64 * 1024);
  const port = await listener({
    ...{ clock, times: { stalledMs: 5_000 } },
    answer: (_request, response) => {
      response.on('drain', () => response.write(piece));
      while (response.write(piece));
    },
  });
  const caller = await call(port, attacker);
  let isOver = false;
  void caller.over.then(() => (isOver = true));
  caller.socket.write(get);
  for (let i = 0; i < 20; i += 1) {
    caller.said = '';
    caller.socket.resume();
    while (!isOver && caller.said.length < 8 * 1024 * 1024) await new Promise((resolve) => setImmediate(resolve));
    caller.socket.pause();
    clock.advance(1_000);
  }
  expect(isOver).toBe(false);
});

it('ends a connection that has too many requests at once, and no other', async () => {
  let begun = 0;
  const port = await listener({ answer: () => (begun += 1) });
  const many = await call(port, attacker, get.repeat(2_000));
  await many.over;
  expect(begun).toBe(8);
});

it.each([
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'],
  ['headers without end', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(10_000)}`],
  ['a path without end', `GET /${'a'.repeat(100_000)}`],
  ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n'],
])('ends a connection that speaks %s, and serves the next', async (_what, bytes) => {
  const port = await listener();
  expect(await (await call(port, attacker, bytes)).over).not.toContain('200 OK');
  expect(await (await call(port, attacker, get)).hears('well')).toContain('200 OK');
});

it('answers 500 where the answer throws', async () => {
  const port = await listener({
    answer: () => {
      throw new Error('planted');
    },
  });
  const said = await (await call(port, honest, get)).hears('\r\n\r\n');
  expect(said).toContain('500');
  expect(said).not.toContain('planted');
});
