/** The backups of one broker set that a bucket holds: found, chosen by name or moment, checked, and given up. */
import { createHash } from 'node:crypto';

import { MqError } from '@cometmq/shared';

import {
  backupIdPattern,
  clockOf,
  decodeChecked,
  decodeManifest,
  deletionsOf,
  encodeChecked,
  filesOf,
  manifestBytesMax,
  manifestKey,
  manifestsOf,
} from './manifest.js';
import type { BackupFile, Manifest } from './manifest.js';
import { type ObjectStore, putObject, readObject } from './object-store.js';

/** Keys that no backup needs any more. They go some time after this was written down. */
export interface Deletion {
  readonly format: 1;
  readonly sinceMs: number;
  /** Manifests that were given up by it. */
  readonly backups: readonly string[];
  readonly keys: readonly string[];
}

/** Backups that are kept: those of the last `backupKeepMs`, and so many in any case. */
export interface Keep {
  readonly backupKeepMs: number;
  readonly backupKeepMin: number;
}

/** From when a key is written down as not needed to when it goes: a run that still counts on it is over by then. */
export const deletionGraceMs = 24 * 3_600_000;

export interface Swept {
  readonly backups: readonly string[];
  /** Objects that went now. */
  readonly objects: number;
}

export class Catalogue {
  constructor(
    private readonly store: ObjectStore,
    readonly brokerSet: string,
  ) {}

  /** Of all whole backups, oldest first. */
  async ids(): Promise<string[]> {
    return [...(await this.written()).keys()].sort();
  }

  /** When the bucket took each, by its clock. */
  private async written(): Promise<Map<string, number>> {
    const written = new Map<string, number>();
    const from = manifestsOf(this.brokerSet);
    for await (const { key, modifiedMs } of this.store.list(from)) {
      const id = key.slice(from.length);
      if (backupIdPattern.test(id)) written.set(id, modifiedMs);
    }
    return written;
  }

  /** @throws MqError NOT_FOUND, CORRUPT_RECORD */
  async manifest(id: string): Promise<Manifest> {
    const key = manifestKey(this.brokerSet, id);
    try {
      return decodeManifest(key, await readObject(this.store, key, manifestBytesMax));
    } catch (caught) {
      if (!(caught instanceof MqError && caught.code === 'NOT_FOUND')) throw caught;
      throw new MqError('NOT_FOUND', `there is no backup "${id}" of ${this.brokerSet}`, { cause: caught });
    }
  }

  /** One at a time, newest first. */
  async *manifests(ids?: readonly string[]): AsyncGenerator<Manifest, void, undefined> {
    for (const id of [...(ids ?? (await this.ids()))].reverse()) yield await this.manifest(id);
  }

  /** @throws MqError NOT_FOUND */
  async newest(): Promise<Manifest> {
    const id = (await this.ids()).at(-1);
    if (id === undefined) throw new MqError('NOT_FOUND', `there is no backup of ${this.brokerSet} in the bucket`);
    return this.manifest(id);
  }

  /**
   * What it takes to come to a moment: the newest backup that holds nothing later, and the next one, whose log goes on.
   *
   * @throws MqError NOT_FOUND: says from when to when there is something
   */
  async around(ms: number): Promise<{ readonly base: Manifest; readonly next: Manifest | undefined }> {
    let next: Manifest | undefined;
    let reachedMs: number | undefined;
    for await (const manifest of this.manifests()) {
      reachedMs ??= Math.max(manifest.lastMs, manifest.takenMs);
      if (ms > reachedMs) break;
      if (manifest.lastMs <= ms) return { base: manifest, next: next && isSameLife(manifest, next) ? next : undefined };
      next = manifest;
    }
    if (reachedMs === undefined)
      throw new MqError('NOT_FOUND', `there is no backup of ${this.brokerSet} in the bucket`);
    const first = (await this.ids())[0];
    const from = first === undefined ? reachedMs : (await this.manifest(first)).lastMs;
    const [begin, end] = [from, reachedMs].map((each) => new Date(each).toISOString());
    throw new MqError(
      'NOT_FOUND',
      `backups of ${this.brokerSet} reach from ${begin} to ${end}: name a moment between them`,
    );
  }

  /** A file of a backup, every byte of it checked. @throws MqError NOT_FOUND, CORRUPT_RECORD */
  async *read(file: BackupFile): AsyncGenerator<Uint8Array> {
    const { key, bytes, sha256 } = file;
    if (key === undefined) return;
    const sum = createHash('sha256');
    let read = 0;
    for await (const piece of this.store.get(key)) {
      read += piece.byteLength;
      sum.update(piece);
      if (read <= bytes) yield piece;
    }
    if (read !== bytes) throw damaged(key, `it has ${read} bytes, not ${bytes}`);
    if (sum.digest('hex') !== sha256) throw damaged(key, 'its bytes are others');
  }

