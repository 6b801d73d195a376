/**
 * Makes one backup of one data folder: uploads what the bucket does not hold yet, looks whether all of it is there, and
 * writes the manifest last. A run that is broken off leaves objects that the next one finds and uses.
 */
import { createHash } from 'node:crypto';

import { type Clock, MqError, sleep } from '@cometmq/shared';

import { Catalogue, isSameLife } from './catalogue.js';
import { encodeChecked, fileKey, filesOf, manifestKey } from './manifest.js';
import type { BackupFile, BackupPoint, Manifest } from './manifest.js';
import { type ObjectStore, putObject } from './object-store.js';

/** A data folder held as it is at one moment. */
export interface BackupSource {
  readonly point: BackupPoint;
  readonly facts: unknown;
  readonly files: readonly SourceFile[];
  read(file: SourceFile): AsyncIterable<Uint8Array>;
}

export interface SourceFile {
  readonly name: string;
  readonly bytes: number;
  /** With the same name, size and version a file holds the same bytes as one of an earlier backup; undefined: unknown. */
  readonly version: string | undefined;
}

export interface BackupOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly brokerSet: string;
  readonly id: string;
  /** How fast files are read at the most. */
  readonly bytesPerSecond: number;
  /** Asked between files and pieces: a reason to stop. */
  readonly stopped?: (() => MqError | undefined) | undefined;
  readonly onProgress?: ((done: Progress) => void) | undefined;
}

export interface Progress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly newBytes: number;
}

export async function runBackup(source: BackupSource, options: BackupOptions): Promise<Manifest> {
  return new Run(source, options).run();
}

class Run {
  private readonly catalogue: Catalogue;
  private readonly startedMs: number;
  private bytesDone = 0;
  private newBytes = 0;
  /** When the bytes read so far may have been read by. */
  private pacedMs: number;

  constructor(
    private readonly source: BackupSource,
    private readonly options: BackupOptions,
  ) {
    this.catalogue = new Catalogue(options.store, options.brokerSet);
    this.startedMs = options.clock.wallMs();
    this.pacedMs = options.clock.monotonicMs();
  }

  async run(): Promise<Manifest> {
    const { source, options, catalogue } = this;
    const { store, clock, brokerSet, id } = options;
    const begunMs = clock.monotonicMs();
    const ids = await catalogue.ids();
    if (ids.includes(id)) throw new MqError('ALREADY_EXISTS', `there is a backup ${id} of ${brokerSet} already`);
    const known = await this.knownFiles(ids);
    const held = await this.held();
    const files: BackupFile[] = [];
    for (const file of source.files) {
      files.push(await this.file(file, known, held));
      this.bytesDone += file.bytes;
      this.tell();
    }
    await this.checkAll(files);
    const manifest: Manifest = {
      ...source.point,
      ...{ format: 1, id, brokerSet, takenMs: this.startedMs, tookMs: Math.round(clock.monotonicMs() - begunMs) },
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      newBytes: this.newBytes,
      files,
      facts: source.facts,
    };
    await putObject(store, manifestKey(brokerSet, id), encodeChecked(manifest));
    return manifest;
  }

  /** What the newest backup says of files by which they can be known without being read. @throws MqError CONFLICT */
  private async knownFiles(ids: readonly string[]): Promise<ReadonlyMap<string, BackupFile>> {
    const id = ids.at(-1);
    const newest = id === undefined ? undefined : await this.catalogue.manifest(id);
    const { cluster } = this.source.point;
    if (newest?.cluster && cluster) {
      if (newest.cluster.id !== cluster.id) {
        throw new MqError(
          'CONFLICT',
          `backup ${newest.id} of ${this.options.brokerSet} is of another cluster, ${newest.cluster.id}, and this is ` +
            `${cluster.id}: each cluster needs a place of its own for its backups`,
        );
      }
      if (newest.cluster.generation > cluster.generation) {
        throw new MqError(
          'CONFLICT',
          `backup ${newest.id} is of a cluster that this one was restored to since: name another place for these backups`,
        );
      }
    }
    if (!newest || !isSameLife(newest, this.source.point)) return new Map();
    const known = newest.files.filter(({ version, key }) => version !== undefined && key !== undefined);
    return new Map(known.map((file) => [named(file), file]));
  }

