import type { FastifyInstance } from 'fastify';
import type { ClientQuestion, CommandAnswer } from '@cometmq/client';
import { printable } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { within } from '../within.js';
import { checkTopicOf } from './access-rules.js';
import type { AdminContext } from './context.js';
import { answers } from './responses.js';
import { clientParams, ref } from './schemas.js';

interface ByClient {
  readonly clientId: string;
}
interface VerifyBody {
  readonly group: string;
  readonly topic: string;
  readonly messageId: string;
}

/** A client has 5 s to answer; the rest is the way there and back. */
const answerMsMax = 8_000;

/** What one client can be asked, through the Telemetry stream that a proxy holds of it. */
export function clientRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, log } = context;
  const tags = ['clients'];

  /** Any broker set that knows a proxy with a stream of the client will do. */
  const ask = async (question: ClientQuestion): Promise<CommandAnswer> => {
    let error = new MqError('UNAVAILABLE', 'there is no broker set to ask');
    for (const { name } of [...directory.brokerSets()]) {
      try {
        return await within(clock, answerMsMax, name, brokers.askClient(name, question));
      } catch (caught) {
        error = MqError.from(caught);
        // It was asked: another set would only ask it again.
        if (error.code === 'TIMEOUT') throw error;
      }
    }
    throw error;
  };
  const answerOf = ({ code, message, text }: CommandAnswer) => ({ code, message, ...(text !== '' && { text }) });

  app.post<{ Params: ByClient }>('/clients/:clientId/stack-trace', {
    schema: {
      operationId: 'askStackTrace',
      tags,
      summary: 'Asks a client for the stack traces of its threads, where its language has them.',
      description:
        'Java and Go answer; C++ and Node.js with a fixed text; C# says UNSUPPORTED; Python and Rust never do.',
      params: clientParams,
      response: answers({ status: 200, schema: 'ClientAnswer', description: 'Its answer.' }, 404, 504),
    },
    handler: async ({ params: { clientId } }) => answerOf(await ask({ kind: 'printStack', clientId })),
  });

  app.post<{ Params: ByClient }>('/clients/:clientId/reconnect', {
    schema: {
      operationId: 'askReconnect',
      tags,
      summary: 'Asks a client to reconnect. Only Java and Node.js clients do.',
      params: clientParams,
      response: answers({ status: 202, description: 'The client was asked.' }, 404),
    },
    handler: async ({ params: { clientId }, ip }, reply) => {
      await ask({ kind: 'reconnect', clientId });
      log.info({ peer: ip, clientId }, 'a client was asked to reconnect');
      return reply.code(202).send();
    },
  });

  app.post<{ Params: ByClient; Body: VerifyBody }>('/clients/:clientId/verify', {
    schema: {
      operationId: 'askVerify',
      tags,
      summary: 'Has a push consumer process one stored message as a test. Nothing is acknowledged.',
      params: clientParams,
      body: ref('ClientTrial'),
      response: answers({ status: 200, schema: 'ClientAnswer', description: 'The result.' }, 400, 404, 504),
    },
    handler: async (request) => {
      const {
        params: { clientId },
        body,
        ip,
      } = request;
      const topic = directory.topic(body.topic);
      const group = directory.group(body.group);
      if (!topic) throw new MqError('TOPIC_NOT_FOUND', `there is no topic "${printable(body.topic)}"`);
      checkTopicOf(request, topic.name);
      if (!group)
        throw new MqError('CONSUMER_GROUP_NOT_FOUND', `there is no consumer group "${printable(body.group)}"`);
      const { messageId } = body;
      const answer = await ask({ kind: 'verify', clientId, groupId: group.id, topicId: topic.id, messageId });
      log.info({ peer: ip, clientId, messageId }, 'a client was given a message to process as a test');
      return answerOf(answer);
    },
  });
}