  /** Reads all of a backup. @returns what of it is missing or damaged, in words; empty: nothing is */
  async verify(
    manifest: Manifest,
    onRead: (bytes: number) => Promise<void> = async () => undefined,
  ): Promise<string[]> {
    const problems: string[] = [];
    for (const file of manifest.files) {
      try {
        for await (const { byteLength } of this.read(file)) await onRead(byteLength);
      } catch (caught) {
        const error = MqError.from(caught);
        if (error.code !== 'NOT_FOUND' && error.code !== 'CORRUPT_RECORD') throw error;
        problems.push(error.code === 'NOT_FOUND' ? `${file.key ?? file.name} is missing` : error.reason);
      }
    }
    return problems;
  }

  /** What was written down as not needed, and may still be there. */
  async deletions(): Promise<(Deletion & { readonly key: string })[]> {
    const found: (Deletion & { readonly key: string })[] = [];
    for await (const { key, modifiedMs } of this.store.list(deletionsOf(this.brokerSet))) {
      const deletion = decodeChecked(key, await readObject(this.store, key, manifestBytesMax)) as Deletion;
      found.push({ ...deletion, sinceMs: Math.max(deletion.sinceMs, modifiedMs), key });
    }
    return found;
  }

  /**
   * Gives up old backups, and what no backup needs any more, in two steps: what is not needed is written down; what was
   * written down a day ago, and still is not needed, goes. Nothing goes that was not written down. Of one set one at a time.
   *
   * What is old is so by the bucket's clock too: one clock that is a month ahead would else give up all but the newest.
   */
  async sweep(keep: Keep, wallMs: number): Promise<Swept> {
    const nowMs = Math.min(wallMs, await this.bucketMs());
    const written = await this.written();
    const ids = [...written.keys()].sort();
    const needed = new Set<string>();
    const old = new Set<string>();
    const ofOld = new Set<string>();
    let seen = 0;
    for await (const manifest of this.manifests(ids)) {
      seen += 1;
      const ofMs = Math.max(manifest.takenMs, written.get(manifest.id) ?? nowMs);
      if (seen > keep.backupKeepMin && ofMs < nowMs - keep.backupKeepMs) old.add(manifest.id);
      const into = old.has(manifest.id) ? ofOld : needed;
      for (const { key } of manifest.files) if (key !== undefined) into.add(key);
    }
    const deletions = await this.deletions();
    const marked = new Set(deletions.flatMap(({ keys }) => keys));
    const objects = await this.goneLongEnough(deletions, needed, nowMs);
    const keys: string[] = [];
    for await (const { key, modifiedMs } of this.store.list(filesOf(this.brokerSet))) {
      // What is newer may be of a run that has not come to its manifest, or has been broken off and goes on.
      const isOld = modifiedMs < nowMs - deletionGraceMs || ofOld.has(key);
      if (isOld && !needed.has(key) && !marked.has(key)) keys.push(key);
    }
    const backups = [...old];
    if (keys.length > 0 || backups.length > 0) {
      const deletion: Deletion = { format: 1, sinceMs: nowMs, backups, keys };
      await putObject(this.store, `${deletionsOf(this.brokerSet)}${wallMs}`, encodeChecked(deletion));
    }
    for (const id of backups) await this.store.delete(manifestKey(this.brokerSet, id));
    return { backups, objects };
  }

  /** What time it is by the bucket's clock: when it takes an object. */
  private async bucketMs(): Promise<number> {
    const key = clockOf(this.brokerSet);
    await putObject(this.store, key, Buffer.from('now'));
    for await (const found of this.store.list(key)) if (found.key === key) return found.modifiedMs;
    throw new MqError('UNAVAILABLE', `the bucket does not show ${key}, which was just written`);
  }

  private async goneLongEnough(
    deletions: readonly (Deletion & { readonly key: string })[],
    needed: ReadonlySet<string>,
    nowMs: number,
  ): Promise<number> {
    let objects = 0;
    for (const { key: record, sinceMs, keys, backups } of deletions) {
      for (const id of backups) await this.store.delete(manifestKey(this.brokerSet, id)); // Where that was broken off.
      if (sinceMs > nowMs - deletionGraceMs) continue;
      for (const key of keys) {
        if (needed.has(key)) continue;
        await this.store.delete(key);
        objects += 1;
      }
      await this.store.delete(record);
    }
    return objects;
  }
}

/** Neither log begins anew, or goes on from an earlier moment. */
export function isSameLife(
  { cluster: a }: Pick<Manifest, 'cluster'>,
  { cluster: b }: Pick<Manifest, 'cluster'>,
): boolean {
  return a?.id === b?.id && a?.generation === b?.generation;
}

function damaged(key: string, what: string): MqError {
  return new MqError('CORRUPT_RECORD', `${key} in the bucket is damaged: ${what}`);
}
