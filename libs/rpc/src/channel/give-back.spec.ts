// Goal: large messages whose bytes are given back cost no memory each, and nobody's bytes change who still has them. Method: a
// stream of them, of many sizes; some are given back at once, some too late, and some not at all.
import { Prng, systemClock as clock } from '@cometmq/shared';

import { FrontDoorServer } from '../front-door/front-door-server.js';
import type { MessageSink, ServerStreamHandler } from '../grpc-server.js';
import { until } from '../testing/until.js';
import { Http2Channel } from './http2-channel.js';

const count = 100;

async function stream(heard: (message: Uint8Array, giveBack: (bytes: Uint8Array) => void) => void): Promise<void> {
  let out: MessageSink | undefined;
  const handler: ServerStreamHandler = (_request, _call, sink) => void (out = sink);
  const methods = { Get: { kind: 'serverStream', handler, requestBytesMax: 100 } } as const;
  const server = new FrontDoorServer({
    ...{ host: '127.0.0.1', port: 0, clock, log: () => undefined, stopMs: 100 },
    services: [{ name: 'test.Large', methods }],
  });
  await server.start();
  const channel = new Http2Channel({ address: `127.0.0.1:${server.port}`, clock });
  try {
    let got = 0;
    const incoming = channel.serverStream('/test.Large/Get', Buffer.alloc(1));
    incoming.onMessage((message) => {
      got += 1;
      heard(message, (bytes) => incoming.giveBack(bytes));
    });
    await until(() => out !== undefined);
    const chance = new Prng(1);
    for (let i = 0; i < count; i += 1) out?.write(Buffer.alloc(3_000 + chance.below(120_000), i));
    await until(() => got === count);
  } finally {
    channel.close();
    await server.stop();
  }
}

const isAll = (message: Uint8Array, byte: number): boolean => message.every((each) => each === byte);

it('messages that are given back come in the same memory', async () => {
  const memory = new Set<ArrayBufferLike>();
  let n = 0;
  await stream((message, giveBack) => {
    expect(isAll(message, n)).toBe(true);
    n += 1;
    memory.add(message.buffer);
    giveBack(message.subarray(10)); // A part of it will do.
  });
  expect(memory.size).toBeLessThan(10);
});

it('what was not given back stays as it was, also where another message is given back instead', async () => {
  const kept: { readonly message: Uint8Array; readonly byte: number }[] = [];
  let n = 0;
  await stream((message, giveBack) => {
    expect(isAll(message, n)).toBe(true);
    if (n % 3 === 0) giveBack(message);
    else {
      kept.push({ message, byte: n });
      giveBack(new Uint8Array(1_000));
      const before = kept.at(-2);
      if (before) giveBack(before.message); // Too late.
    }
    n += 1;
  });
  for (const { message, byte } of kept) expect(isAll(message, byte)).toBe(true);
  expect(kept.length).toBeGreaterThan(count / 2);
});
