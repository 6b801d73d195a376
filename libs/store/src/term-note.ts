/**
 * What a member of a broker set must not forget, whatever happens to its process: whom it promised an epoch, under which
 * state of the set it acted last, and who belonged to the set when it last heard.
 *
 *   term        a line of JSON, and the line's checksum, 8 hex digits; and term.copy, the same (`disk/two-copies.ts`)
 *
 * Whoever promises lets a candidate wait, and it a whole set: so it is written in place, one file after the other, each
 * synced. A power cut harms one of the two at the most, and what it leaves is the one before or the new one. Damage to one
 * does no harm; damage to both is told, and nothing is made up in its place.
 */
import { randomUUID } from 'node:crypto';

import type { Epoch, Promised, SetState } from '@cometmq/model';
import { MqError, OneByOne } from '@cometmq/shared';

import { isDiskFull, joinPath } from './disk/disk.js';
import type { Disk } from './disk/disk.js';
import { BothInPlace, readEither } from './disk/two-copies.js';
import type { OnTrouble } from './disk/two-copies.js';
import { paddedCheckedLine, readTwiceCheckedLine } from './log/checked-line.js';

/** Undefined: nothing is known yet. */
export interface TermNote {
  /** Who promises refuses lower epochs from then on, and another candidate in the same. */
  readonly promised?: Promised | undefined;
  readonly acted?: ActedUnder | undefined;
  /** As it was last heard of. */
  readonly state?: SetState | undefined;
}

/** The state of the set under which a member acted last: another store, or less than this, is no reason to stand. */
export interface ActedUnder {
  /** Of the store behind the name service. */
  readonly storeId: string;
  /** Of the metadata in it; rises when what was lost was brought back. */
  readonly generation: number;
  readonly revision: number;
  readonly epoch: Epoch;
}

export const termName = 'term';
const format = 1;
/** Far more than a note has: so each is as long as the one before. */
const blockBytes = 4096;

interface Stored extends TermNote {
  readonly format: number;
}

export class TermNotes {
  private readonly writes = new OneByOne();
  private readonly copies: BothInPlace;

  private constructor(
    disk: Disk,
    folder: string,
    /** Of this start of the process. */
    readonly bootId: string,
    private note: TermNote,
  ) {
    this.copies = new BothInPlace(disk, joinPath(folder, termName));
  }

  /**
   * Reads what is noted, and writes it again: from here on the folder has a note.
   *
   * @param expected the folder has had a note: one that is missing was lost
   * @param options.onTrouble told when one of the two copies was damaged
   * @throws MqError DATA_FOLDER when it is damaged, missing, or of a newer format
   */
  static async open(
    disk: Disk,
    folder: string,
    expected: boolean,
    { bootId = randomUUID(), onTrouble }: { readonly bootId?: string; readonly onTrouble?: OnTrouble | undefined } = {},
  ): Promise<TermNotes> {
    const path = joinPath(folder, termName);
    const found = await readEither(disk, path, (bytes) => readTwiceCheckedLine(bytes) as Stored | undefined);
    if (found.isMissing && expected) throw lost(disk, path, 'is missing');
    const stored = found.value;
    if (!found.isMissing && !stored) throw lost(disk, path, 'is damaged, and so is its copy');
    if (stored && stored.format > format) throw tooNew(disk, path, stored.format);
    await found.repair(onTrouble);
    const notes = new TermNotes(disk, folder, bootId, noteOf(stored));
    await notes.write(notes.note);
    return notes;
  }

  /** What was written last, and is durable. */
  read(): TermNote {
    return this.note;
  }

  /**
   * Durable once it resolves. Those that are asked for meanwhile are written one after another. What a failed write left
   * on the disk is either the one before or this one.
   *
   * @throws MqError STORAGE_FULL, DISK_FAILED
   */
  write(note: TermNote): Promise<void> {
    return this.writes.take(() => this.writeNow(note));
  }

  /**
   * Writes again what is noted when its turn has come: nothing changes, but the disk has answered.
   *
   * @throws MqError STORAGE_FULL, DISK_FAILED
   */
  rewrite(): Promise<void> {
    return this.writes.take(() => this.writeNow(this.note));
  }

  /** Once what was asked for is written. */
  async close(): Promise<void> {
    await this.writes.done;
    await this.copies.close();
  }

  private async writeNow(note: TermNote): Promise<void> {
    try {
      await this.copies.write(encode({ format, ...note }));
    } catch (caught) {
      const said = caught instanceof Error ? caught.message : String(caught);
      const code = isDiskFull(caught) ? 'STORAGE_FULL' : 'DISK_FAILED';
      throw new MqError(code, `the file "${termName}" of the data folder could not be written: ${said}`, {
        cause: caught,
      });
    }
    this.note = note;
  }
}

function noteOf(stored: Stored | undefined): TermNote {
  return { promised: stored?.promised, acted: stored?.acted, state: stored?.state };
}

function encode(stored: Stored): Buffer {
  return Buffer.from(paddedCheckedLine(stored, blockBytes));
}

function tooNew(disk: Disk, path: string, found: number): MqError {
  return new MqError(
    'DATA_FOLDER',
    `${disk.realPath(path)} is of format ${found}, this release knows up to ${format}: start the newer release`,
  );
}

function lost(disk: Disk, path: string, what: string): MqError {
  return new MqError(
    'DATA_FOLDER',
    `${disk.realPath(path)} ${what}: it says whom this member promised not to act against, which nothing else knows. ` +
      'Bring it back from a copy made since the last start; or start with an empty data folder, as a new member',
  );
}
