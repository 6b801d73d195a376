/**
 * The indexes of all segments: that of the active one and of those just filled in memory, those of the sealed ones in
 * a file each, of which heads and pages are kept in a cache bounded by bytes.
 *
 * An index file is worth nothing by itself: one that is missing, cut or damaged is made again from its segment, with
 * the same contents, when it is first wanted. What links a queue's segments (`prev`) only makes a search shorter.
 */
import type { LogPosition, QueueOffset } from '@cometmq/model';
import { Envelope, hashText, placeKey, RecordKind, referenceTarget } from '@cometmq/model';
import { assert, MqError } from '@cometmq/shared';

import { joinPath, replaceFile, splitPath } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import { readOrNothing } from '../disk/read-around.js';
import { checksum } from '../log/checksum.js';
import type { SegmentInfo } from '../log/segment.js';
import { isPending, isQueued, type LogRecord } from '../log/record.js';
import { ByteCache } from './byte-cache.js';
import { entryWords, IndexEntries, noWords } from './index-entries.js';
import { IndexFiles } from './index-files.js';
import { encodeIndex } from './sealed-file.js';
import { entriesPerPage, findRow, keysPerPage, prefixBytes, rowOf, rowWords, SealedHead } from './sealed-head.js';
import type { QueueRow } from './sealed-head.js';
import { QueueTable } from './queue-table.js';
import { noSegment, sampleEveryMs, SegmentIndex, unknownSegment } from './segment-index.js';

/** What an index is rebuilt from. */
export interface RecordSource {
  scan(from: LogPosition, each: (record: LogRecord) => void, until?: LogPosition): Promise<LogPosition>;
  /** The records of the segment that begins at `first` as far as they can be read; `lost` is told of what can't. */
  salvage(
    first: LogPosition,
    each: (record: LogRecord) => void,
    lost: (from: LogPosition, to: LogPosition) => void,
  ): Promise<void>;
}

/** A segment whose index is in a file, or can be. */
export class SealedSegment {
  /** Topics that had live messages here when retention last looked; undefined: it has not looked. */
  liveTopics: ReadonlySet<number> | undefined;
  rebuilding: Promise<SealedHead> | undefined;
  /** Unlinked, or replaced: whoever still looks here looks again. */
  gone = false;
  /** About to be unlinked: nothing may refer to its records any more. */
  leaving = false;
  /** While a compaction is under way: what was referred to meanwhile. */
  newPins: LogPosition[] | undefined;
  /** A compaction that was not worth it: what lived by the estimate, and in which round. */
  triedInVain: { readonly liveBytes: number; readonly round: number } | undefined;

  constructor(
    readonly number: number,
    readonly first: LogPosition,
    readonly end: LogPosition,
    readonly compacted: boolean,
    public path: string,
  ) {}
}

export interface Lost {
  readonly from: LogPosition;
  readonly to: LogPosition;
}

interface Found {
  readonly segment: SealedSegment;
  readonly row: QueueRow;
}

/** What a search wants to see next: the head of a sealed index, or one of its pages. */
type Wish = { readonly segment: SealedSegment; readonly page: number | undefined };
type Seen = SealedHead | Uint32Array;
type Search = Generator<Wish, Found | undefined, Seen>;

/** Where a queue's runs were found last; a consumer reads on from there. Only a hint: may be wrong. */
const hintsMax = 65_536;
/** How far forward of the hint is looked before the search starts from the log's end. */
const forwardMax = 4;

