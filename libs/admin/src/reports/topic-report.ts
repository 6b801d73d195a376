import type { TopicState } from '@cometmq/client';
import { isInnerTopic, messageTypeName, type MessageTypeName, type Permission, type Topic } from '@cometmq/model';

import type { Answers, Missing } from './ask-all.js';

/** A topic as the API shows it. */
export interface TopicView {
  readonly name: string;
  readonly id: number;
  readonly type: MessageTypeName;
  readonly writeQueues: number;
  readonly readQueues: number;
  readonly permission: Permission;
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  readonly liteExpirationMs?: number;
  readonly bodyMask?: string;
  readonly typeFixed: boolean;
  readonly layout: number;
  readonly inner: boolean;
  readonly createdMs: number;
}

export interface TopicReport extends TopicView {
  readonly bytes: number;
  readonly messages: number;
  readonly unread: number;
  readonly queues: readonly {
    readonly brokerSet: string;
    readonly queueId: number;
    readonly minOffset: number;
    readonly maxOffset: number;
  }[];
  readonly missing: readonly Missing[];
}

export function topicView(topic: Topic): TopicView {
  return {
    name: topic.name,
    id: topic.id,
    type: messageTypeName(topic.type),
    writeQueues: topic.writeQueues,
    readQueues: topic.readQueues,
    permission: topic.permission,
    ...(topic.retentionMs !== undefined && { retentionMs: topic.retentionMs }),
    ...(topic.retentionBytes !== undefined && { retentionBytes: topic.retentionBytes }),
    ...(topic.liteExpirationMs !== undefined && { liteExpirationMs: topic.liteExpirationMs }),
    ...(topic.bodyMask !== undefined && { bodyMask: topic.bodyMask }),
    typeFixed: topic.typeFixed,
    layout: topic.layout,
    inner: isInnerTopic(topic.name),
    createdMs: topic.createdMs,
  };
}

export function topicReport(topic: Topic, { answers, missing }: Answers<TopicState>): TopicReport {
  const queues = answers.flatMap(({ brokerSet, answer }) =>
    [...answer.queues]
      .sort((a, b) => a.queueId - b.queueId)
      .map(({ queueId, first, next }) => ({ brokerSet, queueId, minOffset: first, maxOffset: next })),
  );
  return {
    ...topicView(topic),
    bytes: answers.reduce((sum, { answer }) => sum + answer.bytes, 0),
    unread: answers.reduce((sum, { answer }) => answer.queues.reduce((all, { unread }) => all + unread, sum), 0),
    messages: queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0),
    queues,
    missing,
  };
}
