/**
 * The receiver's side of a snapshot. Its files are put beside those that are in use, under their names and
 * `.incoming`; nothing is changed until all of them are durable and every byte has been looked at. Then one small file
 * decides:
 *
 *   install     the snapshot's facts and whose folder this is: a line of JSON, and the line's checksum, 8 hex digits; and
 *               install.copy, the same (`disk/two-copies.ts`)
 *
 * While it is there, the snapshot is what the folder holds: each start, and whoever wrote it, puts the files in the place
 * of the old ones, a step that can be broken off and begun again anywhere; then it goes. While it is not there, what is
 * `.incoming` is nothing, and is thrown away.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { isDiskFull, joinPath, replaceFile } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import { readEither, replaceBoth, unlinkBoth } from '../disk/two-copies.js';
import { checkedLine, readTwiceCheckedLine } from '../log/checked-line.js';
import { checksum } from '../log/checksum.js';
import { readHead } from '../log/compacted-file.js';
import type { DataFolder } from '../log/data-folder.js';
import { encodeGaps, gapsName } from '../log/gaps.js';
import { compactionReserveName, preparedName, reserveName, Segment, segmentFile } from '../log/segment.js';
import type { Damage } from '../log/segments.js';
import { Segments } from '../log/segments.js';
import { isEnd, SegmentWalk } from '../log/segment-walk.js';
import { PieceReader } from '../piece-reader.js';
import { encodeState, stateManifestName } from '../views/disk-checkpoint-store.js';
import { PieceFile, PieceFileDamage } from '../views/piece-file.js';
import { broken, readFacts, snapshotBytes, snapshotFolders, snapshotPieceBytes } from './snapshot-format.js';
import type { SnapshotFacts, SnapshotFile } from './snapshot-format.js';

export const installName = 'install';
const suffix = '.incoming';
/** What stays in a folder whose files are replaced: zeros. */
const kept = new Set([preparedName, reserveName, compactionReserveName]);
/** Left free beside what is received, for what goes on meanwhile; of a small snapshot a quarter of it. */
const freeBytesMin = 16 * 1024 * 1024;

export interface Received {
  readonly facts: SnapshotFacts;
  /** Found in old segments, on the sender's disk too: nothing that the state needs. */
  readonly damages: readonly Damage[];
}

export interface ReceiveGround {
  readonly disk: Disk;
  /** The data folder. */
  readonly folder: string;
  /** What the state in this folder belongs to. */
  readonly incarnation: string;
  /** What is committed here stays: a snapshot that ends before is an older one. */
  readonly commitEnd: LogPosition;
  /** What checksums of the log in this folder begin from. */
  readonly salt: number;
  readonly onFacts?: ((facts: SnapshotFacts) => void) | undefined;
}

/**
 * Takes all of a snapshot, and looks at all of it. Nothing is changed yet; what came is thrown away on any failure.
 *
 * @throws MqError CORRUPT_RECORD, CONFLICT (it is older than what is here), STORAGE_FULL, UNSUPPORTED; what `pieces` throws
 */
export async function receiveSnapshot(ground: ReceiveGround, pieces: AsyncIterable<Uint8Array>): Promise<Received> {
  const { disk, folder } = ground;
  const from = new PieceReader(pieces);
  try {
    await discardIncoming(disk, folder);
    const facts = await readFacts(from);
    ground.onFacts?.(facts);
    const kept = await findRoom(ground, facts);
    for (const name of snapshotFolders) await disk.makeFolder(joinPath(folder, name));
    for (const file of facts.files) {
      if (kept.has(file)) await compareFile(disk, ownPath(folder, file), file, from);
      else await receiveFile(disk, incomingPath(folder, file), file, from);
    }
    await from.end();
    await writeOwn(ground, facts);
    for (const name of snapshotFolders) await disk.syncFolder(joinPath(folder, name));
    return { facts, damages: await verify(disk, folder, facts, kept) };
  } catch (caught) {
    await from.cancel();
    await discardIncoming(disk, folder);
    if (isDiskFull(caught))
      throw new MqError('STORAGE_FULL', 'the disk is full: the snapshot was thrown away', { cause: caught });
    throw caught;
  }
}

/**
 * From now on the snapshot is what the folder holds, whatever happens. `putInPlace` must follow. With another
 * `incarnation` than the folder's it is another member's from then on.
 */
