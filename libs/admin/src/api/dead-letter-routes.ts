import type { FastifyInstance } from 'fastify';
import { replaysPerCallMax, type MessageContent } from '@cometmq/client';
import { deadLetterTopic } from '@cometmq/model';
import { inTurn, MqError } from '@cometmq/shared';

import { checkEdited } from '../dead-letters/edited-message.js';
import { LetterSearch, type LetterFilter, type LetterView } from '../dead-letters/letter-search.js';
import { replayIdOf, ReplayJobs, replayLetters, type ReplayOrder } from '../dead-letters/replay-jobs.js';
import { AskRound } from '../reports/ask-all.js';
import { readPlaceId } from '../reports/message-report.js';
import { within } from '../within.js';
import { shownTo } from './body-sight.js';
import type { AdminContext } from './context.js';
import { goOn } from './event-stream.js';
import { letterFilterQuery, letterQuery, replayParams } from './inspect-schemas.js';
import { answers, lines } from './responses.js';
import { nameParams, ref } from './schemas.js';
import { whoAsks } from './who-asks.js';

interface ByName {
  readonly name: string;
}
interface LetterQuery extends Omit<LetterFilter, 'replayed'> {
  readonly replayed?: 'true' | 'false';
  readonly limit?: number;
  readonly after?: string;
}
interface ResendBody {
  readonly id: string;
  readonly text?: string;
  readonly base64?: string;
  readonly tag?: string;
  readonly keys?: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
}

const limitDefault = 100;
const countedMax = 10_000;
/** Asked about at once, for the list of all groups. */
const topicsAtOnce = 16;
const hourMs = 3_600_000;
const agesMs = [hourMs, 24 * hourMs, 7 * 24 * hourMs, 0];
/** Of a body, in an export: all that a message may have. */
const exportedBodyBytesMax = 4 * 1024 * 1024;
/** An edited body comes with the request. */
const resendBytesMax = 12 * 1024 * 1024;
const searchMsMax = 30_000;

