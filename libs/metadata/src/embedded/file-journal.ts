import { crc32 } from 'node:zlib';

import { assert, MqError } from '@cometmq/shared';

import type { Journal } from '../local/local-store.js';
import type { Entry, Frozen } from '../local/state.js';
import type { MetadataFiles } from './files.js';

/**
 * The embedded store's bytes: a snapshot, and the journal of what came after it.
 *
 *   snapshot      | size u32 | crc32 u32 | {"format":1,"generation":g,"state":…} |
 *   journal-<g>   | size u32 | crc32 u32 | {"format":1,"generation":g} |  then a record a batch: | … | {"batch":n,"entries":[…]} |
 *
 *   synced-0, -1  | size u32 | crc32 u32 | {"generation":g,"batch":n,"end":e} |  in turn: so much of the journal was synced
 *
 * Little-endian; the checksum covers the size and the JSON. A batch is one record, written only after the one before
 * was synced. So a bad record with a good one behind it is damage, and so is a journal that lacks what a mark says was
 * synced. A bad record with nothing behind it that no mark knows of is a torn tail that nobody was promised: it is cut off,
 * and told. Marks are written after the sync that they speak of, and synced themselves when the store is closed: they may
 * be behind, never ahead.
 *
 * A new snapshot: journal g+1 is made, then the snapshot beside the old one, both synced; the rename is the moment from
 * which g+1 counts. Whatever else lies in the folder is left over from a crash in between, and is cleared away.
 */
const format = 1;
const headBytes = 8;
const snapshotFile = 'snapshot';
const draftFile = 'snapshot.new';
const markFiles = ['synced-0', 'synced-1'] as const;
const journalFile = (generation: number): string => `journal-${generation}`;

interface SnapshotRecord {
  readonly format: number;
  readonly generation: number;
  readonly state: Frozen;
}
interface JournalHead {
  readonly format: number;
  readonly generation: number;
}
interface MarkRecord {
  readonly generation: number;
  readonly batch: number;
  readonly end: number;
}
interface BatchRecord {
  readonly batch: number;
  readonly entries: readonly Entry[];
}

const emptyState: Frozen = { revision: 1, leasesGranted: 0, pairs: [], leases: [] };

export class FileJournal implements Journal {
  private generation = 0;
  private batch = 0;
  private journalBytes = 0;
  private snapshotBytes = 0;

  constructor(
    private readonly files: MetadataFiles,
    /** A snapshot is due when the journal is longer than this and than four snapshots. */
    private readonly journalBytesMin = 1024 * 1024,
    /** Takes a line when something was cut off. */
    private readonly say: (line: string) => void = () => undefined,
  ) {}

  async open(): Promise<{ snapshot: Frozen; entries: Entry[] }> {
    const names = await this.files.list();
    const found = names.includes(snapshotFile) ? await this.readSnapshot() : await this.begin(names);
    this.generation = found.generation;
    const entries = await this.readJournal();
    await this.clear(names);
    return { snapshot: found.state, entries };
  }

  get snapshotDue(): boolean {
    return this.journalBytes > Math.max(this.journalBytesMin, 4 * this.snapshotBytes);
  }

  async append(entries: readonly Entry[]): Promise<void> {
    const file = journalFile(this.generation);
    this.batch += 1;
    const bytes = record({ batch: this.batch, entries } satisfies BatchRecord);
    await this.files.append(file, bytes);
    await this.files.sync(file);
    this.journalBytes += bytes.length;
    await this.mark(this.batch % 2);
  }

  async snapshot(state: Frozen): Promise<void> {
    const old = this.generation;
    const next = old + 1;
    const head = record({ format, generation: next } satisfies JournalHead);
    const whole = record({ format, generation: next, state } satisfies SnapshotRecord);
    await this.files.write(journalFile(next), head);
    await this.files.sync(journalFile(next));
    await this.files.write(draftFile, whole);
    await this.files.sync(draftFile);
    await this.files.syncFolder();
    await this.files.rename(draftFile, snapshotFile);
    await this.files.syncFolder();
    this.generation = next;
    this.batch = 0;
    this.journalBytes = head.length;
    this.snapshotBytes = whole.length;
    await this.mark(0);
    await this.mark(1);
    await this.files.syncFolder();
    if (old > 0) await this.files.remove(journalFile(old));
  }

  async close(): Promise<void> {
    // A mark that is not synced proves less, and nothing else rests on it.
    for (const file of markFiles) await this.files.sync(file).catch(() => undefined);
    await this.files.close();
  }

  private async mark(slot: number): Promise<void> {
    const { generation, batch, journalBytes: end } = this;
    await this.files.write(markFiles[slot] ?? markFiles[0], record({ generation, batch, end } satisfies MarkRecord));
  }

  /** So much of the journal was synced for sure. */
  private async syncedEnd(): Promise<number> {
    let end = 0;
    for (const file of markFiles) {
      const [mark] = scan((await this.files.read(file)) ?? new Uint8Array()).records as (MarkRecord | undefined)[];
      // One of another journal, or one that the power took, says nothing.
      if (mark?.generation === this.generation) end = Math.max(end, mark.end);
    }
    return end;
  }