export async function decideInstall(
  disk: Disk,
  folder: string,
  facts: SnapshotFacts,
  incarnation: string,
  restoredFrom?: string,
): Promise<void> {
  const line = checkedLine({ ...facts, incarnation, restoredFrom });
  await replaceBoth(disk, joinPath(folder, installName), [Buffer.from(line)]);
}

/**
 * Nothing is decided, though `decideInstall` may have written some of it before it failed; what came is thrown away. As
 * long as this has not resolved the next start may find that it was decided, so all of it must stay.
 */
export async function withdrawInstall(disk: Disk, folder: string): Promise<void> {
  await unlinkBoth(disk, joinPath(folder, installName));
  await discardIncoming(disk, folder);
}

/**
 * Puts a snapshot that was decided on in the place of what was there; throws away what was not decided on. For who has
 * the folder, and none of its files open.
 *
 * @throws MqError DATA_FOLDER where what was decided can't be read
 */
export async function putInPlace(disk: Disk, folder: string, dataFolder: DataFolder): Promise<void> {
  const path = joinPath(folder, installName);
  const stored = await readEither(disk, path, (bytes) => readTwiceCheckedLine(bytes) as Decision | undefined);
  if (stored.isMissing) {
    await discardIncoming(disk, folder);
    return;
  }
  const facts = stored.value;
  if (facts === undefined) throw unreadable(disk, path);
  await dataFolder.becomeAnother(facts.incarnation, facts.salt);
  await dataFolder.takeSalt(facts.salt);
  if (facts.restoredFrom !== undefined) await dataFolder.noteRestoredFrom(facts.restoredFrom);
  for (const of of snapshotFolders) {
    const inside = joinPath(folder, of);
    const names = namesIn(facts, of);
    const found = new Set(await disk.list(inside));
    for (const name of names) {
      if (found.has(name + suffix)) await disk.rename(joinPath(inside, name + suffix), joinPath(inside, name));
    }
    for (const name of found) {
      if (!names.has(name) && !kept.has(name) && !name.endsWith(suffix)) await disk.unlink(joinPath(inside, name));
    }
    await disk.syncFolder(inside);
  }
  await unlinkBoth(disk, path);
}

/**
 * Of a snapshot that was received whole: leaves out all records behind its state that are later than `untilMs`. Nothing of
 * it has been decided on.
 */
export async function cutIncoming(
  disk: Disk,
  folder: string,
  facts: SnapshotFacts,
  untilMs: number,
): Promise<SnapshotFacts> {
  const cut = await firstAfter(disk, folder, facts, untilMs);
  if (cut === undefined) return facts;
  const tail = facts.files.findLast(({ folder: of, name }) => of === 'log' && firstOf(name) <= cut);
  if (!tail) throw broken('its log does not hold what its state stands for');
  const first = firstOf(tail.name);
  const files: SnapshotFile[] = [];
  for (const file of facts.files) {
    const isTail = file === tail;
    if (!isTail && file.folder !== 'state' && firstOf(file.name) >= first)
      await disk.unlink(incomingPath(folder, file)); // Of later segments, and the index of this one.
    else files.push(isTail ? { ...file, bytes: cut - first } : file);
  }
  const opened = await disk.open(incomingPath(folder, tail));
  try {
    await opened.truncate(cut - first);
    await opened.sync();
  } finally {
    await opened.close();
  }
  for (const of of snapshotFolders) await disk.syncFolder(joinPath(folder, of));
  return { ...facts, end: cut, files };
}

/** Where the first record stands that is behind the state and later; undefined: there is none. */
async function firstAfter(
  disk: Disk,
  folder: string,
  facts: SnapshotFacts,
  untilMs: number,
): Promise<LogPosition | undefined> {
  const walk = walkOf(disk, folder, facts);
  for (const file of facts.files) {
    const named = file.folder === 'log' ? segmentFile(file.name) : undefined;
    if (!named || named.compacted || named.first + file.bytes <= facts.position) continue;
    const opened = await disk.open(incomingPath(folder, file));
    try {
      const segment = new Segment(disk, joinPath(folder, 'log'), named.first, file.bytes, opened);
      let found: number | undefined;
      await walk.walk(segment, Math.max(named.first, facts.position), Infinity, (block, at) => {
        if (found === undefined && block.timestampMsAt(at) > untilMs) found = block.positionAt(at);
      });
      if (found !== undefined) return logPosition(found);
    } finally {
      await opened.close();
    }
  }
  return undefined;
}

