/** What the store is given, and what it answers. */
import type { Epoch, GroupId, LogPosition, QueueId, QueueOffset, RecordKind, TopicId } from '@cometmq/model';
import { MiB } from '@cometmq/model';
import type { Clock, MqError } from '@cometmq/shared';

import type { Disk } from './disk/disk.js';
import { logLimits } from './log/log-limits.js';
import type { LogLimits } from './log/log-limits.js';
import type { LogRecord } from './log/record.js';
import type { TailCut } from './log/commit-log.js';
import type { Damage } from './log/segments.js';
import type { ScrubLimits } from './scrub.js';
import type { CheckpointStore } from './views/checkpoint-store.js';
import { pendingWindowBytes } from './views/pending-messages.js';
import type { StateView } from './views/state-view.js';

export type { MessageDraft } from './views/state-view.js';

export interface StoreLimits extends LogLimits, ScrubLimits {
  /** Log bytes after which a checkpoint is made: bounds what is folded again after a crash. */
  readonly checkpointBytes: number;
  /** And the time, if anything was appended. */
  readonly checkpointMs: number;
  /** What is kept in memory of the sealed segments' indexes. */
  readonly indexCacheBytes: number;
  /** Log bytes of pending messages that may live at a time; 0: half of what the disk can take. */
  readonly pendingMessageBytesMax: number;
  /** How finely they are counted. A data folder keeps what it began with. */
  readonly pendingWindowBytes: number;
}

export const storeLimits: StoreLimits = {
  ...logLimits,
  checkpointBytes: 64 * MiB,
  checkpointMs: 10_000,
  indexCacheBytes: 24 * MiB,
  pendingMessageBytesMax: 0,
  pendingWindowBytes,
  scrubBytesPerSecond: 0,
  scrubEveryMs: 24 * 3_600_000,
};

export interface StoreOptions {
  readonly disk: Disk;
  /** On the disk; made when missing. Holds `log/`, `index/` and `state/`. */
  readonly folder: string;
  readonly brokerName: string;
  readonly clock: Clock;
  readonly limits?: Partial<StoreLimits>;
  readonly views: readonly StateView[];
  /** True: another one leads; this store takes its records, and folds what is committed. */
  readonly follows?: boolean;
  /** An operator's word for one start: to go on without what of the newest segment can't be read. */
  readonly giveUpDamage?: boolean | undefined;
  /** Opens the checkpoints in a folder (a path of the operating system); left out: files on the disk. */
  readonly checkpoints?: (folder: string) => CheckpointStore;
  /** The disk can no longer be trusted: nothing is acknowledged from now on, and the broker must exit. Told once. */
  readonly onFailed: (error: MqError) => void;
  /** The disk has become full: retention should have a look. */
  readonly onFull?: () => void;
  /** Told of each sync of the log: how long writing and syncing took, and how many messages it made durable. */
  readonly onSynced?: (tookMs: number, messages: number) => void;
  /** Told at the start of what was cut off at the log's end, since it had never been synced. */
  readonly onTailCut?: (cut: TailCut) => void;
  /** Told of each part of the log that is found to be lost. */
  readonly onDamage?: (damage: Damage) => void;
  /** Told of what heals by itself but should be known. */
  readonly onTrouble?: (what: string, cause: unknown) => void;
}

export interface ReferenceDraft {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly tagHash: number;
  readonly groupHash: number;
  readonly timestampMs: number;
  /** The record that is to be visible in this queue too: a message, not a reference. */
  readonly target: { readonly position: LogPosition; readonly size: number };
  /**
   * The message or reference in whose place in a queue the target was found; undefined: the target is a pending message,
   * which was in none.
   */
  readonly entry: QueuePlace | undefined;
  readonly originTopicId: TopicId;
  readonly groupId: GroupId;
  readonly reason: number;
  /** Of a dead letter: why, and after how many deliveries. */
  readonly cause?: number | undefined;
  readonly attempts?: number | undefined;
}

/** A message that stands in its queue with its body: one that was sent here, or came from another broker set. */
export type QueuedKind =
  | typeof RecordKind.message
  | typeof RecordKind.transferred
  | typeof RecordKind.transferredLetter
  | typeof RecordKind.returnedLetter;

/** A message that no queue shows yet: one that was sent here, or came from another broker set. */
export type PendingKind = typeof RecordKind.pending | typeof RecordKind.transferredPending;

export interface QueuePlace {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
}

export interface Placed {
  readonly position: LogPosition;
  /** Of the whole record. */
  readonly size: number;
  /** Behind the record: what `whenCommitted` is to be given. */
  readonly end: LogPosition;
}

export interface Appended extends Placed {
  readonly offset: QueueOffset;
}

/** A message as it stands in a queue; for a reference, with the payload of the message it refers to. */
export interface StoredMessage extends LogRecord {
  /** The topic the message was sent to. Another one than `topicId` for, say, a dead letter. */
  readonly originTopicId: TopicId;
  /** The record that holds the payload: this one, or for a reference the one it refers to. */
  readonly origin: { readonly position: LogPosition; readonly size: number };
  /** Of a dead letter: the group that gave it up, why, and after how many deliveries. */
  readonly letterOf?: GroupId | undefined;
  readonly cause?: number | undefined;
  readonly attempts?: number | undefined;
}

/** Or why it can't be read: CORRUPT_RECORD; NOT_FOUND when it is gone. */
export type ReadMessage = StoredMessage | MqError;

export interface Bounds {
  /** The oldest offset kept. */
  readonly first: QueueOffset;
  /** One above the newest appended. */
  readonly next: QueueOffset;
  /** One above the newest that consumers may see. */
  readonly committed: QueueOffset;
  /** Whether a message of this queue ever expired. */
  readonly everExpired: boolean;
}

export interface QueueSize {
  /** Those that have not expired. */
  readonly messages: number;
  /** What they take in the log. */
  readonly bytes: number;
  readonly last: LogPosition;
}

export interface TopicSize {
  readonly messages: number;
  /** What they take in the log. */
  readonly bytes: number;
}

/** A record that may carry the id or key: hashes collide, and it may have expired. Read it and look. */
export interface Candidate {
  readonly position: LogPosition;
  readonly size: number;
}

/** Plain numbers for metrics and administrators. */
export interface StoreSizes {
  readonly messages: number;
  readonly messageBytes: number;
  readonly queues: number;
  readonly segments: number;
  /** Of them, those that were compacted. */
  readonly segmentsCompacted: number;
  /** Bytes of the log's files. */
  readonly logBytes: number;
  /** Of the oldest record kept; 0: there is none. */
  readonly oldestTimestampMs: number;
  /** Those that live: neither visible yet nor dropped. */
  readonly pendingMessages: number;
  readonly pendingMessageBytes: number;
  /** The quota on the latter. */
  readonly pendingMessageBytesMax: number;
  readonly diskFull: boolean;
  readonly checkpointPosition: LogPosition;
  readonly indexesRebuilt: number;
  /** Log bytes known to be lost, and not given up. */
  readonly lostBytes: number;
  /** Cut off at the log's end when this process began: what had been written and never synced. */
  readonly tailCutBytes: number;
  /** How often something of the log, on the disk or sent by another member, was not what had been written. */
  readonly checksumFailures: number;
  /** How long the last opening took: finding the log's end, and folding what was newer than the checkpoint. */
  readonly openingMs: number;
}

export interface Snapshot {
  readonly position: LogPosition;
  readonly epoch: Epoch;
  /** `<view>/<key>` → bytes. */
  readonly pieces: ReadonlyMap<string, Uint8Array>;
}
