/** Who opens connections to hurt: each attack goes on, with one connection after another or many at once, until it is told to stop. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as rest } from 'node:timers/promises';

import { flag, frame, frameType, greeting, grpcMessage, headersFrame, requestHeaders } from '@cometmq/rpc/testing';
import { Prng } from '@cometmq/shared';

export interface Attacked {
  readonly grpc: number;
  /** Ports that speak HTTP/1. */
  readonly http: readonly number[];
}

type Attack = (ports: Attacked, stop: AbortSignal, chance: Prng) => Promise<void>;

const service = '/apache.rocketmq.v2.MessagingService';
const headersOf = (method: string): Buffer =>
  requestHeaders(`${service}/${method}`, {
    'x-mq-client-id': 'attacker',
    'x-mq-language': 'JAVA',
    'x-mq-protocol': 'v2',
  });
const times = (count: number, of: (i: number) => Uint8Array): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => of(i)));
const streamId = (i: number): number => 2 * i + 1;

async function open(port: number, reads = true): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined); // It is cut: that is what we are here for.
  if (reads) socket.resume();
  else socket.pause();
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
  return socket;
}

/** On a new connection again and again: what is sent comes in parts, between which the others have their turn. */
function again(parts: readonly (() => Buffer)[], port: (ports: Attacked) => number, reads = true): Attack {
  return async (ports, stop) => {
    while (!stop.aborted) {
      const socket = await open(port(ports), reads);
      for (const part of parts) {
        if (socket.destroyed || stop.aborted) break;
        socket.write(part());
        await rest(10); // Else this process has no turn left for those who work in it.
      }
      socket.destroy();
      await rest(20);
    }
  };
}

/** So many connections at once, left open as long as they are let. */
function held(count: number, words: () => Buffer, port: (ports: Attacked) => number, reads = true): Attack {
  return async (ports, stop) => {
    const sockets = new Set<Socket>();
    while (!stop.aborted) {
      if (sockets.size < count) {
        const socket = await open(port(ports), reads);
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        socket.write(words());
      }
      await rest(sockets.size < count ? 1 : 50);
    }
    for (const socket of sockets) socket.destroy();
  };
}

const grpc = ({ grpc: port }: Attacked): number => port;
const http = ({ http: [port] }: Attacked): number => port as number;
const repeated = (count: number, part: () => Buffer): (() => Buffer)[] => Array.from({ length: count }, () => part);

/** A literal that goes into the table, then as many references to it as a frame holds. */
const bomb = Buffer.concat([
  Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e]),
  Buffer.alloc(4_000, 0x79),
  Buffer.alloc(11_000, 0xbe),
]);
const resource = (name: string): Buffer => Buffer.concat([Buffer.from([0x12, name.length]), Buffer.from(name)]);
const field = (number: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([8 * number + 2, bytes.length]), bytes]);
const pull = (topic: string): Buffer =>
  grpcMessage(
    Buffer.concat([
      field(1, resource('attackers')),
      field(2, Buffer.concat([field(1, resource(topic)), Buffer.from([0x18, 3])])),
      Buffer.from([0x20, 32]),
    ]),
  );
const noWindow = frame(frameType.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));
const oneByte = frame(frameType.DATA, 0, 1, Buffer.from('a'));
const lie = Buffer.from([0, 0, 0x0f, 0x42, 0x40]);

/** @param topic with large messages in it, for those who ask for them and do not read */
export function attacksOn(topic: string): Readonly<Record<string, Attack>> {
  const reset = (i: number): Buffer =>
    Buffer.concat([
      headersFrame(streamId(i), headersOf('ReceiveMessage')),
      frame(frameType.RST_STREAM, 0, streamId(i), Buffer.from([0, 0, 0, 8])),
    ]);
  const unreadPull = (i: number): Buffer =>
    Buffer.concat([
      headersFrame(streamId(i), headersOf('PullMessage')),
      frame(frameType.DATA, flag.END_STREAM, streamId(i), pull(topic)),
    ]);
  return {
    garbage: async (ports, stop, chance) => {
      const all = [ports.grpc, ...ports.http];
      while (!stop.aborted) {
        const socket = await open(chance.pick(all));
        socket.write(times(1 + chance.below(2_000), () => Buffer.from([chance.below(256)])));
        await rest(20);
        socket.destroy();
      }
    },
    'rapid resets': again([() => greeting, () => times(2_000, reset)], grpc),
    'header bombs': again(
      [
        () => greeting,
        () => times(20, (i) => headersFrame(streamId(i), Buffer.concat([headersOf('QueryRoute'), bomb]))),
      ],
      grpc,
    ),
    continuations: again(
      [
        () => Buffer.concat([greeting, headersFrame(1, headersOf('QueryRoute'), 0)]),
        ...repeated(50, () => times(50, () => frame(frameType.CONTINUATION, 0, 1, Buffer.alloc(0)))),
      ],
      grpc,
    ),
    'pings that nobody reads': again(
      [() => greeting, ...repeated(50, () => times(200, () => frame(frameType.PING, 0, 0, Buffer.alloc(8))))],
      grpc,
      false,
    ),
    'a message byte by byte': again(
      [
        () => Buffer.concat([greeting, headersFrame(1, headersOf('SendMessage')), frame(frameType.DATA, 0, 1, lie)]),
        ...repeated(50, () => times(200, () => oneByte)),
      ],
      grpc,
    ),
    'pulls that nobody reads': held(50, () => Buffer.concat([greeting, noWindow, times(50, unreadPull)]), grpc, false),
    'idle streams': held(
      300,
      () => Buffer.concat([greeting, times(50, (i) => headersFrame(streamId(i), headersOf('Telemetry')))]),
      grpc,
    ),
    'endless heads': again(
      [
        () => Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n'),
        ...repeated(50, () => Buffer.from(`X: ${'a'.repeat(8_000)}\r\n`)),
      ],
      http,
    ),
    'bodies that do not end': held(
      100,
      () =>
        Buffer.from(
          'POST /api/v1/topics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n{',
        ),
      http,
    ),
  };
}

/** All at once, until `work` is done. Answers what it answers. */
export async function during<T>(
  attacks: Readonly<Record<string, Attack>>,
  ports: Attacked,
  work: Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const done = work.finally(() => over.abort());
  await Promise.all(Object.values(attacks).map((attack, i) => attack(ports, over.signal, new Prng(i + 1))));
  return done;
}
