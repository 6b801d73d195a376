import type { FastifyInstance } from 'fastify';
import type { LiteTopicState } from '@cometmq/client';
import { MessageType, printable, type GroupId, type Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { askAll } from '../reports/ask-all.js';
import { within } from '../within.js';
import type { AdminContext } from './context.js';
import { answers } from './responses.js';
import { liteListQuery, liteParams, nameParams } from './schemas.js';

interface ByName {
  readonly name: string;
}
interface ByLiteTopic extends ByName {
  readonly liteTopic: string;
}
interface LiteListQuery {
  readonly prefix?: string;
  readonly after?: string;
  readonly limit?: number;
}

/** The lite topics of a LITE topic: each on one broker set. */
export function liteRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, requestMsMax, log } = context;
  const tags = ['topics'];
  const found = (name: string): Topic => {
    const topic = directory.topic(name);
    if (!topic) throw new MqError('TOPIC_NOT_FOUND', `there is no topic "${printable(name)}"`);
    if (topic.type !== MessageType.lite) throw new MqError('BAD_REQUEST', `topic "${topic.name}" is no LITE topic`);
    return topic;
  };
  const absent = ({ name, liteTopic }: ByLiteTopic): MqError =>
    new MqError('NOT_FOUND', `topic "${printable(name)}" has no lite topic "${printable(liteTopic)}"`);

  app.get<{ Params: ByName; Querystring: LiteListQuery }>('/topics/:name/lite-topics', {
    schema: {
      operationId: 'listLiteTopics',
      tags,
      summary: 'Lite topics, broker set by broker set and in no order. A page may be short while there are more.',
      params: nameParams('LITE topic'),
      querystring: liteListQuery,
      response: answers({ status: 200, schema: 'LiteTopicPage', description: 'One page.' }, 400, 404),
    },
    handler: async ({ params, query }) => {
      const { id: topicId } = found(params.name);
      const { set, from } = placeOf(query.after);
      const sets = [...directory.brokerSets()].map(({ name }) => name).sort();
      const brokerSet = sets.find((name) => name >= set);
      if (brokerSet === undefined) return { items: [] };
      const call = {
        topicId,
        prefix: query.prefix ?? '',
        from: brokerSet === set ? from : 0,
        max: query.limit ?? 100,
      };
      const page = await within(clock, requestMsMax, brokerSet, brokers.listLiteTopics(brokerSet, call));
      const later = sets.find((name) => name > brokerSet);
      const next = page.next === undefined ? later && `${later}:0` : `${brokerSet}:${page.next}`;
      const items = page.liteTopics.map((lite) => ({ ...lite, brokerSet }));
      return next === undefined ? { items } : { items, next };
    },
  });

  app.get<{ Params: ByLiteTopic }>('/topics/:name/lite-topics/:liteTopic', {
    schema: {
      operationId: 'describeLiteTopic',
      tags,
      summary: 'A lite topic: its messages, the progress of each group, its subscribers.',
      params: liteParams,
      response: answers({ status: 200, schema: 'LiteTopicDescription', description: 'The lite topic.' }, 400, 404),
    },
    handler: async ({ params }) => {
      const { id } = found(params.name);
      const asked = await askAll(directory, clock, requestMsMax, (set) =>
        brokers.describeLiteTopic(set, id, params.liteTopic),
      );
      const places = asked.answers.flatMap(({ brokerSet, answer }) =>
        answer ? [placeView(brokerSet, answer, (groupId) => directory.groupById(groupId)?.name)] : [],
      );
      if (places.length === 0 && asked.missing.length === 0) throw absent(params);
      return { name: params.liteTopic, topic: params.name, places, missing: asked.missing };
    },
  });

  app.delete<{ Params: ByLiteTopic }>('/topics/:name/lite-topics/:liteTopic', {
    schema: {
      operationId: 'deleteLiteTopic',
      tags,
      summary: 'Deletes a lite topic with all its messages; its subscribers are notified.',
      params: liteParams,
      response: answers({ status: 204, description: 'Deleted.' }, 400, 404),
    },
    handler: async ({ params, ip }, reply) => {
      const { id } = found(params.name);
      const asked = await askAll(directory, clock, requestMsMax, (set) =>
        brokers.deleteLiteTopic(set, id, params.liteTopic),
      );
      const [first] = asked.missing;
      if (first) throw new MqError('UNAVAILABLE', `broker set "${first.brokerSet}" did not answer: ${first.detail}`);
      if (!asked.answers.some(({ answer }) => answer)) throw absent(params);
      log.info({ peer: ip, topic: params.name, liteTopic: params.liteTopic }, 'lite topic deleted');
      return reply.code(204).send();
    },
  });
}

/** "set:place", as a page before gave it. */
function placeOf(after: string | undefined): { set: string; from: number } {
  if (after === undefined) return { set: '', from: 0 };
  const colon = after.lastIndexOf(':');
  const from = Number(after.slice(colon + 1));
  if (colon < 1 || !Number.isSafeInteger(from) || from < 0) {
    throw new MqError('BAD_REQUEST', `after: "${printable(after)}" is no \`next\` of a page before`);
  }
  return { set: after.slice(0, colon), from };
}

function placeView(brokerSet: string, state: LiteTopicState, groupName: (id: GroupId) => string | undefined) {
  const { queueId, first, next, bytes, lastMs, readers } = state;
  return {
    brokerSet,
    queueId,
    minOffset: first,
    maxOffset: next,
    bytes,
    lastMs,
    groups: readers.map(({ groupId, committed, lag, inFlight, subscribers }) => ({
      group: groupName(groupId) ?? '',
      ...(committed !== undefined && { committed }),
      lag,
      inFlight,
      subscribers,
    })),
  };
}
