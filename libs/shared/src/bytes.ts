/** 64-bit numbers below 2^53 in little-endian bytes, as all our files and payloads have them. */
const two32 = 2 ** 32;

export function putU64(into: DataView, at: number, value: number): void {
  into.setUint32(at, value >>> 0, true);
  into.setUint32(at + 4, Math.floor(value / two32), true);
}

export function getU64(from: DataView, at: number): number {
  return from.getUint32(at, true) + from.getUint32(at + 4, true) * two32;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
