import { lagOf, type ClientTraits, type Directory } from '@cometmq/client';
import {
  groupId as toGroupId,
  isInnerTopic,
  isPaused,
  messageTypeName,
  topicId as toTopicId,
  type GroupId,
  type TopicId,
} from '@cometmq/model';
import type { Clock } from '@cometmq/shared';
import type { Buckets, MetricName, Sample } from '@cometmq/telemetry';

import type { BrokerService } from './broker-service.js';
import type { OldestWaiting } from './inspect/lag-history.js';
import type { LinkMeter } from './link-meter.js';
import { storageSamples } from './storage-metrics.js';

/** A broker's figures under RocketMQ's names, asked for when somebody looks. */
export function* brokerSamples(broker: BrokerService, directory: Directory, clock: Clock): Iterable<Sample> {
  const { store } = broker;
  yield* memberSamples(broker);
  if (broker.unready() !== undefined) return;
  yield { metric: 'rocketmq_topic_number', labels: {}, value: directory.topicCount };
  yield { metric: 'rocketmq_consumer_group_number', labels: {}, value: directory.groupCount };
  yield { metric: 'rocketmq_broker_permission', labels: {}, value: broker.writable ? 6 : 4 };
  yield { metric: 'rocketmq_broker_epoch', labels: {}, value: store.epoch };
  yield* storageSamples(broker, clock);
  if (!broker.leads) return; // The rest is counted where it is decided, once.
  yield* trafficSamples(broker, directory);
  yield* connectionSamples(broker, directory);
  const { topics, subscriptions, created, expired } = broker.liteFigures;
  yield { metric: 'rocketmq_lite_topic_number', labels: {}, value: topics };
  yield { metric: 'rocketmq_lite_subscription_number', labels: {}, value: subscriptions };
  yield { metric: 'rocketmq_lite_topic_created_total', labels: {}, value: created };
  yield { metric: 'rocketmq_lite_topic_expired_total', labels: {}, value: expired };
  yield* waitingSamples(broker, directory, clock);
  yield* pauseSamples(directory, clock);
  for (const groupId of broker.backlogs.groupIds()) yield* groupSamples(broker, directory, groupId);
  for (const [key, value] of broker.deadLettersMoved) {
    const [group, topic] = key.split('/').map(Number);
    const labels = labelsOf(directory, toGroupId(group ?? 0), toTopicId(topic ?? 0));
    if (!labels) continue;
    const { consumer_group, topic: name, is_system } = labels;
    yield {
      ...{ metric: 'rocketmq_send_to_dlq_messages_total', value },
      labels: { consumer_group, topic: name, is_system },
    };
  }
}

/** What the member does for its set, and how far the others are. */
function* memberSamples({ member }: BrokerService): Iterable<Sample> {
  const { role, state, followers, lastFailover, membersWanted } = member.status();
  yield { metric: 'rocketmq_broker_role', labels: { role }, value: 1 };
  yield { metric: 'rocketmq_broker_fenced', labels: {}, value: Number(member.unready !== undefined) };
  if (lastFailover) {
    const { noticeMs, promiseMs, fetchMs, transactionMs, startRecordMs, foldMs } = lastFailover;
    const phases = { notice: noticeMs, promise: promiseMs, fetch: fetchMs, transaction: transactionMs };
    for (const [phase, value] of Object.entries({ ...phases, fold: foldMs, start_record: startRecordMs }))
      yield { metric: 'rocketmq_broker_failover_ms', labels: { phase }, value };
  }
  yield { metric: 'rocketmq_follower_reads_total', labels: {}, value: member.followerReads.messages };
  yield { metric: 'rocketmq_follower_read_bytes_total', labels: {}, value: member.followerReads.bytes };
  if (role !== 'leading' || !state) return;
  const inSync = followers.filter((one) => one.inSync && state.members.includes(one.member)).length;
  yield { metric: 'rocketmq_broker_set_members', labels: {}, value: state.members.length };
  yield { metric: 'rocketmq_broker_set_members_wanted', labels: {}, value: membersWanted };
  yield { metric: 'rocketmq_sync_state_set_size', labels: {}, value: inSync + 1 };
  for (const { member: follower, lagBytes, lagMs } of followers) {
    yield { metric: 'rocketmq_replication_lag_bytes', labels: { follower }, value: lagBytes };
    yield { metric: 'rocketmq_replication_lag_ms', labels: { follower }, value: lagMs };
  }
}

