import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { LagPoint, QueueReset, ResetTarget } from '@cometmq/client';
import { pausedForGood, printable, queueId, type ConsumerGroup } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { askAll, changeAll } from '../reports/ask-all.js';
import { groupView } from '../reports/group-report.js';
import { change, looksLike } from './changes.js';
import type { AdminContext } from './context.js';
import { within } from '../within.js';
import { lagQuery, moveParams } from './inspect-schemas.js';
import { answers } from './responses.js';
import { nameParams, ref } from './schemas.js';
import { whoAsks } from './who-asks.js';

interface ByName {
  readonly name: string;
}
interface MoveView {
  readonly id: string;
  readonly atMs: number;
  readonly who: string;
  readonly topic: string;
  readonly undoes: string;
  readonly undone: boolean;
  readonly queues: ReturnType<typeof queueView>[];
}
interface PauseBody {
  readonly untilMs?: number;
  readonly forMs?: number;
}
interface ResetBody {
  readonly preview?: boolean;
  readonly topic: string;
  readonly brokerSet?: string;
  readonly queueId?: number;
  readonly to:
    | { readonly at: 'first' | 'end' }
    | { readonly at: 'time'; readonly timeMs: number }
    | { readonly at: 'offset'; readonly offset: number }
    | { readonly at: 'group'; readonly group: string };
}