  private async begin(names: readonly string[]): Promise<SnapshotRecord> {
    for (const name of names.filter((other) => other.startsWith('journal-'))) {
      const bytes = (await this.files.read(name)) ?? new Uint8Array();
      const unused = name === journalFile(1) && scan(bytes).records.length <= 1;
      if (!unused) throw this.damaged(snapshotFile, `it is gone, but ${name} is there`);
    }
    await this.snapshot(emptyState);
    return { format, generation: this.generation, state: emptyState };
  }

  private async readSnapshot(): Promise<SnapshotRecord> {
    const bytes = (await this.files.read(snapshotFile)) ?? new Uint8Array();
    const { records, end } = scan(bytes);
    const first = records[0] as SnapshotRecord | undefined;
    if (!first || end !== bytes.length) throw this.damaged(snapshotFile, 'its checksum is wrong');
    this.checkFormat(first.format);
    this.snapshotBytes = bytes.length;
    return first;
  }

  private async readJournal(): Promise<Entry[]> {
    const file = journalFile(this.generation);
    const bytes = await this.files.read(file);
    if (!bytes) throw this.damaged(file, 'it is gone');
    const { records, end } = scan(bytes);
    const head = records[0] as JournalHead | undefined;
    if (!head) throw this.damaged(file, 'its head is bad');
    this.checkFormat(head.format);
    if (head.generation !== this.generation) throw this.damaged(file, `it belongs to snapshot ${head.generation}`);
    const synced = await this.syncedEnd();
    if (end < synced) {
      throw this.damaged(file, `it is good up to byte ${end} of ${bytes.length}, and was synced up to byte ${synced}`);
    }
    if (end < bytes.length) await this.cutTail(file, bytes, end);
    const batches = records.slice(1) as BatchRecord[];
    for (const { batch } of batches) {
      this.batch += 1;
      if (batch !== this.batch) throw this.damaged(file, `batch ${this.batch} is missing`);
    }
    this.journalBytes = end;
    return batches.flatMap((one) => one.entries);
  }

  private async cutTail(file: string, bytes: Uint8Array, end: number): Promise<void> {
    const behind = recordBehind(bytes, end);
    if (behind !== undefined) {
      throw this.damaged(file, `the record at byte ${end} is bad, but the one at byte ${behind} is good`);
    }
    await this.files.truncate(file, end);
    await this.files.sync(file);
    this.say(
      `metadata file ${file} in ${this.files.place}: the last ${bytes.length - end} bytes, from byte ${end} on, were cut ` +
        'off: a change that was being written when the process ended, and was not answered',
    );
  }

  private async clear(names: readonly string[]): Promise<void> {
    const keep = journalFile(this.generation);
    for (const name of names) {
      const ours = name === draftFile || (name.startsWith('journal-') && name !== keep);
      // The first start may have renamed the draft away.
      if (ours && (await this.files.read(name))) await this.files.remove(name);
    }
  }

  private checkFormat(found: number): void {
    if (found === format) return;
    throw new MqError(
      'DATA_FOLDER',
      `metadata in ${this.files.place} has format ${found}, this version reads ${format}: start the version that wrote it`,
    );
  }

  private damaged(file: string, how: string): MqError {
    return new MqError(
      'CORRUPT_RECORD',
      `metadata file ${file} in ${this.files.place} is damaged: ${how}. Restore the folder from a backup; or, if there ` +
        'is none, move it away and start once with --adopt-metadata, which brings back what the log of the broker knows',
    );
  }
}

function record(content: object): Uint8Array {
  const json = Buffer.from(JSON.stringify(content));
  const bytes = Buffer.allocUnsafe(headBytes + json.length);
  bytes.writeUInt32LE(json.length, 0);
  json.copy(bytes, headBytes);
  bytes.writeUInt32LE(checksum(bytes), 4);
  return bytes;
}

/** Over the size and the JSON: all of the record but the checksum itself. */
function checksum(whole: Buffer): number {
  return crc32(whole.subarray(headBytes), crc32(whole.subarray(0, 4)));
}

/** The record at `from`; undefined when there is no whole and good one. */
function recordAt(bytes: Buffer, from: number): { readonly content: unknown; readonly end: number } | undefined {
  if (from + headBytes > bytes.length) return undefined;
  const end = from + headBytes + bytes.readUInt32LE(from);
  // Each is a JSON object, which spares most of the checksums in a search byte by byte.
  if (end > bytes.length || bytes[from + headBytes] !== 0x7b || bytes[end - 1] !== 0x7d) return undefined;
  const whole = bytes.subarray(from, end);
  if (whole.readUInt32LE(4) !== checksum(whole)) return undefined;
  const content: unknown = JSON.parse(whole.toString('utf8', headBytes));
  return { content, end };
}

/** All good records from the start on, and where they end. */
function scan(given: Uint8Array): { readonly records: readonly unknown[]; readonly end: number } {
  const bytes = asBuffer(given);
  const records: unknown[] = [];
  let end = 0;
  for (let next = recordAt(bytes, 0); next; next = recordAt(bytes, end)) {
    assert(next.end > end, 'a record has a length');
    records.push(next.content);
    end = next.end;
  }
  return { records, end };
}

/** Where the next good record begins behind a bad one at `bad`. */
function recordBehind(given: Uint8Array, bad: number): number | undefined {
  const bytes = asBuffer(given);
  for (let at = bad + 1; at + headBytes < bytes.length; at += 1) if (recordAt(bytes, at)) return at;
  return undefined;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