/** How long calls of proxies took. Only where there are links: in one process, the proxy says how long its calls take. */
export function* linkSamples(meter: LinkMeter): Iterable<Sample> {
  for (const { request, code, latencyMs } of meter.series()) {
    const labels = {
      protocol_type: 'grpc',
      request_code: request,
      response_code: code,
      is_long_polling: String(request === 'ReceiveMessage' || request === 'PullMessage'),
      result: code === 'OK' ? 'success' : 'process_request_failed',
    };
    yield { metric: 'rocketmq_rpc_latency', labels, value: latencyMs };
  }
}

/** What came in and went out: the bytes are those of whole encoded messages, both ways. */
function* trafficSamples({ traffic }: BrokerService, directory: Directory): Iterable<Sample> {
  for (const [topicId, types] of traffic.in) {
    const topic = directory.topicById(topicId)?.name;
    if (topic === undefined) continue;
    for (const [type, { messages, bytes, sizes }] of types) {
      const labels = { topic, message_type: messageTypeName(type), is_system: String(isInnerTopic(topic)) };
      yield { metric: 'rocketmq_messages_in_total', labels, value: messages };
      yield { metric: 'rocketmq_throughput_in_total', labels, value: bytes };
      yield { metric: 'rocketmq_message_size', labels, value: sizes };
    }
  }
  for (const [topicId, groups] of traffic.out) {
    for (const [groupId, { messages, bytes, retries, retryBytes }] of groups) {
      const labels = labelsOf(directory, groupId, topicId);
      if (!labels) continue;
      const again = { ...labels, is_retry: 'true' };
      yield { metric: 'rocketmq_messages_out_total', labels, value: messages - retries };
      yield { metric: 'rocketmq_throughput_out_total', labels, value: bytes - retryBytes };
      yield { metric: 'rocketmq_messages_out_total', labels: again, value: retries };
      yield { metric: 'rocketmq_throughput_out_total', labels: again, value: retryBytes };
    }
  }
}

/** Every leader hears of every client; so all brokers of a cluster say the same. */
function* connectionSamples({ sessions, producers }: BrokerService, directory: Directory): Iterable<Sample> {
  const counts = new Map<string, { metric: MetricName; labels: Record<string, string>; value: number }>();
  const add = (metric: MetricName, traits: ClientTraits, more: Record<string, string>): void => {
    const { language, version } = traits;
    const labels = { protocol_type: 'grpc', language: label(language), version: label(version), ...more };
    const key = [metric, ...Object.values(labels)].join(' ');
    const known = counts.get(key);
    if (known) known.value += 1;
    else if (counts.size < connectionSeriesMax) counts.set(key, { metric, labels, value: 1 });
  };
  for (const producer of producers.all()) add('rocketmq_producer_connections', producer, {});
  for (const groupId of sessions.groupIds()) {
    const group = directory.groupById(groupId)?.name;
    if (group === undefined) continue;
    const more = { consumer_group: group, consume_mode: 'pop', is_system: 'false' };
    for (const session of sessions.of(groupId)) add('rocketmq_consumer_connections', session, more);
  }
  yield* counts.values();
}

/** Versions and languages are whatever clients say: their series must not be without number. */
const connectionSeriesMax = 2_000;

function label(text: string): string {
  return /^[\w.+-]{1,32}$/.test(text) ? text : 'other';
}