export class SegmentIndexes {
  /** Index of the segment that is being written. */
  current = new SegmentIndex(0 as LogPosition);
  private full: { readonly index: SegmentIndex; end: LogPosition }[] = [];
  private sealed: SealedSegment[] = [];
  private numbers = 0;
  private readonly heads: ByteCache<SealedHead>;
  private readonly pages: ByteCache<Uint32Array>;
  private readonly files: IndexFiles;
  /** Pages and heads that are being read, by their keys: who wants the same waits for the same read. */
  private readonly loadingPages = new Map<number, Promise<Uint32Array>>();
  private readonly loadingHeads = new Map<number, Promise<SealedHead>>();
  private readonly hints = new Map<number, LogPosition>();
  private work: Promise<void> = Promise.resolve();
  /** The newest segment in memory that is complete; -1: none is. */
  private complete = -1;
  /** How many index files were made anew because they were missing or wrong. */
  rebuilt = 0;

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    private readonly source: RecordSource,
    cacheBytes: number,
    /** Told of a failure to write an index file; the index then stays in memory. */
    private readonly onWriteFailed: (error: unknown) => void,
    /** Told of what of a segment was found to be lost. */
    private readonly onDamaged: (first: LogPosition, lost: readonly Lost[]) => void = () => undefined,
  ) {
    this.files = new IndexFiles(disk);
    this.heads = new ByteCache(cacheBytes / 2);
    this.pages = new ByteCache(cacheBytes / 2);
  }

  /** Takes up the segments found at the start. The active one's records are to be folded into `current`. */
  async open(segments: readonly SegmentInfo[], active: LogPosition): Promise<void> {
    await this.disk.makeFolder(this.folder);
    const names = await this.disk.list(this.folder);
    this.sealed = segments.filter((s) => s.sealed && s.first !== active).map((s) => this.sealedSegment(s, names));
    this.full = [];
    this.complete = -1;
    this.current = new SegmentIndex(active);
    const wanted = new Set(this.sealed.map((s) => s.path));
    const strays = names.filter((name) => isIndexName(name) && !wanted.has(joinPath(this.folder, name)));
    for (const name of strays) await this.disk.unlink(joinPath(this.folder, name));
    // What was cut off may come again in other words, up to the same end: its index must not come back.
    if (strays.length > 0) await this.disk.syncFolder(this.folder);
  }

  /** Makes the index files that are missing, in the background, so that no reader has to wait for one. */
  async fillGaps(): Promise<void> {
    const present = new Set(await this.disk.list(this.folder));
    for (const segment of this.sealed) {
      if (!present.has(splitPath(segment.path).name)) await this.head(segment);
    }
  }

  /** A new segment begins: what is in memory stays until its file is written, which `onSealed` starts. */
  roll(first: LogPosition): void {
    this.full.push({ index: this.current, end: first });
    this.current = new SegmentIndex(first, Math.max(1024, Math.ceil((this.current.entryCount * 17) / 16)));
  }

  /** The segment is complete and durable. */
  onSealed(first: LogPosition): void {
    assert(
      this.full.some((s) => s.index.first === first),
      'a segment is filled before it is sealed',
    );
    this.complete = first;
    this.writeNext();
  }

  /**
   * Resolves when the index files under way are written, and those that could not be written before (the disk was full) are,
   * or still can't be.
   */
  async settle(): Promise<void> {
    await this.work;
    if ((this.full[0]?.index.first ?? Infinity) > this.complete) return;
    this.writeNext();
    await this.work;
  }

  /** The segment that begins there is complete, and its index can't be written: it is in none of `sealedSegments`. */
  isStuck(first: LogPosition): boolean {
    return first <= this.complete && this.full.some(({ index }) => index.first === first);
  }

  private writeNext(): void {
    this.work = this.work.then(() => this.writeUpTo(this.complete)).catch(this.onWriteFailed);
  }

  /** Resolves when the index files under way are written. */
  async idle(): Promise<void> {
    await this.work;
  }

  /** Gives the files back that are open for readers. */
  async close(): Promise<void> {
    await this.work;
    await this.files.close();
  }

  /** First position of the segment that holds `position`; `noSegment` when it is gone. */
  segmentAt(position: LogPosition): number {
    if (position >= this.current.first) return this.current.first;
    for (const { index, end } of this.full) if (position >= index.first && position < end) return index.first;
    const found = this.sealed[placeOf(this.sealed, position)];
    return found && position < found.end ? found.first : noSegment;
  }

  /** Whether a record at `position` will stay as long as something refers to it. */
  canRefer(position: LogPosition): boolean {
    const first = this.segmentAt(position);
    return first !== noSegment && this.sealed[placeOf(this.sealed, position)]?.leaving !== true;
  }

  /** A reference to it was appended. */
  noteReference(position: LogPosition): void {
    this.sealed[placeOf(this.sealed, position)]?.newPins?.push(position);
  }

  get sealedSegments(): readonly SealedSegment[] {
    return this.sealed;
  }
  /** Those in memory, oldest first, with the end of each. */
  *inMemory(appendEnd: LogPosition): Generator<{ index: SegmentIndex; end: LogPosition }> {
    yield* this.full;
    yield { index: this.current, end: appendEnd };
  }

  /** Something of old messages (of these topics) is gone: what retention knows of the segments is to be found again. */
  livesChanged(topics?: ReadonlySet<number>): void {
    for (const segment of this.sealed) {
      const known = segment.liveTopics;
      if (!topics || !known || [...topics].some((topic) => known.has(topic))) segment.liveTopics = undefined;
    }
  }

  /** Of the segment that begins at `first`: all messages in it below the answer are older than `timeMs`. */
  async positionAtTime(first: LogPosition, timeMs: number, appendEnd: LogPosition): Promise<LogPosition> {
    let found = -1;
    const look = (place: number, timestampMs: number): void => {
      if (found < 0 && timestampMs + sampleEveryMs > timeMs) found = first + place;
    };
    for (const { index, end } of this.inMemory(appendEnd)) {
      if (index.first !== first) continue;
      index.eachTime(look);
      return (found < 0 ? end : found) as LogPosition;
    }
    const segment = this.sealed.find((one) => one.first === first);
    if (!segment) return first;
    (await this.head(segment)).eachTime(look);
    return (found < 0 ? segment.end : found) as LogPosition;
  }

  async remove(segment: SealedSegment): Promise<void> {
    segment.gone = true;
    this.sealed = this.sealed.filter((s) => s !== segment);
    this.heads.delete(segment.number);
    await this.files.forget(segment.path);
    await this.disk.unlink(segment.path);
  }

  /** The segment was compacted: its index, of what was kept, takes the old one's place. */
  async replace(segment: SealedSegment, info: SegmentInfo): Promise<void> {
    const next = this.sealedSegment(info);
    segment.gone = true;
    this.sealed = this.sealed.map((s) => (s === segment ? next : s));
    this.heads.delete(segment.number);
    await this.files.forget(segment.path);
    await this.disk.unlink(segment.path);
    await this.head(next);
  }

  /** Up to `max` entries of a queue from `offset`, all below position `limit`, all of one segment. */
  scan(
    topicId: number,
    queueId: number,
    offset: number,
    max: number,
    limit: LogPosition,
  ): IndexEntries | Promise<IndexEntries> {
    const found = this.look(topicId, queueId, offset, max, limit);
    if (found instanceof IndexEntries) return found;
    const { search, wanted, run } = found;
    if (run) return this.scanPage(run, offset, max, limit);
    return this.scanLater(search, wanted, topicId, queueId, offset, max, limit);
  }

  /** The same where all that is needed is in memory; undefined: it is not, and nothing was begun. */
  scanInMemory(
    topicId: number,
    queueId: number,
    offset: number,
    max: number,
    limit: LogPosition,
  ): IndexEntries | undefined {
    const found = this.look(topicId, queueId, offset, max, limit);
    return found instanceof IndexEntries ? found : undefined;
  }

  /** As far as memory goes: the entries, or where the search stopped and what it wants to see. */
  private look(
    topicId: number,
    queueId: number,
    offset: number,
    max: number,
    limit: LogPosition,
  ): IndexEntries | { readonly search: Search; readonly wanted: Wish; readonly run: Found | undefined } {
    for (let i = this.full.length; i >= 0; i -= 1) {
      const index = i === this.full.length ? this.current : (this.full[i] as { index: SegmentIndex }).index;
      const queue = index.find(topicId, queueId);
      if (queue >= 0 && offset >= index.firstOf(queue)) {
        if (offset >= index.endOf(queue)) break;
        return index.scan(queue, offset, max, limit);
      }
    }
    const search = this.locate(topicId, queueId, offset);
    let step = search.next();
    while (!step.done) {
      const seen = this.seen(step.value);
      if (!seen) return { search, wanted: step.value, run: undefined };
      step = search.next(seen);
    }
    if (!step.value) return nothingAt(offset);
    const { segment, row } = step.value;
    const number = runPage(row, offset);
    const page = this.pages.get(pageKey(segment, number));
    if (page) return entriesOf(step.value, offset, max, limit, page);
    return { search, wanted: { segment, page: number }, run: step.value };
  }

  /** The records, newest first, that may carry the id or key with this salted hash. */
  async findKey(
    hash: number,
    wanted: (first: LogPosition) => boolean,
    each: (position: LogPosition, size: number) => boolean,
  ): Promise<void> {
    const memory = [this.current, ...this.full.map((s) => s.index).reverse()];
    for (const index of memory) {
      if (!wanted(index.first)) continue;
      const found: number[] = [];
      index.eachKey(hash, (place, size) => found.push(place, size));
      for (let i = found.length - 2; i >= 0; i -= 2) {
        if (!each((index.first + (found[i] as number)) as LogPosition, found[i + 1] as number)) return;
      }
    }
    for (let end = Infinity; ;) {
      const segment = this.sealed.findLast((s) => s.first < end);
      if (!segment) return;
      const found = wanted(segment.first) ? await this.keysIn(segment, hash) : [];
      if (!found) continue; // Gone, or replaced, meanwhile.
      found.sort(([one], [other]) => other - one); // They stand by queues.
      for (const [position, size] of found) if (!each(position, size)) return;
      end = segment.first;
    }
  }

  /** Undefined: the segment is gone. */
  private async keysIn(segment: SealedSegment, hash: number): Promise<[LogPosition, number][] | undefined> {
    try {
      const found: [LogPosition, number][] = [];
      for (const entry of await this.keyEntries(segment, hash)) {
        const page = await this.page(segment, Math.floor(entry / entriesPerPage));
        const at = (entry % entriesPerPage) * entryWords;
        found.push([(segment.first + (page[at] as number)) as LogPosition, page[at + 1] as number]);
      }
      return found;
    } catch (caught) {
      if (segment.gone) return undefined;
      throw caught;
    }
  }

  /** The head of a sealed index; the file is made again when it is missing or wrong. */
  async head(segment: SealedSegment): Promise<SealedHead> {
    const cached = this.heads.get(segment.number);
    if (cached) return cached;
    if (segment.rebuilding) return segment.rebuilding;
    return onceAtATime(this.loadingHeads, segment.number, async () => {
      const head = (await this.readHead(segment)) ?? (await this.rebuild(segment));
      this.heads.set(segment.number, head, head.bytes.length);
      return head;
    });
  }

  /** The rows of a sealed index's queues, by topic and queue, which is the order of their runs too. */
  async *rows(segment: SealedSegment): AsyncGenerator<QueueRow> {
    const head = await this.head(segment);
    for (let i = 0; i < head.queuePages; i += 1) {
      const page = await this.page(segment, head.firstQueuePage + i, false);
      for (let row = 0; row < page.length / rowWords; row += 1) yield rowOf(page, row);
    }
  }

  /** Page `number` of a sealed index, as words. Who goes through all of them keeps none: readers want others. */
  async page(segment: SealedSegment, number: number, keep = true): Promise<Uint32Array> {
    const key = pageKey(segment, number);
    const cached = this.pages.get(key);
    if (cached) return cached;
    const page = await onceAtATime(this.loadingPages, key, () => this.loadPage(segment, number));
    if (keep) this.pages.set(key, page, page.byteLength);
    return page;
  }

  private async loadPage(segment: SealedSegment, number: number): Promise<Uint32Array> {
    const page =
      (await this.readPage(segment, await this.head(segment), number)) ??
      (await this.readPage(segment, await this.rebuild(segment), number));
    assert(page !== undefined, 'a new index file can be read');
    return page;
  }

  /**
   * Finds the run of a queue that holds `offset` among the sealed segments. Asks for the heads and pages it wants to
   * see, so that the same search goes on at once while they are in the cache, and waits only when they are not.
   */
  private *locate(topicId: number, queueId: number, offset: number): Search {
    const { sealed } = this;
    const hintKey = topicId * 65_536 + queueId;
    const look = function* (segment: SealedSegment): Search {
      const head = (yield { segment, page: undefined }) as SealedHead;
      const number = head.queuePageOf(topicId, queueId);
      if (number < 0) return undefined;
      const page = (yield { segment, page: number }) as Uint32Array;
      const row = findRow(page, topicId, queueId);
      return row < 0 ? undefined : { segment, row: rowOf(page, row) };
    };
    const hit = (found: Found): Found => {
      if (this.hints.size >= hintsMax) this.hints.clear();
      this.hints.set(hintKey, found.segment.first);
      return found;
    };
    const hint = this.hints.get(hintKey);
    if (hint !== undefined) {
      const from = placeOf(sealed, hint);
      for (let i = Math.max(0, from); i < sealed.length && i <= from + forwardMax; i += 1) {
        const found = yield* look(sealed[i] as SealedSegment);
        if (!found) continue;
        if (offset < found.row.first) break;
        if (offset < found.row.first + found.row.count) return hit(found);
      }
    }
    // A queue that is in nearly every segment is found by halving…
    let low = 0;
    let high = sealed.length;
    let upper: Found | undefined;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = yield* look(sealed[middle] as SealedSegment);
      if (!found) break;
      if (offset < found.row.first) {
        upper = found;
        high = middle;
      } else if (offset < found.row.first + found.row.count) return hit(found);
      else low = middle + 1;
    }
    // …and one that is in few by following its chain, from the newest segment known to stand behind the offset.
    let place = high - 1;
    while (place >= low && low < high) {
      if (upper) {
        if (upper.row.prev === noSegment) return undefined;
        place = Math.min(place, placeOf(sealed, upper.row.prev as LogPosition));
        if (place < low) return undefined;
      }
      const found = yield* look(sealed[place] as SealedSegment);
      if (found) {
        if (offset >= found.row.first + found.row.count) return undefined;
        if (offset >= found.row.first) return hit(found);
      }
      upper = found; // None where the chain leads to what is lost: then one by one.
      place -= 1;
    }
    return undefined;
  }

  private seen({ segment, page }: Wish): Seen | undefined {
    return page === undefined ? this.heads.get(segment.number) : this.pages.get(pageKey(segment, page));
  }

  private async scanLater(
    search: Search,
    wanted: Wish,
    topicId: number,
    queueId: number,
    offset: number,
    max: number,
    limit: LogPosition,
  ): Promise<IndexEntries> {
    let { segment } = wanted;
    try {
      let step: IteratorResult<Wish, Found | undefined> = { value: wanted, done: false };
      while (!step.done) {
        const { page } = step.value;
        ({ segment } = step.value);
        step = search.next(await (page === undefined ? this.head(segment) : this.page(segment, page)));
      }
      if (!step.value) return nothingAt(offset);
      segment = step.value.segment;
      return await this.scanPage(step.value, offset, max, limit);
    } catch (caught) {
      // Retention took the segment meanwhile, or replaced it.
      if (segment.gone) return this.scan(topicId, queueId, offset, max, limit);
      throw caught;
    }
  }

  private async scanPage(found: Found, offset: number, max: number, limit: LogPosition): Promise<IndexEntries> {
    try {
      const page = await this.page(found.segment, runPage(found.row, offset));
      return entriesOf(found, offset, max, limit, page);
    } catch (caught) {
      const { topicId, queueId } = found.row;
      if (found.segment.gone) return this.scan(topicId, queueId, offset, max, limit);
      throw caught;
    }
  }

  private async keyEntries(segment: SealedSegment, hash: number): Promise<number[]> {
    const head = await this.head(segment);
    const entries: number[] = [];
    const from = head.keyPageOf(hash);
    for (let number = from; number >= 0 && number < head.runPages + head.keyPages; number += 1) {
      const words = await this.page(segment, number);
      let low = 0;
      let high = words.length / 2;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((words[2 * middle] as number) < hash) low = middle + 1;
        else high = middle;
      }
      while (low < words.length / 2 && words[2 * low] === hash) {
        entries.push(words[2 * low + 1] as number);
        low += 1;
      }
      if (low < keysPerPage) break;
    }
    return entries;
  }

  private async writeUpTo(first: number): Promise<void> {
    // A file that could not be written before (the disk was full) has its next chance here.
    for (;;) {
      const next = this.full[0];
      if (!next || next.index.first > first) return;
      const segment = this.sealedSegment({ first: next.index.first, end: next.end, generation: 0, lost: false });
      await this.write(segment, next.index);
      this.full.shift();
      this.sealed = [...this.sealed, segment];
    }
  }

  private async write(segment: SealedSegment, index: SegmentIndex): Promise<void> {
    await this.resolvePrevs(segment, index);
    await replaceFile(this.disk, segment.path, await encodeIndex(index, segment.end));
  }

  /** Finds, for the queues whose older segment nobody noted, the newest one that holds them. */
  private async resolvePrevs(segment: SealedSegment, index: SegmentIndex): Promise<void> {
    let unknown: number[] = [];
    for (let queue = 0; queue < index.queueCount; queue += 1) {
      if (index.prevOf(queue) === unknownSegment) unknown.push(queue);
    }
    // In the order of the rows, so that each page is wanted once.
    unknown.sort((a, b) => index.topicOf(a) - index.topicOf(b) || index.queueOf(a) - index.queueOf(b));
    for (const older of [...this.sealed].reverse()) {
      if (unknown.length === 0) return;
      if (older.first >= segment.first) continue;
      const head = await this.head(older);
      const rest: number[] = [];
      for (const queue of unknown) {
        const [topicId, queueId] = [index.topicOf(queue), index.queueOf(queue)];
        const number = head.queuePageOf(topicId, queueId);
        const page =
          number < 0 ? undefined : (this.pages.get(pageKey(older, number)) ?? (await this.page(older, number)));
        if (page && findRow(page, topicId, queueId) >= 0) index.setPrev(queue, older.first);
        else rest.push(queue);
      }
      unknown = rest;
    }
    for (const queue of unknown) index.setPrev(queue, noSegment);
  }

  private readHead(segment: SealedSegment): Promise<SealedHead | undefined> {
    return this.files.use(segment.path, async (file) => {
      const fileBytes = await file.size();
      const prefix = new Uint8Array(prefixBytes);
      if ((await readOrNothing(file, prefix, 0)) < prefixBytes) return undefined;
      const headBytes = SealedHead.bytesOf(prefix, fileBytes);
      if (headBytes === undefined) return undefined;
      const bytes = new Uint8Array(headBytes);
      if ((await readOrNothing(file, bytes, 0)) < headBytes) return undefined;
      return SealedHead.read(bytes, segment.first, segment.end, fileBytes);
    });
  }

  private readPage(segment: SealedSegment, head: SealedHead, number: number): Promise<Uint32Array | undefined> {
    return this.files.use(segment.path, async (file) => {
      const { at, bytes, checksum: wanted } = head.page(number);
      const words = new Uint32Array(bytes / 4);
      const into = new Uint8Array(words.buffer);
      if ((await readOrNothing(file, into, at)) < bytes) return undefined;
      return checksum(into) === wanted ? words : undefined;
    });
  }

  private rebuild(segment: SealedSegment): Promise<SealedHead> {
    segment.rebuilding ??= this.rebuildNow(segment).finally(() => (segment.rebuilding = undefined));
    return segment.rebuilding;
  }

  private async rebuildNow(segment: SealedSegment): Promise<SealedHead> {
    this.heads.delete(segment.number);
    if (segment.gone) throw new MqError('NOT_FOUND', 'what was looked for has expired meanwhile');
    let index = new SegmentIndex(segment.first);
    const scan: Scan = (each) => this.source.scan(segment.first, each, segment.end);
    try {
      if (segment.compacted) await indexCompacted(index, scan);
      else await scan((record) => foldIntoIndex(index, record));
    } catch (caught) {
      if (MqError.from(caught).code !== 'CORRUPT_RECORD') throw caught;
      index = await this.indexDamaged(segment);
    }
    await this.resolvePrevs(segment, index);
    const chunks = await encodeIndex(index, segment.end);
    await replaceFile(this.disk, segment.path, chunks);
    await this.files.forget(segment.path);
    this.rebuilt += 1;
    const fileBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const head = SealedHead.read(chunks[0] as Uint8Array, segment.first, segment.end, fileBytes);
    assert(head !== undefined, 'what was just encoded can be read');
    this.heads.set(segment.number, head, head.bytes.length);
    return head;
  }

  /** Of what can be read. Not kept beyond this process: the segment may be brought back whole. */
  private async indexDamaged(segment: SealedSegment): Promise<SegmentIndex> {
    segment.path = joinPath(this.folder, `damaged-${segment.number}`);
    const index = new SegmentIndex(segment.first);
    let lostAt = segment.first;
    const lost: Lost[] = [];
    await this.source.salvage(
      segment.first,
      (record) => foldBehindLost(index, record, lostAt, segment.compacted),
      (from, to) => {
        lostAt = from;
        lost.push({ from, to });
      },
    );
    this.onDamaged(segment.first, lost);
    return index;
  }

  /** The first offset at or behind `from` at which a run of the queue begins, in any segment; undefined: none does. */
  async nextRun(topicId: number, queueId: number, from: number): Promise<number | undefined> {
    for (const segment of this.sealed) {
      const head = await this.head(segment);
      const number = head.queuePageOf(topicId, queueId);
      if (number < 0) continue;
      const page = await this.page(segment, number);
      const row = findRow(page, topicId, queueId);
      const first = row < 0 ? -1 : rowOf(page, row).first;
      if (first >= from) return first;
    }
    for (const { index } of this.inMemory(0 as LogPosition)) {
      const queue = index.find(topicId, queueId);
      if (queue >= 0 && index.firstOf(queue) >= from) return index.firstOf(queue);
    }
    return undefined;
  }

  private sealedSegment(
    { first, end, generation, lost }: Pick<SegmentInfo, 'first' | 'end' | 'generation' | 'lost'>,
    names: readonly string[] = [],
  ): SealedSegment {
    // How often a segment had been compacted that is lost is known by its index only.
    const known = lost ? names.find((name) => firstOf(name) === first) : undefined;
    const path = joinPath(this.folder, known ?? indexName(first, generation));
    return new SealedSegment(this.numbers++, first, end, generation > 0, path);
  }
}

