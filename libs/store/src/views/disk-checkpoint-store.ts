/**
 * Checkpoints in files. Each checkpoint writes the pieces that changed, sorted, into a file of its own; the manifest
 * lists the files that together are the state, and the position that it stands for:
 *
 *   state/<number>.pieces    | pieces, sorted |      never changed; newer files hide the pieces of older ones
 *   state/manifest           position, epoch, files with sizes and checksums, and a checksum over all that
 *   state/manifest.copy      the same: see `disk/two-copies.ts`
 *
 * The manifest is replaced as a whole once the new file is durable: whenever the power goes, it names whole files, and
 * state and position never disagree. A new file takes in older ones as long as that pays: a file that is left is at
 * least twice as large as all that is newer, so there are few of them, and a piece is copied a few times at most.
 *
 * At the start every byte is checked: what is damaged is told, and never taken for state. Why no memory-mapped store:
 * docs/decisions/checkpoints.md.
 */
import type { Epoch, LogPosition } from '@cometmq/model';
import { MqError, sleep } from '@cometmq/shared';
import type { Clock } from '@cometmq/shared';

import { yieldToLoop } from '../yield-to-loop.js';
import { isDiskFull, isMissing, joinPath, readWhole } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { finishBoth, readEither, replaceBoth } from '../disk/two-copies.js';
import type { OnTrouble } from '../disk/two-copies.js';
import { ByteCache } from '../index/byte-cache.js';
import { checkedLine, readCheckedLine } from '../log/checked-line.js';
import { coldPrefix } from './checkpoint-store.js';
import type { Checkpoint, CheckpointStore, PieceChange, PinnedFile, PinnedState } from './checkpoint-store.js';
import { findInBlock, PieceFile, PieceFileDamage, PieceFileWriter } from './piece-file.js';
import type { Piece, PieceFileInfo } from './piece-file.js';
import { FileSource, MemorySource, mergeInTurn, mergeNow } from './piece-merge.js';
import type { KeyRange } from './piece-merge.js';

export const stateManifestName = 'manifest';
const manifestName = stateManifestName;
const suffix = '.pieces';
const version = 1;
/** However well they are graded. */
const filesMax = 16;
/** Changes taken up in one go; then the event loop has its turn. */
const slicePieces = 128;
/** Blocks with cold pieces that were read last. */
const cacheBytes = 1024 * 1024;
const fullRetryMs = 1_000;

interface Manifest {
  readonly version: number;
  /** Of the log that this is the state of. */
  readonly log: string;
  /** -1: no checkpoint has been made yet. */
  readonly position: number;
  readonly epoch: number;
  /** Oldest first. */
  readonly files: readonly PieceFileInfo[];
}

export class DiskCheckpointStore implements CheckpointStore {
  private readonly cache = new ByteCache<Buffer>(cacheBytes);
  private nextNumber: number;
  private closing = false;
  private givenUp = false;

