import type { Compare, Put } from '@cometmq/metadata';
import { MqError } from '@cometmq/shared';

/** What is to become of the metadata, and what it rests on. */
export interface Decision<T> {
  readonly result: T;
  /** Undefined: it is so already. */
  readonly write?: {
    readonly compare: readonly Compare[];
    readonly puts?: readonly Put[];
    readonly deletes?: readonly string[];
  };
  /** The revision that must have been seen here before the result is given. */
  readonly seen?: number | undefined;
}

/** See `Asker`. */
export function nobodyWaits(): MqError {
  return new MqError('CANCELLED', 'who asked for this has given up: it was not done');
}
