/** A client that says exactly the frames it is told to, proper or not, and notes what comes back. For specs. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { flag, frameType, preface } from '../http2/constants.js';
import { encodeHeaders } from './hpack-encoder.js';

export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([head, payload]);
}

/** Preface and empty SETTINGS. */
export const greeting = Buffer.concat([preface, frame(frameType.SETTINGS, 0, 0)]);

/** A message behind gRPC's prefix. */
export function grpcMessage(body: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

export function requestHeaders(path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  return encodeHeaders({
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...more,
  });
}

export function headersFrame(streamId: number, block: Uint8Array, flags: number = flag.END_HEADERS): Buffer {
  return frame(frameType.HEADERS, flags, streamId, block);
}

export class RawH2Client {
  readonly frames: SeenFrame[] = [];
  /** All bytes, for answers that are not HTTP/2. */
  text = '';
  ended = false;
  private rest: Buffer = Buffer.alloc(0);
  private wake: (() => void)[] = [];

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
      this.tell();
    });
  }

  /** `from`: the address to call from, where the machine has several, as of the loopback. */
  static async open(
    port: number,
    options: { readonly tls?: boolean; readonly from?: string } = {},
  ): Promise<RawH2Client> {
    const to = { port, host: '127.0.0.1', ...(options.from !== undefined && { localAddress: options.from }) };
    const socket =
      options.tls === true ? connectTls({ ...to, rejectUnauthorized: false, ALPNProtocols: ['h2'] }) : connect(to);
    const client = new RawH2Client(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once(options.tls === true ? 'secureConnect' : 'connect', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  send(...parts: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts));
  }

  /** Resolves with the first frame that fits, past or to come; rejects when the connection closes without one. */
  async seen(fits: (frame: SeenFrame) => boolean): Promise<SeenFrame> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found) return found;
      if (this.ended) throw new Error('the connection closed without such a frame');
      await new Promise<void>((resolve) => this.wake.push(resolve));
    }
  }

  async closed(): Promise<void> {
    while (!this.ended) await new Promise<void>((resolve) => this.wake.push(resolve));
  }

  /** The error code of the GOAWAY that came, or undefined if none did. */
  get goAwayCode(): number | undefined {
    return this.frames.find((each) => each.type === frameType.GOAWAY)?.payload.readUInt32BE(4);
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    if (this.text.length < 4_096) this.text += chunk.toString('latin1');
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    while (this.rest.length >= 9) {
      const length = this.rest.readUIntBE(0, 3);
      if (this.rest.length < 9 + length) break;
      this.frames.push({
        type: this.rest[3] ?? 0,
        flags: this.rest[4] ?? 0,
        streamId: this.rest.readUInt32BE(5),
        payload: this.rest.subarray(9, 9 + length),
      });
      this.rest = this.rest.subarray(9 + length);
    }
    this.tell();
  }

  private tell(): void {
    const wake = this.wake;
    this.wake = [];
    for (const act of wake) act();
  }
}
