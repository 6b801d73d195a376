// Goal: bytes that are only lent for a write arrive as they were when it was called. Method: they are changed right behind each
// write, while far more is written than windows and socket take at once, and while they take all.
import { systemClock as clock } from '@cometmq/shared';

import { Http2Channel } from '../channel/http2-channel.js';
import type { MessageSink, ServerStreamHandler } from '../grpc-server.js';
import { until } from '../testing/until.js';
import { FrontDoorServer } from './front-door-server.js';

const messages = 40;
const bytes = 300 * 1_024;

it.each([
  ['one at a time, which windows and socket have room for', true],
  ['all at once, so that most of them wait', false],
])('are copied, %s', async (_how, patiently) => {
  let out: MessageSink | undefined;
  const handler: ServerStreamHandler = (_request, _call, sink) => void (out = sink);
  const methods = { Get: { kind: 'serverStream', handler, requestBytesMax: 100 } } as const;
  const server = new FrontDoorServer({
    ...{ host: '127.0.0.1', port: 0, clock, log: () => undefined, stopMs: 100 },
    services: [{ name: 'test.Lent', methods }],
  });
  await server.start();
  const channel = new Http2Channel({ address: `127.0.0.1:${server.port}`, clock });
  try {
    const heard: Uint8Array[] = [];
    const stream = channel.serverStream('/test.Lent/Get', Buffer.alloc(1));
    stream.onMessage((message) => heard.push(message));
    await until(() => out !== undefined);
    const [head, body] = [Buffer.alloc(3), Buffer.alloc(bytes)];
    let waited = false;
    for (let i = 1; i <= messages; i += 1) {
      head.fill(i);
      body.fill(i);
      if (out?.write([head, body], true) === false) waited = true;
      head.fill(255);
      body.fill(255);
      if (patiently) await until(() => heard.length === i);
    }
    expect(waited).toBe(!patiently);
    await until(() => heard.length === messages);
    for (const [i, message] of heard.entries()) {
      expect(Buffer.from(message).equals(Buffer.alloc(3 + bytes, i + 1))).toBe(true);
    }
  } finally {
    channel.close();
    await server.stop();
  }
});
