import {
  contentHash,
  Envelope,
  envelopeIdBytes,
  envelopeIdFrom,
  RecordKind,
  type LogPosition,
  type TopicId,
  type StateChange,
} from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';
import type { LogRecord, StateView } from '@cometmq/store';

/**
 * The messages with a group of the last ten minutes, by topic, message id and content: a producer that got no answer sends
 * again, and its message must not come a second time behind its next one. Another message with the same id is another one.
 *
 * A view: it folds message records, and an entry only says where such a message may be; whoever asks reads the record and
 * looks. Entries lie in generations of a minute, each with a hash table of its own; a generation goes when the newest
 * record is ten minutes younger than its last, or when there would be too many. 20 bytes an entry and 8 for the table.
 *
 *   <generation>/<chunk>   | 1 | started | ended | entries | (hash f64 | position | size) × entries |   1,024 in a chunk
 */
export interface DedupWindowLimits {
  readonly keepMs: number;
  readonly generationMs: number;
  readonly generationEntriesMax: number;
  readonly generationsMax: number;
}

export const dedupWindowLimits: DedupWindowLimits = {
  keepMs: 600_000,
  generationMs: 60_000,
  generationEntriesMax: 128 * 1024,
  generationsMax: 16,
};

export interface SentMessage {
  readonly position: LogPosition;
  readonly size: number;
}

/** 1 knew messages by their id only: what it wrote is forgotten. */
const layout = 2;
const nothing: readonly SentMessage[] = [];
const chunkEntries = 1024;

export class DedupWindow implements StateView {
  readonly name = 'dedupWindow';
  readonly kinds: ReadonlySet<RecordKind> = new Set<RecordKind>([RecordKind.message, RecordKind.transferred]);
  private readonly limits: DedupWindowLimits;
  /** Oldest first. */
  private generations: Generation[] = [];
  private gone: Generation[] = [];
  /** Pieces of another layout. */
  private stale: string[] = [];
  private loaded = false;
  /** Whoever asks for a message appends it next, mostly. */
  private lastEnvelope: Uint8Array | undefined;
  private lastHash = 0;
  private readonly out = new ByteWriter();

  constructor(limits: Partial<DedupWindowLimits> = {}) {
    this.limits = { ...dedupWindowLimits, ...limits };
  }

  fold(record: LogRecord): void {
    if (record.groupHash === 0) return; // Nearly always: nothing more is asked of the record.
    const { topicId, timestampMs, payload, position, size } = record;
    const message = payload.subarray(new Envelope(payload).size);
    this.add(hashOf(topicId, payload, contentHash(message)), timestampMs, position, size);
  }

  private add(hash: number, timestampMs: number, position: LogPosition, size: number): void {
    this.settle();
    const { generationMs, generationEntriesMax } = this.limits;
    let last = this.generations.at(-1);
    if (!last || timestampMs - last.startedMs >= generationMs || last.count >= generationEntriesMax) {
      last = new Generation((last?.number ?? -1) + 1, timestampMs);
      this.generations.push(last);
    }
    last.endedMs = Math.max(last.endedMs, timestampMs);
    last.add(hash, position, size);
    this.forget(timestampMs);
  }

  /** Where this message may have been stored, newest first. Nearly always nowhere. */
  find(topicId: TopicId, envelope: Uint8Array, message: readonly Uint8Array[]): readonly SentMessage[] {
    this.settle();
    const hash = this.hashOf(topicId, envelope, message);
    let found = nothing;
    for (let i = this.generations.length - 1; i >= 0; i -= 1) {
      const there = this.generations[i]?.find(hash) ?? nothing;
      if (there.length > 0) found = [...found, ...there];
    }
    return found;
  }

  get count(): number {
    let sum = 0;
    for (const { count } of this.generations) sum += count;
    return sum;
  }

  takeChanges(): StateChange[] {
    this.settle();
    const changes: StateChange[] = [];
    for (const { number, savedChunks } of this.gone) {
      for (let chunk = 0; chunk < savedChunks; chunk += 1)
        changes.push({ key: keyOf(number, chunk), value: undefined });
    }
    this.gone = [];
    for (const key of this.stale) changes.push({ key, value: undefined });
    this.stale = [];
    for (const generation of this.generations) {
      for (let chunk = generation.firstDirtyChunk; chunk * chunkEntries < generation.count; chunk += 1) {
        changes.push({ key: keyOf(generation.number, chunk), value: generation.encode(chunk, this.out) });
      }
      generation.saved();
    }
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    this.loaded = true;
    if (value[0] !== layout) {
      this.stale.push(key);
      return;
    }
    const [number = 0, chunk = 0] = key.split('/').map(Number);
    let generation = this.generations.find((known) => known.number === number);
    if (!generation) this.generations.push((generation = new Generation(number, 0)));
    generation.decode(chunk, value);
  }

  clear(): void {
    this.generations = [];
    this.gone = [];
    this.stale = [];
    this.loaded = false;
  }

  private hashOf(topicId: TopicId, envelope: Uint8Array, message: readonly Uint8Array[]): number {
    if (this.lastEnvelope !== envelope) {
      const [only] = message;
      const content = contentHash(only && message.length === 1 ? only : Buffer.concat(message));
      this.lastEnvelope = envelope;
      this.lastHash = hashOf(topicId, envelope, content);
    }
    return this.lastHash;
  }

