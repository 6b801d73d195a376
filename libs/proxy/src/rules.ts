/**
 * What each call needs, as RocketMQ's ACL 2.0 has it. Every request is checked, also where the route was allowed; a spec calls
 * every method as a user who may do nothing.
 *
 *   QueryRoute                                                  topic: pub, sub or get
 *   SendMessage, RecallMessage, EndTransaction                  topic: pub
 *   Heartbeat, NotifyClientTermination                          group, where one is named: sub
 *   Telemetry                                                   publishing topics: pub; group and subscribed topics: sub
 *   ReceiveMessage, AckMessage, ChangeInvisibleDuration,
 *   ForwardMessageToDeadLetterQueue, QueryAssignment,
 *   SyncLiteSubscription, PullMessage, UpdateOffset             group: sub; topic: sub
 *   GetOffset                                                   group: sub or get; topic: sub or get
 *   QueryOffset                                                 topic: sub or get
 *
 * A topic of retries belongs to its group: who may consume as the group may use it.
 */
import type { Action, ResourceType } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Caller } from './caller.js';

const retryPrefix = '%RETRY%';
const pub: readonly Action[] = ['pub'];
const sub: readonly Action[] = ['sub'];
const pubSubOrGet: readonly Action[] = ['pub', 'sub', 'get'];
const subOrGet: readonly Action[] = ['sub', 'get'];

function need(caller: Caller, anyOf: readonly Action[], type: ResourceType, name: string): void {
  try {
    caller.principal.need(anyOf, type, name, caller.peer);
  } catch (caught) {
    caller.denied?.(caller, MqError.from(caught).reason);
    throw caught;
  }
}

function onTopic(caller: Caller, topic: string, anyOf: readonly Action[]): void {
  if (caller.principal.isSuper) return;
  if (!topic.startsWith(retryPrefix)) need(caller, anyOf, 'topic', topic);
  else need(caller, anyOf.includes('get') ? subOrGet : sub, 'group', topic.slice(retryPrefix.length));
}

/** Each: @throws MqError UNAUTHORIZED */
export const rules = {
  route: (caller: Caller, topic: string): void => onTopic(caller, topic, pubSubOrGet),
  publish: (caller: Caller, topic: string): void => onTopic(caller, topic, pub),
  join: (caller: Caller, group: string): void => need(caller, sub, 'group', group),
  subscribe: (caller: Caller, topic: string): void => onTopic(caller, topic, sub),
  consume: (caller: Caller, group: string, topic: string): void => {
    rules.join(caller, group);
    onTopic(caller, topic, sub);
  },
  readProgress: (caller: Caller, group: string, topic: string): void => {
    need(caller, subOrGet, 'group', group);
    onTopic(caller, topic, subOrGet);
  },
  readQueue: (caller: Caller, topic: string): void => onTopic(caller, topic, subOrGet),
} as const;
