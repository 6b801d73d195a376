import type { Epoch, EpochStart, LogPosition } from '@cometmq/model';

import type { DamageNotes } from '../damage-notes.js';
import type { DamagedPart } from '../log/damaged-part.js';
import type { Replication } from '../replication.js';
import type { Repairs } from '../repairs.js';
import type { Retention } from '../retention.js';
import type { SnapshotInfo, Snapshots } from '../snapshot/snapshots.js';
import type { Snapshot } from '../store-types.js';
import type { TermNotes } from '../term-note.js';

/** Whose log it is, and what copies of it need of one another. */
export interface StoreMembership {
  readonly replication: Replication;
  /** What a member gets that lacks too much to be sent records. */
  readonly snapshots: Snapshots;
  /** What damage is mended by, and found by where nothing else looks. */
  readonly repairs: Repairs;
  /** What is over, by a leader's word, and what of it is given back. */
  readonly retention: Retention;
  /** What of the log is lost, as far as it is known. */
  readonly damage: DamageNotes;
  /** What this member must not forget; read and written durably. */
  readonly term: TermNotes;
  /** Of this data folder: another one after it was lost. */
  readonly incarnation: string;
  /** The name of the backup that this folder was restored from; undefined: from none. */
  readonly restoredFrom: string | undefined;
  /** What checksums of the log begin from: the same on all members. Undefined: its log has not begun. */
  readonly salt: number | undefined;
  /**
   * The log is to be a copy of one that has this salt; durable once it resolves, before anything is taken from there.
   *
   * @throws MqError DATA_FOLDER where it has begun as another log
   */
  takeSalt(salt: number): Promise<void>;
  readonly epoch: Epoch;
  /** Where each epoch of the log begins. */
  readonly epochs: readonly EpochStart[];
  /** Of the newest record; 0 while there is none. Time does not go back behind it. */
  readonly lastTimestampMs: number;
  /** All below it is folded: alone, and as leader, all that was appended. */
  readonly foldedEnd: LogPosition;
  /** Begins a term of leadership: its first record. Decisions may be made once it resolves. */
  beginEpoch(epoch: Epoch, timestampMs?: number): Promise<void>;
  /**
   * Takes a snapshot in the place of what a folder holds that `start` found to be damaged; `start` may follow. It must be
   * one of the leader of the set's current epoch: that has all that this member ever acknowledged.
   *
   * @throws MqError as `Snapshots.install`
   */
  restore(pieces: AsyncIterable<Uint8Array>): Promise<SnapshotInfo>;
  /**
   * Takes the records of a part that `start` found to be damaged of another member, which may not lead; `start` may follow.
   * `setEpoch`: the highest that the set has had, where that is known.
   *
   * @throws MqError CORRUPT_RECORD where it is not certain that they stood here: nothing has changed; DATA_FOLDER
   */
  mendPart(part: DamagedPart, setEpoch: Epoch | undefined, pieces: AsyncIterable<Uint8Array>): Promise<void>;
  /** What was folded again at the start, as the last stop was not a clean one; undefined: nothing was. */
  readonly recovered: { readonly from: LogPosition; readonly end: LogPosition } | undefined;
  /** Makes a checkpoint of all that has been folded; resolves when it is on disk. */
  checkpoint(): Promise<void>;
  /** All pieces of all state views, as of one position: with the log from there on, it is all there is. */
  snapshot(): Promise<Snapshot>;
  /** Resolves when no index file is being written. */
  idle(): Promise<void>;
}
