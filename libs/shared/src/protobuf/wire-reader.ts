/**
 * A walk over encoded protobuf that builds nothing: the hot calls look at fields where they stand.
 *
 * Malformed input of any kind (a length past the end, a varint without end, field number 0, groups) throws
 * `Malformed`, and nothing else does. Wire format: https://protobuf.dev/programming-guides/encoding/
 */
import { isUtf8 } from 'node:buffer';

export class Malformed extends Error {}

/** Well-formed as far as it was read, but with more fields than the reader was told to take. */
export class TooManyWireFields extends Malformed {}

const unbounded = 2 ** 30 - 1;

export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

export class WireReader {
  /** Field number of the field at hand, set by `next`. */
  field = 0;
  /** Wire type of the field at hand. */
  type = 0;
  /** Fields that may still be read, those of embedded messages too. */
  private fieldsLeft = unbounded;
  private fieldsMax = unbounded;

  constructor(
    public bytes: Buffer,
    public at: number,
    public end: number,
  ) {}

  /** Looks at other bytes from now on: one reader serves many walks. */
  reset(bytes: Buffer, at: number, end: number, fieldsMax = unbounded): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.fieldsLeft = fieldsMax;
    this.fieldsMax = fieldsMax;
  }

  /** Reads the next field's tag. False: the end. @throws TooManyWireFields */
  next(): boolean {
    if (this.at >= this.end) return false;
    if (this.fieldsLeft === 0) throw new TooManyWireFields(`more than ${this.fieldsMax} fields`);
    this.fieldsLeft -= 1;
    const tag = this.uint32();
    this.field = tag >>> 3;
    this.type = tag & 7;
    if (this.field === 0) throw new Malformed('field number 0');
    return true;
  }

  /** True if the field at hand has the type that the protocol gives it; else it is skipped as an unknown one. */
  is(type: number): boolean {
    if (this.type === type) return true;
    this.skip();
    return false;
  }

  /** A varint of which only the low 32 bits count, unsigned. */
  uint32(): number {
    const { bytes } = this;
    let byte = this.byte(bytes);
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      byte = this.byte(bytes);
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new Malformed('a varint of more than ten bytes');
  }

  int32(): number {
    return this.uint32() | 0;
  }

  bool(): boolean {
    const from = this.at;
    let any = 0;
    for (;;) {
      const byte = this.byte(this.bytes);
      any |= byte & 0x7f;
      if (byte < 0x80) return any !== 0;
      if (this.at - from >= 10) throw new Malformed('a varint of more than ten bytes');
    }
  }

  /** A signed 64-bit varint as a number; exact up to 2^53. */
  int64(): number {
    let low = 0;
    let high = 0;
    const { bytes } = this;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte(bytes);
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else high |= (bits & 1) << 31;
      if (byte < 0x80) return (high | 0) * 2 ** 32 + (low >>> 0);
    }
    throw new Malformed('a varint of more than ten bytes');
  }

  /** Reads a length and leaves the content to the caller: it is `at` to what is returned. */
  lengthEnd(): number {
    const length = this.uint32();
    const end = this.at + length;
    if (end > this.end) throw new Malformed('a length past the end');
    return end;
  }

  skip(): void {
    switch (this.type) {
      case wireType.varint:
        this.bool();
        return;
      case wireType.fixed64:
        this.advance(8);
        return;
      case wireType.bytes:
        this.at = this.lengthEnd();
        return;
      case wireType.fixed32:
        this.advance(4);
        return;
      default:
        throw new Malformed(`wire type ${this.type}`);
    }
  }

  /** @throws Malformed for what is no UTF-8: a client that decodes strictly would choke on it later. */
  text(): string {
    const end = this.lengthEnd();
    const text = readText(this.bytes, this.at, end);
    this.at = end;
    return text;
  }

  private byte(bytes: Buffer): number {
    if (this.at >= this.end) throw new Malformed('the bytes end inside a field');
    return bytes[this.at++] as number;
  }

  private advance(by: number): void {
    this.at += by;
    if (this.at > this.end) throw new Malformed('the bytes end inside a field');
  }
}

/** @throws Malformed for what is no UTF-8. */
export function readText(bytes: Buffer, from: number, to: number): string {
  if (from === to) return '';
  const trait = scanText(bytes, from, to);
  if ((trait & textTrait.high) === 0) return bytes.toString('latin1', from, to);
  if ((trait & textTrait.invalid) !== 0) throw new Malformed('a text that is no UTF-8');
  return bytes.toString('utf8', from, to);
}

/** What `scanText` found; bits of one number. 0: printable ASCII. */
export const textTrait = { control: 1, high: 2, invalid: 4 } as const;

/** One pass over a text: control characters (C0, DEL, C1), bytes beyond ASCII, and whether those are UTF-8. */
export function scanText(bytes: Buffer, from: number, to: number): number {
  let trait = 0;
  for (let i = from; i < to; i += 1) {
    const byte = bytes[i] as number;
    if (byte < 0x20 || byte === 0x7f) trait |= textTrait.control;
    else if (byte >= 0x80) {
      trait |= textTrait.high;
      // U+0080 to U+009F are written C2 80 to C2 9F.
      if (byte === 0xc2 && i + 1 < to && (bytes[i + 1] as number) < 0xa0) trait |= textTrait.control;
    }
  }
  if ((trait & textTrait.high) !== 0 && !isUtf8(bytes.subarray(from, to))) trait |= textTrait.invalid;
  return trait;
}

/** Takes bytes as a Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