/**
 * Adds a record of any kind to the index it belongs to; only messages, references and pending messages are indexed.
 * `head` is what its payload begins with: the envelope lies in it. Answers the number of the queue that grew; -1: none did.
 */
export function foldIntoIndex(index: SegmentIndex, record: LogRecord, head = record.payload): number {
  const { kind, topicId } = record;
  if (isPending(kind)) {
    foldQueueless(index, record, head);
    return -1;
  }
  if (!isQueued(kind)) return -1;
  const queue = index.add(
    topicId,
    record.queueId,
    record.queueOffset,
    record.position,
    record.size,
    record.tagHash,
    record.groupHash,
    record.timestampMs,
  );
  if (kind === RecordKind.reference) index.addReference(referenceTarget(record.payload));
  else index.addKeys(topicId, head);
  return queue;
}

/**
 * As `foldIntoIndex`, of a segment some of which was lost at `lostAt`: what a queue lacks before the record has entries of
 * no size, so that whoever reads them is told.
 */
function foldBehindLost(index: SegmentIndex, record: LogRecord, lostAt: LogPosition, compacted: boolean): void {
  const { kind, topicId, queueId, queueOffset } = record;
  if (isQueued(kind)) {
    const queue = index.find(topicId, queueId);
    const next = queue < 0 ? queueOffset : index.endOf(queue);
    // Of a compacted segment nobody knows which offsets were lost, and which had expired before.
    if (compacted && next !== queueOffset) return foldQueueless(index, record);
    for (let offset = next; offset < queueOffset; offset += 1) {
      index.add(topicId, queueId, offset, lostAt, 0, 0, 0, record.timestampMs);
    }
  }
  foldIntoIndex(index, record);
}

