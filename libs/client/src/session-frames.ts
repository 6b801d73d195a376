import type { FilterExpression, GroupId, TopicId } from '@cometmq/model';
import type { internal } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import type {
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

export function sessionToWire(session: Session): internal.Session {
  return {
    ...session,
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
    subscriptions: wire.subscriptions.map(({ topicId, filter }) => ({
      topicId: topicId as TopicId,
      filter: filterFromWire(filter),
    })),
  };
}

export function reportToWire(report: SessionReport): internal.SessionReport {
  return {
    proxyId: report.proxyId,
    sessions: report.sessions.map(sessionToWire),
    producers: report.producers.map((producer) => ({ ...producer, topicIds: [...producer.topicIds] })),
    unconfirmed: [...(report.unconfirmed ?? [])],
  };
}

export function reportFromWire(wire: internal.SessionReport): SessionReport {
  return {
    proxyId: wire.proxyId,
    sessions: wire.sessions.map(sessionFromWire),
    producers: wire.producers.map((producer): ProducerSession => ({
      ...producer,
      topicIds: producer.topicIds as TopicId[],
    })),
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
