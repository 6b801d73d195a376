/**
 * A gRPC client on a bare socket, as cheap as can be, so that on a small machine the server is what is measured: frames
 * are written into one buffer a turn and read straight from the socket's chunks. It keeps to the server's windows and
 * number of streams, and does not look into answer headers: a call that ends without a message has failed.
 */
import { connect, type Socket } from 'node:net';

import { type HeaderBlock, HeaderEncoder } from './header-block.js';

const type = { data: 0, headers: 1, rstStream: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8 } as const;
const frameHeadBytes = 9;
const frameBytesMax = 16_384;
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const ourWindowBytes = 2 ** 30;

/** One method with the headers of its calls. */
export interface Route {
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  /** What `authorization` says at a time, always as long; left out: the header is. */
  readonly authorizationAt?: ((dateTime: string) => string) | undefined;
}

/** Told of a call's answer: each message, then the end. `ok` is false where the call was broken off or refused. */
export interface Answer {
  message(bytes: Buffer): void;
  end(ok: boolean): void;
}

interface Stream {
  readonly answer: Answer;
  /** Bytes of a message that is not all there yet. */
  rest: Buffer | undefined;
  answered: boolean;
  /** What the server takes of the request. */
  window: number;
}

/** A request whose end has not been sent. */
interface Unsent {
  readonly id: number;
  readonly stream: Stream;
  readonly message: Buffer;
  from: number;
}

interface Parked {
  readonly route: Route;
  readonly message: Buffer;
  readonly answer: Answer;
}

const requestIdOf = (count: number): string => count.toString(16).padStart(36, '0');

export class H2Client {
  private readonly encoder = new HeaderEncoder();
  private readonly blocks = new Map<Route, HeaderBlock>();
  private readonly streams = new Map<number, Stream>();
  private parked: Parked[] = [];
  private unsent: Unsent[] = [];
  private nextStream = 1;
  private calls = 0;
  private sendWindow = 65_535;
  private streamWindow = 65_535;
  private streamsMax = 100;
  private owed = 0;
  private out = Buffer.allocUnsafe(256 * 1024);
  private outBytes = 0;
  private inHandler = false;
  private flushing = false;
  private rest: Buffer | undefined;
  private lost: Error | undefined;

