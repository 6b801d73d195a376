/**
 * Small files that nothing else can make again are kept twice, each written as a whole:
 *
 *   name          written first: after a crash between the two it is the newer one
 *   name.copy     stands in where the first can't be read
 *
 * Nothing that the older content needs may go before both are written.
 */
import { MqError } from '@cometmq/shared';

import { isDiskFull, isMissing, readWhole, replaceFile, splitPath } from './disk.js';
import type { Disk, DiskFile } from './disk.js';

export const copySuffix = '.copy';

export interface TwoCopies<T> {
  /** Neither is there. */
  readonly isMissing: boolean;
  /** Undefined: none can be read. */
  readonly value: T | undefined;
  /** Writes the copy again that is missing, damaged or older; says which one was damaged. */
  repair(onTrouble: OnTrouble | undefined): Promise<void>;
}

export type OnTrouble = (what: string, cause: unknown) => void;

/** As `replaceFile`, for both. A full disk costs the second copy at the most. */
export async function replaceBoth(disk: Disk, path: string, chunks: readonly Uint8Array[]): Promise<void> {
  await replaceFile(disk, path, chunks);
  await replaceCopy(disk, `${path}${copySuffix}`, chunks);
}

/** What is left to do where `replaceBoth` failed with the first copy in its place: that is not durable yet, or the second is older. */
export async function finishBoth(disk: Disk, path: string, chunks: readonly Uint8Array[]): Promise<void> {
  await disk.syncFolder(splitPath(path).folder);
  await replaceCopy(disk, `${path}${copySuffix}`, chunks);
}

/**
 * As `replaceBoth`, for what is written over and over while others wait for it: bytes of the same length as before are written
 * over those in the files, one file after the other, so that a power cut harms one of the two at the most. That needs no new
 * file, no folder and no room on the disk.
 */
export class BothInPlace {
  private files: readonly DiskFile[] = [];
  private bytes = 0;

  constructor(
    private readonly disk: Disk,
    private readonly path: string,
  ) {}

  async write(bytes: Uint8Array): Promise<void> {
    const { disk, path, files } = this;
    if (files.length > 0 && bytes.byteLength === this.bytes) {
      for (const file of files) await file.writeDurably([bytes], 0);
      return;
    }
    await this.close();
    await replaceBoth(disk, path, [bytes]);
    this.files = await openBoth(disk, path);
    this.bytes = bytes.byteLength;
  }

  async close(): Promise<void> {
    const { files } = this;
    this.files = [];
    for (const file of files) await file.close();
  }
}

/** None where the second copy found no room: both are replaced the next time. */
async function openBoth(disk: Disk, path: string): Promise<DiskFile[]> {
  const files: DiskFile[] = [];
  try {
    for (const one of [path, `${path}${copySuffix}`]) files.push(await disk.open(one, { durable: true }));
    return files;
  } catch (caught) {
    for (const file of files) await file.close();
    if (isMissing(caught)) return [];
    throw caught;
  }
}

/** Neither is there any more, durably. */
export async function unlinkBoth(disk: Disk, path: string): Promise<void> {
  await disk.unlink(path);
  await disk.unlink(`${path}${copySuffix}`);
  await disk.syncFolder(splitPath(path).folder);
}

/**
 * @param decode undefined: it is damaged
 * @throws what the disk said, when it can read none
 */
export async function readEither<T>(
  disk: Disk,
  path: string,
  decode: (stored: Buffer) => T | undefined,
): Promise<TwoCopies<T>> {
  const first = await readOne(disk, path, decode);
  const second = await readOne(disk, `${path}${copySuffix}`, decode);
  const good = first.value === undefined ? second : first;
  const failure = first.failure ?? second.failure;
  if (good.value === undefined && failure !== undefined) throw failure;
  return {
    isMissing: !first.isThere && !second.isThere,
    value: good.value,
    repair: async (onTrouble) => {
      const { stored } = good;
      if (good.value === undefined || !stored) return;
      for (const one of [first, second]) {
        if (one.value === undefined && one.isThere) {
          onTrouble?.(
            `${disk.realPath(one.path)} is damaged: its other copy is used, and it is written again`,
            one.failure,
          );
        }
      }
      if (good === second) await replaceWhereRoom(disk, path, [stored]);
      else if (!second.stored?.equals(stored)) await replaceCopy(disk, second.path, [stored]);
    },
  };
}

interface One<T> {
  readonly path: string;
  readonly isThere: boolean;
  readonly stored: Buffer | undefined;
  readonly value: T | undefined;
  readonly failure: Error | undefined;
}

async function readOne<T>(disk: Disk, path: string, decode: (stored: Buffer) => T | undefined): Promise<One<T>> {
  try {
    const stored = await readWhole(disk, path);
    const value = stored && decode(stored);
    return { path, isThere: stored !== undefined, stored, value, failure: undefined };
  } catch (caught) {
    const failure = caught instanceof Error ? caught : MqError.from(caught);
    return { path, isThere: true, stored: undefined, value: undefined, failure };
  }
}

/** On a full disk the other copy has to do until the next start. */
async function replaceWhereRoom(disk: Disk, path: string, chunks: readonly Uint8Array[]): Promise<void> {
  try {
    await replaceFile(disk, path, chunks);
  } catch (caught) {
    if (!isDiskFull(caught)) throw caught;
  }
}

async function replaceCopy(disk: Disk, path: string, chunks: readonly Uint8Array[]): Promise<void> {
  try {
    await replaceFile(disk, path, chunks);
  } catch (caught) {
    if (!isDiskFull(caught)) throw caught;
    await disk.unlink(path); // None is better than an older one.
    await disk.syncFolder(splitPath(path).folder);
  }
}
