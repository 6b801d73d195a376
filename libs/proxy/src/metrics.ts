/**
 * The proxy's figures under the names RocketMQ's boards know, asked for when somebody looks. What goes in and out, and who is
 * connected, the brokers say (libs/broker).
 */
import { Code } from '@cometmq/proto';
import type { FrontDoorCounters } from '@cometmq/rpc';
import type { MetricSource } from '@cometmq/telemetry';

import type { MessagingService } from './messaging/messaging-service.js';
import { wireCodeName } from './status.js';

/** A receive that found nothing did what it was asked. Whatever else is no OK was not done as asked. */
const succeeded: ReadonlySet<number> = new Set([Code.OK, Code.MULTIPLE_RESULTS, Code.MESSAGE_NOT_FOUND]);

const protocol = { protocol_type: 'grpc' } as const;

export function proxyMetrics(messaging: MessagingService): MetricSource {
  return function* () {
    for (const { method, code, latencyMs } of messaging.counters.rpcSeries()) {
      const labels = {
        ...protocol,
        request_code: method,
        response_code: wireCodeName(code),
        is_long_polling: String(method === 'ReceiveMessage'),
        result: succeeded.has(code) ? 'success' : 'process_request_failed',
      };
      yield { metric: 'rocketmq_rpc_latency', labels, value: latencyMs };
    }
    const throttled = { ...messaging.counters.throttled, clients: messaging.sessions.refused };
    for (const [reason, value] of Object.entries(throttled)) {
      yield { metric: 'rocketmq_throttled_total', labels: { reason }, value };
    }
    yield { metric: 'rocketmq_proxy_waiting_polls', labels: {}, value: messaging.waitingPolls };
  };
}

/** What the clients' port sees: connections and what became of them. */
export function clientPortMetrics(seen: () => FrontDoorCounters, proxyMode: 'cluster' | 'local'): MetricSource {
  return function* () {
    const counters = seen();
    const none = {};
    const { connectionsOpen, connectionsOpening: opening } = counters;
    yield { metric: 'rocketmq_proxy_up', labels: { proxy_mode: proxyMode }, value: 1 };
    yield { metric: 'rocketmq_connections', labels: { state: 'opening' }, value: opening };
    yield { metric: 'rocketmq_connections', labels: { state: 'open' }, value: connectionsOpen - opening };
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
