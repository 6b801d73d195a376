/**
 * What is done by the API goes to the audit log: each change with what was there before and after, each refusal, each look at
 * messages. Secrets are masked. When lines can't be written as fast as they come, changes are refused rather than unrecorded.
 */
import { createHash } from 'node:crypto';

import type { AuditLog } from '@cometmq/auth';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance, FastifyRequest } from 'fastify';

import { userView } from '../reports/user-report.js';
import type { AdminContext } from './context.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** What a change found, and what it left, as the audit log shows it. */
    changed: { readonly before?: unknown; after?: unknown } | undefined;
    /** Messages that the answer shows; left out: it is none that does. */
    given: number | undefined;
    /** Has the audit log know how an answer ended, once; undefined: there is none. */
    recordAnswer: ((answer: Answered) => Promise<void>) | undefined;
  }
}

/** How an answer ended. */
export interface Answered {
  /** Messages that were given, with their bodies or without. */
  readonly given?: number | undefined;
  /** Why it ended before its end. */
  readonly ended?: MqError | undefined;
}

const harmless = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Looks at what messages hold. */
const looks = new Set([
  ...['findMessages', 'searchMessages', 'describeMessage'],
  ...['listGroupDeadLetters', 'exportDeadLetters'],
]);
const valueLengthMax = 4_096;

type Reads = (context: AdminContext, name: string) => unknown;
const topic: Reads = ({ directory }, name) => directory.topic(name);
const group: Reads = ({ directory }, name) => directory.group(name);
const user: Reads = ({ identity }, name) => {
  const found = identity?.book.user(name);
  return found && userView(found, identity?.book.policiesOf(name));
};
/** What is there before it is changed. Of other changes the answer says enough. */
const before: Readonly<Record<string, Reads>> = {
  ...{ updateTopic: topic, deleteTopic: topic },
  ...{ updateGroup: group, deleteGroup: group, pauseGroup: group, resumeGroup: group },
  ...{ updateUser: user, deleteUser: user, setPolicies: user, resetSecondFactor: user },
};

/**
 * A line is recorded when an answer is ready to go, whether anybody is left to take it or not: who hangs up after asking for
 * a change has changed something all the same.
 */
export function addAudit(app: FastifyInstance, log: AuditLog, context: AdminContext): void {
  app.decorateRequest('changed');
  app.decorateRequest('recordAnswer');
  app.decorateRequest('given');
  app.decorateRequest('masked');
  app.addHook('onRequest', async (request, reply) => {
    request.recordAnswer = (answer) => {
      request.recordAnswer = undefined;
      return record(log, request, reply.statusCode, answer);
    };
  });
  app.addHook('preHandler', async (request) => {
    if (harmless.has(request.method)) return;
    if (!log.takesMore) {
      throw new MqError(
        'UNAVAILABLE',
        'the audit log takes no more lines now, and nothing is changed unrecorded; try again',
      );
    }
    const { name = '' } = request.params as { readonly name?: string };
    request.changed = { before: shown(before[operationOf(request) ?? '']?.(context, name)) };
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const isGood = reply.statusCode < 300;
    if (request.changed && isGood && typeof payload === 'string' && payload !== '') {
      request.changed.after = shown(parsed(payload));
    }
    const recorded = request.recordAnswer?.({ given: isGood ? request.given : undefined });
    if (request.changed) await recorded; // Who reads that something was changed can rely on its line.
  });
}

async function record(
  log: AuditLog,
  request: FastifyRequest,
  status: number,
  { given, ended }: Answered,
): Promise<void> {
  const operation = operationOf(request);
  const isRefused = status === 401 || status === 403 || status === 429;
  if (operation === undefined || (harmless.has(request.method) && !isRefused && !looks.has(operation))) return;
  await log.record({
    requestId: request.id,
    user: request.principal.name === '' ? undefined : request.principal.name,
    how: howOf(request),
    apiToken: request.login?.api?.name,
    from: request.ip,
    operation,
    target: shown(request.params),
    query: shown(request.query),
    change: shown(request.body, hiddenBodies),
    before: request.changed?.before,
    after: request.changed?.after,
    status,
    given,
    masked: given === undefined ? undefined : request.masked,
    decision: isRefused ? 'refused' : status < 400 && !ended ? 'done' : 'failed',
    reason: ended?.reason,
  });
}

/** By which login. */
function howOf({ session, login, principal }: FastifyRequest): string {
  if (principal.name === '') return 'none';
  if (login?.api) return 'apiToken';
  return session ? 'session' : 'token';
}

function operationOf({ routeOptions }: FastifyRequest): string | undefined {
  return ((routeOptions.schema ?? {}) as { operationId?: string }).operationId;
}

function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload) as unknown;
  } catch {
    return undefined;
  }
}

/** Also what somebody calls a secret where no such field is known: it is one all the same. */
const secretField = /secret|passw|token|credential|^code$|^recoveryCodes$/i;

/** Bodies of messages, which a mask may hide from who reads the log, or the file it is kept in: how long they are is said. */
const bodyFields: ReadonlySet<string> = new Set(['text', 'base64']);
const hiddenBodies: Hides = (key, value) =>
  bodyFields.has(key) && typeof value === 'string' ? `*** (${value.length} characters)` : value;

type Hides = (key: string, value: unknown) => unknown;

/** Without secrets, and not longer than a line may be. */
function shown(part: unknown, hides: Hides = (_key, value) => value): unknown {
  if (typeof part !== 'object' || part === null || Object.keys(part).length === 0) return undefined;
  const text = JSON.stringify(part, (key, value: unknown) => (secretField.test(key) ? '***' : hides(key, value)));
  if (text.length <= valueLengthMax) return JSON.parse(text) as unknown;
  // By the digest it is known again, from a backup or a repository that has all of it.
  return { cut: `${text.slice(0, valueLengthMax)}…`, sha256: createHash('sha256').update(text).digest('hex') };
}
