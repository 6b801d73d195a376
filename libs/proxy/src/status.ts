/**
 * The one place where our error codes become codes of the clients' protocol.
 *
 * Clients retry or give up by the code alone: a permanent failure of an acknowledgement must be
 * INVALID_RECEIPT_HANDLE (everything else is repeated for ever), only TOO_MANY_REQUESTS makes a producer back off, and
 * codes that a client doesn't know are final. `status` is always set and never 0: Python raises on 0, others on absence.
 */
import { Code } from '@cometmq/proto';
import type { ErrorCode, MqError } from '@cometmq/shared';
import { fieldBytes, putLength, putVarint, varintBytes } from '@cometmq/shared';

export const wireCode: Readonly<Record<ErrorCode, Code>> = {
  BAD_REQUEST: Code.BAD_REQUEST,
  CLIENT_ID_REQUIRED: Code.CLIENT_ID_REQUIRED,
  UNRECOGNIZED_CLIENT_TYPE: Code.UNRECOGNIZED_CLIENT_TYPE,
  ILLEGAL_TOPIC: Code.ILLEGAL_TOPIC,
  ILLEGAL_CONSUMER_GROUP: Code.ILLEGAL_CONSUMER_GROUP,
  ILLEGAL_LITE_TOPIC: Code.ILLEGAL_LITE_TOPIC,
  ILLEGAL_MESSAGE_TAG: Code.ILLEGAL_MESSAGE_TAG,
  ILLEGAL_MESSAGE_KEY: Code.ILLEGAL_MESSAGE_KEY,
  ILLEGAL_MESSAGE_GROUP: Code.ILLEGAL_MESSAGE_GROUP,
  ILLEGAL_MESSAGE_PROPERTY_KEY: Code.ILLEGAL_MESSAGE_PROPERTY_KEY,
  ILLEGAL_MESSAGE_ID: Code.ILLEGAL_MESSAGE_ID,
  ILLEGAL_FILTER_EXPRESSION: Code.ILLEGAL_FILTER_EXPRESSION,
  ILLEGAL_INVISIBLE_TIME: Code.ILLEGAL_INVISIBLE_TIME,
  ILLEGAL_DELIVERY_TIME: Code.ILLEGAL_DELIVERY_TIME,
  ILLEGAL_POLLING_TIME: Code.ILLEGAL_POLLING_TIME,
  ILLEGAL_OFFSET: Code.ILLEGAL_OFFSET,
  INVALID_RECEIPT_HANDLE: Code.INVALID_RECEIPT_HANDLE,
  INVALID_TRANSACTION_ID: Code.INVALID_TRANSACTION_ID,
  MESSAGE_TYPE_CONFLICT: Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE,
  MESSAGE_CORRUPTED: Code.MESSAGE_CORRUPTED,
  MESSAGE_TOO_LARGE: Code.MESSAGE_BODY_TOO_LARGE,
  MESSAGE_BODY_EMPTY: Code.MESSAGE_BODY_EMPTY,
  MESSAGE_PROPERTIES_TOO_LARGE: Code.MESSAGE_PROPERTIES_TOO_LARGE,
  UNAUTHORIZED: Code.UNAUTHORIZED,
  FORBIDDEN: Code.FORBIDDEN,
  TOPIC_NOT_FOUND: Code.TOPIC_NOT_FOUND,
  CONSUMER_GROUP_NOT_FOUND: Code.CONSUMER_GROUP_NOT_FOUND,
  MESSAGE_NOT_FOUND: Code.MESSAGE_NOT_FOUND,
  OFFSET_NOT_FOUND: Code.OFFSET_NOT_FOUND,
  UNSUPPORTED: Code.UNSUPPORTED,
  LITE_TOPIC_QUOTA_EXCEEDED: Code.LITE_TOPIC_QUOTA_EXCEEDED,
  LITE_SUBSCRIPTION_QUOTA_EXCEEDED: Code.LITE_SUBSCRIPTION_QUOTA_EXCEEDED,
  TOO_MANY_REQUESTS: Code.TOO_MANY_REQUESTS,
  // The outcome is unknown or nobody could be asked in time: clients repeat the call.
  TIMEOUT: Code.PROXY_TIMEOUT,
  UNAVAILABLE: Code.PROXY_TIMEOUT,
  NOT_LEADER: Code.PROXY_TIMEOUT,
  STALE_LAYOUT: Code.PROXY_TIMEOUT,
  CONFLICT: Code.PROXY_TIMEOUT,
  CANCELLED: Code.PROXY_TIMEOUT,
  // Producers wait a little before they try again elsewhere; only this code makes them.
  STORAGE_FULL: Code.TOO_MANY_REQUESTS,
  // The class-heading codes of the protocol (NOT_FOUND and others) are never sent to clients.
  NOT_FOUND: Code.BAD_REQUEST,
  ALREADY_EXISTS: Code.BAD_REQUEST,
  CONFIG: Code.INTERNAL_SERVER_ERROR,
  DATA_FOLDER: Code.INTERNAL_SERVER_ERROR,
  METADATA_MISMATCH: Code.INTERNAL_SERVER_ERROR,
  CORRUPT_RECORD: Code.INTERNAL_SERVER_ERROR,
  DISK_FAILED: Code.INTERNAL_SERVER_ERROR,
  INTERNAL: Code.INTERNAL_SERVER_ERROR,
};