/** Dead letters: why there are any, and what is done about them. */
export function deadLetterRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, requestMsMax, log } = context;
  const tags = ['dead letters'];
  const jobs = new ReplayJobs(context);
  app.addHook('onClose', async () => jobs.stopAll());

  app.get('/dead-letters', {
    schema: {
      operationId: 'listDeadLetters',
      tags,
      summary: 'Consumer groups with dead letters, those with most first. The letters are messages of the topic named.',
      response: answers({ status: 200, schema: 'DeadLetterGroups', description: 'The groups.' }),
    },
    handler: async () => {
      const round = new AskRound(directory, clock, requestMsMax);
      const having = [...directory.groups()].flatMap(({ name }) => {
        const topic = directory.topic(deadLetterTopic(name));
        return topic ? { group: name, topic } : [];
      });
      const items = await inTurn(having, topicsAtOnce, async ({ group, topic }) => {
        const { answers: answered } = await round.all((set) => brokers.describeTopic(set, topic.id));
        const queues = answered.flatMap(({ answer }) => answer.queues);
        const messages = queues.reduce((sum, { first, next }) => sum + next - first, 0);
        return { group, topic: topic.name, messages };
      });
      return { items: items.sort((a, b) => b.messages - a.messages), missing: round.missing };
    },
  });

  app.get<{ Params: ByName; Querystring: LetterQuery }>('/dead-letters/:name', {
    schema: {
      operationId: 'listGroupDeadLetters',
      tags,
      summary: 'Dead letters of a group, newest first. One bounded part: `next` goes on where it ended.',
      params: nameParams('consumer group'),
      querystring: letterQuery,
      response: answers({ status: 200, schema: 'DeadLetterPart', description: 'One part.' }, 400, 404),
    },
    handler: async (request) => {
      const { replayed, limit = limitDefault, after, ...filter } = request.query;
      const search = LetterSearch.of(context, request.params.name);
      const wanted = { ...filter, ...(replayed && { replayed: replayed === 'true' }) };
      const part = await search.part(wanted, limit, after);
      request.given = part.items.length;
      return part;
    },
  });

  app.get<{ Params: ByName; Querystring: LetterFilter }>('/dead-letters/:name/counts', {
    schema: {
      operationId: 'countDeadLetters',
      tags,
      summary: 'How many there are by reason, age and topic, of the newest 10,000.',
      params: nameParams('consumer group'),
      querystring: letterFilterQuery,
      response: answers({ status: 200, schema: 'DeadLetterCounts', description: 'The counts.' }, 400, 404),
    },
    handler: async ({ params, query, standing, raw }) => {
      const search = LetterSearch.of(context, params.name);
      const byCause = new Map<string, number>();
      const byTopic = new Map<string, number>();
      const byAge = agesMs.map((ageMs) => ({ ageMs, messages: 0 }));
      const nowMs = clock.wallMs();
      const untilMs = clock.monotonicMs() + searchMsMax;
      let looked = 0;
      let counted = 0;
      let replayed = 0;
      let after: string | undefined;
      let missing: Awaited<ReturnType<LetterSearch['part']>>['missing'];
      do {
        const part = await search.part(query, replaysPerCallMax, after);
        ({ next: after, missing } = part);
        standing.check();
        looked += part.looked;
        for (const letter of part.items) {
          counted += 1;
          if (letter.replayed) replayed += 1;
          countOne(byCause, letter.cause ?? 'unknown');
          countOne(byTopic, letter.originTopic ?? letter.topic);
          const age = byAge.find(({ ageMs }) => ageMs === 0 || nowMs - letter.storedMs < ageMs);
          if (age) age.messages += 1;
        }
      } while (after !== undefined && looked < countedMax && clock.monotonicMs() < untilMs && !raw.socket.destroyed);
      return {
        ...{ counted, replayed, missing, byAge, complete: after === undefined },
        byCause: mostFirst(byCause).map(([cause, messages]) => ({ cause, messages })),
        byTopic: mostFirst(byTopic).map(([topic, messages]) => ({ topic, messages })),
      };
    },
  });

  app.post<{ Params: ByName; Body: { readonly ids: readonly string[] } }>('/dead-letters/:name/replay', {
    schema: {
      operationId: 'replayDeadLetters',
      tags,
      summary:
        'Gives dead letters to their group again, and to no other: each is due at once where it stands in its queue, with ' +
        'all its attempts before it.',
      params: nameParams('consumer group'),
      body: ref('DeadLetterReplay'),
      response: answers(
        { status: 200, schema: 'DeadLetterReplayResult', description: 'What became of each.' },
        400,
        404,
      ),
    },
    handler: async (request) => {
      const { params, body, ip } = request;
      const search = LetterSearch.of(context, params.name);
      const note = { replayId: replayIdOf(clock.wallMs()), who: whoAsks(request) };
      const letters = body.ids.map((id) => ({ id }));
      const outcomes = await replayLetters(context, search, letters, note);
      log.info(
        { peer: ip, group: params.name, letters: letters.length, replay: note.replayId },
        'dead letters replayed',
      );
      return { replay: note.replayId, items: outcomes.map(({ letter: { id }, outcome }) => ({ id, outcome })) };
    },
  });

  app.post<{ Params: ByName; Body: ResendBody }>('/dead-letters/:name/resend', {
    bodyLimit: resendBytesMax,
    schema: {
      operationId: 'resendDeadLetter',
      tags,
      summary:
        'Sends a dead letter to its topic again, as a message with an id of its own, edited where fields are given: every ' +
        'group of the topic gets it.',
      params: nameParams('consumer group'),
      body: ref('DeadLetterResend'),
      response: answers({ status: 200, schema: 'DeadLetterResent', description: 'The new message.' }, 400, 404),
    },
    handler: async (request) => {
      const { params, body, ip } = request;
      const { group } = LetterSearch.of(context, params.name);
      const { brokerSet, place } = readPlaceId(directory, body.id);
      if (body.text !== undefined && body.base64 !== undefined) {
        throw new MqError('BAD_REQUEST', 'body: give text or base64, not both');
      }
      const bytes = body.text === undefined ? bytesOf(body.base64) : Buffer.from(body.text, 'utf8');
      checkEdited({ ...body, body: bytes });
      const replayId = replayIdOf(clock.wallMs());
      const call = {
        ...{ groupId: group.id, place, replayId, who: whoAsks(request) },
        ...(bytes && { body: bytes }),
        ...(body.tag !== undefined && { tag: body.tag }),
        ...(body.keys && { keys: body.keys }),
        ...(body.properties && { properties: new Map(Object.entries(body.properties)) }),
      };
      const sent = await within(clock, requestMsMax, brokerSet, brokers.deadLetters.resend(brokerSet, call));
      log.info(
        { peer: ip, group: params.name, replay: replayId, messageId: sent.messageId },
        'a dead letter was sent again',
      );
      return { replay: replayId, ...sent };
    },
  });

  app.post<{ Params: ByName; Body: Omit<ReplayOrder, 'toTopic' | 'replayed'> & { readonly toTopic?: boolean } }>(
    '/dead-letters/:name/replays',
    {
      schema: {
        operationId: 'startReplay',
        tags,
        summary:
          'Replays all dead letters that match and were not replayed yet, so many a second, newest first. It goes on in ' +
          'this process until it is done or stopped, or whoever ordered it may do so no more.',
        params: nameParams('consumer group'),
        body: ref('ReplayOrder'),
        response: answers({ status: 202, schema: 'Replay', description: 'It goes on.' }, 400, 404, 409, 429),
      },
      handler: async (request, reply) => {
        const { params, body, ip, standing } = request;
        const by = { who: whoAsks(request), from: ip, check: () => standing.checkOrder() };
        const job = await jobs.start(params.name, { ...body, toTopic: body.toTopic === true }, by);
        log.info({ peer: ip, replay: job.id, order: body }, 'a replay of dead letters was started');
        return reply.code(202).send(job);
      },
    },
  );

  app.get<{ Params: ByName }>('/dead-letters/:name/replays', {
    schema: {
      operationId: 'listReplays',
      tags,
      summary: 'Replays under way in this process, and those that have ended, newest first.',
      params: nameParams('consumer group'),
      response: answers({ status: 200, schema: 'ReplayList', description: 'The replays.' }, 404),
    },
    handler: async ({ params }) => {
      return { items: jobs.of(params.name) };
    },
  });

  app.delete<{ Params: ByName & { readonly replay: string } }>('/dead-letters/:name/replays/:replay', {
    schema: {
      operationId: 'stopReplay',
      tags,
      summary: 'Stops a replay. What it has replayed stays so.',
      params: replayParams,
      response: answers({ status: 204, description: 'It stops.' }, 404),
    },
    handler: async ({ params, ip }, reply) => {
      if (!jobs.stop(params.name, params.replay)) throw new MqError('NOT_FOUND', 'no such replay is under way here');
      log.info({ peer: ip, replay: params.replay }, 'a replay of dead letters was stopped');
      return reply.code(204).send();
    },
  });

  app.get<{ Params: ByName; Querystring: LetterFilter }>('/dead-letters/:name/export', {
    schema: {
      operationId: 'exportDeadLetters',
      tags,
      summary: 'All dead letters that match with their bodies, newest first, a JSON object a line.',
      params: nameParams('consumer group'),
      querystring: letterFilterQuery,
      response: lines('A MessageDescription a line; a last line {"problem"} tells of an end before the end.'),
    },
    handler: async (request, reply) => {
      const { params, query } = request;
      const search = LetterSearch.of(context, params.name);
      let part = await search.part(query, limitDefault, undefined); // What is wrong with the question is a problem document.
      const whole = async ({ id, replayed }: LetterView): Promise<object | undefined> => {
        const { brokerSet, place } = readPlaceId(directory, id);
        const read = (): Promise<MessageContent | undefined> => {
          const asked = brokers.inspect.readMessage(brokerSet, place, exportedBodyBytesMax);
          return within(clock, requestMsMax, brokerSet, asked);
        };
        const content = await read();
        if (!content) return undefined;
        const shown = await shownTo(request, directory, brokerSet, content, read);
        return { ...shown, ...(replayed && { replayed }) };
      };
      await goOn(request, reply, clock, { kind: 'lines', fileName: `${params.name}.jsonl` }, async (out) => {
        for (;;) {
          for (const item of part.items) {
            const line = await whole(item);
            if (line) await out.message('letter', line);
            if (out.isOver) return;
          }
          for (const { brokerSet, detail } of part.missing) throw new MqError('UNAVAILABLE', `${brokerSet}: ${detail}`);
          if (part.next === undefined || out.isOver) return;
          part = await search.part(query, limitDefault, part.next);
        }
      });
    },
  });
}

function countOne(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function mostFirst(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** @throws MqError BAD_REQUEST */
function bytesOf(base64: string | undefined): Buffer | undefined {
  if (base64 === undefined) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) throw new MqError('BAD_REQUEST', 'base64: must be base64, padded');
  return bytes;
}
