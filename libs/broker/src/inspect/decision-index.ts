/**
 * Which records of the log decided something on a message: the index behind a message's life. It follows what is committed
 * at its own pace, and stands in no one's way: nothing of it is on the way of a send or a delivery but a note of where a
 * record stands that decides something. By these notes only such records are read, from memory mostly; what was written
 * before this process began is read as a whole, a MiB a turn.
 *
 *   log   | ……… piece ……… | ……… piece ……… | …… growing …… | not followed yet |
 *
 * A piece covers a stretch of the log and lies in a file of its own, `decisions/<from>-<to>`; the last one grows in memory
 * until it is large enough. All of it can be deleted: it is made of the log again. A piece goes with the log it covers.
 * What of the log can't be read is passed over. Until it is given up it may come back: then the index goes back too, and the
 * next process makes such a piece and those behind it again, which is why its file is named `<from>-<to>.lacks`.
 *
 *   file | magic u32 | crc32 of the rest u32 | entries: see decision-entries.ts |
 */
import { crc32 } from 'node:zlib';
import type { LogPosition } from '@cometmq/model';
import { AgainAndAgain, failureFacts, type Clock, type Component, type Pace, type Pacing } from '@cometmq/shared';
import { KiB, MiB } from '@cometmq/model';
import { joinPath, readWhole, replaceFile, type Disk, type RecordNotes, type StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { decisiveKinds, DecisionEntries, entryWords } from './decision-entries.js';

type Log = Pick<StorePorts, 'records' | 'commitEnd' | 'firstPosition' | 'noteKinds'> & {
  readonly damage: Pick<StorePorts['damage'], 'all' | 'isGivenUp'>;
};

interface Stretch {
  readonly from: LogPosition;
  readonly to: LogPosition;
}
interface Piece extends Stretch {
  /** Something of it could not be read. */
  readonly lacks: boolean;
}

const magic = 0x31_49_44_43;
const headBytes = 8;
/** Of a file, checked at once. */
const checkedBytes = 256 * KiB;
/** Log read before others have their turn. */
const stepBytes = 1 * MiB;
/** Stretches of noted records that are read before. */
const stepStretches = 64;
/** Or after so many entries: 7 MiB. */
const pieceEntries = 256 * 1024;
const followMs = 2_000;
const lacksEnding = '.lacks';
/** Pieces kept in memory for the next question. */
const keptMax = 4;

export class DecisionIndex implements Component {
  readonly name = 'decision index';
  private readonly folder: string;
  private pieces: Piece[] = [];
  /** Files that were found and are of no use. */
  private useless: Piece[] = [];
  /** What could not be read, and may be again. */
  private missed: Stretch[] = [];
  private readonly notes: RecordNotes;
  private growing = new DecisionEntries(0 as LogPosition);
  private end = 0 as LogPosition;
  private following: Promise<void> | undefined;
  private readonly follows: AgainAndAgain;
  private readonly kept = new Map<LogPosition, DecisionEntries>();

  constructor(
    private readonly log: Log,
    private readonly disk: Disk,
    folder: string,
    private readonly time: { readonly clock: Clock; readonly pacing: Pacing },
    private readonly logger: Logger,
    /** A piece ends after so much of the log. */
    private readonly pieceBytes = 256 * MiB,
  ) {
    this.folder = joinPath(folder, 'decisions');
    this.notes = log.noteKinds(decisiveKinds);
    const failed = (caught: unknown): void => logger.warn(failureFacts(caught), 'decisions could not be indexed yet');
    this.follows = new AgainAndAgain(time.clock, followMs, () => this.follow(), failed);
  }

  /** All decisions below it are known. */
  get indexedTo(): LogPosition {
    return this.end;
  }

  async start(): Promise<void> {
    await this.disk.makeFolder(this.folder);
    const found = (await this.disk.list(this.folder)).map(pieceOf).filter((piece) => piece !== undefined);
    found.sort((a, b) => a.from - b.from || b.to - a.to);
    let end = this.log.firstPosition as number;
    for (const piece of found) {
      // What lies behind a hole is made anew: it may be of a log that was cut off.
      if (piece.lacks || piece.to <= end || piece.from > end || piece.to > this.log.commitEnd) {
        this.useless.push(piece);
        continue;
      }
      this.pieces.push(piece);
      end = piece.to;
    }
    this.end = end as LogPosition;
    this.growing = new DecisionEntries(this.end);
    this.follows.start();
  }

  async stop(): Promise<void> {
    await this.follows.stop();
    await this.following;
  }

  /** Goes on to what is committed now. One goes at a time; who asks meanwhile waits for the same. */
  follow(): Promise<void> {
    this.following ??= this.followNow().finally(() => (this.following = undefined));
    return this.following;
  }

  /**
   * Calls `each` with the records that may name one of the offsets, in the order of the log, from position `after` on.
   *
   * @param subject `last` left out: the one offset
   */
  async find(
    subject: {
      readonly topic: number;
      readonly queue: number;
      readonly offset: number;
      readonly last?: number;
      readonly after: number;
    },
    each: (position: LogPosition, size: number) => void,
  ): Promise<void> {
    const { topic, queue, offset, last = offset, after } = subject;
    const pace = this.time.pacing.begin();
    for (const piece of [...this.pieces]) {
      if (piece.to <= after) continue;
      const entries = await this.entriesOf(piece, pace);
      if (pace.isOver) await pace.rest();
      entries.find(topic, queue, offset, last, after, each);
      await pace.rest();
    }
    this.growing.find(topic, queue, offset, last, after, each);
  }

  private async followNow(): Promise<void> {
    this.goBack();
    await this.dropOld();
    while (!this.follows.stopped && this.end < this.log.commitEnd) {
      const before = this.end;
      const reached = this.notes.from <= before ? await this.readNoted() : await this.readAll();
      if (reached <= before) return; // What is committed is not on this disk yet.
      this.end = reached;
      const { growing } = this;
      if (growing.count >= pieceEntries || reached - growing.from >= this.pieceBytes) await this.settle();
      await this.rest();
    }
  }

  /** To before the first stretch that was missed and can be read now. */
  private goBack(): void {
    this.missed = this.missed.filter(
      ({ from, to }) => to > this.log.firstPosition && !this.log.damage.isGivenUp(from, to - from),
    );
    const mended = this.missed.find((stretch) => !this.isDamaged(stretch));
    if (!mended) return;
    this.useless.push(...this.pieces.filter(({ to }) => to > mended.from));
    this.pieces = this.pieces.filter(({ to }) => to <= mended.from);
    this.kept.clear();
    this.end = this.pieces.at(-1)?.to ?? this.log.firstPosition;
    this.growing = new DecisionEntries(this.end);
    this.missed = this.missed.filter(({ to }) => to <= this.end);
  }

  /** Answers where it stopped. */
  private async readAll(): Promise<LogPosition> {
    const until = Math.min(this.end + stepBytes, this.log.commitEnd) as LogPosition;
    const first = Math.max(this.end, this.log.firstPosition) as LogPosition;
    return this.readInto(this.growing, first, until);
  }

  private readInto(entries: DecisionEntries, from: LogPosition, until: LogPosition): Promise<LogPosition> {
    return this.log.records(
      from,
      (record) => entries.note(record),
      until,
      (from, to) => {
        const isKnown = this.missed.some((one) => one.from === from && one.to === to);
        // Of damage that is not told of nobody could say when it is mended.
        if (!isKnown && this.isDamaged({ from, to })) this.missed.push({ from, to });
      },
    );
  }

  /** The same, of records that were noted: what lies between them decides nothing. */
  private async readNoted(): Promise<LogPosition> {
    const { growing, notes } = this;
    let at = this.end;
    // It has to keep up with the log, so it rests for no longer than a turn, however busy the others are.
    const pace = this.time.pacing.begin();
    for (let i = 0; i < stepStretches && (i === 0 || !pace.isOver); i += 1) {
      const until = Math.min(notes.to, this.log.commitEnd) as LogPosition;
      if (notes.from > at || until <= at) return at; // The fold has begun anew, or too many have gathered.
      const stretch = notes.next(at, until);
      if (!stretch) return until;
      if (stretch.from - growing.from >= this.pieceBytes) return stretch.from; // It begins the next piece.
      if (stretch.to > this.log.firstPosition) {
        const reached = await this.readInto(growing, stretch.from, stretch.to);
        if (reached < stretch.to) return at;
      }
      this.end = at = stretch.to; // What comes next may fail: this is not to be read twice.
    }
    return at;
  }

  private async settle(): Promise<void> {
    const { growing, end } = this;
    const piece = { from: growing.from, to: end, lacks: this.lacks(growing.from, end) };
    await this.write(piece, growing);
    this.pieces.push(piece);
    this.growing = new DecisionEntries(end);
  }

  private isDamaged({ from, to }: Stretch): boolean {
    return this.log.damage.all.some(({ first, end }) => first < to && end > from);
  }

  private lacks(first: LogPosition, end: LogPosition): boolean {
    return this.missed.some(({ from, to }) => from < end && to > first);
  }

  private async dropOld(): Promise<void> {
    const gone = this.pieces.filter(({ to }) => to <= this.log.firstPosition);
    for (let one = this.useless.at(-1); one; one = this.useless.at(-1)) {
      await this.disk.unlink(this.pathOf(one));
      this.useless.pop(); // Else another time.
    }
    if (gone.length === 0) return;
    this.pieces = this.pieces.filter((piece) => !gone.includes(piece));
    for (const piece of gone) {
      this.kept.delete(piece.from);
      await this.disk.unlink(this.pathOf(piece));
    }
  }

  private async entriesOf(piece: Piece, pace: Pace): Promise<DecisionEntries> {
    const known = this.kept.get(piece.from);
    if (known) return known;
    const entries = (await this.read(piece, pace)) ?? (await this.makeAgain(piece));
    this.kept.set(piece.from, entries);
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= keptMax) break;
      this.kept.delete(oldest);
    }
    return entries;
  }

  private async makeAgain(piece: Piece): Promise<DecisionEntries> {
    this.logger.warn({ ...piece }, 'a piece of the index of decisions is damaged: it is made again');
    const entries = new DecisionEntries(piece.from);
    let at = Math.max(piece.from, this.log.firstPosition) as LogPosition;
    while (at < piece.to) {
      const until = Math.min(at + stepBytes, piece.to) as LogPosition;
      const reached = await this.readInto(entries, at, until);
      if (reached <= at) break;
      at = reached;
      await this.rest();
    }
    await this.write(piece, entries);
    return entries;
  }

  private async write(piece: Piece, { words, count }: DecisionEntries): Promise<void> {
    const body = Buffer.from(words.buffer, words.byteOffset, count * entryWords * 4);
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(magic, 0);
    head.writeUInt32LE(await checksumOf(body, this.time.pacing.begin()), 4);
    this.useless = this.useless.filter((one) => this.pathOf(one) !== this.pathOf(piece));
    await replaceFile(this.disk, this.pathOf(piece), [head, body]);
  }

  private async read(piece: Piece, pace: Pace): Promise<DecisionEntries | undefined> {
    const bytes = await pace.during(readWhole(this.disk, this.pathOf(piece)));
    if (!bytes || bytes.length < headBytes || (bytes.length - headBytes) % (entryWords * 4) !== 0) return undefined;
    if (bytes.readUInt32LE(0) !== magic) return undefined;
    if (bytes.readUInt32LE(4) !== (await checksumOf(bytes.subarray(headBytes), pace))) return undefined;
    const from = bytes.byteOffset + headBytes;
    // Numbers must begin at a multiple of four: else a copy.
    const body = from % 4 === 0 ? bytes.subarray(headBytes) : new Uint8Array(bytes.subarray(headBytes));
    return new DecisionEntries(piece.from, new Uint32Array(body.buffer, body.byteOffset, body.byteLength / 4));
  }

  private pathOf({ from, to, lacks }: Piece): string {
    return joinPath(this.folder, `${from}-${to}${lacks ? lacksEnding : ''}`);
  }

  /** Whoever waits for the event loop goes first. */
  private rest(): Promise<void> {
    return new Promise((resolve) => this.time.clock.soon(resolve));
  }
}

/** Of a few MiB: a little at a time. */
async function checksumOf(bytes: Uint8Array, pace: Pace): Promise<number> {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += checkedBytes) {
    sum = crc32(bytes.subarray(at, at + checkedBytes), sum);
    if (pace.isOver) await pace.rest();
  }
  return sum;
}

function pieceOf(name: string): Piece | undefined {
  const lacks = name.endsWith(lacksEnding);
  const [, from, to] = /^(\d{1,16})-(\d{1,16})$/.exec(lacks ? name.slice(0, -lacksEnding.length) : name) ?? [];
  if (from === undefined || to === undefined) return undefined;
  return { from: Number(from) as LogPosition, to: Number(to) as LogPosition, lacks };
}