/** Of the segment that a file belongs to. */
function firstOf(name: string): number {
  return Number.parseInt(name, 10);
}

/** Of a snapshot that nobody decided on. */
export async function discardIncoming(disk: Disk, folder: string): Promise<void> {
  for (const of of snapshotFolders) {
    const inside = joinPath(folder, of);
    for (const name of await disk.list(inside)) if (name.endsWith(suffix)) await disk.unlink(joinPath(inside, name));
  }
}

/**
 * Answers the segments that are here already, whole and of the same size, where there is no room for all of them twice:
 * they stay where they are. All others need room beside what is here.
 *
 * @throws MqError CONFLICT, CORRUPT_RECORD, STORAGE_FULL
 */
async function findRoom(ground: ReceiveGround, facts: SnapshotFacts): Promise<ReadonlySet<SnapshotFile>> {
  const { disk, folder, commitEnd } = ground;
  if (facts.end < commitEnd) {
    throw new MqError('CONFLICT', `the snapshot ends at ${facts.end}, and all below ${commitEnd} is committed here`);
  }
  if (facts.end < facts.position) throw broken('its state goes further than its log');
  const kept = new Set<SnapshotFile>();
  const all = snapshotBytes(facts);
  const free = (await disk.freeBytes(folder)) - Math.min(freeBytesMin, all / 4);
  let needed = all;
  if (needed > free && ground.salt === facts.salt) {
    const walk = walkOf(disk, folder, facts);
    const own = new Set(await disk.list(joinPath(folder, 'log')));
    for (const file of facts.files) {
      if (file.folder !== 'log' || !own.has(file.name)) continue;
      if ((await verifySegment(disk, folder, ownPath(folder, file), walk, file)) !== undefined) continue;
      kept.add(file);
      needed -= file.bytes;
    }
  }
  if (needed <= free) return kept;
  throw new MqError(
    'STORAGE_FULL',
    `a snapshot of ${all} bytes is to be received, ${needed} of them beside what is here, and there is no room for them`,
  );
}

/** The file is here: what comes must be the same. */
async function compareFile(disk: Disk, path: string, { name, bytes }: SnapshotFile, from: PieceReader): Promise<void> {
  let sum = 0;
  for (let at = 0; at < bytes;) {
    const piece = await from.next(Math.min(snapshotPieceBytes, bytes - at));
    sum = checksum(piece, sum);
    at += piece.byteLength;
  }
  const told = Buffer.from(await from.exactly(4)).readUInt32LE(0);
  if (told !== sum) throw broken(`"${name}" was damaged on its way`);
  if ((await sumOf(disk, path, bytes)) !== sum)
    throw broken(`"${name}" is not the same here, and there is no room for both`);
}

async function sumOf(disk: Disk, path: string, bytes: number): Promise<number> {
  const file = await disk.open(path);
  try {
    const piece = Buffer.allocUnsafeSlow(Math.min(snapshotPieceBytes, bytes));
    let sum = 0;
    for (let at = 0; at < bytes;) {
      const read = await file.read(piece.subarray(0, Math.min(piece.byteLength, bytes - at)), at);
      if (read === 0) break;
      sum = checksum(piece.subarray(0, read), sum);
      at += read;
    }
    return sum;
  } finally {
    await file.close();
  }
}

