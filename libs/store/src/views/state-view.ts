import type { RecordKind } from '@cometmq/model';

import type { LogRecord } from '../log/record.js';

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
  /** True: of messages, only those with a message group are shown to `fold` when they are appended. */
  readonly groupedOnly?: boolean;
  fold(record: LogRecord): void;
  /**
   * The pieces that changed since the last call, encoded as of now; undefined: the piece is gone. What is no array is read
   * to its end before the next call, a slice at a time while folds go on: it must give what was at the call, and no cold
   * pieces. So much changed state need not stop everything else.
   */
  takeChanges(): Iterable<Change>;
  /** One stored piece that is not cold, at the start, before any fold. `value` is the callee's to keep. */
  load(key: string, value: Uint8Array): void;
  /** Back to empty; what had changed is forgotten too. */
  clear(): void;
}

export interface Change {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  /**
   * True: a cold piece, in a key space of its own. It is not loaded at the start and takes no memory; whoever needs it
   * asks the store for it (`MessageStore.coldPiece`). So a view may hold far more than fits in memory.
   */
  readonly cold?: boolean;
}
