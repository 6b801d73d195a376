/**
 * A snapshot on its way: what a member that lacks too much gets of another one. The state views as of one position, and
 * the log from the oldest segment kept up to what is committed, as files; what follows is fetched as records.
 *
 *   | magic u32 | version u32 | bytes of the facts u32 | their checksum u32 | facts, JSON |
 *   | a file's bytes | checksum u32 |  × files, in the order in which the facts name them                 little-endian
 *
 * Segments and index files come as they lie on the sender's disk, compacted ones too; records keep the salt of the log.
 */
import type { Epoch, LogPosition } from '@cometmq/model';
import { MqError, viewOf } from '@cometmq/shared';

import type { LogRange } from '../log/gaps.js';
import { checksum } from '../log/checksum.js';
import type { PieceReader } from '../piece-reader.js';
import { segmentFile } from '../log/segment.js';
import type { PieceFileInfo } from '../views/piece-file.js';

/** What is sent in one piece at most. */
export const snapshotPieceBytes = 256 * 1024;

export type SnapshotFolder = 'log' | 'index' | 'state';
export const snapshotFolders: readonly SnapshotFolder[] = ['log', 'index', 'state'];

export interface SnapshotFile {
  readonly folder: SnapshotFolder;
  readonly name: string;
  readonly bytes: number;
}

export interface SnapshotFacts {
  /** All records below it are in the views' state. */
  readonly position: LogPosition;
  /** Of the last record below `position`. */
  readonly epoch: Epoch;
  /** Where the log that comes with it ends, and fetching goes on. Not below `position`; all below it is committed. */
  readonly end: LogPosition;
  readonly salt: number;
  /** Positions that the log has given up on purpose. */
  readonly gaps: readonly LogRange[];
  readonly files: readonly SnapshotFile[];
  /** What the checkpoint knows of its files; undefined: no checkpoint has been made yet. */
  readonly pieces: readonly PieceFileInfo[] | undefined;
}

const magic = 0x534d5143;
const version = 1;
const headBytes = 16;
/** Of the facts: some hundred bytes a segment. */
const factsBytesMax = 64 * 1024 * 1024;

export function snapshotBytes({ files }: SnapshotFacts): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

function encodeFacts(facts: SnapshotFacts): Buffer {
  const text = Buffer.from(JSON.stringify(facts));
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(magic, 0);
  head.writeUInt32LE(version, 4);
  head.writeUInt32LE(text.byteLength, 8);
  head.writeUInt32LE(checksum(text), 12);
  return Buffer.concat([head, text]);
}

/** All of a snapshot as it is sent, of files that are read one after another. */
export async function* snapshotPieces(
  facts: SnapshotFacts,
  read: (file: SnapshotFile) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const head = encodeFacts(facts);
  for (let at = 0; at < head.byteLength; at += snapshotPieceBytes) yield head.subarray(at, at + snapshotPieceBytes);
  for (const file of facts.files) {
    let sum = 0;
    for await (const piece of read(file)) {
      sum = checksum(piece, sum);
      yield piece;
    }
    const end = Buffer.alloc(4);
    end.writeUInt32LE(sum, 0);
    yield end;
  }
}

/** @throws MqError CORRUPT_RECORD, UNSUPPORTED */
export async function readFacts(from: PieceReader): Promise<SnapshotFacts> {
  const head = viewOf(await from.exactly(headBytes));
  if (head.getUint32(0, true) !== magic) throw broken('it does not begin as one');
  if (head.getUint32(4, true) !== version) {
    throw new MqError(
      'UNSUPPORTED',
      `the snapshot is of version ${head.getUint32(4, true)}, this release knows ${version}`,
    );
  }
  const bytes = head.getUint32(8, true);
  if (bytes > factsBytesMax) throw broken('its facts are too large');
  const text = await from.exactly(bytes);
  if (checksum(text) !== head.getUint32(12, true)) throw broken('its facts are damaged');
  const facts = JSON.parse(Buffer.from(text).toString('utf8')) as SnapshotFacts;
  for (const file of facts.files) if (!isPlainName(file)) throw broken(`it names a file "${file.name}"`);
  return facts;
}

function isPlainName({ folder, name }: SnapshotFile): boolean {
  if (folder === 'log') return segmentFile(name) !== undefined;
  return (folder === 'index' ? /^\d{16}(\.\d+)?\.index$/ : /^\d{16}\.pieces$/).test(name);
}

export function broken(what: string): MqError {
  return new MqError('CORRUPT_RECORD', `the snapshot that was received is not whole: ${what}`);
}
