/**
 * HMAC-SHA256 (RFC 2104) for messages of up to a few hundred bytes, several a microsecond: two one-shot hashes over
 * buffers in which the key's pads stand already. A `createHmac` for each costs fifteen times as much, most of it for
 * finding out what kind of key it was given.
 */
import { hash } from 'node:crypto';

const blockBytes = 64;
const digestBytes = 32;

export class HmacSha256 {
  /** key ⊕ 0x36… | message */
  private inner: Buffer;
  /** key ⊕ 0x5c… | digest of the inner */
  private readonly outer = Buffer.alloc(blockBytes + digestBytes, 0x5c);

  constructor(secret: Uint8Array) {
    const key = secret.length > blockBytes ? hash('sha256', secret, 'buffer') : secret;
    this.inner = Buffer.alloc(2 * blockBytes, 0x36);
    for (let i = 0; i < key.length; i += 1) {
      const byte = key[i] ?? 0;
      this.inner[i] = byte ^ 0x36;
      this.outer[i] = byte ^ 0x5c;
    }
  }

  /** Writes the first `bytes` (up to 32) of the MAC of `message[from, to)` into `out` at `at`. */
  write(message: Buffer, from: number, to: number, out: Buffer, at: number, bytes: number): void {
    const length = blockBytes + to - from;
    if (length > this.inner.length) this.inner = Buffer.concat([this.inner.subarray(0, blockBytes)], 2 * length);
    message.copy(this.inner, blockBytes, from, to);
    // As a latin1 text a digest costs a third of what a buffer of its own does.
    this.outer.write(hash('sha256', this.inner.subarray(0, length), 'binary'), blockBytes, 'latin1');
    out.write(hash('sha256', this.outer, 'binary'), at, bytes, 'latin1');
  }
}
