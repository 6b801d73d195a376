import type { GroupId, MessageType, TopicId } from '@cometmq/model';
import { Buckets, metrics } from '@cometmq/telemetry';

import { keepOnly, type Forgetful, type Living } from './forgetful.js';

/** Messages of one type that were sent to a topic. */
export interface TrafficIn {
  messages: number;
  bytes: number;
  readonly sizes: Buckets;
}

/** Deliveries of a topic's messages to a group. */
export interface TrafficOut {
  messages: number;
  bytes: number;
  /** Of them, those after a message's first delivery. */
  retries: number;
  retryBytes: number;
}

/**
 * What goes in and out of a broker, by topic, type and group, since it began to lead. Plain numbers for metrics. A message
 * counts for the bytes of its encoded form, as it was sent and is delivered again: in and out are the same measure.
 */
export class Traffic implements Forgetful {
  readonly in = new Map<TopicId, Map<MessageType, TrafficIn>>();
  readonly out = new Map<TopicId, Map<GroupId, TrafficOut>>();

  sent(topicId: TopicId, type: MessageType, message: readonly Uint8Array[]): void {
    let types = this.in.get(topicId);
    if (!types) this.in.set(topicId, (types = new Map<MessageType, TrafficIn>()));
    let series = types.get(type);
    if (!series) {
      types.set(type, (series = { messages: 0, bytes: 0, sizes: new Buckets(metrics.rocketmq_message_size.buckets) }));
    }
    let bytes = 0;
    for (const chunk of message) bytes += chunk.byteLength;
    series.messages += 1;
    series.bytes += bytes;
    series.sizes.record(bytes);
  }

  /** @param payload of the record: envelope and encoded message */
  delivered(topicId: TopicId, groupId: GroupId, payload: Uint8Array, attempt: number): void {
    const bytes = payload.byteLength - ((payload[0] as number) + 256 * (payload[1] as number)); // The envelope's size.
    this.count(topicId, groupId, bytes, attempt);
  }

  /** Another member reads it: known is the size of its record, which is a little more. */
  deliveredElsewhere(topicId: TopicId, groupId: GroupId, recordBytes: number, attempt: number): void {
    this.count(topicId, groupId, recordBytes, attempt);
  }

  private count(topicId: TopicId, groupId: GroupId, bytes: number, attempt: number): void {
    let groups = this.out.get(topicId);
    if (!groups) this.out.set(topicId, (groups = new Map<GroupId, TrafficOut>()));
    let series = groups.get(groupId);
    if (!series) groups.set(groupId, (series = { messages: 0, bytes: 0, retries: 0, retryBytes: 0 }));
    series.messages += 1;
    series.bytes += bytes;
    if (attempt <= 1) return;
    series.retries += 1;
    series.retryBytes += bytes;
  }

  forgetTopic(topicId: TopicId): void {
    this.in.delete(topicId);
    this.out.delete(topicId);
  }

  forgetGroup(groupId: GroupId): void {
    for (const groups of this.out.values()) groups.delete(groupId);
  }

  /** What was still under way counts behind the deletion. */
  forgetGone(living: Living): void {
    keepOnly(this.in, (topicId) => living.topic(topicId));
    keepOnly(this.out, (topicId) => living.topic(topicId));
    for (const groups of this.out.values()) keepOnly(groups, (groupId) => living.group(groupId));
  }
}
