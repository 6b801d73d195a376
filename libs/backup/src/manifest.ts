/**
 * What a backup is: which objects hold it, and of what moment it is. Written last, so that one that is there is whole.
 *
 *   <set>/files/<folder>/<name>.<sha256>    a file of the data folder; shared by all backups that hold the same bytes
 *   <set>/backups/<id>                      a manifest: a line of JSON, and the line's sha256
 *   <set>/deletions/<time>                  keys that no backup needs any more, since when: the same two lines
 *   <set>/clock                             written to learn what time it is by the bucket's clock
 */
import { createHash } from 'node:crypto';

import { MqError } from '@cometmq/shared';

export interface BackupFile {
  /** In the data folder: `log/0000000000000000.log`. */
  readonly name: string;
  readonly bytes: number;
  /** See `SourceFile.version`. */
  readonly version?: string | undefined;
  /** Left out of an empty file, which has no object. */
  readonly sha256?: string | undefined;
  readonly key?: string | undefined;
}

/** What the data folder's owner says of it, for people and for choosing among backups. */
export interface BackupPoint {
  /** The release that wrote it. */
  readonly release: string;
  readonly member: string;
  /** Of the metadata that the log belongs to; left out: it has never met one. */
  readonly cluster?: { readonly id: string; readonly generation: number } | undefined;
  readonly epoch: number;
  /** What the state stands for, and where the log ends. */
  readonly position: number;
  readonly end: number;
  /** Nothing in it is later. */
  readonly lastMs: number;
  readonly topics: number;
  readonly groups: number;
}

export interface Manifest extends BackupPoint {
  readonly format: 1;
  readonly id: string;
  readonly brokerSet: string;
  /** When it was begun: by the clock of who made it. */
  readonly takenMs: number;
  readonly tookMs: number;
  /** Of all files, and what of them no earlier backup held. */
  readonly bytes: number;
  readonly newBytes: number;
  readonly files: readonly BackupFile[];
  /** The data folder's owner gets it back as it was. */
  readonly facts: unknown;
}

/** Some hundred bytes a segment, twice. */
export const manifestBytesMax = 128 * 1024 * 1024;

/** Sorts by time; a text so that it may be the same for all sets of a cluster. */
export const backupIdPattern = /^\d{8}T\d{6}Z(-[a-z0-9]{1,32})?$/;

export function backupIdOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

/** When a backup of that name was begun; undefined: it is none. */
export function backupMsOf(id: string): number | undefined {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(id);
  if (!found) return undefined;
  const [, year, month, day, hour, minute, second] = found;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

export function manifestKey(brokerSet: string, id: string): string {
  return `${manifestsOf(brokerSet)}${id}`;
}
export const manifestsOf = (brokerSet: string): string => `${brokerSet}/backups/`;
export const filesOf = (brokerSet: string): string => `${brokerSet}/files/`;
export const deletionsOf = (brokerSet: string): string => `${brokerSet}/deletions/`;
export const clockOf = (brokerSet: string): string => `${brokerSet}/clock`;

export function fileKey(brokerSet: string, name: string, sum: string): string {
  return `${filesOf(brokerSet)}${name}.${sum}`;
}

export function encodeChecked(value: unknown): Buffer {
  const line = JSON.stringify(value);
  return Buffer.from(`${line}\n${sha256(line)}\n`);
}

/** @throws MqError CORRUPT_RECORD */
export function decodeChecked(key: string, stored: Buffer): unknown {
  const [line = '', sum] = stored.toString('utf8').split('\n');
  if (sum !== sha256(line)) throw new MqError('CORRUPT_RECORD', `${key} in the bucket is damaged`);
  return JSON.parse(line) as unknown;
}

/** @throws MqError CORRUPT_RECORD, UNSUPPORTED (of a newer release) */
export function decodeManifest(key: string, stored: Buffer): Manifest {
  const found = decodeChecked(key, stored) as Manifest;
  if ((found.format as number) !== 1) {
    throw new MqError(
      'UNSUPPORTED',
      `${key} is of format ${String(found.format)}, this release knows 1: use the newer one`,
    );
  }
  return found;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
