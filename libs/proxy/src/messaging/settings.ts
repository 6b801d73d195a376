/**
 * The settings a client gets back: its own, completed and overruled by the server's. Every field set here has a client
 * that stops working without it (grpc semantics, section 6.2): a producer throws on any strategy but the exponential
 * one, `max_body_size` 0 blocks every send, Node.js takes a missing batch size for 0, Python a missing polling time.
 */
import {
  type ConsumerGroup,
  type RetryPolicy,
  defaultAttemptsMax,
  defaultRetryPolicy,
  liteGroupDefaults,
} from '@cometmq/model';
import type { Duration, Publishing, RetryPolicy as WireRetryPolicy, Settings, Subscription } from '@cometmq/proto';

import type { MessagingLimits } from '../limits.js';

const producerAttempts = 3;

export function producerSettings(settings: Settings, publishing: Publishing, limits: MessagingLimits): Settings {
  return {
    ...settings,
    backoffPolicy: {
      maxAttempts: producerAttempts,
      strategy: exponential({ kind: 'exponential', initialMs: 10, maxMs: 1_000, multiplier: 2 }),
    },
    pubSub: {
      $case: 'publishing',
      value: { ...publishing, maxBodySize: limits.bodyBytesMax, validateMessageType: true },
    },
    metric: { on: false, endpoints: undefined },
  };
}

/** @param group undefined: a consumer that names none; it gets the defaults */
export function consumerSettings(
  settings: Settings,
  subscription: Subscription,
  group: ConsumerGroup | undefined,
  language: string,
  limits: MessagingLimits,
): Settings {
  return {
    ...settings,
    backoffPolicy: {
      maxAttempts: group?.attemptsMax ?? defaultAttemptsMax,
      strategy: strategyFor(
        language,
        group?.retryPolicy ?? defaultRetryPolicy,
        group?.attemptsMax ?? defaultAttemptsMax,
      ),
    },
    pubSub: {
      $case: 'subscription',
      value: {
        ...subscription,
        fifo: group !== undefined && (group.fifo || group.lite !== undefined),
        receiveBatchSize: limits.receiveBatchMax,
        longPollingTimeout: duration(limits.pollMsMax),
        liteSubscriptionQuota: group?.lite?.clientQuota ?? liteGroupDefaults.clientQuota,
        maxLiteTopicSize: limits.liteTopicBytesMax,
      },
    },
    metric: { on: false, endpoints: undefined },
  };
}

type Strategy = WireRetryPolicy['strategy'];

/** Node.js knows exponential back-off only; Python and C++ know lists only. `language` is the header's. */
export function strategyFor(language: string, policy: RetryPolicy, attemptsMax: number): Strategy {
  if (language === 'HTTP' && policy.kind === 'customized') return exponential(asExponential(policy.nextMs));
  const listsOnly = language === 'PYTHON' || language === 'CPP';
  if (policy.kind === 'customized') return customized(policy.nextMs);
  return listsOnly ? customized(asList(policy, attemptsMax)) : exponential(policy);
}

type Exponential = Extract<RetryPolicy, { kind: 'exponential' }>;

/** From the first delay to the longest, doubling. */
function asExponential(nextMs: readonly number[]): Exponential {
  const initialMs = Math.max(1, nextMs[0] ?? 1_000);
  return { kind: 'exponential', initialMs, maxMs: Math.max(initialMs, ...nextMs), multiplier: 2 };
}

/** Whole seconds, as Python reads no fractions; ends where the delay stops growing. */
function asList(policy: Exponential, attemptsMax: number): number[] {
  const listMax = Math.min(Math.max(1, attemptsMax - 1), 32);
  const list: number[] = [];
  for (let attempt = 1; attempt <= listMax; attempt += 1) {
    const delayMs = Math.min(policy.maxMs, policy.initialMs * policy.multiplier ** (attempt - 1));
    list.push(Math.max(1, Math.ceil(delayMs / 1000)) * 1000);
    if (delayMs >= policy.maxMs) break;
  }
  return list;
}

function exponential(policy: Exponential): Strategy {
  return {
    $case: 'exponentialBackoff',
    value: { initial: duration(policy.initialMs), max: duration(policy.maxMs), multiplier: policy.multiplier },
  };
}

function customized(nextMs: readonly number[]): Strategy {
  return { $case: 'customizedBackoff', value: { next: nextMs.map(duration) } };
}

export function duration(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
