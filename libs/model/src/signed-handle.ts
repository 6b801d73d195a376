import { timingSafeEqual } from 'node:crypto';

import { HmacSha256 } from './hmac-sha256.js';

const macBytes = 12;
/** None of ours is longer: what is need not be hashed to be refused. */
const handleBytesMax = 1024;

/**
 * What clients are given to bring back: bytes that only this cluster can have made. A handle is base64url of the bytes
 * and their MAC, an HMAC-SHA256 cut to 96 bits under the cluster's secret.
 */
export class HandleSigner {
  private readonly hmac: HmacSha256;
  private readonly expected = Buffer.alloc(macBytes);

  constructor(secret: Uint8Array) {
    this.hmac = new HmacSha256(secret);
  }

  /** Bytes to be filled and sealed, with room for the MAC behind them. */
  room(bytes: number): Buffer {
    return Buffer.allocUnsafe(bytes + macBytes);
  }

  /** @param bytes from `room`, filled */
  seal(bytes: Buffer): string {
    const signed = bytes.length - macBytes;
    this.hmac.write(bytes, 0, signed, bytes, signed, macBytes);
    return bytes.toString('base64url');
  }

  /** What was sealed; undefined for anything this cluster did not make. */
  open(handle: string): Buffer | undefined {
    const bytes = Buffer.from(handle, 'base64url');
    const signed = bytes.length - macBytes;
    if (signed <= 0 || bytes.length > handleBytesMax) return undefined;
    this.hmac.write(bytes, 0, signed, this.expected, 0, macBytes);
    return timingSafeEqual(this.expected, bytes.subarray(signed)) ? bytes.subarray(0, signed) : undefined;
  }
}

export function writeU53(out: Buffer, value: number, at: number): void {
  out.writeUInt32LE(value % 2 ** 32, at);
  out.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

export function readU53(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readUInt32LE(at + 4) * 2 ** 32;
}
