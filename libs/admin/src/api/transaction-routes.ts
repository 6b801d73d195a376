import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { whereItIs, type HalfResolution } from '@cometmq/client';
import { MqError } from '@cometmq/shared';

import { auditReport, halfReport, halfView, readCursor, readWaitingId } from '../reports/waiting-report.js';
import { askAll } from '../reports/ask-all.js';
import { within } from '../within.js';
import type { AdminContext } from './context.js';
import { answers } from './responses.js';
import { halfListQuery, idParams, ref } from './schemas.js';
import { topicNamed } from './topic-named.js';

interface HalfQueryString {
  readonly topic?: string;
  readonly limit?: number;
  readonly after?: string;
}
interface ById {
  readonly id: string;
}

interface Decided {
  Params: ById;
  Body: { readonly who?: string };
}

const limitDefault = 100;
const idText = 'The id of a list, or the transaction id that the sender got.';

/** Half messages nobody has decided on: to be seen, and to be decided on by an operator, which is kept. */
export function transactionRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, requestMsMax, log } = context;
  const tags = ['transactions'];

  app.get<{ Querystring: HalfQueryString }>('/transactions', {
    schema: {
      operationId: 'listTransactions',
      tags,
      summary: 'Transactions that are neither committed nor rolled back, oldest first.',
      querystring: halfListQuery,
      response: answers({ status: 200, schema: 'TransactionPage', description: 'One page.' }, 400, 404),
    },
    handler: async ({ query }) => {
      const { topic, limit: max = limitDefault, after } = query;
      const topicId = topic === undefined ? undefined : topicNamed(directory, topic).id;
      const cursor = readCursor(after);
      const answered = await askAll(directory, clock, requestMsMax, (set) => {
        const { timeMs: storedMs, position } = cursor.in(set);
        return brokers.waiting.listHalf(set, { topicId, max, after: { storedMs, position } });
      });
      return halfReport(directory, answered, max);
    },
  });

  app.get('/transactions/audits', {
    schema: {
      operationId: 'listTransactionAudits',
      tags,
      summary: 'Decisions of operators, newest first: the last 1,000 of each broker set.',
      response: answers({ status: 200, schema: 'TransactionAudits', description: 'The decisions.' }),
    },
    handler: async () => {
      const answered = await askAll(directory, clock, requestMsMax, (set) => brokers.waiting.audits(set));
      return auditReport(directory, answered);
    },
  });

  app.get<{ Params: ById }>('/transactions/:id', {
    schema: {
      operationId: 'describeTransaction',
      tags,
      summary: 'A transaction that is neither committed nor rolled back.',
      params: idParams(idText),
      response: answers({ status: 200, schema: 'Transaction', description: 'The half message.' }, 400, 404),
    },
    handler: async ({ params }) => {
      const handle = readWaitingId(directory, 'transaction', params.id);
      return whereItIs(directory, handle, async (brokerSet, place) => {
        const found = await within(clock, requestMsMax, brokerSet, brokers.waiting.findHalf(brokerSet, place));
        if (!found) throw new MqError('MESSAGE_NOT_FOUND', 'the transaction is not open any more');
        return halfView(directory, brokerSet, found);
      });
    },
  });

  const decision = (resolution: HalfResolution, summary: string, done: string) => ({
    schema: {
      operationId: `${resolution}Transaction`,
      tags,
      summary,
      params: idParams(idText),
      body: ref('TransactionDecision'),
      response: answers({ status: 204, description: done }, 400, 409),
    },
    handler: async (request: FastifyRequest<Decided>, reply: FastifyReply) => {
      const { params, body, ip } = request;
      const handle = readWaitingId(directory, 'transaction', params.id);
      // A user is who it is; where there are none, who asks may say so.
      const who = request.principal.name === '' ? (body.who ?? ip) : request.principal.name;
      await whereItIs(directory, handle, (brokerSet, place) =>
        within(clock, requestMsMax, brokerSet, brokers.waiting.resolveHalf(brokerSet, place, resolution, who)),
      );
      log.info({ peer: ip, who, id: params.id, resolution }, 'an operator has decided on a transaction');
      return reply.code(204).send();
    },
  });
  app.post<Decided>(
    '/transactions/:id/commit',
    decision(
      'commit',
      'Commits in place of the producer: the message is delivered. Who decided is kept.',
      'It is committed.',
    ),
  );
  app.post<Decided>(
    '/transactions/:id/rollback',
    decision(
      'rollback',
      'Rolls back in place of the producer: the message is dropped. Who decided is kept.',
      'It is rolled back.',
    ),
  );
}
