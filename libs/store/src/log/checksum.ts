import { crc32 } from 'node:zlib';

/** The one checksum of everything the store writes: CRC-32 (IEEE). Why this one: docs/decisions/checksum.md. */
export function checksum(bytes: Uint8Array, from = 0): number {
  return crc32(bytes, from);
}
