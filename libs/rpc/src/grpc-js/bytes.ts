/** Messages are bytes to us: grpc-js shall neither encode nor decode them. */
import type { MessageBytes } from '../grpc-server.js';

export const asIs = (bytes: Buffer): Buffer => bytes;

/**
 * As grpc-js wants it. It puts five bytes in front of each message, and copies it behind them: chunks are joined by that
 * very copy, by a thing that has of a Buffer what grpc-js asks of one. A spec fails when it asks for more.
 */
export function wholeMessage(message: MessageBytes): Buffer {
  if (message instanceof Uint8Array) return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const [only] = message;
  if (message.length === 1 && only) return wholeMessage(only);
  return new Chunks(message) as unknown as Buffer;
}

class Chunks {
  readonly byteLength: number;

  constructor(private readonly chunks: readonly Uint8Array[]) {
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.byteLength;
    this.byteLength = bytes;
  }

  get length(): number {
    return this.byteLength;
  }

  copy(target: Uint8Array, targetAt = 0): number {
    let at = targetAt;
    for (const chunk of this.chunks) {
      target.set(chunk, at);
      at += chunk.byteLength;
    }
    return at - targetAt;
  }
}
