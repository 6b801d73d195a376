import type { FastifyInstance } from 'fastify';
import type { RetiredKind } from '@cometmq/client';
import { MqError } from '@cometmq/shared';

import { change } from './changes.js';
import type { AdminContext } from './context.js';
import { answers } from './responses.js';
import { object, described, type Schema } from './schema-parts.js';
import { whoAsks } from './who-asks.js';

export interface DeletionQuery {
  readonly now?: 'true' | 'false';
}
export const deletionQuery: Schema = object(
  { now: { type: 'string', enum: ['true', 'false'], description: 'For good at once: it can not be restored.' } },
  [],
);
const deletedParams: Schema = object(
  {
    kind: { type: 'string', enum: ['topic', 'group'] },
    id: described({ type: 'string', pattern: '^[0-9]{1,10}$' }, '`id` of the list.'),
  },
  'all',
);
/** Ids are u32 between our processes. */
const idMax = 2 ** 32 - 1;
interface RestoreQuery {
  readonly replace?: 'true' | 'false';
}
const restoreQuery: Schema = object(
  {
    replace: {
      type: 'string',
      enum: ['true', 'false'],
      description: 'Another one that has the name now is deleted instead, and can be restored in its turn.',
    },
  },
  [],
);
interface OfDeleted {
  readonly kind: RetiredKind;
  readonly id: string;
}

/** Topics and groups that were deleted, and are brought back while their grace lasts. */
export function deletedRoutes(app: FastifyInstance, context: AdminContext): void {
  const { nameService, directory, log } = context;
  const tags = ['cluster'];

  app.get('/deleted', {
    schema: {
      operationId: 'listDeleted',
      tags,
      summary: 'Topics and consumer groups whose deletion can be taken back, newest first.',
      response: answers({ status: 200, schema: 'DeletedList', description: 'What can be restored.' }),
    },
    handler: async () => {
      const { retired, graceMs } = await nameService.retired();
      return { items: retired, graceMs };
    },
  });

  app.post<{ Params: OfDeleted; Querystring: RestoreQuery }>('/deleted/:kind/:id/restore', {
    schema: {
      operationId: 'restoreDeleted',
      tags,
      summary: 'Takes a deletion back: the topic has its messages again, the consumer group its progress.',
      params: deletedParams,
      querystring: restoreQuery,
      response: answers({ status: 204, description: 'It is back.' }, 400, 404, 409),
    },
    handler: async (request, reply) => {
      const { kind, id } = request.params;
      const number = Number(id);
      const replace = request.query.replace === 'true';
      if (number > idMax) throw new MqError('NOT_FOUND', `no ${kind} had this id`);
      await change(
        context,
        (service) => service.restore(kind, number, { replace, who: whoAsks(request) }),
        () =>
          (kind === 'topic' ? directory.topicById(number as never) : directory.groupById(number as never)) !==
          undefined,
      );
      log.info({ peer: request.ip, who: whoAsks(request), kind, id, replace }, 'a deletion was taken back');
      return reply.code(204).send();
    },
  });
}
