/**
 * The Huffman code of HPACK (RFC 7541, appendix B), decoding only: our own answers are too short to gain by it.
 *
 * The code is canonical, so the lengths say everything: codes of one length count upwards with the symbol, and a
 * longer length goes on where the shorter one ended. Decoding walks the code tree four bits at a time; no code is
 * shorter than five bits, so a step ends at most one symbol.
 */

/** Bits of the code of symbol 0, 1, … 255 and, last, of the end mark, which must never be seen whole. */
// prettier-ignore
const codeBits = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
  10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5,
  6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22,
  23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26,
  26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27,
  27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27,
  27, 27, 27, 27, 26, 30,
] as const;

const endMark = 256;

export interface HuffmanCode {
  readonly code: number;
  readonly bits: number;
}

/** The code of every symbol, the end mark (256) last. */
export const huffmanCodes: readonly HuffmanCode[] = makeCodes();

function makeCodes(): HuffmanCode[] {
  const order = codeBits
    .map((bits, symbol) => ({ bits, symbol }))
    .sort((a, b) => a.bits - b.bits || a.symbol - b.symbol);
  const codes = new Array<HuffmanCode>(codeBits.length);
  let code = 0;
  let bits: number = order[0]?.bits ?? 0;
  for (const next of order) {
    code *= 2 ** (next.bits - bits);
    bits = next.bits;
    codes[next.symbol] = { code, bits };
    code += 1;
  }
  return codes;
}

// A step of the walk: | next node 8 | symbol 8 | flags |
const emits = 1 << 16;
const mayEnd = 1 << 17;
const broken = 1 << 18;

/** `steps[node * 16 + four bits]`. There are 256 inner nodes; 0 is the root. */
const steps = makeSteps();

function makeSteps(): Int32Array {
  const children: [number, number][] = [[-1, -1]]; // Inner node: its number; leaf: -2 - symbol.
  const maySkip = [true]; // A node on the way of ones, at most seven deep: padding may end here.
  huffmanCodes.forEach(({ code, bits }, symbol) => {
    let node = 0;
    for (let left = bits - 1; left >= 0; left -= 1) {
      const bit = Math.floor(code / 2 ** left) % 2 === 1 ? 1 : 0;
      const pair = children[node] ?? [-1, -1];
      if (left === 0) {
        pair[bit] = -2 - symbol;
      } else {
        if (pair[bit] === -1) {
          pair[bit] = children.push([-1, -1]) - 1;
          maySkip.push(symbol === endMark && bits - left <= 7);
        }
        node = pair[bit];
      }
    }
  });
  // The end mark is inserted last, so the nodes of ones were made by others: mark them by walking.
  for (let node = 0, depth = 0; depth < 8; depth += 1) {
    maySkip[node] = true;
    node = children[node]?.[1] ?? 0;
  }
  const table = new Int32Array(children.length * 16);
  for (let start = 0; start < children.length; start += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1) {
      let node = start;
      let step = 0;
      for (let bit = 3; bit >= 0; bit -= 1) {
        const next = children[node]?.[(nibble >> bit) & 1 ? 1 : 0] ?? -1;
        if (next >= 0) {
          node = next;
        } else if (next === -2 - endMark) {
          step |= broken;
          break;
        } else {
          step |= emits | ((-2 - next) << 8);
          node = 0;
        }
      }
      table[start * 16 + nibble] = step | node | (maySkip[node] ? mayEnd : 0);
    }
  }
  return table;
}

/**
 * Decodes `bytes[from, to)` into `into`, which has room (a byte becomes at most 1.6 symbols). The answer is how many
 * were written, or -1 for bytes that are no proper code.
 */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number, into: Uint8Array): number {
  let node = 0;
  let written = 0;
  let step = mayEnd;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at] ?? 0;
    step = steps[node * 16 + (byte >> 4)] ?? broken;
    if (step & broken) return -1;
    if (step & emits) into[written++] = (step >> 8) & 0xff;
    step = steps[(step & 0xff) * 16 + (byte & 15)] ?? broken;
    if (step & broken) return -1;
    if (step & emits) into[written++] = (step >> 8) & 0xff;
    node = step & 0xff;
  }
  return step & mayEnd ? written : -1;
}
