/**
 * The row of segments that a log consists of, by position; the last one is active. Keeps the number of open files down:
 * of the sealed ones the file that was read longest ago is closed.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { assert, MqError } from '@cometmq/shared';

import { isDiskFull, isUnreadable, joinPath } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import type { OnTrouble } from '../disk/two-copies.js';
import { readHead } from './compacted-file.js';
import { Gaps } from './gaps.js';
import type { LogRange } from './gaps.js';
import { recordBytesCeiling } from './log-limits.js';
import { headerBytes, RecordBlock } from './record.js';
import { compactedName, Segment, segmentFile, segmentName } from './segment.js';
import type { SegmentInfo } from './segment.js';

/** What stands behind the end of a sealed segment. */
export interface Surplus {
  readonly segment: Segment;
  readonly bytes: number;
}

/** What the log should hold and does not. */
export interface Damage extends LogRange {
  /** What was found, with the file's path. */
  readonly what: string;
}

const damagesMax = 1_024;
/** Of a file that is put aside. */
const damagedSuffix = '.damaged';

/** Sealed segments whose files stay open for readers. */
const openSegmentsMax = 64;

export class Segments {
  private rows: Segment[] = [];
  /** Sealed segments whose files may be open, the longest unread first. */
  private readonly lastUsed = new Set<Segment>();
  /** What was found lost at the start. */
  readonly damages: Damage[] = [];
  private readonly surplus: Surplus[] = [];
  private readonly gaps: Gaps;
  private gapsUnknown = false;

  constructor(
    readonly disk: Disk,
    readonly folder: string,
    private readonly onTrouble?: OnTrouble,
  ) {
    this.gaps = new Gaps(disk, folder);
  }

  get all(): readonly Segment[] {
    return this.rows;
  }
  /** The oldest position kept. */
  get first(): LogPosition {
    return this.rows[0]?.first ?? logPosition(0);
  }
  get active(): Segment {
    const last = this.rows[this.rows.length - 1];
    assert(last !== undefined, 'an open log has a segment');
    return last;
  }

  /** From here on the log has all that ever stood in it. */
  get wholeFrom(): LogPosition {
    let { first } = this.active;
    for (const row of this.rows.toReversed()) {
      if (!row.complete || (row !== this.active && row.end !== first)) break;
      first = row.first;
    }
    return first;
  }

  infos(): readonly SegmentInfo[] {
    return this.rows.map((segment) => segment.info());
  }

