/**
 * Who did what by the API: a JSON line for each change, each refusal and each look at messages. What is said here has been
 * decided; secrets are masked. When lines can't be written as fast as they come, changes are refused rather than unrecorded.
 */
import { MqError } from '@cometmq/shared';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Resolves when the line is where it is kept. */
export type AuditSink = (line: string) => Promise<void>;

const waitingMax = 1_000;
const harmless = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Looks at what messages hold. */
const looks = new Set([
  ...['findMessages', 'searchMessages', 'describeMessage'],
  ...['listGroupDeadLetters', 'exportDeadLetters'],
]);
const valueLengthMax = 4_096;

export function addAudit(app: FastifyInstance, sink: AuditSink, wallMs: () => number): void {
  let waiting = 0;
  let failed = false;
  app.addHook('preHandler', async (request) => {
    if (harmless.has(request.method) || (waiting < waitingMax && !failed)) return;
    throw new MqError(
      'UNAVAILABLE',
      'the audit log takes no more lines now, and nothing is changed unrecorded; try again',
    );
  });
  app.addHook('onResponse', async (request, reply) => {
    const operation = operationOf(request);
    const isRefused = reply.statusCode === 401 || reply.statusCode === 403 || reply.statusCode === 429;
    if (operation === undefined || (harmless.has(request.method) && !isRefused && !looks.has(operation))) return;
    if (waiting >= waitingMax) return; // A flood of refusals: what changes nothing may go unrecorded.
    waiting += 1;
    const line = JSON.stringify({
      time: new Date(wallMs()).toISOString(),
      requestId: request.id,
      user: request.principal.name === '' ? undefined : request.principal.name,
      how: request.session ? 'session' : request.principal.name === '' ? 'none' : 'token',
      from: request.ip,
      operation,
      target: shown(request.params),
      query: shown(request.query),
      change: shown(request.body),
      status: reply.statusCode,
      decision: isRefused ? 'refused' : reply.statusCode < 400 ? 'done' : 'failed',
    });
    sink(line).then(
      () => {
        waiting -= 1;
        failed = false;
      },
      () => {
        waiting -= 1;
        failed = true;
      },
    );
  });
}

function operationOf({ routeOptions }: FastifyRequest): string | undefined {
  return ((routeOptions.schema ?? {}) as { operationId?: string }).operationId;
}

/** Without secrets, and not longer than a line may be. */
function shown(part: unknown): unknown {
  if (typeof part !== 'object' || part === null || Object.keys(part).length === 0) return undefined;
  const text = JSON.stringify(part, (key, value: unknown) => (key === 'secret' ? '***' : value));
  return text.length <= valueLengthMax ? (JSON.parse(text) as unknown) : `${text.slice(0, valueLengthMax)}…`;
}
