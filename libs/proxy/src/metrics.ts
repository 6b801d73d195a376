/** The front door's figures under the names RocketMQ's boards know. Asked for when somebody looks. */
import { isInnerTopic, messageTypeName } from '@cometmq/model';
import type { FrontDoorCounters } from '@cometmq/rpc';
import type { MetricSource, Sample } from '@cometmq/telemetry';

import type { MessagingService } from './messaging/messaging-service.js';
import type { ClientSession } from './sessions.js';
import { wireCodeName } from './status.js';

const protocol = { protocol_type: 'grpc' } as const;

export function proxyMetrics(messaging: MessagingService): MetricSource {
  return function* () {
    yield* incoming(messaging);
    yield* outgoing(messaging);
    for (const { method, code, latencyMs } of messaging.counters.rpcSeries()) {
      const labels = {
        ...protocol,
        request_code: method,
        response_code: wireCodeName(code),
        is_long_polling: String(method === 'ReceiveMessage'),
        result: 'success',
      };
      yield { metric: 'rocketmq_rpc_latency', labels, value: latencyMs };
    }
    yield { metric: 'rocketmq_proxy_waiting_polls', labels: {}, value: messaging.waitingPolls };
    yield* connections(messaging.sessions.all());
  };
}

/** What the clients' port sees: connections and what became of them. */
export function clientPortMetrics(seen: () => FrontDoorCounters): MetricSource {
  return function* () {
    const counters = seen();
    const none = {};
    yield { metric: 'rocketmq_proxy_up', labels: none, value: 1 };
    yield { metric: 'rocketmq_proxy_connections', labels: none, value: counters.connectionsOpen };
    yield { metric: 'rocketmq_proxy_protocol_errors_total', labels: none, value: counters.protocolErrors };
    for (const [reason, value] of Object.entries(counters.cut)) {
      yield { metric: 'rocketmq_proxy_connections_ended_total', labels: { reason }, value };
    }
    for (const [reason, value] of Object.entries({ ...counters.refused, tls: counters.tlsFailures })) {
      yield { metric: 'rocketmq_proxy_connections_refused_total', labels: { reason }, value };
    }
    yield { metric: 'rocketmq_proxy_memory_bytes', labels: { held: 'requests' }, value: counters.heldBytes };
    yield { metric: 'rocketmq_proxy_memory_bytes', labels: { held: 'answers' }, value: counters.answerBytes };
  };
}

function* incoming({ counters }: MessagingService): IterableIterator<Sample> {
  for (const [topic, types] of counters.in) {
    for (const [type, { messages, bytes }] of types) {
      const labels = { topic, message_type: messageTypeName(type), is_system: String(isInnerTopic(topic)) };
      yield { metric: 'rocketmq_messages_in_total', labels, value: messages };
      yield { metric: 'rocketmq_throughput_in_total', labels, value: bytes };
    }
  }
}

function* outgoing({ counters }: MessagingService): IterableIterator<Sample> {
  for (const [topic, groups] of counters.out) {
    for (const [group, out] of groups) {
      const labels = { topic, consumer_group: group, is_system: String(isInnerTopic(topic)) };
      const first = { ...labels, is_retry: 'false' };
      const retry = { ...labels, is_retry: 'true' };
      yield { metric: 'rocketmq_messages_out_total', labels: first, value: out.messages };
      yield { metric: 'rocketmq_messages_out_total', labels: retry, value: out.retries };
      yield { metric: 'rocketmq_throughput_out_total', labels: first, value: out.bytes };
      yield { metric: 'rocketmq_throughput_out_total', labels: retry, value: out.retryBytes };
      yield { metric: 'rocketmq_send_to_dlq_messages_total', labels, value: out.deadLetters };
    }
  }
}

function* connections(sessions: Iterable<ClientSession>): IterableIterator<Sample> {
  const producers = new Map<string, { labels: Record<string, string>; value: number }>();
  const consumers = new Map<string, { labels: Record<string, string>; value: number }>();
  for (const { language, version, groups } of sessions) {
    const known = { ...protocol, language: label(language), version: label(version) };
    if (groups.size === 0) add(producers, known);
    for (const group of groups.keys()) {
      add(consumers, { ...known, consumer_group: group, consume_mode: 'pop', is_system: 'false' });
    }
  }
  for (const sample of producers.values()) yield { metric: 'rocketmq_producer_connections', ...sample };
  for (const sample of consumers.values()) yield { metric: 'rocketmq_consumer_connections', ...sample };
}

function add(
  counts: Map<string, { labels: Record<string, string>; value: number }>,
  labels: Record<string, string>,
): void {
  const key = Object.values(labels).join(' ');
  const found = counts.get(key);
  if (found) found.value += 1;
  else if (counts.size < seriesMax) counts.set(key, { labels, value: 1 });
}

/** Versions and languages are whatever clients say: their series must not be without number. */
const seriesMax = 2_000;

function label(text: string): string {
  return /^[\w.+-]{1,32}$/.test(text) ? text : 'other';
}
