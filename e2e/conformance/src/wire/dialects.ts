/**
 * How the clients speak that are not run here themselves: what stands in their headers and requests, and the mistakes
 * a server has to live with.
 */
import { randomUUID } from 'node:crypto';

import { Language } from '@cometmq/proto';
import type { Headers } from './wire.js';

export interface Dialect {
  readonly language: 'C++' | 'C#' | 'PHP';
  readonly wireLanguage: Language;
  readonly version: string;
  headers(clientId: string): Headers;
  /** Settings of a producer name no topics. */
  readonly producerWithoutTopics?: true;
  /** Settings say neither how long a request nor how long a poll may take. */
  readonly bareSettings?: true;
  /** Simple consumers ask for assignments, and poll what these name. */
  readonly simpleAsksAssignments?: true;
  /** What a simple consumer says of the polling time, in milliseconds; nothing if absent. */
  readonly simplePollMs?: number;
  /** What a push consumer says of its lease although it is renewed. */
  readonly pushInvisibleMs?: number;
  /** A push consumer says how long it polls. */
  readonly pushSaysPollMs?: true;
  /** An attempt id that stays until an answer has come. */
  readonly keepsAttemptId?: true;
  /** The handle that a change of the invisible duration gave is not used. */
  readonly keepsFirstHandle?: true;
  /** A figure that stands by mistake in the delivery attempt of a delayed message. */
  readonly delayedAttempt?: number;
  /** The end of a transaction does not say who asked for it. */
  readonly endWithoutSource?: true;
  /** The wait after a failure is the next attempt's. */
  readonly backoffOneLater?: true;
  /** A producer leaves without a word. */
  readonly leavesSilently?: true;
  readonly noDigest?: true;
}

const dateTime = (): string => new Date().toISOString().replace(/[-:]|\.\d+/g, '');

export const cpp: Dialect = {
  language: 'C++',
  wireLanguage: Language.CPP,
  version: '5.0.0',
  headers: (clientId) => ({
    'x-mq-client-id': clientId,
    'x-mq-language': 'CPP',
    'x-mq-client-version': '5.0.0',
    'x-mq-protocol-version': 'v2',
    'x-mq-namespace': '',
    'x-mq-date-time': dateTime(),
  }),
  producerWithoutTopics: true,
  simpleAsksAssignments: true,
  pushInvisibleMs: 30_000,
  keepsAttemptId: true,
  delayedAttempt: 5_000,
  backoffOneLater: true,
  leavesSilently: true,
};

export const csharp: Dialect = {
  language: 'C#',
  wireLanguage: Language.DOT_NET,
  version: '5.1.0',
  headers: (clientId) => ({
    'x-mq-client-id': clientId,
    'x-mq-language': 'DOTNET',
    'x-mq-client-version': '5.1.0',
    'x-mq-request-id': randomUUID(),
    'x-mq-namespace': '',
    'x-mq-date-time': dateTime(),
  }),
  simplePollMs: 3_000,
  pushSaysPollMs: true,
  keepsFirstHandle: true,
  endWithoutSource: true,
};

export const php: Dialect = {
  language: 'PHP',
  wireLanguage: Language.PHP,
  version: '5.0.0',
  headers: (clientId) => ({
    'x-mq-client-id': clientId,
    'x-mq-language': 'PHP',
    'x-mq-client-version': '5.0.0',
    'x-mq-protocol': 'v2',
    'x-mq-request-id': randomUUID(),
    'x-mq-namespace': '',
    'x-mq-date-time': dateTime(),
  }),
  bareSettings: true,
  simplePollMs: 2_000,
  noDigest: true,
};