function foldQueueless(index: SegmentIndex, record: LogRecord, head = record.payload): void {
  index.addQueueless(record.position, record.size, record.tagHash, record.groupHash, record.timestampMs);
  index.addKeys(record.topicId, head);
  if (record.kind !== RecordKind.transferredPending) return;
  // Found by where it stood: handles of other broker sets name that.
  for (const { brokerSet, position } of new Envelope(head).transferMark?.past?.places ?? []) {
    index.addHash(record.topicId, hashText(placeKey(brokerSet, position)));
  }
}

/** One load a key at a time: who comes while it is under way waits for it. */
function onceAtATime<T>(under: Map<number, Promise<T>>, key: number, load: () => Promise<T>): Promise<T> {
  const known = under.get(key);
  if (known) return known;
  const loading = load().finally(() => under.delete(key));
  under.set(key, loading);
  return loading;
}

type Scan = (each: (record: LogRecord) => void) => Promise<unknown>;

/**
 * The index of a segment from which records were left out. Of a queue, those that live are its last ones, without a
 * gap; what stands before a gap has expired and is there for a reference's sake: found by id and key, in no queue.
 */
async function indexCompacted(index: SegmentIndex, scan: Scan): Promise<void> {
  const table = new QueueTable();
  const starts: number[] = [];
  const nexts: number[] = [];
  await scan((record) => {
    if (!isQueued(record.kind)) return;
    const { topicId, queueId, queueOffset } = record;
    const known = table.find(topicId, queueId);
    const queue = known < 0 ? table.add(topicId, queueId) : known;
    if (nexts[queue] !== queueOffset) starts[queue] = queueOffset;
    nexts[queue] = queueOffset + 1;
  });
  await scan((record) => {
    const before =
      isQueued(record.kind) && record.queueOffset < (starts[table.find(record.topicId, record.queueId)] ?? 0);
    if (before) foldQueueless(index, record);
    else foldIntoIndex(index, record);
  });
}