  private async file(file: SourceFile, known: ReadonlyMap<string, BackupFile>, held: Held): Promise<BackupFile> {
    const { brokerSet, id } = this.options;
    const { name, bytes, version } = file;
    if (bytes === 0) return { name, bytes };
    const before = version === undefined ? undefined : known.get(named(file));
    if (before?.key !== undefined && held.there.get(before.key) === bytes) return before;
    const sha256 = await this.sumOf(file);
    const own = fileKey(brokerSet, name, sha256);
    const key = held.marked.has(own) ? `${own}.${id}` : own;
    if (held.there.get(key) !== bytes) {
      await this.upload(file, key, sha256);
      held.there.set(key, bytes);
    }
    return { name, bytes, ...(version !== undefined && { version }), sha256, key };
  }

  private async sumOf(file: SourceFile): Promise<string> {
    const sum = createHash('sha256');
    for await (const piece of this.paced(file)) sum.update(piece);
    return sum.digest('hex');
  }

  private async upload(file: SourceFile, key: string, expected: string): Promise<void> {
    const sum = createHash('sha256');
    const summed = async function* (pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces) {
        sum.update(piece);
        yield piece;
      }
      // Before the last part goes out: what is not whole is never there.
      if (sum.digest('hex') !== expected) throw new MqError('CORRUPT_RECORD', `${file.name} changed while it was read`);
    };
    await this.options.store.put(key, summed(this.paced(file)), file.bytes);
    this.newBytes += file.bytes;
  }

  /** No faster than is allowed, and no longer than is wanted. */
  private async *paced(file: SourceFile): AsyncGenerator<Uint8Array> {
    const { clock, bytesPerSecond, stopped } = this.options;
    for await (const piece of this.source.read(file)) {
      const why = stopped?.();
      if (why) throw why;
      this.pacedMs = Math.max(this.pacedMs, clock.monotonicMs() - 1_000) + (1_000 * piece.byteLength) / bytesPerSecond;
      const waitMs = this.pacedMs - clock.monotonicMs();
      if (waitMs > 0) await sleep(clock, waitMs);
      yield piece;
    }
  }

  /** Not a manifest of what is not there. */
  private async checkAll(files: readonly BackupFile[]): Promise<void> {
    const { there } = await this.held();
    const missing = files.find(({ key, bytes }) => key !== undefined && there.get(key) !== bytes);
    if (missing) {
      throw new MqError(
        'CONFLICT',
        `${missing.key ?? ''} is not in the bucket any more: another run deleted it. Try again`,
      );
    }
  }

  private tell(): void {
    const { bytesDone, newBytes } = this;
    const bytesTotal = this.source.files.reduce((sum, { bytes }) => sum + bytes, 0);
    this.options.onProgress?.({ bytesDone, bytesTotal, newBytes });
  }

  private async held(): Promise<Held> {
    const there = new Map<string, number>();
    const marked = new Set<string>();
    for await (const { key, bytes } of this.options.store.list(filesOf(this.options.brokerSet))) there.set(key, bytes);
    for (const { keys } of await this.catalogue.deletions()) {
      for (const key of keys) {
        marked.add(key);
        there.delete(key);
      }
    }
    return { there, marked };
  }
}

/** What the bucket holds of files. */
interface Held {
  /** May be used again, with its size. */
  readonly there: Map<string, number>;
  /** May go at any time, as no backup needed it: never used again. */
  readonly marked: ReadonlySet<string>;
}

function named({ name, bytes, version }: { name: string; bytes: number; version?: string | undefined }): string {
  return `${name} ${bytes} ${version ?? ''}`;
}
