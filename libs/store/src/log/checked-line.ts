/** Small files for people to read, too: a line of JSON, and the line's checksum, 8 hex digits. */
import { checksum } from './checksum.js';

export function checkedLine(value: unknown): string {
  const line = JSON.stringify(value);
  return `${line}\n${sumOf(line)}\n`;
}

/** What the line says; `pair`: which one, where there are several with their checksums. Undefined: it is damaged. */
export function readCheckedLine(stored: Uint8Array, pair = 0): unknown {
  const lines = Buffer.from(stored).toString('utf8').split('\n');
  const line = lines[2 * pair] ?? '';
  return line !== '' && lines[2 * pair + 1] === sumOf(line) ? JSON.parse(line) : undefined;
}

function sumOf(line: string): string {
  return checksum(Buffer.from(line)).toString(16).padStart(8, '0');
}