/** Delayed messages and transactions. */
function* waitingSamples(broker: BrokerService, directory: Directory, clock: Clock): Iterable<Sample> {
  const { waiting, delayed, halfMessages } = broker;
  if (!waiting) return;
  const { delays, transactions } = waiting;
  const overdueMs = Math.max(0, clock.wallMs() - delayed.firstDueMs);
  yield { metric: 'rocketmq_timer_dequeue_lag', labels: {}, value: delayed.overdue(clock.wallMs()) };
  yield { metric: 'rocketmq_timer_dequeue_latency', labels: {}, value: overdueMs };
  yield { metric: 'rocketmq_delay_message_latency', labels: {}, value: delays.aheadSeconds };
  const byTopic: readonly (readonly [MetricName, ReadonlyMap<number, number | Buckets>])[] = [
    ['rocketmq_timing_messages', delayed.sizes],
    ['rocketmq_timer_enqueue_total', delays.taken],
    ['rocketmq_timer_dequeue_total', delays.fired],
    ['rocketmq_half_messages', halfMessages.sizes],
    ['rocketmq_commit_messages_total', transactions.committed],
    ['rocketmq_rollback_messages_total', transactions.rolledBack],
    ['rocketmq_finish_message_latency', transactions.finishSeconds],
  ];
  for (const [metric, counts] of byTopic) {
    for (const [topicId, value] of counts) {
      const topic = directory.topicById(toTopicId(topicId));
      if (topic) yield { metric, labels: { topic: topic.name }, value };
    }
  }
}

/** Every leader says the same, as it is in the metadata. */
function* pauseSamples(directory: Directory, clock: Clock): Iterable<Sample> {
  const nowMs = clock.wallMs();
  for (const group of directory.groups()) {
    const labels = { consumer_group: group.name };
    yield { metric: 'rocketmq_consumer_group_paused', labels, value: Number(isPaused(group, nowMs)) };
  }
}

function* groupSamples(broker: BrokerService, directory: Directory, groupId: GroupId): Iterable<Sample> {
  const byTopic = new Map<TopicId, { lag: number; inFlight: number; ready: number }>();
  for (const queue of [...broker.backlogs.of(groupId), ...broker.backlogs.sumsOf(groupId)]) {
    const sum = byTopic.get(queue.topicId) ?? { lag: 0, inFlight: 0, ready: 0 };
    sum.inFlight += queue.inFlight;
    sum.ready += queue.ready;
    sum.lag += lagOf(queue);
    byTopic.set(queue.topicId, sum);
  }
  for (const [topicId, { lag, inFlight, ready }] of byTopic) {
    const labels = labelsOf(directory, groupId, topicId);
    if (!labels) continue;
    yield { metric: 'rocketmq_consumer_lag_messages', labels, value: lag };
    yield { metric: 'rocketmq_consumer_inflight_messages', labels, value: inFlight };
    yield { metric: 'rocketmq_consumer_ready_messages', labels, value: ready };
  }
}

interface OfGroup extends Readonly<Record<string, string>> {
  readonly consumer_group: string;
  readonly topic: string;
  readonly is_retry: string;
  readonly is_system: string;
}

function labelsOf(directory: Directory, groupId: GroupId, topicId: TopicId): OfGroup | undefined {
  const group = directory.groupById(groupId);
  const topic = directory.topicById(topicId);
  return group && topic
    ? { consumer_group: group.name, topic: topic.name, is_retry: 'false', is_system: String(isInnerTopic(topic.name)) }
    : undefined;
}

/** How long groups have been waited for: as of the last sample of the lag history, and as old as that is by now. */
export function* lagSamples(
  inspection: { readonly oldest: readonly OldestWaiting[] },
  directory: Directory,
  clock: Clock,
): Iterable<Sample> {
  const nowMs = clock.wallMs();
  for (const { groupId, topicId, undoneMs, undeliveredMs } of inspection.oldest) {
    const labels = labelsOf(directory, groupId, topicId);
    if (!labels) continue;
    const ageOf = (storedMs: number): number => (storedMs === 0 ? 0 : Math.max(0, nowMs - storedMs));
    yield { metric: 'rocketmq_consumer_lag_latency', labels, value: ageOf(undoneMs) };
    yield { metric: 'rocketmq_consumer_queueing_latency', labels, value: ageOf(undeliveredMs) };
  }
}
