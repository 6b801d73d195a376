import type { GroupId, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { internal } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import type { ClientQuestion, ResetCall, ResetTarget } from './broker-admin.js';
import type { QueueReset } from './queue-reset.js';

/** What operators ask of brokers, on the wire and back. */
export function resetToWire({
  groupId,
  topicId,
  queueId,
  to,
  preview,
  move,
}: ResetCall): internal.ResetProgressRequest {
  const { id: moveId = '', who = '', undoes = '' } = move ?? {};
  return { groupId, topicId, queueId, to: targetToWire(to), preview: preview === true, moveId, who, undoes };
}

export function resetFromWire(wire: internal.ResetProgressRequest): ResetCall {
  return {
    groupId: wire.groupId as GroupId,
    topicId: wire.topicId as TopicId,
    queueId: wire.queueId as QueueId | undefined,
    to: targetFromWire(wire.to),
    ...(wire.preview && { preview: true }),
    ...(wire.moveId !== '' && { move: { id: wire.moveId, who: wire.who, undoes: wire.undoes } }),
  };
}

export function queueResetsFromWire({ queues }: internal.ResetProgressResponse): QueueReset[] {
  return queues.map(({ queueId, before, after }) => ({
    queueId: queueId as QueueId,
    before: before as QueueOffset | undefined,
    after: after as QueueOffset,
  }));
}

export function questionToWire(asked: ClientQuestion): internal.AskClientRequest {
  const { clientId } = asked;
  switch (asked.kind) {
    case 'verify': {
      const { groupId, topicId, messageId } = asked;
      return { clientId, question: { $case: 'verify', value: { groupId, topicId, messageId } } };
    }
    default:
      return { clientId, question: { $case: asked.kind, value: true } };
  }
}

export function questionFromWire({ clientId, question }: internal.AskClientRequest): ClientQuestion {
  switch (question?.$case) {
    case 'verify': {
      const { groupId, topicId, messageId } = question.value;
      return { kind: 'verify', clientId, groupId: groupId as GroupId, topicId: topicId as TopicId, messageId };
    }
    case 'printStack':
    case 'reconnect':
      return { kind: question.$case, clientId };
    default:
      throw new MqError('UNSUPPORTED', 'this broker does not know the question; upgrade brokers first');
  }
}

function targetToWire(to: ResetTarget): internal.ResetProgressRequest['to'] {
  switch (to.at) {
    case 'time':
      return { $case: 'atMs', value: to.timeMs };
    case 'offset':
      return { $case: 'offset', value: to.offset };
    case 'group':
      return { $case: 'ofGroup', value: to.groupId };
    default:
      return { $case: to.at, value: true };
  }
}

function targetFromWire(to: internal.ResetProgressRequest['to']): ResetTarget {
  switch (to?.$case) {
    case 'first':
    case 'end':
      return { at: to.$case };
    case 'atMs':
      return { at: 'time', timeMs: to.value };
    case 'offset':
      return { at: 'offset', offset: to.value };
    case 'ofGroup':
      return { at: 'group', groupId: to.value as GroupId };
    default:
      throw new MqError('UNSUPPORTED', 'this broker does not know where to set the progress; upgrade brokers first');
  }
}
