import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { MessageContent, MessageQuery } from '@cometmq/client';
import { isSystemTopic, messageRules, printable, type ConsumerGroup, type Topic, type TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { askAll, AskRound } from '../reports/ask-all.js';
import { type ClientMark, clientsOf } from '../reports/client-report.js';
import {
  lifeView,
  messagePart,
  placeId,
  readPlaceId,
  SearchCursor,
  type MessagePartView,
  type MessageView,
} from '../reports/message-report.js';
import { whyReport } from '../reports/why-report.js';
import { within } from '../within.js';
import { checkTopicOf } from './access-rules.js';
import { checkTextSearch, mayReadAllOf, shownTo } from './body-sight.js';
import type { AdminContext } from './context.js';
import { goOn } from './event-stream.js';
import {
  clientListQuery,
  lanesQuery,
  messageParams,
  messageQuery,
  messageReadQuery,
  whyQuery,
} from './inspect-schemas.js';
import { checkTimes, pageOf, type PageQuery } from './paging.js';
import { answers, stream } from './responses.js';
import { nameParams } from './schemas.js';
import { topicNamed } from './topic-named.js';

interface SearchQuery {
  readonly topic?: string;
  readonly id?: string;
  readonly key?: string;
  readonly tag?: string;
  readonly messageGroup?: string;
  readonly property?: string;
  readonly value?: string;
  readonly text?: string;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly limit?: number;
  readonly after?: string;
}
interface ById {
  readonly id: string;
}

const limitDefault = 100;
/** Topics that are looked through at once for a message id. */
const topicsAtOnce = 16;
/** One part of a search through all topics; a set that does not answer is waited for once. */
const anywhereMsMax = 1_000;
const bodyBytesDefault = 65_536;

/** Messages: found, looked at, and what was decided on them. */
export function messageRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, requestMsMax } = context;
  const { inspect } = brokers;
  const tags = ['messages'];
  const groupNamed = (name: string): ConsumerGroup => {
    const group = directory.group(name);
    if (!group) throw new MqError('CONSUMER_GROUP_NOT_FOUND', `there is no consumer group "${printable(name)}"`);
    return group;
  };

  const part = async (
    query: SearchQuery,
    topicId: TopicId,
    max: number,
    round = new AskRound(directory, clock, requestMsMax),
  ): Promise<MessagePartView> => {
    const cursor = SearchCursor.read(query.after);
    const call = { ...callOf(query, topicId), max };
    const answered = await round.all(
      (set) => inspect.findMessages(set, { ...call, before: cursor.of(set) }),
      (set) => cursor.of(set) >= 0,
    );
    return messagePart(directory, cursor, answered, max);
  };

  /**
   * A message id says nothing of its topic: all are looked through, some at once, those with the lowest ids first. There may
   * be thousands: one part ends after its time, and `next` goes on with the topics behind.
   */
  const byIdAnywhere = async ({ after, ...query }: SearchQuery, request: FastifyRequest): Promise<MessagePartView> => {
    const { principal, ip } = request;
    const behind = after === undefined ? 0 : topicsCursor(after);
    const mayRead = (topic: Topic): boolean => {
      if (query.text !== undefined && !mayReadAllOf(request, topic)) return false;
      return !isSystemTopic(topic.name) || principal.may(['get'], 'topic', topic.name, ip);
    };
    const topics = [...directory.topics()]
      .filter((topic) => topic.id > behind && mayRead(topic))
      .map(({ id }) => id)
      .sort((a, b) => a - b);
    const items: MessageView[] = [];
    const round = new AskRound(directory, clock, requestMsMax);
    const endMs = clock.monotonicMs() + anywhereMsMax;
    let looked = 0;
    let at = 0;
    do {
      const some = topics.slice(at, at + topicsAtOnce);
      for (const one of await Promise.all(some.map((id) => part(query, id, limitDefault, round)))) {
        items.push(...one.items);
        looked += one.looked;
      }
      at += some.length;
    } while (at < topics.length && items.length === 0 && clock.monotonicMs() < endMs);
    const last = topics[at - 1];
    const goesOn = at < topics.length && items.length === 0 && last !== undefined;
    return { items, ...(goesOn && { next: `topics:${last}` }), looked, left: 0, missing: round.missing };
  };

  const search = async (query: SearchQuery, max: number, request: FastifyRequest): Promise<MessagePartView> => {
    if (query.value !== undefined && query.property === undefined) {
      throw new MqError('BAD_REQUEST', 'query: value goes with property, which names what has it');
    }
    if (query.topic !== undefined) {
      const topic = topicNamed(directory, query.topic);
      if (query.text !== undefined) checkTextSearch(request, topic);
      return part(query, topic.id, max);
    }
    if (query.id === undefined) throw new MqError('BAD_REQUEST', 'query: topic is missing; only an id can do without');
    return byIdAnywhere(query, request);
  };

  app.get<{ Querystring: SearchQuery }>('/messages', {
    schema: {
      operationId: 'findMessages',
      tags,
      summary: 'Messages of a topic, newest first. One bounded part of the search: `next` goes on where it ended.',
      querystring: messageQuery,
      response: answers({ status: 200, schema: 'MessagePart', description: 'One part.' }, 400, 404),
    },
    handler: async (request) => {
      const found = await search(request.query, request.query.limit ?? limitDefault, request);
      request.given = found.items.length;
      return found;
    },
  });

  app.get<{ Querystring: SearchQuery }>('/messages/search', {
    schema: {
      operationId: 'searchMessages',
      tags,
      summary: 'The same as a stream of events, until so many were found or everything was looked at.',
      description:
        'Events: `found` (a Message), `progress` ({looked, left, next}: so far, still to be looked at, and where a search ' +
        'goes on that is broken off here), `end` ({next}: where a later search goes on; absent: everything was looked at), ' +
        '`problem` (a Problem).',
      querystring: messageQuery,
      response: stream('The events.'),
    },
    handler: async (request, reply) => {
      const { query } = request;
      const limit = query.limit ?? limitDefault;
      let part = await search(query, limit, request); // What is wrong with the question is answered as a problem document.
      await goOn(request, reply, clock, { kind: 'events' }, async (out) => {
        for (let looked = 0; ;) {
          looked += part.looked;
          for (const item of part.items) await out.message('found', item);
          const { next, left, missing } = part;
          await out.send('progress', { looked, left, missing, ...(next !== undefined && { next }) });
          if (out.isOver || part.next === undefined || out.given >= limit) break;
          part = await search({ ...query, after: part.next }, limit - out.given, request);
        }
        await out.send('end', part.next === undefined ? {} : { next: part.next });
      });
    },
  });

  app.get<{ Params: ById; Querystring: { readonly bytes?: number } }>('/messages/:id', {
    schema: {
      operationId: 'describeMessage',
      tags,
      summary: 'A message with its properties and its body, decompressed where it was compressed.',
      params: messageParams,
      querystring: messageReadQuery,
      response: answers({ status: 200, schema: 'MessageDescription', description: 'The message.' }, 400, 404),
    },
    handler: async (request) => {
      const { params, query } = request;
      const { brokerSet, place } = readPlaceId(directory, params.id);
      const read = (bytes: number): Promise<MessageContent | undefined> =>
        within(clock, requestMsMax, brokerSet, inspect.readMessage(brokerSet, place, bytes));
      const content = await read(query.bytes ?? bodyBytesDefault);
      if (!content) throw new MqError('MESSAGE_NOT_FOUND', 'the log does not hold this message any more');
      checkTopicOf(request, directory.topicById(content.message.topicId)?.name);
      request.given = 1;
      return shownTo(request, directory, brokerSet, content, () => read(messageRules.bodyBytesMax));
    },
  });

  app.get<{ Params: ById }>('/messages/:id/life', {
    schema: {
      operationId: 'describeMessageLife',
      tags,
      summary:
        'Everything that was decided on the message, oldest first: each delivery, renewal, acknowledgement, dead letter; ' +
        'for all clients, from the log.',
      params: messageParams,
      response: answers({ status: 200, schema: 'MessageLife', description: 'Its life.' }, 400, 404),
    },
    handler: async (request) => {
      const { brokerSet, place } = readPlaceId(directory, request.params.id);
      if (!request.principal.isSuper) {
        const content = await within(clock, requestMsMax, brokerSet, inspect.readMessage(brokerSet, place, 0));
        checkTopicOf(request, content && directory.topicById(content.message.topicId)?.name);
      }
      return lifeView(directory, await within(clock, requestMsMax, brokerSet, inspect.messageLife(brokerSet, place)));
    },
  });

  app.get<{ Params: ById; Querystring: { readonly group: string } }>('/messages/:id/why', {
    schema: {
      operationId: 'whyNotConsumed',
      tags,
      summary: 'Why a consumer group has not consumed the message: each link of the chain, and the first that fails.',
      params: messageParams,
      querystring: whyQuery,
      response: answers({ status: 200, schema: 'MessageWhy', description: 'Why.' }, 400, 404),
    },
    handler: async (request) => {
      const { params, query } = request;
      const { brokerSet, place } = readPlaceId(directory, params.id);
      const group = groupNamed(query.group);
      const set = directory.brokerSet(brokerSet);
      const [content, life, state] = await within(
        clock,
        requestMsMax,
        brokerSet,
        Promise.all([
          inspect.readMessage(brokerSet, place, 0),
          inspect.messageLife(brokerSet, place),
          brokers.describeGroup(brokerSet, group.id),
        ]),
      );
      const topic = content && directory.topicById(content.message.topicId);
      if (!content || !set) throw new MqError('MESSAGE_NOT_FOUND', 'the log does not hold this message any more');
      if (!topic) throw new MqError('TOPIC_NOT_FOUND', 'the topic of the message was deleted');
      checkTopicOf(request, topic.name);
      const nowMs = clock.wallMs();
      return whyReport({ topic, brokerSet: set, group, state, content, events: life.events, nowMs });
    },
  });

  app.get<{ Params: { readonly name: string }; Querystring: { readonly limit?: number } }>('/groups/:name/lanes', {
    schema: {
      operationId: 'listLanes',
      tags: ['groups'],
      summary:
        'Message groups of an orderly consumer group that are busy, and the message that each waits for: those with most ' +
        'attempts first.',
      params: nameParams('consumer group'),
      querystring: lanesQuery,
      response: answers({ status: 200, schema: 'GroupLanes', description: 'Busy message groups.' }, 400, 404),
    },
    handler: async ({ params, query }) => {
      const group = groupNamed(params.name);
      const answered = await askAll(directory, clock, requestMsMax, (set) =>
        inspect.lanes(set, group.id, query.limit ?? limitDefault),
      );
      const items = answered.answers.flatMap(({ brokerSet, answer }) =>
        answer.lanes.map(({ topicId, position, size, ...lane }) => ({
          ...lane,
          brokerSet,
          topic: directory.topicById(topicId)?.name ?? '',
          id: placeId(brokerSet, { position, size }),
        })),
      );
      const total = answered.answers.reduce((sum, { answer }) => sum + answer.total, 0);
      return { items, total, missing: answered.missing };
    },
  });

  app.get<{ Querystring: PageQuery & { readonly mark?: ClientMark } }>('/clients', {
    schema: {
      operationId: 'listClients',
      tags: ['clients'],
      summary: 'Living clients: what they are, what they consume and send to, and which of them need a look.',
      querystring: clientListQuery,
      response: answers({ status: 200, schema: 'ClientPage', description: 'One page.' }, 400),
    },
    handler: async ({ query: { mark, ...query } }) => {
      const answered = await askAll(directory, clock, requestMsMax, (set) => inspect.clients(set));
      const all = clientsOf(directory, answered);
      const wanted = mark === undefined ? all : all.filter(({ marks }) => marks.includes(mark));
      const { items, ...rest } = pageOf(wanted, query);
      return { items: items.map(({ name: _name, ...view }) => view), ...rest, missing: answered.missing };
    },
  });
}

function callOf(query: SearchQuery, topicId: TopicId): Omit<MessageQuery, 'before' | 'max'> {
  checkTimes(query.fromMs, query.toMs);
  return {
    topicId,
    messageId: query.id ?? '',
    key: query.key ?? '',
    tag: query.tag ?? '',
    messageGroup: query.messageGroup ?? '',
    propertyName: query.property ?? '',
    propertyValue: query.value ?? '',
    text: query.text ?? '',
    fromMs: query.fromMs ?? 0,
    toMs: query.toMs ?? 0,
  };
}

/** @throws MqError BAD_REQUEST */
function topicsCursor(after: string): number {
  const [, id] = /^topics:(\d{1,10})$/.exec(after) ?? [];
  if (id === undefined) throw new MqError('BAD_REQUEST', 'after: must be `next` of the part before');
  return Number(id);
}
