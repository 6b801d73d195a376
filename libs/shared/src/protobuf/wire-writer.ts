/**
 * Writes protobuf into a buffer whose size the caller has worked out before: each `put…` returns where to go on.
 * Only what the hot answers need.
 */

export function varintBytes(value: number): number {
  if (value < 0) return 10;
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += 1;
  return bytes;
}

/** `value`: a whole number from 0 to 2^53. */
export function putVarint(out: Buffer, at: number, value: number): number {
  let rest = value;
  let to = at;
  while (rest > 0x7fffffff) {
    out[to++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    out[to++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[to++] = rest;
  return to;
}

/** A tag below 128, then the length. */
export function putLength(out: Buffer, at: number, tag: number, length: number): number {
  out[at] = tag;
  return putVarint(out, at + 1, length);
}

/** Size of a length-delimited field with a tag of one byte. */
export function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

/** Size of a length-delimited field with a tag of two bytes (field numbers 16 to 2047). */
export function wideFieldBytes(length: number): number {
  return 2 + varintBytes(length) + length;
}
