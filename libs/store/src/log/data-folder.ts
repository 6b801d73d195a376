/**
 * The folder that one broker keeps everything in: held by one process at a time, and known to be this broker's.
 *
 *   lock        held while a process uses the folder; the operating system ends it with the process
 *   identity    two lines: {"format":2,"brokerName":"…","incarnation":"…","salt":…,"begun":true,"noted":true} and the
 *               line's checksum, 8 hex digits; and identity.copy, the same (`disk/two-copies.ts`)
 *
 * The incarnation is drawn when the folder is made: a broker that comes back with an empty disk is another member of
 * its set, whatever its name. So is the salt that checksums of the log's records begin from: it goes with the log's
 * bytes, wherever they are copied to.
 */
import { randomInt, randomUUID } from 'node:crypto';

import { MqError, OneByOne } from '@cometmq/shared';

import { joinPath } from '../disk/disk.js';
import type { Disk, DiskLock } from '../disk/disk.js';
import { lockFolder, lockName } from '../disk/folder-lock.js';
import { readEither, replaceBoth } from '../disk/two-copies.js';
import type { OnTrouble } from '../disk/two-copies.js';
import { checkedLine, readCheckedLine } from './checked-line.js';

/** Rises when a release can't read what an older one could not have written. */
export const folderFormat = 2;

const identityName = 'identity';
/** What may lie in a folder that is still empty to us: file systems put the second there. */
const ignored = new Set([lockName, 'lost+found']);

/** What chance gives a new folder. */
interface Drawn {
  readonly incarnation: string;
  readonly salt: number;
}

interface Identity extends Drawn {
  readonly format: number;
  readonly brokerName: string;
  /** The log has been there: without one the folder has lost it, and is not a new one. */
  readonly begun?: boolean;
  /** The note of what this member promised has been there. */
  readonly noted?: boolean;
  /** What log and state were restored from; left out: from nothing. */
  readonly restoredFrom?: string;
}

function draw(): Drawn {
  return { incarnation: randomUUID(), salt: randomInt(1, 2 ** 32) };
}

export class DataFolder {
  private readonly changes = new OneByOne();

  private constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    private identity: Identity,
    private readonly lock: DiskLock,
  ) {}

  /** Drawn when the folder was made. */
  get incarnation(): string {
    return this.identity.incarnation;
  }
  /** Of the log's checksums. */
  get salt(): number {
    return this.identity.salt;
  }
  /** The folder has held a log. */
  get begun(): boolean {
    return this.identity.begun === true;
  }

  /** The folder has held a note of what this member promised. */
  get noted(): boolean {
    return this.identity.noted === true;
  }

  /** The name of the backup that log and state were restored from; undefined: from none. */
  get restoredFrom(): string | undefined {
    return this.identity.restoredFrom;
  }

  /** Log and state are this one's from now on. */
  async noteRestoredFrom(name: string): Promise<void> {
    await this.change({ restoredFrom: name });
  }

  /** From now on the folder holds a log. */
  async noteBegun(): Promise<void> {
    if (!this.begun) await this.change({ begun: true });
  }

  /** From now on the folder holds a note of what this member promised. */
  async noteNoted(): Promise<void> {
    if (!this.noted) await this.change({ noted: true });
  }

  /** The log is to be a copy of one whose checksums begin from `salt`. Nothing may have been written to it. */
  async takeSalt(salt: number): Promise<void> {
    if (this.salt !== salt) await this.change({ salt });
  }

  /** The folder has lost what it once said it had: it goes on as another member, with what it got from others. */
  async becomeAnother(incarnation: string, salt: number): Promise<void> {
    if (this.incarnation !== incarnation) await this.change({ incarnation, salt });
  }

  /** One after another: each goes by what the one before has left. */
  private change(part: Partial<Identity>): Promise<void> {
    return this.changes.take(async () => {
      const identity = { ...this.identity, ...part };
      await replaceBoth(this.disk, joinPath(this.folder, identityName), [encodeIdentity(identity)]);
      this.identity = identity;
    });
  }

  /**
   * Takes the folder, and makes it this broker's when it is empty.
   *
   * @param onTrouble told when one copy of the identity was damaged
   * @throws MqError DATA_FOLDER when it is in use, another broker's, of a newer format, damaged, or something else's
   */
  static async open(disk: Disk, folder: string, brokerName: string, onTrouble?: OnTrouble): Promise<DataFolder> {
    const lock = await lockFolder(disk, folder);
    try {
      const identity = await takeIdentity(disk, folder, brokerName, onTrouble);
      return new DataFolder(disk, folder, identity, lock);
    } catch (caught) {
      await lock.release();
      throw caught;
    }
  }

  /** Another process may take the folder. */
  async release(): Promise<void> {
    await this.lock.release();
  }
}

async function takeIdentity(
  disk: Disk,
  folder: string,
  brokerName: string,
  onTrouble: OnTrouble | undefined,
): Promise<Identity> {
  const where = disk.realPath(folder);
  const stored = await readEither(disk, joinPath(folder, identityName), decodeIdentity);
  if (stored.isMissing) {
    const unknownMembers = (await disk.list(folder)).filter((name) => !ignored.has(name) && !name.endsWith('.tmp'));
    if (unknownMembers.length > 0) {
      throw new MqError(
        'DATA_FOLDER',
        `${where} holds files (${unknownMembers.slice(0, 3).join(', ')}) but no identity: it is not a broker's data folder, ` +
          'or lost part of itself. Name an empty folder, or bring the file "identity" back',
      );
    }
    const identity: Identity = { format: folderFormat, brokerName, ...draw() };
    await replaceBoth(disk, joinPath(folder, identityName), [encodeIdentity(identity)]);
    return identity;
  }
  const identity = stored.value;
  if (!identity) {
    throw new MqError(
      'DATA_FOLDER',
      `the file "identity" in ${where} is damaged, and so is its copy, or missing: bring one back from a copy of the ` +
        'folder, or start with an empty folder',
    );
  }
  if (identity.format > folderFormat) {
    throw new MqError(
      'DATA_FOLDER',
      `${where} is of format ${identity.format}, this release knows up to ${folderFormat}: start the newer release`,
    );
  }
  if (identity.format < folderFormat) {
    throw new MqError(
      'DATA_FOLDER',
      `${where} is of format ${identity.format}, of before the first release: start with an empty folder`,
    );
  }
  if (identity.brokerName !== brokerName) {
    throw new MqError(
      'DATA_FOLDER',
      `${where} belongs to broker "${identity.brokerName}", this one is "${brokerName}": name the right folder or broker`,
    );
  }
  await stored.repair(onTrouble);
  return identity;
}

function encodeIdentity(identity: Identity): Buffer {
  return Buffer.from(checkedLine(identity));
}

function decodeIdentity(stored: Buffer): Identity | undefined {
  const found = readCheckedLine(stored);
  return isIdentity(found) ? found : undefined;
}

function isIdentity(found: unknown): found is Identity {
  return (
    typeof found === 'object' &&
    found !== null &&
    'format' in found &&
    typeof found.format === 'number' &&
    'brokerName' in found &&
    typeof found.brokerName === 'string' &&
    'incarnation' in found &&
    typeof found.incarnation === 'string' &&
    // Format 1, of before the first release, had none.
    ('salt' in found ? typeof found.salt === 'number' : found.format === 1)
  );
}
