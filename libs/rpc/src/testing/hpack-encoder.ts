/** Encodes header blocks in every way HPACK allows, for specs: the decoder's counterpart, and not for production. */
import { huffmanCodes } from '../http2/huffman.js';

export type Literal = 'indexing' | 'plain' | 'never';

export function encodeInteger(value: number, prefixBits: number, first: number): number[] {
  const most = 2 ** prefixBits - 1;
  if (value < most) return [first | value];
  const bytes = [first | most];
  let left = value - most;
  while (left >= 128) {
    bytes.push((left % 128) + 128);
    left = Math.floor(left / 128);
  }
  bytes.push(left);
  return bytes;
}

export function encodeHuffman(text: Buffer): number[] {
  let bits = '';
  for (const byte of text) {
    const { code, bits: length } = huffmanCodes[byte] ?? { code: 0, bits: 0 };
    bits += code.toString(2).padStart(length, '0');
  }
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  return (bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2));
}

export function encodeText(text: string, huffman: boolean): number[] {
  const bytes = Buffer.from(text, 'latin1');
  const body = huffman ? encodeHuffman(bytes) : [...bytes];
  return [...encodeInteger(body.length, 7, huffman ? 0x80 : 0), ...body];
}

export function encodeLiteral(name: string, value: string, how: Literal = 'plain', huffman = false): number[] {
  const first = how === 'indexing' ? 0x40 : how === 'never' ? 0x10 : 0;
  return [first, ...encodeText(name, huffman), ...encodeText(value, huffman)];
}

export function encodeHeaders(headers: Readonly<Record<string, string>>): Buffer {
  return Buffer.from(Object.entries(headers).flatMap(([name, value]) => encodeLiteral(name, value)));
}