/** Where a group goes on, and whether it goes on at all. */
export function progressRoutes(app: FastifyInstance, context: AdminContext): void {
  const { directory, brokers, clock, requestMsMax, log } = context;
  const tags = ['groups'];
  const found = (name: string): ConsumerGroup => {
    const group = directory.group(name);
    if (!group) throw new MqError('CONSUMER_GROUP_NOT_FOUND', `there is no consumer group "${printable(name)}"`);
    return group;
  };
  /** Newest first, each once however many broker sets and records it took. */
  const movesOf = async (group: ConsumerGroup) => {
    const fromMs = clock.wallMs() - 24 * hourMs;
    const asked = await askAll(directory, clock, requestMsMax, (set) => brokers.inspect.moves(set, group.id, fromMs));
    const byId = new Map<string, MoveView>();
    /** Moves with their queues that were taken back: one that was cut short may be gone on with. */
    const undone = new Set<string>();
    const begun = new Set<string>();
    for (const { brokerSet, answer } of asked.answers) {
      for (const { moveId, atMs, who, undoes, topicId, queues } of answer) {
        const topic = directory.topicById(topicId)?.name ?? '';
        if (undoes !== '') begun.add(undoes);
        if (undoes !== '') for (const queue of queues) undone.add(`${undoes} ${brokerSet} ${queue.queueId}`);
        const known = byId.get(moveId) ?? { id: moveId, atMs, who, topic, undoes, undone: false, queues: [] };
        known.queues.push(...queues.map((queue) => queueView(brokerSet, topic, queue)));
        byId.set(moveId, known);
      }
    }
    const leftOf = ({ id, queues }: Pick<MoveView, 'id' | 'queues'>) =>
      // One that had not begun stays where it is.
      queues.filter((queue) => queue.before !== undefined && !undone.has(`${id} ${queue.brokerSet} ${queue.queueId}`));
    const items = [...byId.values()].map(({ undoes, ...move }) => ({
      ...move,
      undone: begun.has(move.id) && leftOf(move).length === 0,
      ...(undoes !== '' && { undoes }),
    }));
    return { leftOf, items: items.sort((a, b) => b.atMs - a.atMs), missing: asked.missing };
  };
  const setPause = async (name: string, pausedUntilMs: number) => {
    const group = await change(
      context,
      (nameService) => nameService.updateGroup(name, { pausedUntilMs }),
      (made) => {
        const shown = directory.groupById(made.id);
        return shown !== undefined && looksLike(groupView(shown), groupView(made));
      },
    );
    return groupView(group);
  };

  app.post<{ Params: ByName; Body: PauseBody | null }>('/groups/:name/pause', {
    schema: {
      operationId: 'pauseGroup',
      tags,
      summary:
        'Stops delivery to the group until a time, or until it is resumed. Messages in flight may still be acknowledged.',
      params: nameParams('consumer group'),
      body: ref('GroupPause'),
      response: answers({ status: 200, schema: 'Group', description: 'The group as it is now.' }, 400, 404),
    },
    handler: async ({ params, body, ip }) => {
      const { untilMs: givenMs, forMs } = body ?? {};
      if (givenMs !== undefined && forMs !== undefined) {
        throw new MqError('BAD_REQUEST', 'body: give untilMs or forMs, or neither for a pause without an end');
      }
      const nowMs = clock.wallMs();
      const untilMs = givenMs ?? (forMs === undefined ? pausedForGood : nowMs + forMs);
      if (untilMs <= nowMs) throw new MqError('BAD_REQUEST', `untilMs: ${untilMs} has passed; it is ${nowMs} now`);
      const group = await setPause(params.name, untilMs);
      log.info({ peer: ip, group: params.name, untilMs }, 'consumer group paused');
      return group;
    },
  });

  app.post<{ Params: ByName }>('/groups/:name/resume', {
    schema: {
      operationId: 'resumeGroup',
      tags,
      summary: 'Resumes delivery to the group.',
      params: nameParams('consumer group'),
      response: answers({ status: 200, schema: 'Group', description: 'The group as it is now.' }, 404),
    },
    handler: async ({ params, ip }) => {
      const group = await setPause(params.name, 0);
      log.info({ peer: ip, group: params.name }, 'consumer group resumed');
      return group;
    },
  });

  app.post<{ Params: ByName; Body: ResetBody }>('/groups/:name/reset', {
    schema: {
      operationId: 'resetGroup',
      tags,
      summary: 'Moves the group to another position in a topic. Receipt handles from before have no effect.',
      params: nameParams('consumer group'),
      body: ref('GroupReset'),
      response: answers({ status: 200, schema: 'GroupResetResult', description: 'The new positions.' }, 400, 404),
    },
    handler: async (request) => {
      const { params, body, ip } = request;
      const group = found(params.name);
      const topic = directory.topic(body.topic);
      if (!topic) throw new MqError('TOPIC_NOT_FOUND', `there is no topic "${printable(body.topic)}"`);
      if (body.brokerSet !== undefined && !directory.brokerSet(body.brokerSet)) {
        throw new MqError('NOT_FOUND', `there is no broker set "${printable(body.brokerSet)}"`);
      }
      if ((body.to.at === 'offset' || body.queueId !== undefined) && body.brokerSet === undefined) {
        const sets = [...directory.brokerSets()].length;
        if (sets > 1) throw new MqError('BAD_REQUEST', 'brokerSet: must be given where one queue is meant');
      }
      const to: ResetTarget = body.to.at === 'group' ? { at: 'group', groupId: found(body.to.group).id } : body.to;
      const preview = body.preview === true;
      const move = { id: moveIdOf(clock.wallMs()), who: whoAsks(request), undoes: '' };
      const call = {
        groupId: group.id,
        topicId: topic.id,
        queueId: body.queueId === undefined ? undefined : queueId(body.queueId),
        to,
        ...(preview ? { preview } : { move }),
      };
      const outcome = await changeAll(
        directory,
        clock,
        requestMsMax,
        (set) => brokers.resetProgress(set, call),
        (set) => body.brokerSet === undefined || set === body.brokerSet,
      );
      if (!preview) log.info({ peer: ip, group: group.name, reset: body, move: move.id }, 'a consumer group was moved');
      const queues = outcome.answers.flatMap(({ brokerSet, answer }) =>
        answer.map((queue) => queueView(brokerSet, topic.name, queue)),
      );
      return { queues, missing: outcome.missing, ...(!preview && { move: move.id }) };
    },
  });

  app.get<{ Params: ByName }>('/groups/:name/moves', {
    schema: {
      operationId: 'listGroupMoves',
      tags,
      summary: 'How operators moved the group in the last 24 hours, newest first. Each can be taken back.',
      params: nameParams('consumer group'),
      response: answers({ status: 200, schema: 'GroupMoves', description: 'The moves.' }, 404),
    },
    handler: async ({ params }) => {
      const { items, missing } = await movesOf(found(params.name));
      return { items, missing };
    },
  });

  app.post<{ Params: ByName & { readonly move: string } }>('/groups/:name/moves/:move/undo', {
    schema: {
      operationId: 'undoGroupMove',
      tags,
      summary:
        'Takes a move of the last 24 hours back: the group goes on where it was before. What was done above that ' +
        'position in the meantime or before is delivered again.',
      params: moveParams,
      response: answers({ status: 200, schema: 'GroupResetResult', description: 'The new positions.' }, 404, 409),
    },
    handler: async (request) => {
      const { params, ip } = request;
      const group = found(params.name);
      const all = await movesOf(group);
      const [silent] = all.missing;
      // A part of the move may be there.
      if (silent) throw new MqError('UNAVAILABLE', `${silent.brokerSet}: ${silent.detail}; try again`);
      const move = all.items.find(({ id }) => id === params.move);
      if (!move) throw new MqError('NOT_FOUND', 'the group was not moved so in the last 24 hours');
      if (move.undone) throw new MqError('CONFLICT', 'this move was taken back already');
      const topic = directory.topic(move.topic);
      if (!topic) throw new MqError('TOPIC_NOT_FOUND', `there is no topic "${printable(move.topic)}" any more`);
      const note = { id: moveIdOf(clock.wallMs()), who: whoAsks(request), undoes: move.id };
      const queues: ReturnType<typeof queueView>[] = [];
      for (const { brokerSet, queueId: id, before } of all.leftOf(move)) {
        if (before === undefined) continue;
        const to = { at: 'offset', offset: before } as const;
        const call = { groupId: group.id, topicId: topic.id, queueId: queueId(id), to, move: note };
        const reset = await within(clock, requestMsMax, brokerSet, brokers.resetProgress(brokerSet, call));
        queues.push(...reset.map((queue) => queueView(brokerSet, topic.name, queue)));
      }
      log.info({ peer: ip, group: group.name, move: move.id }, 'the move of a consumer group was taken back');
      return { queues, missing: all.missing, move: note.id };
    },
  });

  app.get<{ Params: ByName; Querystring: { readonly hours?: number } }>('/groups/:name/lag', {
    schema: {
      operationId: 'groupLagHistory',
      tags,
      summary:
        'How much the group had to do, every two minutes, oldest first: messages, and since when the oldest waited. While ' +
        'nothing waited there are no points.',
      params: nameParams('consumer group'),
      querystring: lagQuery,
      response: answers({ status: 200, schema: 'GroupLagHistory', description: 'The history.' }, 400, 404),
    },
    handler: async ({ params, query }) => {
      const group = found(params.name);
      const fromMs = clock.wallMs() - (query.hours ?? 24) * hourMs;
      const asked = await askAll(directory, clock, requestMsMax, (set) =>
        brokers.inspect.lagHistory(set, group.id, fromMs),
      );
      return { points: lagPoints(asked.answers.map(({ answer }) => answer)), missing: asked.missing };
    },
  });
}

