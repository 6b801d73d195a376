import { putLength, putVarint, varintBytes } from '@cometmq/shared';

/** A Timestamp with both its fields, so that it replaces another one whole. Tag of one byte. */
export function putTime(out: Buffer, at: number, tag: number, timeMs: number): number {
  const seconds = Math.floor(timeMs / 1000);
  const nanos = Math.floor(timeMs - seconds * 1000) * 1e6;
  const length = 2 + varintBytes(seconds) + varintBytes(nanos);
  let to = putLength(out, at, tag, length);
  out[to] = 0x08;
  to = putVarint(out, to + 1, seconds);
  out[to] = 0x10;
  return putVarint(out, to + 1, nanos);
}

/** The most that `putTime` writes. */
export const timeBytesMax = 18;
