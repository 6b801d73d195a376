import type { AuditEntry, AuditRecord } from '@cometmq/auth';
import { MqError } from '@cometmq/shared';
import type { FastifyInstance } from 'fastify';

import type { AdminContext } from './context.js';
import { answers } from './responses.js';

export type AuditRecordView = AuditRecord;

interface Asked {
  readonly limit?: number;
  readonly after?: string;
  readonly user?: string;
  readonly operation?: string;
  readonly decision?: AuditEntry['decision'];
}

const text = { type: 'string', maxLength: 128 };

/** What was recorded by this process, or found in its file when it started. */
export function auditRoutes(app: FastifyInstance, { audit }: AdminContext): void {
  app.get<{ Querystring: Asked }>('/audit', {
    schema: {
      operationId: 'listAudit',
      tags: ['users'],
      summary: 'Who did what: changes, refusals and looks at messages, newest first.',
      querystring: {
        type: 'object',
        additionalProperties: false,
        properties: {
          limit: { type: 'integer', minimum: 1, maximum: 1_000, default: 100 },
          after: { type: 'string', pattern: '^[0-9]{1,15}$', description: 'The `next` of the page before.' },
          user: text,
          operation: text,
          decision: { type: 'string', enum: ['done', 'failed', 'refused'] },
        },
      },
      response: answers({ status: 200, schema: 'AuditPage', description: 'One page.' }, 400, 401, 403),
    },
    handler: async ({ query: { after, ...query } }) => {
      if (!audit) throw new MqError('UNSUPPORTED', 'nothing is recorded here');
      const { items, next } = audit.page({ ...query, ...(after !== undefined && { before: Number(after) }) });
      return { items, ...(next !== undefined && { next: String(next) }) };
    },
  });
}