  private forget(nowMs: number): void {
    const { keepMs, generationsMax } = this.limits;
    const { generations } = this;
    while (
      generations.length > generationsMax ||
      (generations.length > 1 && nowMs - (generations[0]?.endedMs ?? nowMs) > keepMs)
    ) {
      const oldest = generations.shift();
      if (oldest && oldest.savedChunks > 0) this.gone.push(oldest);
    }
  }

  /** Pieces were loaded in any order. */
  private settle(): void {
    if (!this.loaded) return;
    this.loaded = false;
    this.generations.sort((one, other) => one.number - other.number);
    for (const generation of this.generations) generation.rehash();
  }
}

class Generation {
  count = 0;
  endedMs = 0;
  savedChunks = 0;
  private savedCount = 0;
  private hashes = new Float64Array(chunkEntries);
  private positions = new Float64Array(chunkEntries);
  private sizes = new Uint32Array(chunkEntries);
  /** Open addressing; holds entry + 1, 0 is empty. Twice the entries at least. */
  private slots = new Int32Array(2 * chunkEntries);

  constructor(
    readonly number: number,
    public startedMs: number,
  ) {}

  add(hash: number, position: number, size: number): void {
    this.put(this.count, hash, position, size);
    this.count += 1;
    if (2 * this.count > this.slots.length) this.rehash();
    else this.place(this.count - 1);
  }

  find(hash: number): readonly SentMessage[] {
    let found: SentMessage[] | undefined;
    const mask = this.slots.length - 1;
    for (let slot = slotOf(hash) & mask; ; slot = (slot + 1) & mask) {
      const entry = (this.slots[slot] as number) - 1;
      if (entry < 0) return found ?? nothing;
      if (this.hashes[entry] !== hash) continue;
      (found ??= []).push({ position: this.positions[entry] as LogPosition, size: this.sizes[entry] as number });
    }
  }

  get firstDirtyChunk(): number {
    return Math.floor(this.savedCount / chunkEntries);
  }

  saved(): void {
    this.savedCount = this.count;
    this.savedChunks = Math.ceil(this.count / chunkEntries);
  }

  encode(chunk: number, out: ByteWriter): Uint8Array {
    const from = chunk * chunkEntries;
    const end = Math.min(this.count, from + chunkEntries);
    out.begin();
    out.u8(layout);
    out.whole(this.startedMs);
    out.whole(this.endedMs);
    out.whole(end - from);
    for (let entry = from; entry < end; entry += 1) {
      out.f64(this.hashes[entry] as number);
      out.whole(this.positions[entry] as number);
      out.whole(this.sizes[entry] as number);
    }
    return out.taken();
  }

  /** `rehash` must follow. */
  decode(chunk: number, value: Uint8Array): void {
    const from = new ByteReader(value);
    assert(from.u8() === layout, 'a piece has a layout this version knows');
    this.startedMs = from.whole();
    this.endedMs = Math.max(this.endedMs, from.whole());
    let entry = chunk * chunkEntries;
    for (let left = from.whole(); left > 0; left -= 1, entry += 1) {
      this.put(entry, from.f64(), from.whole(), from.whole());
    }
    this.count = Math.max(this.count, entry);
    this.saved();
  }

  rehash(): void {
    let size = this.slots.length;
    while (2 * this.count > size) size *= 2;
    this.slots = new Int32Array(size);
    for (let entry = 0; entry < this.count; entry += 1) this.place(entry);
  }

  private put(entry: number, hash: number, position: number, size: number): void {
    if (entry >= this.hashes.length) this.grow(entry);
    this.hashes[entry] = hash;
    this.positions[entry] = position;
    this.sizes[entry] = size;
  }

  private place(entry: number): void {
    const mask = this.slots.length - 1;
    let slot = slotOf(this.hashes[entry] as number) & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = entry + 1;
  }

  private grow(entry: number): void {
    let size = this.hashes.length;
    while (size <= entry) size *= 2;
    const { hashes, positions, sizes } = this;
    this.hashes = new Float64Array(size);
    this.hashes.set(hashes);
    this.positions = new Float64Array(size);
    this.positions.set(positions);
    this.sizes = new Uint32Array(size);
    this.sizes.set(sizes);
  }
}

function keyOf(generation: number, chunk: number): string {
  return `${generation}/${chunk}`;
}

/** The low bits of the upper half are as good as any. */
function slotOf(hash: number): number {
  return Math.floor(hash / 2 ** 21) ^ hash;
}

/** 53 bits of the topic, the message id and the content's hash. */
function hashOf(topicId: TopicId, payload: Uint8Array, content: number): number {
  const from = envelopeIdFrom(payload);
  const end = from + envelopeIdBytes(payload);
  let one = (Math.imul(0x811c9dc5 ^ topicId, 0x01000193) ^ content) >>> 0;
  let two = Math.imul(topicId + 1, 0x9e3779b1) ^ Math.imul(content, 0x85ebca6b);
  for (let i = from; i < end; i += 1) {
    const byte = payload[i] as number;
    one = Math.imul(one ^ byte, 0x01000193);
    two = Math.imul(two ^ byte, 0x5bd1e995);
    two ^= two >>> 15;
  }
  return (one >>> 0) * 2 ** 21 + (two >>> 11);
}
