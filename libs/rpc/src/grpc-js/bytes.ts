/** Messages are bytes to us: grpc-js shall neither encode nor decode them. It wants each one whole. */
import type { MessageBytes } from '../grpc-server.js';

export const asIs = (bytes: Buffer): Buffer => bytes;

export function wholeMessage(message: MessageBytes): Buffer {
  if (message instanceof Uint8Array) return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  return Buffer.concat(message);
}
