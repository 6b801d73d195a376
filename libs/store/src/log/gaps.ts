/**
 * Which positions the log has given up on purpose: those of segments that retention unlinked, and what an operator gave
 * up after damage. What is missing and not named here was lost. Written before a segment goes, so that a crash leaves a
 * segment too many, never one too few.
 *
 *   gaps        a line of JSON, [[first, end], …] in order, and the line's checksum, 8 hex digits
 */
import { joinPath, readWhole, replaceFile } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import { checksum } from './checksum.js';

/** Positions from `first` up to `end`, not included. */
export interface LogRange {
  readonly first: number;
  readonly end: number;
}

export const gapsName = 'gaps';

export class Gaps {
  private ranges: LogRange[] = [];

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
  ) {}

  /** False: there is no such file that can be read, as in a folder of an older release. */
  async open(): Promise<boolean> {
    const stored = await readWhole(this.disk, joinPath(this.folder, gapsName));
    const [line = '', sum] = (stored?.toString('utf8') ?? '').split('\n');
    if (sum !== checksumText(line)) return false;
    const found = JSON.parse(line) as [number, number][];
    this.ranges = found.map(([first, end]) => ({ first, end }));
    return true;
  }

  get all(): readonly LogRange[] {
    return this.ranges;
  }

  /** What of the range is not given up. */
  missingOf({ first, end }: LogRange): LogRange[] {
    const missing: LogRange[] = [];
    let from = first;
    for (const gap of this.ranges) {
      if (gap.end <= from || gap.first >= end) continue;
      if (gap.first > from) missing.push({ first: from, end: gap.first });
      from = Math.max(from, gap.end);
    }
    if (from < end) missing.push({ first: from, end });
    return missing;
  }

  /** Durable once it resolves. */
  async add(...ranges: readonly LogRange[]): Promise<void> {
    const all = [...this.ranges, ...ranges].filter(({ first, end }) => end > first).sort((a, b) => a.first - b.first);
    const merged: LogRange[] = [];
    for (const range of all) {
      const last = merged.at(-1);
      if (last && range.first <= last.end) {
        merged[merged.length - 1] = { first: last.first, end: Math.max(last.end, range.end) };
      } else merged.push(range);
    }
    this.ranges = merged;
    await replaceFile(this.disk, joinPath(this.folder, gapsName), [encodeGaps(merged)]);
  }
}

/** The file that says so. */
export function encodeGaps(ranges: readonly LogRange[]): Buffer {
  const line = JSON.stringify(ranges.map(({ first, end }) => [first, end]));
  return Buffer.from(`${line}\n${checksumText(line)}\n`);
}

function checksumText(line: string): string {
  return checksum(Buffer.from(line)).toString(16).padStart(8, '0');
}
