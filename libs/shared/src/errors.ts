import { AssertionError } from 'node:assert';
import { inspect } from 'node:util';

/**
 * Every fault of the world has one code from this closed list; our own mistakes are assertions.
 *
 * `retry` tells a caller inside the system whether the same call may succeed later without being changed.
 * What a code becomes on a client's wire is decided at the door that speaks the protocol, not here.
 */
const catalogue = {
  // The caller asked for something that can't be done as asked.
  BAD_REQUEST: { retry: false },
  CLIENT_ID_REQUIRED: { retry: false },
  UNRECOGNIZED_CLIENT_TYPE: { retry: false },
  ILLEGAL_TOPIC: { retry: false },
  ILLEGAL_CONSUMER_GROUP: { retry: false },
  ILLEGAL_LITE_TOPIC: { retry: false },
  ILLEGAL_MESSAGE_TAG: { retry: false },
  ILLEGAL_MESSAGE_KEY: { retry: false },
  ILLEGAL_MESSAGE_GROUP: { retry: false },
  ILLEGAL_MESSAGE_PROPERTY_KEY: { retry: false },
  ILLEGAL_MESSAGE_ID: { retry: false },
  ILLEGAL_FILTER_EXPRESSION: { retry: false },
  ILLEGAL_INVISIBLE_TIME: { retry: false },
  ILLEGAL_DELIVERY_TIME: { retry: false },
  ILLEGAL_POLLING_TIME: { retry: false },
  ILLEGAL_OFFSET: { retry: false },
  INVALID_RECEIPT_HANDLE: { retry: false },
  INVALID_TRANSACTION_ID: { retry: false },
  MESSAGE_TYPE_CONFLICT: { retry: false },
  MESSAGE_CORRUPTED: { retry: false },
  MESSAGE_TOO_LARGE: { retry: false },
  MESSAGE_BODY_EMPTY: { retry: false },
  MESSAGE_PROPERTIES_TOO_LARGE: { retry: false },
  UNAUTHORIZED: { retry: false },
  FORBIDDEN: { retry: false },
  TOPIC_NOT_FOUND: { retry: false },
  CONSUMER_GROUP_NOT_FOUND: { retry: false },
  MESSAGE_NOT_FOUND: { retry: false },
  OFFSET_NOT_FOUND: { retry: false },
  NOT_FOUND: { retry: false },
  ALREADY_EXISTS: { retry: false },
  UNSUPPORTED: { retry: false },
  LITE_TOPIC_QUOTA_EXCEEDED: { retry: false },
  LITE_SUBSCRIPTION_QUOTA_EXCEEDED: { retry: false },
  // The system can't do it now.
  TOO_MANY_REQUESTS: { retry: true },
  TIMEOUT: { retry: true },
  UNAVAILABLE: { retry: true },
  NOT_LEADER: { retry: true }, // Another broker leads by now: ask for the route again.
  STALE_LAYOUT: { retry: true }, // The topic's queues have changed since the caller chose one.
  CONFLICT: { retry: true }, // The metadata changed between reading and writing it.
  STORAGE_FULL: { retry: true },
  CANCELLED: { retry: false },
  // The system is broken, or was given the wrong ground to stand on.
  CONFIG: { retry: false },
  DATA_FOLDER: { retry: false },
  METADATA_MISMATCH: { retry: false }, // The metadata is another cluster's, empty, or older than what was seen of it.
  CORRUPT_RECORD: { retry: false },
  DISK_FAILED: { retry: false },
  INTERNAL: { retry: false },
} as const;

export type ErrorCode = keyof typeof catalogue;

export const errorCodes = Object.keys(catalogue) as readonly ErrorCode[];

export class MqError extends Error {
  constructor(
    readonly code: ErrorCode,
    /** What was wrong and what is allowed, in words a stranger understands. Safe to show to a client. */
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`[${code}] ${reason}`, options);
    this.name = 'MqError';
  }

  get retry(): boolean {
    return catalogue[this.code].retry;
  }

  /**
   * The way out of every `catch`. What is no MqError becomes INTERNAL; its cause is for our log, never for the client. A
   * failed assertion is thrown on: nobody may answer with it and go on, as memory may no longer be what the log says.
   */
  static from(caught: unknown): MqError {
    if (caught instanceof MqError) return caught;
    throwAssertion(caught);
    tellUnexpected?.(caught);
    return unexpected(caught);
  }
}

let tellUnexpected: ((cause: unknown) => void) | undefined;

/**
 * Has `tell` called with every failure that becomes INTERNAL, wherever that happens: whoever is answered so never sees
 * the cause, so the process's log must.
 */
export function onUnexpected(tell: ((cause: unknown) => void) | undefined): void {
  tellUnexpected = tell;
}

function unexpected(cause: unknown): MqError {
  return new MqError('INTERNAL', 'unexpected failure', { cause });
}

/** For a `catch` that does without `MqError.from`: a failed assertion goes on up, until it ends the process. */
export function throwAssertion(caught: unknown): void {
  if (caught instanceof AssertionError) throw caught;
}

/** What a log line says of a failure: why, and, where that says nothing, what was behind it. Throws assertions on. */
export function failureFacts(caught: unknown): { readonly reason: string; readonly cause?: string } {
  throwAssertion(caught);
  const { reason, cause } = caught instanceof MqError ? caught : unexpected(caught);
  return cause === undefined ? { reason } : { reason, cause: causeText(cause) };
}

/** A stack with the causes below it, as text. */
export function causeText(cause: unknown): string {
  const texts: string[] = [];
  for (let at = cause; at !== undefined && texts.length < causesMax; at = at instanceof Error ? at.cause : undefined) {
    texts.push(at instanceof Error ? (at.stack ?? at.message) : typeof at === 'string' ? at : inspect(at));
  }
  return texts.join('\ncaused by ');
}

const causesMax = 8;

/** For what only our own bug can break. Stays on in production: a stopped broker recovers, a wrong one corrupts. */
export function assert(holds: boolean, promise: string): asserts holds {
  if (!holds) throw new AssertionError({ message: promise });
}

/** A failed assertion that has a cause: a promise of ours that an error below broke. */
export function broken(promise: string, cause: unknown): AssertionError {
  const error = new AssertionError({ message: promise });
  error.cause = cause;
  return error;
}

/** The `default` of a complete switch: does not compile while a case is missing. */
export function unreachable(never: never): never {
  throw new AssertionError({ message: `unreachable: ${String(never)}` });
}