  /** The segment whose records reach over `position`. */
  at(position: number): Segment | undefined {
    let low = 0;
    let high = this.rows.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const row = this.rows[middle] as Segment;
      if (position < row.first) high = middle - 1;
      else if (position >= row.end) low = middle + 1;
      else return row;
    }
    return undefined;
  }

  /** That one, or the next behind it: segments between may be gone. */
  from(position: number): Segment | undefined {
    return this.rows.find((row) => position < row.end);
  }

  find(first: LogPosition): Segment | undefined {
    return this.rows.find((row) => row.first === first);
  }

  /**
   * Takes up the files that are there. Each but the last is sealed. What is missing between them, or cut off one, is
   * damage, unless it was given up: its positions are kept, and reading them says so. `known`: where else segments are
   * known to begin, which tells a missing one from one that was cut off. `giveUp`: what stands behind the end of a sealed one
   * is left out, and goes with `cutSurplus`.
   */
  async open(known: ReadonlySet<number> = new Set(), giveUp = false): Promise<void> {
    const compacted = new Set<LogPosition>();
    for (const name of await this.disk.list(this.folder)) {
      if (name.endsWith('.tmp')) await this.disk.unlink(joinPath(this.folder, name));
      const file = segmentFile(name);
      if (!file) continue;
      const { first } = file;
      if (!file.compacted && compacted.has(first)) {
        const isGood = !this.rows.at(-1)?.lost;
        if (isGood)
          await this.disk.unlink(joinPath(this.folder, name)); // It has been replaced already.
        else await this.takeInstead(first);
        continue;
      }
      if (file.compacted) compacted.add(first);
      const segment = file.compacted ? await this.compactedSegment(first) : await this.plainSegment(first);
      const before = this.rows[this.rows.length - 1];
      if (before) {
        before.sealed = true;
        if (before.lost) before.end = first;
        if (!before.compacted) before.lastTimestampMs = segment.firstTimestampMs;
        if (before.end > first) await this.leaveOutSurplus(before, segment, giveUp);
        await this.touch(before);
      }
      this.rows.push(segment);
    }
    const last = this.rows[this.rows.length - 1];
    if (last?.lost) throw last.lost; // How far it goes is not known.
    if (await this.gaps.open(this.onTrouble)) this.findLost(known);
    else this.gapsUnknown = true;
  }

  /** The last one is a compacted segment that is damaged, and what it was made of is still there: that one counts again. */
  private async takeInstead(first: LogPosition): Promise<void> {
    const damaged = this.rows.pop();
    assert(damaged !== undefined, 'what was damaged has been taken up');
    const { path } = damaged;
    this.onTrouble?.(`${this.disk.realPath(path)} is damaged: what it was made of is used again`, damaged.lost);
    this.lastUsed.delete(damaged);
    this.rows.push(await this.plainSegment(first));
    await this.disk.rename(path, `${path}${damagedSuffix}`);
    await this.disk.syncFolder(this.folder);
  }

  /** @throws MqError CORRUPT_RECORD unless it was given up, and is no record of this log */
  private async leaveOutSurplus(segment: Segment, next: Segment, giveUp: boolean): Promise<void> {
    const bytes = segment.end - next.first;
    // One that begins with its first record is what the name says; the other then has nothing to say from there on.
    const begins = !segment.compacted && (next.compacted || (await beginsAt(next, next.first)));
    const isSurplus = begins && !(await beginsAt(segment, next.first));
    if (!giveUp || !isSurplus) {
      const what = `the next segment begins here, ${bytes} bytes before the end of this one`;
      const wayOut = isSurplus ? `or start once with --give-up-damage, to cut these ${bytes} bytes off; ` : '';
      throw this.damaged(segment, next.first, what, wayOut);
    }
    this.surplus.push({ segment, bytes });
    segment.fileBytes -= bytes;
    segment.end = next.first;
  }

  /** The sealed segments end where the next ones begin. Answers what they held behind that. */
  async cutSurplus(): Promise<readonly Surplus[]> {
    const cut = this.surplus.splice(0);
    for (const { segment } of cut) {
      await segment.use(async (file) => {
        await file.truncate(segment.fileBytes);
        await file.sync();
      });
    }
    return cut;
  }

  /** A folder of an older release says nothing of what it gave up: what is missing then was given up. */
  async settleGaps(): Promise<void> {
    if (!this.gapsUnknown) return;
    this.gapsUnknown = false;
    let from = 0;
    const holes = this.rows.map(({ first, end }) => {
      const hole = { first: from, end: first };
      from = end;
      return hole;
    });
    await this.gaps.add(...holes);
  }

  /** False: it was known, or there is so much that more of it says nothing new. */
  noteDamage(damage: Damage): boolean {
    const known = this.damages.some(({ first, end }) => first <= damage.first && end >= damage.end);
    if (known || this.isGivenUp(damage) || this.damages.length >= damagesMax) return false;
    this.damages.push(damage);
    return true;
  }

  /** The segment has been made anew. */
  forgetDamage({ first, end }: LogRange): void {
    const left = this.damages.filter((damage) => damage.first >= end || damage.end <= first);
    this.damages.splice(0, Infinity, ...left);
  }

  /** All damage known now is given up: it is not told of any more, also by later processes. */
  async giveUp(): Promise<readonly Damage[]> {
    const given = [...this.damages];
    await this.gaps.add(...given);
    // What was found meanwhile is not; what was mended meanwhile is here no more.
    const left = this.damages.filter((damage) => !given.includes(damage));
    this.damages.splice(0, Infinity, ...left);
    return given;
  }

  /** Positions that were given up on purpose. */
  get givenUp(): readonly LogRange[] {
    return this.gaps.all;
  }

  isGivenUp(range: LogRange): boolean {
    return this.gaps.missingOf(range).length === 0;
  }

  private findLost(known: ReadonlySet<number>): void {
    const rows: Segment[] = [];
    let from = 0;
    for (const row of this.rows) {
      for (const hole of this.gaps.missingOf({ first: from, end: row.first })) {
        const before = rows[rows.length - 1];
        const wasCut = before && before.end === hole.first && !before.compacted && !known.has(hole.first);
        if (wasCut && !before.lost) {
          before.end = logPosition(hole.end);
          this.damages.push({
            ...hole,
            what: `the segment ends too early, or another one behind it is missing: ${this.disk.realPath(before.path)}`,
          });
          continue;
        }
        const starts = [...known].filter((first) => first > hole.first && first < hole.end).sort((a, b) => a - b);
        for (const [i, first] of [hole.first, ...starts].entries()) {
          rows.push(this.lostSegment({ first, end: starts[i] ?? hole.end }, row.firstTimestampMs));
        }
      }
      if (row.lost && !this.isGivenUp(row)) {
        this.damages.push({ first: row.first, end: row.end, what: row.lost.reason });
      }
      rows.push(row);
      from = row.end;
    }
    this.rows = rows;
  }

  private lostSegment({ first, end }: LogRange, lastTimestampMs: number): Segment {
    const segment = new Segment(this.disk, this.folder, logPosition(first), 0);
    segment.end = logPosition(end);
    segment.sealed = true;
    segment.lastTimestampMs = lastTimestampMs;
    const what = `the segment is missing: ${this.disk.realPath(segment.path)}`;
    segment.lost = new MqError('CORRUPT_RECORD', `${what}. Bring this file back from a copy, or give up what it held`);
    this.damages.push({ first, end, what });
    return segment;
  }

  /** The first segment of an empty log. */
  async begin(): Promise<void> {
    const first = logPosition(0);
    const path = joinPath(this.folder, segmentName(first));
    const file = await this.disk.open(path, { create: true, durable: true });
    this.rows.push(new Segment(this.disk, this.folder, first, 0, file));
  }

  /** The last segment is damaged and ends at `end`: it is sealed there, and a new one begins. */
  async beginBehind(end: LogPosition): Promise<void> {
    const old = this.active;
    const bytes = end - old.first;
    if (old.compacted) this.rows.push(this.lostSegment({ first: old.end, end }, old.lastTimestampMs));
    else {
      if (old.fileBytes > bytes) {
        await old.use(async (file) => {
          await file.truncate(bytes);
          await file.sync();
        });
        old.fileBytes = bytes;
      }
      old.end = end;
      old.sealed = true;
    }
    const path = joinPath(this.folder, segmentName(end));
    this.push(new Segment(this.disk, this.folder, end, 0, await this.disk.open(path, { create: true, durable: true })));
  }

  /** A new active segment; the one before it has been sealed. */
  push(segment: Segment): void {
    this.lastUsed.add(this.active);
    this.rows.push(segment);
  }

  /** Another file answers for the same positions. */
  replace(old: Segment, next: Segment): void {
    this.rows = this.rows.map((row) => (row === old ? next : row));
    this.lastUsed.delete(old);
  }

  /** Deletes a segment's file. Should a crash bring it back, it is whole. */
  async unlink(segment: Segment): Promise<void> {
    const noted = await this.gaps.add(segment).then(
      () => true,
      (caught: unknown) => {
        if (!isDiskFull(caught)) throw caught;
        return false; // What goes makes the room for it.
      },
    );
    await this.remove(segment);
    if (!noted) await this.gaps.add(segment);
  }

  private async remove(segment: Segment): Promise<void> {
    this.rows = this.rows.filter((row) => row !== segment);
    this.lastUsed.delete(segment);
    await segment.close();
    await this.disk.unlink(segment.path);
    await this.disk.syncFolder(this.folder);
  }

  /**
   * Deletes all segments behind the one that `to` lies in or begins, newest first, and makes that one active again.
   * Answers those that are no more.
   */
  async cutBehind(to: LogPosition): Promise<readonly Segment[]> {
    const cut: Segment[] = [];
    while (this.active.first > to) {
      cut.push(this.active);
      await this.remove(this.active);
    }
    const old = this.active;
    assert(!old.compacted && to <= old.end, 'what is cut off is the end of the log');
    // Another one, though of the same file: nothing that was read of the old one is taken for what it holds now.
    const active = new Segment(this.disk, this.folder, old.first, 0);
    active.fileBytes = await active.use((file) => file.size());
    active.end = to;
    active.firstTimestampMs = old.firstTimestampMs;
    active.lastTimestampMs = old.lastTimestampMs;
    this.replace(old, active);
    await old.close();
    return [...cut, old];
  }

  /** The segment was read from. */
  async touch(segment: Segment): Promise<void> {
    if (!segment.sealed || this.at(segment.first) !== segment) return;
    this.lastUsed.delete(segment);
    this.lastUsed.add(segment);
    if (this.lastUsed.size <= openSegmentsMax) return;
    for (const oldest of this.lastUsed) {
      if (oldest.inUse) continue;
      this.lastUsed.delete(oldest);
      await oldest.close();
      return;
    }
  }

  async close(): Promise<void> {
    for (const segment of this.rows) await segment.close();
  }

  /** As before `open`. The files must have been closed. */
  clear(): void {
    this.rows = [];
    this.lastUsed.clear();
    this.damages.length = 0;
  }

  /** For who reads a record that was good before. */
  unreadable(segment: Segment, position: number): MqError {
    const file = this.disk.realPath(segment.path);
    return new MqError(
      'CORRUPT_RECORD',
      `the record at log position ${position} (${file}, byte ${position - segment.first}) was good before and is not any ` +
        'more: bring this file back from a copy, or give up what is lost',
    );
  }

  corrupt(segment: Segment, position: number, what: string): MqError {
    return this.damaged(
      segment,
      position,
      what,
      'or, where it is the newest one, start once with --give-up-damage, to go on without what can not be read; ',
    );
  }

  private damaged(segment: Segment, position: number, what: string, wayOut: string): MqError {
    const file = this.disk.realPath(segment.path);
    return new MqError(
      'CORRUPT_RECORD',
      `the log is damaged at position ${position} (${file}, byte ${position - segment.first}): ${what}. ` +
        `Nothing was changed; bring this file back from a copy; ${wayOut}or start with an empty data folder`,
    );
  }

  private async plainSegment(first: LogPosition): Promise<Segment> {
    const segment = new Segment(this.disk, this.folder, first, 0);
    segment.fileBytes = await segment.use((file) => file.size());
    segment.end = logPosition(first + segment.fileBytes);
    const head = await headerAt(segment, first).catch((caught: unknown) => {
      if (!isUnreadable(caught)) throw caught; // Else whoever reads on finds it.
      return undefined;
    });
    if (head) segment.firstTimestampMs = head.timestampMsAt(0);
    return segment;
  }

  private async compactedSegment(first: LogPosition): Promise<Segment> {
    const path = joinPath(this.folder, compactedName(first));
    const file = await this.disk.open(path);
    try {
      const head = await readHead(file, first);
      if (head) return new Segment(this.disk, this.folder, first, await file.size(), undefined, head);
    } finally {
      await file.close();
    }
    const segment = new Segment(this.disk, this.folder, first, 0);
    segment.sealed = true;
    segment.isNamedCompacted = true;
    segment.lost = new MqError(
      'CORRUPT_RECORD',
      `the compacted segment ${this.disk.realPath(path)} is damaged: bring this file back from a copy, or give up what ` +
        'it held',
    );
    return segment;
  }
}

async function beginsAt(segment: Segment, position: LogPosition): Promise<boolean> {
  return (await headerAt(segment, position)) !== undefined;
}

/** Undefined: no record begins there. */
async function headerAt(segment: Segment, position: LogPosition): Promise<RecordBlock | undefined> {
  const block = new RecordBlock(Buffer.alloc(headerBytes));
  const read = await segment.use((file) => file.read(block.bytes, position - segment.first));
  return read === headerBytes && block.hasHeader(0, position, recordBytesCeiling) ? block : undefined;
}
