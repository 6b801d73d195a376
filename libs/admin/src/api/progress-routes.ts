import type { FastifyInstance } from 'fastify';
import type { ResetTarget } from '@cometmq/client';
import { pausedForGood, printable, queueId, type ConsumerGroup } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { changeAll } from '../reports/ask-all.js';
import { groupView } from '../reports/group-report.js';
import { change, looksLike } from './changes.js';
import type { AdminContext } from './context.js';
import { answers } from './responses.js';
import { nameParams, ref } from './schemas.js';

interface ByName {
  readonly name: string;
}
interface PauseBody {
  readonly untilMs?: number;
  readonly forMs?: number;
}
interface ResetBody {
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
    handler: async ({ params, body, ip }) => {
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
      const call = {
        groupId: group.id,
        topicId: topic.id,
        queueId: body.queueId === undefined ? undefined : queueId(body.queueId),
        to,
      };
      const outcome = await changeAll(
        directory,
        clock,
        requestMsMax,
        (set) => brokers.resetProgress(set, call),
        (set) => body.brokerSet === undefined || set === body.brokerSet,
      );
      log.info({ peer: ip, group: group.name, reset: body }, 'a consumer group was moved');
      const queues = outcome.answers.flatMap(({ brokerSet, answer }) =>
        answer.map(({ queueId: id, before, after }) => ({
          brokerSet,
          topic: topic.name,
          queueId: id,
          ...(before !== undefined && { before }),
          after,
        })),
      );
      return { queues, missing: outcome.missing };
    },
  });
}