async function receiveFile(disk: Disk, path: string, { name, bytes }: SnapshotFile, from: PieceReader): Promise<void> {
  const file = await disk.open(path, { create: true });
  try {
    let sum = 0;
    for (let at = 0; at < bytes;) {
      const piece = await from.next(Math.min(snapshotPieceBytes, bytes - at));
      sum = checksum(piece, sum);
      await file.write([piece], at);
      at += piece.byteLength;
    }
    const told = Buffer.from(await from.exactly(4)).readUInt32LE(0);
    if (told !== sum) throw broken(`"${name}" was damaged on its way`);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What is not sent: each folder's own. */
async function writeOwn({ disk, folder, incarnation }: ReceiveGround, facts: SnapshotFacts): Promise<void> {
  const { position, epoch, pieces, gaps } = facts;
  const manifest = encodeState(incarnation, pieces ? position : undefined, epoch, pieces ?? []);
  await replaceFile(disk, joinPath(folder, `state/${stateManifestName}${suffix}`), [manifest]);
  await replaceFile(disk, joinPath(folder, `log/${gapsName}${suffix}`), [encodeGaps(gaps)]);
}

/** Every byte that state or log will be taken from. Damage in what the state needs is refused. */
async function verify(
  disk: Disk,
  folder: string,
  facts: SnapshotFacts,
  kept: ReadonlySet<SnapshotFile>,
): Promise<Damage[]> {
  for (const info of facts.pieces ?? []) {
    const file = facts.files.find(
      ({ folder: of, name }) => of === 'state' && Number.parseInt(name, 10) === info.number,
    );
    if (!file) throw broken('a file of the state is missing');
    await verifyPieces(disk, incomingPath(folder, file), info);
  }
  const damages: Damage[] = [];
  const walk = walkOf(disk, folder, facts);
  const segments = facts.files.filter(({ folder: of }) => of === 'log');
  for (const [i, file] of segments.entries()) {
    const { first } = segmentFile(file.name) as { first: LogPosition };
    const next = segments[i + 1];
    const end = next ? (segmentFile(next.name) as { first: LogPosition }).first : facts.end;
    const path = kept.has(file) ? ownPath(folder, file) : incomingPath(folder, file);
    const bad = await verifySegment(disk, folder, path, walk, file);
    if (bad === undefined) continue;
    if (end > facts.position || !next) throw broken(`the log is damaged at position ${bad}`);
    damages.push({
      first,
      end,
      what: `records can not be read: ${disk.realPath(joinPath(folder, `log/${file.name}`))}`,
    });
  }
  return damages;
}

/** Answers where it is damaged. */
async function verifySegment(
  disk: Disk,
  folder: string,
  path: string,
  walk: SegmentWalk,
  file: SnapshotFile,
): Promise<number | undefined> {
  const { first, compacted } = segmentFile(file.name) as { first: LogPosition; compacted: boolean };
  const opened = await disk.open(path);
  try {
    if ((await opened.size()) !== file.bytes) return first;
    const head = compacted ? await readHead(opened, first) : undefined;
    if (compacted && !head) return first;
    const segment = new Segment(disk, joinPath(folder, 'log'), first, file.bytes, opened, head);
    if (!head) segment.end = logPosition(first + file.bytes);
    if (file.bytes === 0) return undefined;
    const walked = await walk.walk(segment, first, Infinity, () => undefined);
    const good = isEnd(walked) && (head !== undefined || walked.end === first + file.bytes);
    return good ? undefined : walked.end;
  } catch (caught) {
    if (caught instanceof MqError && caught.code === 'CORRUPT_RECORD') return first;
    throw caught;
  } finally {
    await opened.close();
  }
}

async function verifyPieces(disk: Disk, path: string, info: Parameters<typeof PieceFile.open>[1]): Promise<void> {
  const opened = await disk.open(path);
  try {
    await (await PieceFile.open(opened, info)).check();
  } catch (caught) {
    if (caught instanceof PieceFileDamage) throw broken(`of its state ${caught.what}`);
    throw caught;
  } finally {
    await opened.close();
  }
}

function namesIn({ files }: SnapshotFacts, of: string): Set<string> {
  const names = new Set(files.filter(({ folder }) => folder === of).map(({ name }) => name));
  if (of === 'log') names.add(gapsName);
  if (of === 'state') names.add(stateManifestName);
  return names;
}

function walkOf(disk: Disk, folder: string, { salt }: SnapshotFacts): SegmentWalk {
  const walk = new SegmentWalk(new Segments(disk, joinPath(folder, 'log')));
  walk.salt = salt;
  return walk;
}

function ownPath(folder: string, { folder: of, name }: SnapshotFile): string {
  return joinPath(joinPath(folder, of), name);
}

function incomingPath(folder: string, { folder: of, name }: SnapshotFile): string {
  return joinPath(joinPath(folder, of), name + suffix);
}

/** What was decided, and whose folder it is from then on. */
interface Decision extends SnapshotFacts {
  readonly incarnation: string;
  /** Left out: it came from another member. */
  readonly restoredFrom?: string | undefined;
}

function unreadable(disk: Disk, path: string): MqError {
  return new MqError(
    'DATA_FOLDER',
    `${disk.realPath(path)} is damaged, and so is its copy: a snapshot was being put in place, and it says which files belong to it. Start with ` +
      'an empty data folder, as a new member that fetches all of it',
  );
}
