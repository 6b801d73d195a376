import type { FilterExpression, GroupId, TopicId } from '@cometmq/model';
import type { internal } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import type {
  ClientActivity,
  ClientGoneCall,
  LiteStart,
  LiteSyncCall,
  ProducerSession,
  Session,
  SessionReport,
} from './broker-link.js';

/** Who lives and what they subscribe to, on the wire and back. */
export function filterFromWire(wire: internal.Filter | undefined): FilterExpression {
  return { type: wire?.type === 'sql' ? 'sql' : 'tag', expression: wire?.expression ?? '*' };
}

export function sessionToWire({ activity, ...session }: Session): internal.Session {
  return {
    ...session,
    activity: activityToWire(activity),
    subscriptions: session.subscriptions.map(({ topicId, filter }) => ({ topicId, filter })),
  };
}

export function sessionFromWire(wire: internal.Session): Session {
  return {
    clientId: wire.clientId,
    groupId: wire.groupId as GroupId,
    clientType: wire.clientType,
    language: wire.language,
    version: wire.version,
    streaming: wire.streaming,
    activity: wire.activity,
    subscriptions: wire.subscriptions.map(({ topicId, filter }) => ({
      topicId: topicId as TopicId,
      filter: filterFromWire(filter),
    })),
  };
}

export function producerToWire({ activity, topicIds, ...producer }: ProducerSession): internal.ProducerSession {
  return { ...producer, topicIds: [...topicIds], activity: activityToWire(activity) };
}

export function producerFromWire(wire: internal.ProducerSession): ProducerSession {
  return { ...wire, topicIds: wire.topicIds as TopicId[] };
}

function activityToWire(activity: ClientActivity | undefined): internal.ClientActivity | undefined {
  return activity && { ...activity, refusals: [...activity.refusals] };
}

export function reportToWire(report: SessionReport): internal.SessionReport {
  return {
    proxyId: report.proxyId,
    sessions: report.sessions.map(sessionToWire),
    producers: report.producers.map(producerToWire),
    unconfirmed: [...(report.unconfirmed ?? [])],
  };
}

export function reportFromWire(wire: internal.SessionReport): SessionReport {
  return {
    proxyId: wire.proxyId,
    sessions: wire.sessions.map(sessionFromWire),
    producers: wire.producers.map(producerFromWire),
    unconfirmed: wire.unconfirmed,
  };
}

export function clientGoneToWire({ clientId, groupId, connection = '' }: ClientGoneCall): internal.ClientGoneCall {
  return { clientId, groupId, connection };
}

export function clientGoneFromWire({ clientId, groupId, connection }: internal.ClientGoneCall): ClientGoneCall {
  return { clientId, groupId: groupId as GroupId, connection: connection || undefined };
}

export function liteSyncToWire(call: LiteSyncCall): internal.LiteSyncCall {
  const { clientId, groupId, topicId, action, liteTopics, start } = call;
  return {
    clientId,
    groupId,
    topicId,
    action,
    liteTopics: [...liteTopics],
    start: start && { at: start.at, value: 'value' in start ? start.value : 0 },
  };
}

const actions: readonly string[] = ['add', 'remove', 'setAll', 'removeAll'];

export function liteSyncFromWire(wire: internal.LiteSyncCall): LiteSyncCall {
  if (!actions.includes(wire.action)) {
    throw new MqError('BAD_REQUEST', `lite subscriptions know ${actions.join(', ')}, not "${wire.action}"`);
  }
  return {
    clientId: wire.clientId,
    groupId: wire.groupId as GroupId,
    topicId: wire.topicId as TopicId,
    action: wire.action as LiteSyncCall['action'],
    liteTopics: wire.liteTopics,
    start: wire.start && liteStartFromWire(wire.start),
  };
}

function liteStartFromWire({ at, value }: internal.LiteStart): LiteStart {
  switch (at) {
    case 'last':
    case 'first':
    case 'end':
      return { at };
    case 'offset':
    case 'tail':
    case 'time':
      return { at, value };
    default:
      throw new MqError('BAD_REQUEST', `a lite subscription can't start at "${at}"`);
  }
}
