import type { Matcher } from '@cometmq/consumption';
import { queueOffset, type LogPosition, type QueueId, type QueueOffset, type TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

/** What of the store is asked. */
export type LookedAt = Pick<StorePorts, 'payloadInMemory' | 'readSome' | 'scan' | 'scanInMemory'>;

type Entries = NonNullable<ReturnType<LookedAt['scanInMemory']>>;

/** A piece of marks: a bit a message. */
const pieceMessages = 32_768;
/** Pieces of all queues and groups, 4 KiB each. What would need more counts as wanted. */
const piecesMax = 8_192;
const queuesMax = 10_000;
/** Entries looked at in one go. */
const sliceMax = 4_096;
/** Messages read in one go, where tags do not say it. */
const readsMax = 64;
const readBytesMax = 1024 * 1024;

interface Piece {
  readonly bits: Uint32Array;
  /** Bits that are set. */
  count: number;
}

/** One queue, as a group with these filters sees it: `[from, to)` was looked at. */
interface Marks {
  readonly filters: readonly Matcher[];
  from: number;
  to: number;
  /** By their number: offset / pieceMessages. */
  readonly pieces: Map<number, Piece>;
}

export interface FilteredQueue {
  readonly key: string;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** What members want now; empty: nobody says, and what was wanted last counts. */
  readonly filters: readonly Matcher[];
  /** From here on the group has come to nothing. */
  readonly from: QueueOffset;
  /** What lies before, and is kept for members that nobody knows: ascending, until `each` has enough. */
  readonly kept: (each: (offset: number) => boolean) => void;
  readonly next: QueueOffset;
}

/**
 * Messages that a group has not come to yet, or keeps for members that nobody knows, and that no filter of its members wants: it
 * will pass them over, so they are nothing it has to do. Each is looked at once, in the index or, where its tag does not say it, in the log; derived, and forgotten
 * with this process.
 */
export class Unwanted {
  private readonly queues = new Map<string, Marks>();
  private pieces = 0;

  constructor(private readonly store: LookedAt) {}

  /** Of the queue's messages from `from` on, as far as they were looked at; those in memory are looked at now. */
  count(queue: FilteredQueue, lookMax: number): number {
    const marks = this.marksOf(queue);
    if (!marks) return 0;
    for (let left = lookMax; left > 0 && marks.to < queue.next;) {
      const entries = this.store.scanInMemory(
        queue.topicId,
        queue.queueId,
        queueOffset(marks.to),
        Math.min(left, sliceMax, queue.next - marks.to),
      );
      if (!entries || entries.count === 0) break;
      const done = this.take(marks, entries, (position, size) => this.store.payloadInMemory(position, size));
      if (done < entries.count) break;
      left -= entries.count;
    }
    let unwanted = countFrom(marks, queue.from);
    queue.kept((offset) => {
      if (isMarked(marks, offset)) unwanted += 1;
      return true;
    });
    return unwanted;
  }

  /** What was wanted last, where nobody says what is. */
  lastWanted(key: string): readonly Matcher[] {
    return this.queues.get(key)?.filters ?? [];
  }

  /** Looks at up to `lookMax` more entries, and reads up to `readMax` messages, wherever they lie. */
  async look(queue: FilteredQueue, lookMax: number, readMax: number, breathe: () => Promise<void>): Promise<void> {
    const { store } = this;
    const marks = this.marksOf(queue);
    if (!marks) return;
    for (let [looks, reads] = [lookMax, readMax]; looks > 0 && marks.to < queue.next;) {
      const from = marks.to;
      const max = Math.min(looks, sliceMax, queue.next - from);
      const entries = await store.scan(queue.topicId, queue.queueId, queueOffset(from), max);
      if (entries.count === 0 || marks.to !== from || this.queues.get(queue.key) !== marks) return;
      const payloads = new Map<LogPosition, Uint8Array | undefined>();
      const asked = this.toRead(marks, entries, Math.min(reads, readsMax));
      const read = asked.length === 0 ? [] : await store.readSome(asked, readBytesMax);
      reads -= read.length;
      if (marks.to !== from) return; // Somebody else looked meanwhile.
      read.forEach((message, index) => {
        const position = asked[index]?.position;
        if (position !== undefined) payloads.set(position, message instanceof MqError ? undefined : message.payload);
      });
      const isRead = (position: LogPosition): boolean => payloads.has(position);
      const done = this.take(marks, entries, (position) => payloads.get(position), isRead);
      looks -= entries.count;
      if (done === 0) return;
      await breathe();
    }
  }

  private marksOf({ key, filters, from: fresh, next, kept }: FilteredQueue): Marks | undefined {
    let from: number = fresh;
    kept((offset) => {
      from = Math.min(from, offset);
      return false;
    });
    let marks = this.queues.get(key);
    if (filters.some(({ all }) => all) || (filters.length === 0 && !marks)) {
      this.forget(key);
      return undefined;
    }
    const isOther = (known: Marks): boolean =>
      filters.length > 0 &&
      (filters.length !== known.filters.length || filters.some((filter) => !known.filters.includes(filter)));
    // A group that was moved back begins anew.
    if (!marks || isOther(marks) || from < marks.from) {
      this.forget(key);
      if (this.queues.size >= queuesMax) for (const other of [...this.queues.keys()]) this.forget(other);
      marks = { filters: filters.length > 0 ? filters : (marks?.filters ?? []), from, to: from, pieces: new Map() };
      this.queues.set(key, marks);
    }
    marks.from = from;
    marks.to = Math.max(from, Math.min(marks.to, next)); // A tail may have been cut.
    for (const number of marks.pieces.keys()) {
      if ((number + 1) * pieceMessages > from) break; // They are in order.
      marks.pieces.delete(number);
      this.pieces -= 1;
    }
    return marks;
  }

  private forget(key: string): void {
    const marks = this.queues.get(key);
    if (!marks) return;
    this.pieces -= marks.pieces.size;
    this.queues.delete(key);
  }

  /**
   * Marks entries until one has to be read that is not there; answers how many it took.
   *
   * @param isRead whether a message that has no payload was read, and can't be: it goes to whoever comes
   */
  private take(
    marks: Marks,
    entries: Entries,
    payloadOf: (position: LogPosition, size: number) => Uint8Array | undefined,
    isRead: (position: LogPosition) => boolean = () => false,
  ): number {
    marks.to = Math.max(marks.to, entries.from); // What expired meanwhile is not asked for.
    for (let i = Math.max(0, marks.to - entries.from); i < entries.count; i += 1) {
      const tagHash = entries.tagHash(i);
      let wanted = false;
      for (const filter of marks.filters) {
        if (!filter.wants(tagHash)) continue;
        if (isSaidByTag(filter)) wanted = true;
        else {
          const payload = payloadOf(entries.position(i), entries.size(i));
          if (!payload && !isRead(entries.position(i))) return i;
          wanted = !payload || filter.wantsMessage?.(payload) !== false;
        }
        if (wanted) break;
      }
      if (!wanted && !this.mark(marks, entries.from + i)) return i;
      marks.to = entries.from + i + 1;
    }
    return entries.count;
  }

  private toRead(marks: Marks, entries: Entries, max: number): { position: LogPosition; size: number }[] {
    const asked: { position: LogPosition; size: number }[] = [];
    for (let i = Math.max(0, marks.to - entries.from); i < entries.count && asked.length < max; i += 1) {
      const tagHash = entries.tagHash(i);
      if (marks.filters.some((filter) => !isSaidByTag(filter) && filter.wants(tagHash))) {
        asked.push({ position: entries.position(i), size: entries.size(i) });
      }
    }
    return asked;
  }

  /** False: there is no room. */
  private mark(marks: Marks, offset: number): boolean {
    const number = Math.floor(offset / pieceMessages);
    let piece = marks.pieces.get(number);
    if (!piece) {
      if (this.pieces >= piecesMax) return false;
      this.pieces += 1;
      piece = { bits: new Uint32Array(pieceMessages / 32), count: 0 };
      marks.pieces.set(number, piece);
    }
    const at = offset % pieceMessages;
    const word = piece.bits[at >>> 5] ?? 0;
    const bit = 1 << (at & 31);
    if ((word & bit) === 0) piece.count += 1;
    piece.bits[at >>> 5] = word | bit;
    return true;
  }
}

/** Two tags have one hash once in four thousand million pairs. */
function isSaidByTag({ hashes, wantsMessage }: Matcher): boolean {
  return hashes.length > 0 || !wantsMessage;
}

function countFrom(marks: Marks, from: number): number {
  let count = 0;
  for (const [number, piece] of marks.pieces) {
    const first = number * pieceMessages;
    if (first + pieceMessages <= from) continue;
    count += piece.count;
    for (let offset = first; offset < from; offset += 1) if (hasBit(piece, offset - first)) count -= 1;
  }
  return count;
}

function isMarked({ pieces }: Marks, offset: number): boolean {
  const piece = pieces.get(Math.floor(offset / pieceMessages));
  return piece !== undefined && hasBit(piece, offset % pieceMessages);
}

function hasBit({ bits }: Piece, at: number): boolean {
  return (((bits[at >>> 5] ?? 0) >>> (at & 31)) & 1) === 1;
}
