/**
 * Which records of the log decided something on a message: the index behind a message's life. It follows what is committed
 * at its own pace, and stands in no one's way: nothing of it is on the way of a send or a delivery but a note of where a
 * record stands that decides something. By these notes only such records are read, from memory mostly; what was written
 * before this process began is read as a whole, a MiB a turn.
 *
 *   log   | ……… piece ……… | ……… piece ……… | …… growing …… | not followed yet |
 *
 * A piece covers a stretch of the log and lies in a file of its own (decision-files.ts); the last one grows in memory until
 * it is large enough. Parts of it are written as it grows, so that a process that begins has little to read of the log.
 * All of it can be deleted: it is made of the log again. A piece goes with the log it covers.
 * What of the log can't be read is passed over. Until it is given up it may come back: then the index goes back too, and the
 * next process makes such a piece and those behind it again, which is why its file has a name of its own.
 */
import type { LogPosition } from '@cometmq/model';
import { AgainAndAgain, failureFacts, type Clock, type Component, type Pacing } from '@cometmq/shared';
import { MiB } from '@cometmq/model';
import { joinPath, type Disk, type RecordNotes, type StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { decisiveKinds, DecisionEntries } from './decision-entries.js';
import { DecisionFiles, type Piece, type Stretch } from './decision-files.js';

type Log = Pick<StorePorts, 'records' | 'commitEnd' | 'firstPosition' | 'noteKinds'> & {
  readonly damage: Pick<StorePorts['damage'], 'all' | 'isGivenUp'>;
};

/** Log read before others have their turn. */
const stepBytes = 1 * MiB;
/** Stretches of noted records that are read before. */
const stepStretches = 64;
/** Or after so many entries: 7 MiB. */
const pieceEntries = 256 * 1024;
const followMs = 2_000;
/** Parts of a piece that are written before the whole. */
const partsOfPiece = 8;

export class DecisionIndex implements Component {
  readonly name = 'decision index';
  private readonly failed = (caught: unknown): void =>
    this.logger.warn(failureFacts(caught), 'decisions could not be indexed yet');
  private readonly files: DecisionFiles;
  private pieces: Piece[] = [];
  /** Files of what grows, one behind the other. */
  private readonly parts: Piece[] = [];
  /** So many entries of what grows are in them. */
  private inParts = 0;
  /** Files that were found and are of no use. */
  private useless: Piece[] = [];
  /** What could not be read, and may be again. */
  private missed: Stretch[] = [];
  private readonly notes: RecordNotes;
  private growing = new DecisionEntries(0 as LogPosition);
  private end = 0 as LogPosition;
  private following: Promise<void> | undefined;
  private readonly follows: AgainAndAgain;

  constructor(
    private readonly log: Log,
    disk: Disk,
    folder: string,
    private readonly time: { readonly clock: Clock; readonly pacing: Pacing },
    private readonly logger: Logger,
    /** A piece ends after so much of the log. */
    private readonly pieceBytes = 256 * MiB,
  ) {
    this.files = new DecisionFiles(disk, joinPath(folder, 'decisions'), time.pacing);
    this.notes = log.noteKinds(decisiveKinds);
    this.follows = new AgainAndAgain(time.clock, followMs, () => this.follow(), this.failed);
  }

  /** All decisions below it are known. */
  get indexedTo(): LogPosition {
    return this.end;
  }

  async start(): Promise<void> {
    const found = await this.files.list();
    let end = this.log.firstPosition as number;
    // What lies behind a hole is made anew: it may be of a log that was cut off.
    const goesOn = ({ from, to, kind }: Piece): boolean =>
      kind !== 'lacks' && to > end && from <= end && to <= this.log.commitEnd;
    for (const piece of found) {
      if (piece.kind === 'part' || !goesOn(piece)) continue;
      this.pieces.push(piece);
      end = piece.to;
    }
    this.end = end as LogPosition;
    this.growing = new DecisionEntries(this.end);
    const pace = this.time.pacing.begin();
    for (const part of found) {
      if (part.kind !== 'part' || part.from !== this.end || !goesOn(part)) continue;
      const entries = await this.files.read(part, pace);
      if (!entries) continue;
      this.growing.append(entries);
      this.parts.push(part);
      this.inParts = this.growing.count;
      this.end = part.to;
      end = part.to;
    }
    this.useless = found.filter((piece) => !this.pieces.includes(piece) && !this.parts.includes(piece));
    this.follows.start();
  }

  async stop(): Promise<void> {
    await this.follows.stop();
    await this.following;
    await this.savePart().catch(this.failed);
  }

  /** Goes on to what is committed now. One goes at a time; who asks meanwhile waits for the same. */
  follow(): Promise<void> {
    this.following ??= this.followNow().finally(() => (this.following = undefined));
    return this.following;
  }

  /**
   * Calls `each` with the records that may name one of the offsets, in the order of the log, from position `after` on.
   *
   * @param subject `last` left out: the one offset; `before` left out: to the end
   */
  async find(
    subject: {
      readonly topic: number;
      readonly queue: number;
      readonly offset: number;
      readonly last?: number;
      readonly after: number;
      readonly before?: number;
    },
    each: (position: LogPosition, size: number) => void,
  ): Promise<void> {
    const { topic, queue, offset, last = offset, after, before = Infinity } = subject;
    const pace = this.time.pacing.begin();
    const { growing } = this; // It may become a piece meanwhile.
    for (const piece of [...this.pieces]) {
      if (piece.to <= after || piece.from >= before) continue;
      if (!(await this.files.mayHold(piece, topic, queue, offset, last, pace))) continue;
      const entries = (await this.files.entries(piece, pace)) ?? (await this.makeAgain(piece));
      if (pace.isOver) await pace.rest();
      entries.find(topic, queue, offset, last, after, each);
      await pace.rest();
    }
    if (growing.from < before) growing.find(topic, queue, offset, last, after, each);
  }

  private async followNow(): Promise<void> {
    this.goBack();
    await this.dropOld();
    if (this.isFull) await this.settle(); // Of parts, when pieces were larger.
    while (!this.follows.stopped && this.end < this.log.commitEnd) {
      const before = this.end;
      const reached = this.notes.from <= before ? await this.readNoted() : await this.readAll();
      if (reached <= before) return; // What is committed is not on this disk yet.
      this.end = reached;
      if (this.isFull) await this.settle();
      else if (this.isPartFull) await this.savePart();
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
    const again = this.pieces.filter(({ to }) => to > mended.from);
    this.files.forget(again);
    this.useless.push(...again);
    this.pieces = this.pieces.filter(({ to }) => to <= mended.from);
    this.grow(this.pieces.at(-1)?.to ?? this.log.firstPosition);
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
    const lacks = this.lacks(growing.from, end);
    const piece: Piece = { from: growing.from, to: end, kind: lacks ? 'lacks' : 'whole' };
    await this.write(piece, growing);
    this.files.keep(piece, growing);
    this.pieces.push(piece);
    this.grow(end);
  }

  /** A piece begins to grow. */
  private grow(from: LogPosition): void {
    this.end = from;
    this.growing = new DecisionEntries(from);
    this.useless.push(...this.parts.splice(0));
    this.inParts = 0;
  }

  private get isFull(): boolean {
    return this.growing.count >= pieceEntries || this.end - this.growing.from >= this.pieceBytes;
  }

  private get isPartFull(): boolean {
    const entries = this.growing.count - this.inParts;
    return entries >= pieceEntries / partsOfPiece || this.end - this.inPartsTo >= this.pieceBytes / partsOfPiece;
  }

  private get inPartsTo(): LogPosition {
    return this.parts.at(-1)?.to ?? this.growing.from;
  }

  private async savePart(): Promise<void> {
    const { growing, end, inPartsTo } = this;
    // What lacks something is read again by the next process.
    if (end <= inPartsTo || this.lacks(growing.from, end)) return;
    const part: Piece = { from: inPartsTo, to: end, kind: 'part' };
    const { count } = growing;
    await this.write(part, growing.since(this.inParts, part.from));
    this.parts.push(part);
    this.inParts = count;
  }

  private async write(piece: Piece, entries: DecisionEntries): Promise<void> {
    this.useless = this.useless.filter((one) => this.files.pathOf(one) !== this.files.pathOf(piece));
    await this.files.write(piece, entries);
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
      await this.files.unlink(one);
      this.useless.pop(); // Else another time.
    }
    if (gone.length === 0) return;
    this.pieces = this.pieces.filter((piece) => !gone.includes(piece));
    this.files.forget(gone);
    for (const piece of gone) await this.files.unlink(piece);
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
    this.files.keep(piece, entries);
    return entries;
  }

  /** Whoever waits for the event loop goes first. */
  private rest(): Promise<void> {
    return new Promise((resolve) => this.time.clock.soon(resolve));
  }
}
