import type { QueueId, RecordKind, TopicId, StateChange } from '@cometmq/model';

import type { LogRecord } from '../log/record.js';

export interface MessageDraft {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly tagHash: number;
  /** Hash of the message group; 0: none. */
  readonly groupHash: number;
  readonly timestampMs: number;
  /** One after another. The first chunk starts with, and wholly holds, the model's envelope. */
  readonly payload: readonly Uint8Array[];
}

/**
 * A state view: what must outlive the segments it was folded from. Its fold is deterministic: no I/O, no clock, no
 * chance, so that "stored pieces + fold of the rest" is the same state on every replica and after every crash.
 *
 * Large state is cut in pieces (a key and its bytes), and a checkpoint writes only the pieces that changed.
 */
export interface StateView {
  /** The view's key space in the checkpoint store: letters and digits, never changed once released. */
  readonly name: string;
  /** The kinds of record that `fold` is shown, in log order. */
  readonly kinds: ReadonlySet<RecordKind>;
  /** The record, and its bytes, are valid during the call. */
  fold(record: LogRecord): void;
  /**
   * The pieces that changed since the last call, encoded as of now; undefined: the piece is gone. What is no array is read
   * to its end before the next call, a slice at a time while folds go on: it must give what was at the call, and no cold
   * pieces. So much changed state need not stop everything else.
   */
  takeChanges(): Iterable<StateChange>;
  /** One stored piece that is not cold, at the start, before any fold. `value` is the callee's to keep. */
  load(key: string, value: Uint8Array): void;
  /** Back to empty; what had changed is forgotten too. */
  clear(): void;
}
