import type { FastifyInstance } from 'fastify';
import type { TopicChange } from '@cometmq/client';
import { MessageType, printable, type MessageTypeName, type Permission, type Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { askAll } from '../reports/ask-all.js';
import { topicReport, topicView } from '../reports/topic-report.js';
import { sees } from './access-rules.js';
import { change, looksLike } from './changes.js';
import type { AdminContext } from './context.js';
import { checkDrained } from './drained.js';
import { pageOf, type PageQuery } from './paging.js';
import { deletionQuery, type DeletionQuery } from './deleted-routes.js';
import { answers } from './responses.js';
import { nameParams, ref, topicListQuery } from './schemas.js';
import { whoAsks } from './who-asks.js';

interface TopicSettingsBody {
  readonly writeQueues?: number;
  readonly readQueues?: number;
  readonly permission?: Permission;
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  readonly liteExpirationMs?: number;
  readonly bodyMask?: string;
}
interface TopicDraftBody extends TopicSettingsBody {
  readonly name: string;
  readonly type?: MessageTypeName;
}
interface TopicListQuery extends PageQuery {
  readonly type?: MessageTypeName;
  readonly inner?: 'true' | 'false';
}
interface ByName {
  readonly name: string;
}

export function topicRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, requestMsMax, log } = context;
  const tags = ['topics'];
  const found = (name: string): Topic => {
    const topic = directory.topic(name);
    if (!topic) throw new MqError('TOPIC_NOT_FOUND', `there is no topic "${printable(name)}"`);
    return topic;
  };

  app.get<{ Querystring: TopicListQuery }>('/topics', {
    schema: {
      operationId: 'listTopics',
      tags,
      summary: 'Topics in the order of their names.',
      querystring: topicListQuery,
      response: answers({ status: 200, schema: 'TopicPage', description: 'One page.' }, 400),
    },
    handler: async (request) => {
      const { query } = request;
      const views = [...directory.topics()].map(topicView).filter(({ name, type, inner }) => {
        if (!sees(request, 'topic', name)) return false;
        return (query.type === undefined || query.type === type) && (query.inner ?? String(inner)) === String(inner);
      });
      return pageOf(views, query);
    },
  });

  app.post<{ Body: TopicDraftBody }>('/topics', {
    schema: {
      operationId: 'createTopic',
      tags,
      summary: 'Creates a topic.',
      body: ref('TopicDraft'),
      response: answers({ status: 201, schema: 'Topic', description: 'Created.' }, 400, 409),
    },
    handler: async ({ body, ip }, reply) => {
      const { type, ...rest } = body;
      const draft = { ...rest, ...(type && { type: MessageType[type] }) };
      const topic = await change(
        context,
        (nameService) => nameService.createTopic(draft),
        ({ id }) => directory.topicById(id) !== undefined,
      );
      log.info({ peer: ip, topic: topic.name, type }, 'topic created');
      return reply
        .code(201)
        .header('location', `/api/v1/topics/${encodeURIComponent(topic.name)}`)
        .send(topicView(topic));
    },
  });

  app.get<{ Params: ByName }>('/topics/:name', {
    schema: {
      operationId: 'describeTopic',
      tags,
      summary: 'A topic and the offsets of its queues.',
      params: nameParams('topic'),
      response: answers({ status: 200, schema: 'TopicDescription', description: 'The topic.' }, 404),
    },
    handler: async ({ params }) => {
      const topic = found(params.name);
      return topicReport(
        topic,
        await askAll(directory, clock, requestMsMax, (set) => brokers.describeTopic(set, topic.id)),
      );
    },
  });

  app.patch<{ Params: ByName; Body: TopicSettingsBody }>('/topics/:name', {
    schema: {
      operationId: 'updateTopic',
      tags,
      summary:
        'Changes the settings given; the others stay. The type of a topic can not be changed. Read queues grow with ' +
        'write queues; to have fewer, lower the write queues, wait until the others are consumed, lower the read queues.',
      params: nameParams('topic'),
      body: ref('TopicChange'),
      response: answers({ status: 200, schema: 'Topic', description: 'The topic as it is now.' }, 400, 404, 409),
    },
    handler: async ({ params, body, ip }) => {
      await checkDrained(context, params.name, body.readQueues);
      const topic = await change(
        context,
        (nameService) => nameService.updateTopic(params.name, body satisfies TopicChange),
        (made) => {
          const shown = directory.topicById(made.id);
          return shown !== undefined && looksLike(topicView(shown), topicView(made));
        },
      );
      log.info({ peer: ip, topic: topic.name, change: body }, 'topic changed');
      return topicView(topic);
    },
  });

  app.delete<{ Params: ByName; Querystring: DeletionQuery }>('/topics/:name', {
    schema: {
      operationId: 'deleteTopic',
      tags,
      summary:
        'Deletes a topic with all its messages. It can be restored for a grace time, and nothing stored of it is deleted ' +
        'before that. A new topic of the same name starts empty.',
      params: nameParams('topic'),
      querystring: deletionQuery,
      response: answers({ status: 204, description: 'Deleted.' }, 404),
    },
    handler: async (request, reply) => {
      const { params, ip } = request;
      const known = directory.topic(params.name);
      const how = { now: request.query.now === 'true', who: whoAsks(request) };
      await change(
        context,
        (nameService) => nameService.deleteTopic(params.name, how),
        () => !known || directory.topicById(known.id) === undefined,
      );
      log.info({ peer: ip, topic: params.name }, 'topic deleted');
      return reply.code(204).send();
    },
  });
}