const hourMs = 3_600_000;
/** Brokers sample in their own time: what lies in the same stretch is one point. */
const stretchMs = 120_000;

/** In the order of time, and told apart where two are made at once. */
function moveIdOf(nowMs: number): string {
  return `${nowMs.toString(36)}-${randomBytes(4).toString('hex')}`;
}

function queueView(brokerSet: string, topic: string, { queueId: id, before, after }: QueueReset) {
  return {
    brokerSet,
    topic,
    queueId: id as number,
    ...(before !== undefined && { before: before as number }),
    after: after as number,
  };
}

/** Sums over all broker sets. */
export function lagPoints(histories: readonly (readonly LagPoint[])[]) {
  const byStretch = new Map<number, { atMs: number; lag: number; oldestMs: number }>();
  for (const history of histories) {
    const mine = new Map(history.map((point) => [Math.floor(point.atMs / stretchMs), point]));
    for (const [stretch, { atMs, lag, oldestMs }] of mine) {
      const known = byStretch.get(stretch);
      if (!known) byStretch.set(stretch, { atMs, lag, oldestMs });
      else {
        known.lag += lag;
        known.oldestMs =
          known.oldestMs === 0 ? oldestMs : oldestMs === 0 ? known.oldestMs : Math.min(known.oldestMs, oldestMs);
      }
    }
  }
  return [...byStretch.values()]
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ oldestMs, ...point }) => ({ ...point, ...(oldestMs > 0 && { oldestMs }) }));
}
