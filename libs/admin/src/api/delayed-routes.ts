import type { FastifyInstance } from 'fastify';
import { whereItIs, type DelayedState } from '@cometmq/client';
import { MqError } from '@cometmq/shared';

import { delayedView, delayedReport, readCursor, readWaitingId } from '../reports/waiting-report.js';
import { askAll } from '../reports/ask-all.js';
import { within } from '../within.js';
import type { AdminContext } from './context.js';
import { checkTimes } from './paging.js';
import { answers } from './responses.js';
import { delayedListQuery, idParams, ref } from './schemas.js';
import { topicNamed } from './topic-named.js';

interface DelayedQueryString {
  readonly topic?: string;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly limit?: number;
  readonly after?: string;
}
interface ById {
  readonly id: string;
}

const limitDefault = 100;

/** Delayed messages that wait: to be seen, taken back, or delivered at another time. */
export function delayedRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, requestMsMax, log } = context;
  const tags = ['delayed messages'];

  /** @throws MqError MESSAGE_NOT_FOUND */
  const waitingMessage = (id: string): Promise<{ readonly brokerSet: string; readonly state: DelayedState }> =>
    whereItIs(directory, readWaitingId(directory, 'recall', id), async (brokerSet, place) => {
      const state = await within(clock, requestMsMax, brokerSet, brokers.waiting.findDelayed(brokerSet, place));
      if (!state) throw new MqError('MESSAGE_NOT_FOUND', 'the message has been delivered or taken back already');
      return { brokerSet, state };
    });

  app.get<{ Querystring: DelayedQueryString }>('/delayed', {
    schema: {
      operationId: 'listDelayed',
      tags,
      summary: 'Delayed messages that are not due yet, the next due first.',
      querystring: delayedListQuery,
      response: answers({ status: 200, schema: 'DelayedPage', description: 'One page.' }, 400, 404),
    },
    handler: async ({ query }) => {
      const { topic, fromMs = 0, toMs = Infinity, limit: max = limitDefault, after } = query;
      checkTimes(fromMs, toMs);
      const topicId = topic === undefined ? undefined : topicNamed(directory, topic).id;
      const cursor = readCursor(after);
      const answered = await askAll(directory, clock, requestMsMax, (set) => {
        const { timeMs: dueMs, position } = cursor.in(set);
        return brokers.waiting.listDelayed(set, { topicId, fromMs, toMs, max, after: { dueMs, position } });
      });
      return delayedReport(directory, answered, max);
    },
  });

  app.get<{ Params: ById }>('/delayed/:id', {
    schema: {
      operationId: 'describeDelayed',
      tags,
      summary: 'A delayed message that is not due yet.',
      params: idParams('The id shown in a list, or the recall handle that the sender got.'),
      response: answers({ status: 200, schema: 'Delayed', description: 'The message.' }, 400, 404),
    },
    handler: async ({ params }) => {
      const { brokerSet, state } = await waitingMessage(params.id);
      return delayedView(directory, brokerSet, state);
    },
  });

  app.patch<{ Params: ById; Body: { readonly dueMs: number } }>('/delayed/:id', {
    schema: {
      operationId: 'rescheduleDelayed',
      tags,
      summary: 'Changes when the message is delivered. A time in the past delivers it at once.',
      params: idParams('The id shown in a list, or the recall handle that the sender got.'),
      body: ref('DelayedChange'),
      response: answers({ status: 200, schema: 'Delayed', description: 'The message with its new time.' }, 400, 404),
    },
    handler: async ({ params, body, ip }) => {
      const { brokerSet, state } = await waitingMessage(params.id);
      const { place } = state;
      await within(clock, requestMsMax, brokerSet, brokers.waiting.moveDelayed(brokerSet, place, body.dueMs));
      log.info({ peer: ip, id: params.id, dueMs: body.dueMs }, 'delayed message rescheduled');
      return delayedView(directory, brokerSet, { ...state, place: { ...place, dueMs: body.dueMs } });
    },
  });

  app.delete<{ Params: ById }>('/delayed/:id', {
    schema: {
      operationId: 'cancelDelayed',
      tags,
      summary: 'Cancels the message: it is never delivered.',
      params: idParams('The id shown in a list, or the recall handle that the sender got.'),
      response: answers({ status: 204, description: 'It will never be delivered.' }, 400, 404),
    },
    handler: async ({ params, ip }, reply) => {
      await whereItIs(directory, readWaitingId(directory, 'recall', params.id), (brokerSet, place) =>
        within(clock, requestMsMax, brokerSet, brokers.waiting.takeBackDelayed(brokerSet, place)),
      );
      log.info({ peer: ip, id: params.id }, 'delayed message cancelled');
      return reply.code(204).send();
    },
  });
}
