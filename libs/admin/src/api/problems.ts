import { AssertionError } from 'node:assert';
import { type MqError, type ErrorCode } from '@cometmq/shared';

import { saidIn, type Said } from './problem-sentences.js';

/**
 * Every error of the API is one problem document (RFC 9457), application/problem+json. `code` is our own and
 * the one to branch on; `detail` is for people, and `sentence` with `params` says the same for who speaks another language. Causes and stacks go to the log, never into a document.
 */
export interface Problem extends Partial<Said> {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
}

export const problemMediaType = 'application/problem+json';

/** Codes that are not here are the caller's mistake when they begin with ILLEGAL_, INVALID_ or MESSAGE_, else ours. */
const statuses: Partial<Record<ErrorCode, number>> = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  TOPIC_NOT_FOUND: 404,
  CONSUMER_GROUP_NOT_FOUND: 404,
  MESSAGE_NOT_FOUND: 404,
  OFFSET_NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  CONFLICT: 409,
  STALE_LAYOUT: 409,
  MESSAGE_TYPE_CONFLICT: 409,
  LITE_TOPIC_QUOTA_EXCEEDED: 409,
  LITE_SUBSCRIPTION_QUOTA_EXCEEDED: 409,
  MESSAGE_TOO_LARGE: 413,
  MESSAGE_PROPERTIES_TOO_LARGE: 413,
  TOO_MANY_REQUESTS: 429,
  UNSUPPORTED: 501,
  UNAVAILABLE: 503,
  NOT_LEADER: 503,
  TIMEOUT: 504,
  STORAGE_FULL: 507,
};

export function statusOf(code: ErrorCode): number {
  const status = statuses[code];
  if (status !== undefined) return status;
  return /^(ILLEGAL|INVALID|MESSAGE)_/.test(code) ? 400 : 500;
}

export function problemOf(error: MqError, status = statusOf(error.code)): Problem {
  return {
    type: `urn:cometmq:problem:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title: titleOf(error.code),
    status,
    detail: error.reason,
    code: error.code,
    ...saidIn(error.reason),
  };
}

/** Each says after how many seconds, as `count`. */
const tellSeconds: ReadonlySet<Said['sentence']> = new Set(['wrongLoginsTooMany', 'codesTooMany', 'ownChangesTooMany']);

/** Seconds, where it is known after how many the same may be asked again. */
export function retryAfterOf({ status, sentence, params }: Problem): string | undefined {
  if (status !== statuses.TOO_MANY_REQUESTS) return undefined;
  if (sentence !== undefined && tellSeconds.has(sentence)) return params?.['count'];
  if (sentence === 'quotaUsedUp') return String(Math.ceil(Number(params?.['waitMs']) / 1_000));
  return undefined;
}

function titleOf(code: ErrorCode): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The framework answers whatever is thrown to it; what ends the process has to be thrown past it. */
export function passAssertion(caught: unknown): void {
  if (!(caught instanceof AssertionError)) return;
  setImmediate(() => {
    throw caught;
  });
}