const codeNames = new Map<number, string>(Object.entries(Code).map(([name, code]) => [code, name]));

/** The protocol's name of a code, for logs and figures. */
export function wireCodeName(code: number): string {
  return codeNames.get(code) ?? String(code);
}

/** What a call or one of its entries came to, in the protocol's words. */
export interface Outcome {
  readonly code: Code;
  readonly message: string;
}

export const ok: Outcome = { code: Code.OK, message: 'OK' };

export function outcomeOf(error: MqError | undefined): Outcome {
  return error ? { code: wireCode[error.code], message: cut(wordsOf(error)) } : ok;
}

/** What went wrong inside is for the log: its words name files, addresses and parts of ours. */
const insides: Partial<Record<ErrorCode, string>> = {
  CONFIG: 'the server is not set up for this',
  DATA_FOLDER: 'what is stored is damaged and can not be read',
  CORRUPT_RECORD: 'what is stored is damaged and can not be read',
  DISK_FAILED: 'the disk of the broker failed',
  INTERNAL: 'internal error',
};
/** The same of a call between our own processes that failed underway. */
const underway: Partial<Record<ErrorCode, string>> = {
  UNAVAILABLE: 'not available at the moment; try again',
  TIMEOUT: 'no answer in time; try again',
  CANCELLED: 'broken off; try again',
};

export function isInside({ code }: MqError): boolean {
  return insides[code] !== undefined;
}

function wordsOf({ code, cause, reason }: MqError): string {
  return insides[code] ?? (cause === undefined ? undefined : underway[code]) ?? reason;
}

/** Reasons quote what the caller said; an answer must not grow with it. */
function cut(reason: string): string {
  return reason.length <= reasonLengthMax ? reason : `${reason.slice(0, reasonLengthMax - 1)}…`;
}
const reasonLengthMax = 1_000;

/** The entries' common code, or MULTIPLE_RESULTS. @param outcomes at least one */
export function commonOutcome(outcomes: readonly Outcome[]): Outcome {
  const [first = { code: wireCode.INTERNAL, message: 'no result' }] = outcomes;
  for (const outcome of outcomes) if (outcome.code !== first.code) return multiple;
  return first;
}
const multiple: Outcome = { code: Code.MULTIPLE_RESULTS, message: 'the entries have different results' };

/** The field `status`, number 1 in every answer of the protocol, for OK. */
const okField = Buffer.from([0x0a, 8, 0x08, 0xa0, 0x9c, 0x01, 0x12, 2, 0x4f, 0x4b]);

export function statusFieldBytes(outcome: Outcome): number {
  if (outcome === ok) return okField.length;
  return fieldBytes(statusBytes(outcome));
}

/** Writes `status` with the tag given (one byte); `statusFieldBytes` are needed. */
export function putStatusField(out: Buffer, at: number, outcome: Outcome, tag = 0x0a): number {
  if (outcome === ok) {
    out.set(okField, at);
    out[at] = tag;
    return at + okField.length;
  }
  let to = putLength(out, at, tag, statusBytes(outcome));
  out[to] = 0x08;
  to = putVarint(out, to + 1, outcome.code);
  to = putLength(out, to, 0x12, Buffer.byteLength(outcome.message));
  return to + out.write(outcome.message, to);
}

function statusBytes(outcome: Outcome): number {
  return 1 + varintBytes(outcome.code) + fieldBytes(Buffer.byteLength(outcome.message));
}

/** A whole answer that has nothing but its status: every answer of the protocol may look like this. */
export function statusOnly(outcome: Outcome): Buffer {
  const out = Buffer.allocUnsafe(statusFieldBytes(outcome));
  putStatusField(out, 0, outcome);
  return out;
}
