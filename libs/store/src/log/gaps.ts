/**
 * Which positions the log has given up on purpose: those of segments that retention unlinked, and what an operator gave
 * up after damage. What is missing and not named here was lost. Written before a segment goes, so that a crash leaves a
 * segment too many, never one too few.
 *
 *   gaps        a line of JSON, [[first, end], …] in order, and the line's checksum, 8 hex digits; and gaps.copy, the same
 *               (`disk/two-copies.ts`)
 */
import { MqError, OneByOne } from '@cometmq/shared';

import { joinPath } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import { readEither, replaceBoth } from '../disk/two-copies.js';
import type { OnTrouble } from '../disk/two-copies.js';
import { checkedLine, readTwiceCheckedLine } from './checked-line.js';

/** Positions from `first` up to `end`, not included. */
export interface LogRange {
  readonly first: number;
  readonly end: number;
}

export const gapsName = 'gaps';

export class Gaps {
  private ranges: LogRange[] = [];
  private readonly writes = new OneByOne();

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
  ) {}

  /**
   * False: there is no such file, as in a folder of an older release.
   *
   * @throws MqError DATA_FOLDER where it is damaged: what is missing must not be taken for given up
   */
  async open(onTrouble?: OnTrouble): Promise<boolean> {
    const path = joinPath(this.folder, gapsName);
    const stored = await readEither(this.disk, path, readTwiceCheckedLine);
    if (stored.isMissing) return false;
    const found = stored.value as [number, number][] | undefined;
    if (!found) {
      throw new MqError(
        'DATA_FOLDER',
        `${this.disk.realPath(path)} is damaged, and so is its copy: it says which parts of the log were given up on purpose. ` +
          'Bring it back from a backup; or delete both, if no segment file was lost: what is missing then counts as given up',
        { cause: new MqError('CORRUPT_RECORD', 'the list of what the log gave up is damaged') },
      );
    }
    await stored.repair(onTrouble);
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

  /** Durable once it resolves. What is added meanwhile is written after it. */
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
    await this.writes.take(() => replaceBoth(this.disk, joinPath(this.folder, gapsName), [encodeGaps(this.ranges)]));
  }
}

/** The file that says so. */
export function encodeGaps(ranges: readonly LogRange[]): Buffer {
  return Buffer.from(checkedLine(ranges.map(({ first, end }) => [first, end])));
}