/** Index of the last segment that begins at or before `position`; -1: none does. */
function placeOf(sealed: readonly SealedSegment[], position: LogPosition): number {
  let low = 0;
  let high = sealed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sealed[middle] as SealedSegment).first <= position) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function nothingAt(offset: number): IndexEntries {
  return new IndexEntries(offset as QueueOffset, 0, 0, noWords, 0);
}

/** Where the segment begins that an index file of this name is of. */
function firstOf(name: string): number | undefined {
  const found = /^(\d{16})(\.\d+)?\.index$/.exec(name);
  return found ? Number(found[1]) : undefined;
}

/** Where segments begin that have an index file. */
export async function indexedFirsts(disk: Disk, folder: string): Promise<ReadonlySet<number>> {
  await disk.makeFolder(folder);
  const firsts = (await disk.list(folder)).map(firstOf);
  return new Set(firsts.filter((first) => first !== undefined));
}

function indexName(first: LogPosition, generation: number): string {
  return `${String(first).padStart(16, '0')}${generation > 0 ? `.${generation}` : ''}.index`;
}

/** Ours, or left over from the making of one. */
function isIndexName(name: string): boolean {
  return /^\d{16}(\.\d+)?\.index(\.tmp)?$/.test(name);
}

function pageKey(segment: SealedSegment, page: number): number {
  return segment.number * 65_536 + page;
}

function runPage(row: QueueRow, offset: number): number {
  return Math.floor((row.at + offset - row.first) / entriesPerPage);
}

function entriesOf(found: Found, offset: number, max: number, limit: LogPosition, page: Uint32Array): IndexEntries {
  const { row, segment } = found;
  const skip = offset - row.first;
  const at = (row.at + skip) % entriesPerPage;
  let count = Math.min(max, row.count - skip, entriesPerPage - at);
  const limitPlace = limit - segment.first;
  const endPlace = (i: number): number => (page[i * entryWords] as number) + (page[i * entryWords + 1] as number);
  while (segment.end > limit && count > 0 && endPlace(at + count - 1) > limitPlace) count -= 1;
  return new IndexEntries(offset as QueueOffset, count, segment.first, page, at * entryWords);
}
