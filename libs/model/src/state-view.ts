import type { RecordKind } from './record-kind.js';

/** A piece of a view's state that changed. */
export interface StateChange {
  readonly key: string;
  /** Undefined: the piece is gone. */
  readonly value: Uint8Array | undefined;
  /**
   * True: a cold piece, in a key space of its own. It is not loaded at the start and takes no memory; whoever needs it
   * asks the store for it. So a view may hold far more than fits in memory.
   */
  readonly cold?: boolean;
}

/** A record that a decision asks to be appended and folded before the next decision. */
export interface DecidedRecord {
  readonly kind: RecordKind;
  readonly payload: Uint8Array;
}