  private constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    private readonly log: string,
    private readonly clock: Clock,
    private manifest: Manifest,
    /** As the manifest lists them. */
    private files: readonly PieceFile[],
  ) {
    this.nextNumber = Math.max(0, ...files.map(({ info }) => info.number)) + 1;
  }

  /**
   * Opens the folder after looking at every byte in it.
   *
   * @param log which log's state this is: another one's is refused
   * @param onTrouble told when one copy of the manifest was damaged
   * @throws MqError CORRUPT_RECORD: says which file is damaged; nothing has been changed then
   */
  static async open(
    disk: Disk,
    folder: string,
    log: string,
    clock: Clock,
    onTrouble?: OnTrouble,
  ): Promise<DiskCheckpointStore> {
    await disk.makeFolder(folder);
    const names = await disk.list(folder);
    const stored = await readEither(disk, joinPath(folder, manifestName), decodeManifest);
    const strays = names.filter((name) => numberOf(name) !== undefined);
    if (stored.isMissing && strays.length > 0) throw damage(disk, folder, manifestName, 'it is missing');
    const manifest = stored.isMissing ? { version, log, position: -1, epoch: 0, files: [] } : stored.value;
    if (!manifest) throw damage(disk, folder, manifestName, 'its checksum is wrong, and its copy is no better');
    if (manifest.log !== log) {
      throw damage(disk, folder, manifestName, `it belongs to the log of another data folder (${manifest.log})`);
    }
    const files: PieceFile[] = [];
    try {
      for (const info of manifest.files) files.push(await openChecked(disk, folder, info));
    } catch (caught) {
      for (const file of files) await file.close();
      throw caught;
    }
    // From the beginning, so that files without it are known for damage.
    if (stored.isMissing) await replaceBoth(disk, joinPath(folder, manifestName), [encodeManifest(manifest)]);
    else await stored.repair(onTrouble);
    const kept = new Set(files.map(({ info }) => nameOf(info.number)));
    for (const name of strays) if (!kept.has(name)) await disk.unlink(joinPath(folder, name)); // Never made part of a state.
    return new DiskCheckpointStore(disk, folder, log, clock, manifest, files);
  }

  /** Puts what is in the folder aside, so that the state can be made anew; what was put aside before is replaced. */
  static async putAside(disk: Disk, folder: string): Promise<void> {
    for (const name of await disk.list(folder)) {
      if (name.endsWith(asideSuffix)) continue;
      await disk.rename(joinPath(folder, name), joinPath(folder, `${name}${asideSuffix}`));
    }
    await disk.syncFolder(folder);
  }

  load(): Checkpoint | undefined {
    const { manifest } = this;
    if (manifest.position < 0) return undefined;
    return {
      position: manifest.position as LogPosition,
      epoch: manifest.epoch as Epoch,
      pieces: this.pieces({ until: coldPrefix }),
      coldPieces: this.pieces({ from: coldPrefix }),
    };
  }

  piece(key: string): Uint8Array | undefined {
    for (const file of this.files.toReversed()) {
      const number = file.blockOf(key);
      const found = number < 0 ? undefined : findInBlock(this.blockOf(file, number), key);
      if (found) return found.value && Uint8Array.from(found.value);
    }
    return undefined;
  }

  async pin(): Promise<PinnedState | undefined> {
    for (;;) {
      const { manifest } = this;
      if (manifest.position < 0) return undefined;
      const files: PinnedFile[] = [];
      const release = async (): Promise<void> => {
        for (const { file } of files) await file.close();
      };
      try {
        for (const info of manifest.files) {
          const name = nameOf(info.number);
          files.push({ name, info, file: await this.disk.open(joinPath(this.folder, name)) });
        }
        return { position: manifest.position as LogPosition, files, release };
      } catch (caught) {
        await release();
        if (!isMissing(caught) || manifest === this.manifest) throw caught;
        // A newer checkpoint has just taken their place: that one, then.
      }
    }
  }

  /** A full disk is waited out. */
  async write(position: LogPosition, epoch: Epoch, changes: Iterable<PieceChange>): Promise<void> {
    this.givenUp = false;
    const sorted = await inOrder(changes);
    let wait = false;
    for (;;) {
      try {
        // On a full disk nothing older is copied.
        await this.writeOnce(position, epoch, sorted, wait);
        return;
      } catch (caught) {
        if (!isDiskFull(caught)) throw caught;
        if (this.closing || this.givenUp) throw new MqError('STORAGE_FULL', 'the disk is full: no checkpoint is made');
        wait = true;
        await sleep(this.clock, fullRetryMs);
      }
    }
  }

  giveUp(): void {
    this.givenUp = true;
  }

  /** From now on a write that finds the disk full fails instead of waiting. */
  beginClose(): void {
    this.closing = true;
  }

  async close(): Promise<void> {
    this.closing = true;
    for (const file of this.files) await file.close();
  }

  private async writeOnce(position: LogPosition, epoch: Epoch, changes: readonly Piece[], small: boolean) {
    const left = small ? this.files.length : this.leftAlone(changes);
    const taken = this.files.slice(left);
    const info = await this.writeFile(changes, taken, left === 0);
    const path = joinPath(this.folder, nameOf(info.number));
    const opened = await PieceFile.open(await this.disk.open(path), info);
    const files = [...this.files.slice(0, left), opened];
    const { log } = this;
    const manifest = { version, log, position, epoch, files: files.map((file) => plainInfo(file.info)) };
    try {
      await replaceBoth(this.disk, joinPath(this.folder, manifestName), [encodeManifest(manifest)]);
    } catch (caught) {
      const isDecided = await this.isDecided(caught, info.number).catch(() => false);
      if (!isDecided) {
        await opened.close();
        throw caught;
      }
    }
    this.manifest = manifest;
    this.files = files;
    for (const old of taken) {
      await old.close();
      await this.disk.unlink(joinPath(this.folder, nameOf(old.info.number)));
    }
  }

  /**
   * The manifest could not be replaced, or its copy could not. Whether it names the new file all the same, durably, and its
   * copy no older ones; where it does not name it at all, a full disk has its room back.
   */
  private async isDecided(caught: unknown, number: number): Promise<boolean> {
    if (!isDiskFull(caught)) return false;
    // What can't be read here may name it: then it stays.
    const path = joinPath(this.folder, manifestName);
    const stored = await readWhole(this.disk, path);
    const manifest = stored && decodeManifest(stored);
    if (!manifest) return false;
    if (manifest.files.some((info) => info.number === number)) {
      await finishBoth(this.disk, path, [stored]);
      return true;
    }
    await this.disk.unlink(joinPath(this.folder, nameOf(number)));
    return false;
  }

  /** How many of the oldest files stay as they are: those that are large beside all that is newer. */
  private leftAlone(changes: readonly Piece[]): number {
    let newer = 0;
    for (const { key, value } of changes) newer += key.length + (value?.byteLength ?? 0);
    let left = this.files.length;
    while (left > 0) {
      const { bytes } = (this.files[left - 1] as PieceFile).info;
      if (bytes >= newer * 2 && left < filesMax) break;
      newer += bytes;
      left -= 1;
    }
    return left;
  }

  /** One file of the changes and of what the files `taken` hold beside them. */
  private async writeFile(
    changes: readonly Piece[],
    taken: readonly PieceFile[],
    isOldest: boolean,
  ): Promise<PieceFileInfo> {
    const number = this.nextNumber++;
    const path = joinPath(this.folder, nameOf(number));
    const file = await this.disk.open(path, { create: true });
    try {
      const writer = new PieceFileWriter(file);
      const sources = [new MemorySource(changes), ...taken.toReversed().map((older) => new FileSource(older))];
      // Behind the oldest there is nothing that a piece which is gone would have to hide.
      await mergeInTurn(sources, (piece) => (piece.value || !isOldest ? writer.add(piece) : undefined));
      const info = await writer.finish(number);
      await this.disk.syncFolder(this.folder);
      return info;
    } catch (caught) {
      if (isDiskFull(caught)) await this.disk.unlink(path);
      throw caught;
    } finally {
      await file.close();
    }
  }

  private pieces(range: KeyRange): Iterable<readonly [string, Uint8Array]> {
    return mergeNow(this.files.toReversed().map((file) => new FileSource(file, range)));
  }

  private blockOf(file: PieceFile, number: number): Buffer {
    const key = file.info.number * 2 ** 20 + number;
    const cached = this.cache.get(key);
    if (cached) return cached;
    try {
      const block = file.blockNow(number);
      this.cache.set(key, block, block.byteLength);
      return block;
    } catch (caught) {
      throw told(this.disk, this.folder, file.info, caught);
    }
  }
}

