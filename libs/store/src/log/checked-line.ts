/** Small files for people to read, too: a line of JSON, and the line's checksum, 8 hex digits. */
import { checksum } from './checksum.js';

export function checkedLine(value: unknown): string {
  return summed(JSON.stringify(value));
}

/** The same with blanks at the end of the line, so that it takes a multiple of so many bytes. */
export function paddedCheckedLine(value: unknown, blockBytes: number): string {
  const line = JSON.stringify(value);
  const bytes = Buffer.byteLength(line) + sumBytes;
  return summed(line + ' '.repeat(Math.ceil(bytes / blockBytes) * blockBytes - bytes));
}

/** Two ends of lines, and the checksum. */
const sumBytes = 10;

function summed(line: string): string {
  return `${line}\n${sumOf(line)}\n`;
}

/** What the line says. Undefined: it is damaged. */
export function readCheckedLine(stored: Uint8Array): unknown {
  return readPair(stored, 0);
}

/** As an older release wrote what it kept twice in one file: the line and its checksum, and both again. */
export function readTwiceCheckedLine(stored: Uint8Array): unknown {
  return readPair(stored, 0) ?? readPair(stored, 1);
}

function readPair(stored: Uint8Array, pair: number): unknown {
  const lines = Buffer.from(stored).toString('utf8').split('\n');
  const line = lines[2 * pair] ?? '';
  return line !== '' && lines[2 * pair + 1] === sumOf(line) ? JSON.parse(line) : undefined;
}

function sumOf(line: string): string {
  return checksum(Buffer.from(line)).toString(16).padStart(8, '0');
}
