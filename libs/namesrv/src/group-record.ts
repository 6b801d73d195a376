import { groupId, liteGroupDefaults, defaultAttemptsMax, defaultRetryPolicy, topicName } from '@cometmq/model';
import type { ConsumerGroup, GroupName, LiteGroup } from '@cometmq/model';
import type { GroupChange, LiteGroupDraft } from '@cometmq/client';
import { MqError } from '@cometmq/shared';

/** A consumer group as it is stored: what its maker leaves out has a default, what may be absent is absent. */
export function newGroupRecord(name: GroupName, id: number, draft: GroupChange, createdMs: number): ConsumerGroup {
  return {
    name,
    id: groupId(id),
    fifo: draft.fifo ?? false,
    attemptsMax: draft.attemptsMax ?? defaultAttemptsMax,
    retryPolicy: draft.retryPolicy ?? defaultRetryPolicy,
    start: draft.start ?? { at: 'auto' },
    ...options(draft, undefined),
    createdMs,
  };
}

/** @throws MqError BAD_REQUEST when the group is bound to another LITE topic */
export function changedGroupRecord(group: ConsumerGroup, change: GroupChange): ConsumerGroup {
  const { pausedUntilMs, priorityFactor, lite, ...rest } = group;
  return {
    ...rest,
    fifo: change.fifo ?? group.fifo,
    attemptsMax: change.attemptsMax ?? group.attemptsMax,
    retryPolicy: change.retryPolicy ?? group.retryPolicy,
    start: change.start ?? group.start,
    ...options(change, { pausedUntilMs, priorityFactor, lite }),
  };
}

type Options = Pick<ConsumerGroup, 'pausedUntilMs' | 'priorityFactor' | 'lite'>;

function options(change: GroupChange, was: Options | undefined): Options {
  const pausedUntilMs = change.pausedUntilMs ?? was?.pausedUntilMs;
  const priorityFactor = change.priorityFactor ?? was?.priorityFactor;
  const lite = change.lite ? liteGroup(change.lite, was?.lite) : was?.lite;
  return {
    ...(pausedUntilMs && { pausedUntilMs }),
    ...(priorityFactor !== undefined && { priorityFactor }),
    ...(lite && { lite }),
  };
}

function liteGroup(draft: LiteGroupDraft, was: LiteGroup | undefined): LiteGroup {
  if (was && was.topic !== draft.topic) {
    throw new MqError('BAD_REQUEST', `the group is bound to topic ${was.topic}, and can't be bound to another one`);
  }
  const before = was ?? liteGroupDefaults;
  return {
    topic: topicName(draft.topic),
    exclusive: draft.exclusive ?? before.exclusive,
    wildcard: draft.wildcard ?? before.wildcard,
    clientQuota: draft.clientQuota ?? before.clientQuota,
    eventsMax: draft.eventsMax ?? before.eventsMax,
    resetOnEviction: draft.resetOnEviction ?? before.resetOnEviction,
    resetOnUnsubscribe: draft.resetOnUnsubscribe ?? before.resetOnUnsubscribe,
  };
}