const asideSuffix = '.damaged';

async function inOrder(changes: Iterable<PieceChange>): Promise<Piece[]> {
  const newest = new Map<string, Uint8Array | undefined>();
  let left = slicePieces;
  for (const { key, value } of changes) {
    newest.set(key, value);
    left -= 1;
    if (left > 0) continue;
    left = slicePieces;
    await yieldToLoop();
  }
  const pieces = Array.from(newest, ([key, value]) => ({ key, value }));
  return pieces.sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function openChecked(disk: Disk, folder: string, info: PieceFileInfo): Promise<PieceFile> {
  let opened: DiskFile | undefined;
  try {
    opened = await disk.open(joinPath(folder, nameOf(info.number)));
    const file = await PieceFile.open(opened, info);
    await file.check();
    return file;
  } catch (caught) {
    await opened?.close();
    throw told(disk, folder, info, caught);
  }
}

function told(disk: Disk, folder: string, info: PieceFileInfo, caught: unknown): unknown {
  const name = nameOf(info.number);
  if (caught instanceof PieceFileDamage) return damage(disk, folder, name, caught.what);
  return isMissing(caught) ? damage(disk, folder, name, 'it is missing') : caught;
}

function damage(disk: Disk, folder: string, name: string, what: string): MqError {
  return new MqError(
    'CORRUPT_RECORD',
    `the checkpoint file ${disk.realPath(joinPath(folder, name))} is damaged: ${what}`,
  );
}

function nameOf(number: number): string {
  return `${String(number).padStart(16, '0')}${suffix}`;
}

function numberOf(name: string): number | undefined {
  return /^\d{16}\.pieces$/.test(name) ? Number(name.slice(0, 16)) : undefined;
}

/** The manifest of a state that is made of these files; no position: of an empty one. */
export function encodeState(
  log: string,
  position: LogPosition | undefined,
  epoch: Epoch,
  files: readonly PieceFileInfo[],
): Buffer {
  return encodeManifest({ version, log, position: position ?? -1, epoch, files: files.map(plainInfo) });
}

function plainInfo({ number, bytes, indexAt, indexChecksum }: PieceFileInfo): PieceFileInfo {
  return { number, bytes, indexAt, indexChecksum };
}

function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(checkedLine(manifest));
}

function decodeManifest(stored: Buffer): Manifest | undefined {
  return readCheckedLine(stored) as Manifest | undefined;
}
