/**
 * The sender's side of a snapshot. While it is read, no segment is given back and none is compacted, so that files and
 * state are of one moment; appending, folding and checkpoints go on. The state is a checkpoint, its files held open; the
 * log goes up to what is committed, so that the records are in it by which what was given back is over.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError, throwAssertion } from '@cometmq/shared';
import type { Clock, Timer } from '@cometmq/shared';

import type { Checkpoints } from '../checkpoints.js';
import { joinPath } from '../disk/disk.js';
import { readOrNothing } from '../disk/read-around.js';
import type { Disk } from '../disk/disk.js';
import type { Holds } from '../holds.js';
import type { SegmentIndexes } from '../index/segment-indexes.js';
import type { CommitLog } from '../log/commit-log.js';
import { compactedName, segmentFile, segmentName } from '../log/segment.js';
import type { SegmentInfo } from '../log/segment.js';
import type { PinnedState } from '../views/checkpoint-store.js';
import { snapshotPieceBytes, snapshotPieces } from './snapshot-format.js';
import type { SnapshotFacts, SnapshotFile } from './snapshot-format.js';

/** Whoever takes no piece for so long is gone: what is held for it goes on. */
const idleMs = 60_000;

export interface SnapshotGround {
  readonly disk: Disk;
  /** The data folder. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: CommitLog;
  readonly indexes: SegmentIndexes;
  readonly checkpoints: Checkpoints;
  readonly holds: Holds;
  /** Of the data folder. */
  incarnation(): string;
}

/** A snapshot whose files are read one by one, in any order. Until it is released no segment is given back. */
export interface PinnedSnapshot {
  readonly facts: SnapshotFacts;
  /**
   * What a file with the same name and size must have in common with this one to hold the same bytes, whichever member of
   * the set, and whenever, it was read from; undefined: nothing but its bytes says so.
   */
  versionOf(file: SnapshotFile): string | undefined;
  /** In pieces of 256 KiB at the most. @throws MqError UNAVAILABLE where the disk is full, CORRUPT_RECORD */
  read(file: SnapshotFile): AsyncGenerator<Uint8Array, void, undefined>;
  /** May be called again. */
  release(): Promise<void>;
}

export async function pinSnapshot(ground: SnapshotGround): Promise<PinnedSnapshot> {
  const { holds, log } = ground;
  const release = await holds.take();
  let state: PinnedState | undefined;
  try {
    state = await ground.checkpoints.pin();
    const facts = await factsOf(ground, state);
    const generations = new Map(log.segments().map((segment) => [nameOf(segment), segment.generation]));
    return {
      facts,
      versionOf: ({ folder, name, bytes }) => {
        const generation = generations.get(name);
        if (folder !== 'log' || generation === undefined) return undefined;
        // What is left out of a compacted one is each member's own.
        if (generation > 0) return `${ground.incarnation()}/${generation}`;
        const { first } = segmentFile(name) as { first: LogPosition };
        const end = first + bytes;
        if (end >= facts.end) return undefined; // It grows.
        // Where a leader's term was cut off, what came in its place is of a later epoch.
        return `${facts.salt}/${log.epochs.at(logPosition(Math.max(0, end - 1)))}`;
      },
      read: async function* (file) {
        for await (const piece of fileOf(ground, file, state)) {
          yield piece;
          if (log.full)
            throw new MqError('UNAVAILABLE', 'the disk is full: what this snapshot holds has to be given back');
        }
      },
      release: async () => {
        release();
        const held = state;
        state = undefined;
        await held?.release();
      },
    };
  } catch (caught) {
    release();
    await state?.release();
    throw caught;
  }
}

/** @throws MqError UNAVAILABLE where the disk is full, or nobody took a piece for a minute */
export async function* streamSnapshot(ground: SnapshotGround): AsyncGenerator<Uint8Array, void, undefined> {
  const { clock } = ground;
  const pinned = await pinSnapshot(ground);
  let gone = false;
  let timer: Timer | undefined;
  try {
    for await (const piece of snapshotPieces(pinned.facts, (file) => pinned.read(file))) {
      timer = clock.after(idleMs, () => {
        gone = true;
        pinned.release().catch(throwAssertion); // Nobody asks for its files any more.
      });
      yield piece;
      timer.cancel();
      if (gone)
        throw new MqError('UNAVAILABLE', 'nobody took a piece of this snapshot for a minute: ask for another one');
    }
  } finally {
    timer?.cancel(); // Whoever took the last piece may have asked for no other.
    await pinned.release();
  }
}

async function factsOf(
  { disk, folder, log, indexes }: SnapshotGround,
  state: PinnedState | undefined,
): Promise<SnapshotFacts> {
  const position = state?.position ?? logPosition(0);
  const all = log.segments();
  const tailAt = all.findIndex(({ sealed, end }) => !sealed || end > log.commitEnd);
  const whole = all.slice(0, tailAt).filter(({ lost }) => !lost);
  const tail = all[tailAt] as SegmentInfo;
  const end = logPosition(Math.max(tail.first, log.commitEnd));
  const files: SnapshotFile[] = whole.map((segment) => ({
    folder: 'log',
    name: nameOf(segment),
    bytes: segment.fileBytes,
  }));
  files.push({ folder: 'log', name: segmentName(tail.first), bytes: end - tail.first });
  files.push(...(await indexFiles(disk, joinPath(folder, 'index'), indexes, tail.first)));
  for (const { name, info } of state?.files ?? []) files.push({ folder: 'state', name, bytes: info.bytes });
  return {
    position,
    epoch: log.epochs.at(logPosition(Math.max(0, position - 1))),
    end,
    salt: log.saltNow,
    gaps: log.givenUp,
    files,
    pieces: state?.files.map(({ info }) => info),
  };
}

/** Of those segments whose index has a file; the others' are made again where they are wanted. */
async function indexFiles(
  disk: Disk,
  folder: string,
  indexes: SegmentIndexes,
  before: LogPosition,
): Promise<SnapshotFile[]> {
  const names = new Set(await disk.list(folder));
  const files: SnapshotFile[] = [];
  for (const { first, path } of indexes.sealedSegments) {
    const name = path.slice(folder.length + 1);
    if (first >= before || !names.has(name)) continue;
    const file = await disk.open(path);
    try {
      files.push({ folder: 'index', name, bytes: await file.size() });
    } finally {
      await file.close();
    }
  }
  return files.filter(({ name }) => /^\d{16}(\.\d+)?\.index$/.test(name));
}

async function* fileOf(
  { disk, folder }: SnapshotGround,
  { folder: of, name, bytes }: SnapshotFile,
  state: PinnedState | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const held = of === 'state' ? state?.files.find((one) => one.name === name)?.file : undefined;
  const file = held ?? (await disk.open(joinPath(joinPath(folder, of), name)));
  try {
    for (let at = 0; at < bytes;) {
      const piece = Buffer.allocUnsafeSlow(Math.min(snapshotPieceBytes, bytes - at));
      const read = await readOrNothing(file, piece, at);
      if (read < piece.byteLength)
        throw new MqError('CORRUPT_RECORD', `${file.path} is shorter than it was, or the disk can not read it`);
      at += read;
      yield piece;
    }
  } finally {
    if (!held) await file.close();
  }
}

function nameOf({ first, generation }: SegmentInfo): string {
  return generation > 0 ? compactedName(first) : segmentName(first);
}
