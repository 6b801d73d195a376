/** Field 4 of a message, its body. */
const bodyTag = 0x22;

/**
 * An encoded message that came in pieces, without its body: the other fields are copied together, in their order. One that is
 * a single piece is given as it is. What is malformed ends where it is.
 */
export function withoutBody(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces;
  if (only && pieces.length === 1) return only;
  const message = new Pieces(pieces);
  const kept: Uint8Array[] = [];
  for (let from = 0; from < message.length; from = message.at) {
    const tag = message.varint();
    const isWhole = message.skipField(tag);
    if (tag !== bodyTag || !isWhole) kept.push(...message.between(from, message.at));
    if (!isWhole) break;
  }
  return Buffer.concat(kept);
}

/** Read as if they were one. */
class Pieces {
  at = 0;
  readonly length: number;
  private piece = 0;
  /** Where the piece begins. */
  private first = 0;

  constructor(private readonly pieces: readonly Uint8Array[]) {
    this.length = pieces.reduce((sum, { length }) => sum + length, 0);
  }

  /** -1: it has no end, or is beyond 2^53. */
  varint(): number {
    let value = 0;
    for (let scale = 1; this.at < this.length && scale < 2 ** 53; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return -1;
  }

  /** Goes behind the field with this tag; false: it is malformed, or its end is not there. */
  skipField(tag: number): boolean {
    let bytes = -1;
    switch (tag < 0 ? -1 : tag & 7) {
      case 0:
        return this.varint() >= 0;
      case 1:
        bytes = 8;
        break;
      case 2:
        bytes = this.varint();
        break;
      case 5:
        bytes = 4;
        break;
    }
    if (bytes < 0 || this.at + bytes > this.length) return false;
    this.at += bytes;
    return true;
  }

  between(from: number, to: number): Uint8Array[] {
    const found: Uint8Array[] = [];
    let first = 0;
    for (const piece of this.pieces) {
      const part = piece.subarray(Math.max(0, from - first), Math.max(0, to - first));
      if (part.length > 0) found.push(part);
      first += piece.length;
    }
    return found;
  }

  private byte(): number {
    let piece = this.pieces[this.piece] as Uint8Array;
    while (this.at >= this.first + piece.length) {
      this.first += piece.length;
      this.piece += 1;
      piece = this.pieces[this.piece] as Uint8Array;
    }
    const byte = piece[this.at - this.first] as number;
    this.at += 1;
    return byte;
  }
}