  private constructor(
    private readonly socket: Socket,
    private readonly authority: string,
  ) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('the server closed the connection')));
    const settings = Buffer.from([0, 4, 0, 0, 0, 0]);
    settings.writeUInt32BE(ourWindowBytes, 2);
    this.put(preface);
    this.frame(type.settings, 0, 0, settings);
    this.window(ourWindowBytes - 65_535);
    this.flush();
  }

  static async open(port: number, host = '127.0.0.1'): Promise<H2Client> {
    const socket = connect({ port, host });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new H2Client(socket, `${host}:${port}`);
  }

  close(): void {
    this.lost ??= new Error('closed');
    this.socket.destroy();
  }

  /** @param message with gRPC's prefix; copied, so it may be reused at once */
  call(route: Route, message: Buffer, answer: Answer): void {
    if (this.lost) throw this.lost;
    if (this.parked.length > 0 || !this.hasRoom()) this.parked.push({ route, message: Buffer.from(message), answer });
    else this.begin(route, message, answer);
    if (!this.inHandler && !this.flushing) {
      this.flushing = true;
      queueMicrotask(() => {
        this.flushing = false;
        this.flush();
      });
    }
  }

  /** One call with one answer. */
  unary(route: Route, message: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let found: Buffer | undefined;
      this.call(route, message, {
        message: (bytes) => (found = Buffer.from(bytes)),
        end: (ok) => {
          if (ok && found) resolve(found);
          else reject(this.lost ?? new Error(`${route.path} was not answered with a message`));
        },
      });
    });
  }

  private hasRoom(): boolean {
    return this.streams.size < this.streamsMax && this.unsent.length === 0;
  }

  private begin(route: Route, message: Buffer, answer: Answer): void {
    const id = this.nextStream;
    this.nextStream += 2;
    const stream: Stream = { answer, rest: undefined, answered: false, window: this.streamWindow };
    this.streams.set(id, stream);
    this.frame(type.headers, flag.endHeaders, id, this.headersOf(route));
    const from = this.sendSome(id, stream, message, 0);
    if (from < message.length) this.unsent.push({ id, stream, message: Buffer.from(message), from });
  }

  /** As much of the message as the windows allow. Answers where it stopped. */
  private sendSome(id: number, stream: Stream, message: Buffer, from: number): number {
    let at = from;
    while (at < message.length) {
      const count = Math.min(message.length - at, this.sendWindow, stream.window, frameBytesMax);
      if (count <= 0) break;
      const end = at + count;
      this.frame(type.data, end === message.length ? flag.endStream : 0, id, message.subarray(at, end));
      this.sendWindow -= count;
      stream.window -= count;
      at = end;
    }
    return at;
  }

  private headersOf(route: Route): Buffer {
    this.calls += 1;
    const now = dateTime();
    let block = this.blocks.get(route);
    if (block?.version !== this.encoder.version) {
      block = this.encoder.encode(
        [
          [':method', 'POST'],
          [':scheme', 'http'],
          [':path', route.path],
          [':authority', this.authority],
          ['content-type', 'application/grpc'],
          ['te', 'trailers'],
          ...route.headers,
        ],
        [
          ['x-mq-date-time', now],
          ['x-mq-request-id', requestIdOf(this.calls)],
          ...(route.authorizationAt ? ([['authorization', route.authorizationAt(now)]] as const) : []),
        ],
      );
      if (block.repeatable) this.blocks.set(route, block);
    } else {
      block.bytes.write(now, block.holes.get('x-mq-date-time') ?? 0, 'latin1');
      block.bytes.write(requestIdOf(this.calls), block.holes.get('x-mq-request-id') ?? 0, 'latin1');
      if (route.authorizationAt) {
        block.bytes.write(route.authorizationAt(now), block.holes.get('authorization') ?? 0, 'latin1');
      }
    }
    return block.bytes;
  }

  private frame(kind: number, flags: number, stream: number, payload: Uint8Array): void {
    this.reserve(frameHeadBytes + payload.length);
    const at = this.outBytes;
    this.out.writeUIntBE(payload.length, at, 3);
    this.out[at + 3] = kind;
    this.out[at + 4] = flags;
    this.out.writeUInt32BE(stream, at + 5);
    this.out.set(payload, at + frameHeadBytes);
    this.outBytes += frameHeadBytes + payload.length;
  }

  private put(bytes: Buffer): void {
    this.reserve(bytes.length);
    this.out.set(bytes, this.outBytes);
    this.outBytes += bytes.length;
  }

  private reserve(bytes: number): void {
    if (this.outBytes + bytes <= this.out.length) return;
    this.flush();
    if (bytes > this.out.length) this.out = Buffer.allocUnsafe(bytes);
  }

  private flush(): void {
    if (this.outBytes === 0 || this.socket.destroyed) return;
    this.socket.write(this.out.subarray(0, this.outBytes));
    this.out = this.out.subarray(this.outBytes); // What was given to the socket is the socket's.
    if (this.out.length < 32 * 1024) this.out = Buffer.allocUnsafe(256 * 1024);
    this.outBytes = 0;
  }

  private window(bytes: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(bytes, 0);
    this.frame(type.windowUpdate, 0, 0, payload);
  }

  private take(chunk: Buffer): void {
    this.inHandler = true;
    const bytes = this.rest ? Buffer.concat([this.rest, chunk]) : chunk;
    let at = 0;
    while (bytes.length - at >= frameHeadBytes) {
      const length = bytes.readUIntBE(at, 3);
      const end = at + frameHeadBytes + length;
      if (end > bytes.length) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
      this.took(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, stream, bytes.subarray(at + frameHeadBytes, end));
      at = end;
    }
    this.rest = at < bytes.length ? bytes.subarray(at) : undefined;
    this.unpark();
    this.inHandler = false;
    this.flush();
  }

  private took(kind: number, flags: number, stream: number, payload: Buffer): void {
    switch (kind) {
      case type.data:
        this.tookData(stream, (flags & flag.padded) !== 0 ? unpadded(payload) : payload, payload.length);
        if ((flags & flag.endStream) !== 0) this.ended(stream, true);
        return;
      case type.headers:
        if ((flags & flag.endStream) !== 0) this.ended(stream, true);
        return;
      case type.rstStream:
        this.ended(stream, false);
        return;
      case type.settings:
        if ((flags & flag.ack) === 0) this.tookSettings(payload);
        return;
      case type.ping:
        if ((flags & flag.ack) === 0) this.frame(type.ping, flag.ack, 0, payload);
        return;
      case type.windowUpdate:
        this.widen(stream, payload.readUInt32BE(0));
        return;
      case type.goAway:
        this.fail(new Error(`the server said goodbye: ${payload.subarray(8).toString('latin1')}`));
        return;
      default:
    }
  }

  private widen(id: number, bytes: number): void {
    if (id === 0) this.sendWindow += bytes;
    else {
      const stream = this.streams.get(id);
      if (stream) stream.window += bytes;
    }
  }

  private tookSettings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const id = payload.readUInt16BE(at);
      const value = payload.readUInt32BE(at + 2);
      if (id === 3) this.streamsMax = value;
      if (id === 4) {
        for (const stream of this.streams.values()) stream.window += value - this.streamWindow;
        this.streamWindow = value;
      }
    }
    this.frame(type.settings, flag.ack, 0, Buffer.alloc(0));
  }

  private tookData(id: number, payload: Buffer, counted: number): void {
    this.owed += counted;
    if (this.owed > ourWindowBytes / 2) {
      this.window(this.owed);
      this.owed = 0;
    }
    const stream = this.streams.get(id);
    if (!stream) return;
    const bytes = stream.rest ? Buffer.concat([stream.rest, payload]) : payload;
    let at = 0;
    while (bytes.length - at >= 5) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      stream.answered = true;
      stream.answer.message(bytes.subarray(at + 5, end));
      at = end;
    }
    stream.rest = at < bytes.length ? bytes.subarray(at) : undefined;
  }

  private ended(id: number, ok: boolean): void {
    const stream = this.streams.get(id);
    if (!stream) return;
    this.streams.delete(id);
    stream.answer.end(ok && stream.answered);
  }

  /** Sends on what waited for room. */
  private unpark(): void {
    if (this.unsent.length > 0) {
      for (const each of this.unsent) each.from = this.sendSome(each.id, each.stream, each.message, each.from);
      this.unsent = this.unsent.filter(({ from, message }) => from < message.length);
    }
    while (this.parked.length > 0 && this.hasRoom()) {
      const next = this.parked.shift() as Parked;
      this.begin(next.route, next.message, next.answer);
    }
  }

  private fail(error: Error): void {
    if (this.lost) return;
    this.lost = error;
    const open = [...this.streams.values()];
    const waiting = this.parked;
    this.streams.clear();
    this.parked = [];
    this.unsent = [];
    for (const { answer } of open) answer.end(false);
    for (const { answer } of waiting) answer.end(false);
  }
}

function unpadded(payload: Buffer): Buffer {
  return payload.subarray(1, payload.length - (payload[0] ?? 0));
}

let saidMs = 0;
let said = '';
/** As the official clients say it: 20261125T205245Z. */
function dateTime(): string {
  const nowMs = Date.now();
  if (nowMs - saidMs >= 1000) {
    saidMs = nowMs;
    said = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '');
  }
  return said;
}
