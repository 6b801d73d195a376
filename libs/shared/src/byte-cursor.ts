import { assert } from './errors.js';
import { asBuffer } from './protobuf/wire-reader.js';

/**
 * Payloads and pieces, written and read front to back. Whole numbers are varints: seven bits a byte, low bits first, the
 * top bit says that more follow; up to 2^53. Signed ones are zigzagged. Everything else is little-endian.
 */
export class ByteWriter {
  private out = Buffer.allocUnsafe(4096);
  private at = 0;

  /** Begins anew; what was written is forgotten. */
  begin(): this {
    this.at = 0;
    return this;
  }

  /** A copy of what was written. */
  taken(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.out, 0, this.at);
  }

  u8(value: number): void {
    this.room(1);
    this.out[this.at++] = value;
  }

  u32(value: number): void {
    this.room(4);
    this.at = this.out.writeUInt32LE(value >>> 0, this.at);
  }

  f64(value: number): void {
    this.room(8);
    this.at = this.out.writeDoubleLE(value, this.at);
  }

  whole(value: number): void {
    this.room(8);
    let rest = value;
    while (rest > 0x7fff_ffff) {
      this.out[this.at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    let small = rest | 0;
    while (small > 0x7f) {
      this.out[this.at++] = (small & 0x7f) | 0x80;
      small >>>= 7;
    }
    this.out[this.at++] = small;
  }

  signed(value: number): void {
    this.whole(value < 0 ? -2 * value - 1 : 2 * value);
  }

  text(value: string): void {
    const size = Buffer.byteLength(value, 'utf8');
    this.whole(size);
    this.room(size);
    this.at += this.out.write(value, this.at, size, 'utf8');
  }

  /** With its length before it. */
  bytes(value: Uint8Array): void {
    this.whole(value.length);
    this.room(value.length);
    this.out.set(value, this.at);
    this.at += value.length;
  }

  private room(size: number): void {
    if (this.at + size <= this.out.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.out.length, this.at + size));
    larger.set(this.out.subarray(0, this.at));
    this.out = larger;
  }
}

export class ByteReader {
  private readonly from: Buffer;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.from = asBuffer(bytes);
  }

  u8(): number {
    assert(this.at < this.from.length, 'a payload is as long as it says');
    return this.from[this.at++] as number;
  }

  u32(): number {
    this.at += 4;
    return this.from.readUInt32LE(this.at - 4);
  }

  f64(): number {
    this.at += 8;
    return this.from.readDoubleLE(this.at - 8);
  }

  whole(): number {
    let byte = this.u8();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let unit = 128;
    do {
      byte = this.u8();
      value += (byte & 0x7f) * unit;
      unit *= 128;
    } while (byte >= 0x80);
    return value;
  }

  signed(): number {
    const value = this.whole();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  text(): string {
    const size = this.whole();
    assert(this.at + size <= this.from.length, 'a payload is as long as it says');
    this.at += size;
    return this.from.toString('utf8', this.at - size, this.at);
  }

  /** As `ByteWriter.bytes` wrote it. A view. */
  bytes(): Uint8Array {
    const size = this.whole();
    assert(this.at + size <= this.from.length, 'a payload is as long as it says');
    this.at += size;
    return this.from.subarray(this.at - size, this.at);
  }

  get isAtEnd(): boolean {
    return this.at >= this.from.length;
  }
}
