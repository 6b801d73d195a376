import { delayLevelsMs } from './delay-levels.js';
import { MessageType } from './message-type.js';
import type { GroupName, TopicName } from './names.js';
import type { GroupId, TopicId } from './units.js';

/** What may be done with a topic's queues. Write-only and read-only serve shrinking and draining. */
export type Permission = 'readWrite' | 'read' | 'write' | 'none';

/** A topic as the metadata knows it. Queue counts are per broker set: each set that serves has queues 0 to n − 1. */
export interface Topic {
  readonly name: TopicName;
  readonly id: TopicId;
  readonly type: MessageType;
  /** New messages go to queues 0 to writeQueues − 1. */
  readonly writeQueues: number;
  /** Consumers are served from queues 0 to readQueues − 1. */
  readonly readQueues: number;
  readonly permission: Permission;
  /** How long messages are kept; undefined: the broker's default. */
  readonly retentionMs?: number | undefined;
  /** How many bytes are kept on each broker set; undefined: no limit of its own. */
  readonly retentionBytes?: number | undefined;
  /** Of a LITE topic: a lite topic that nothing is sent to for so long is removed; undefined: it stays. */
  readonly liteExpirationMs?: number | undefined;
  /** What of bodies is shown only to who may consume them (`body-mask.ts`); undefined: all is shown. */
  readonly bodyMask?: string | undefined;
  /** True once a first message has fixed the type of a topic that was made on first use. */
  readonly typeFixed: boolean;
  /** Rises with every change of the queues: a send chosen by an older one is refused. */
  readonly layout: number;
  readonly createdMs: number;
}

export type RetryPolicy =
  | { readonly kind: 'exponential'; readonly initialMs: number; readonly maxMs: number; readonly multiplier: number }
  | { readonly kind: 'customized'; readonly nextMs: readonly number[] };

/** Where a group that has never consumed a queue begins. `auto`: at the first message while none ever expired, else at the end. */
export type GroupStart =
  | { readonly at: 'auto' }
  | { readonly at: 'first' }
  | { readonly at: 'end' }
  | { readonly at: 'time'; readonly timeMs: number };

/** A consumer group as the metadata knows it. */
export interface ConsumerGroup {
  readonly name: GroupName;
  readonly id: GroupId;
  /** True: consumption is orderly, one batch in flight for each message group. */
  readonly fifo: boolean;
  /** How often a message is delivered before it goes to the dead-letter topic. */
  readonly attemptsMax: number;
  readonly retryPolicy: RetryPolicy;
  readonly start: GroupStart;
  /** Nothing is handed out before this time; undefined: not paused. `pausedForGood`: until it is resumed. */
  readonly pausedUntilMs?: number | undefined;
  /** Of polls on PRIORITY topics, how many in a hundred go by priority; undefined: all. */
  readonly priorityFactor?: number | undefined;
  /** A group of lite consumers, bound to one LITE topic. */
  readonly lite?: LiteGroup | undefined;
  readonly createdMs: number;
}

export interface LiteGroup {
  /** The LITE topic it is bound to. */
  readonly topic: TopicName;
  /** True: a lite topic has one subscriber in the group; the newest evicts the one before. */
  readonly exclusive: boolean;
  /** True: members get all lite topics of the topic without subscribing to any. */
  readonly wildcard: boolean;
  /** Lite topics that one client may subscribe to. */
  readonly clientQuota: number;
  /** Lite topics with something ready that are remembered for one client. */
  readonly eventsMax: number;
  /** The group begins a lite topic anew at its first message once its subscriber was evicted, or unsubscribed. */
  readonly resetOnEviction: boolean;
  readonly resetOnUnsubscribe: boolean;
}

/** RocketMQ 5.5's own (grpc semantics, section 19.1). */
export const liteGroupDefaults: Omit<LiteGroup, 'topic'> = {
  exclusive: false,
  wildcard: false,
  clientQuota: 2_000,
  eventsMax: 400,
  resetOnEviction: false,
  resetOnUnsubscribe: false,
};

export const pausedForGood = Number.MAX_SAFE_INTEGER;

/** Whether the group is handed anything at this wall time. */
export function isPaused(group: ConsumerGroup, nowMs: number): boolean {
  return group.pausedUntilMs !== undefined && nowMs < group.pausedUntilMs;
}

/** RocketMQ's own retry delays (grpc semantics, section 23). */
export const defaultRetryPolicy: RetryPolicy = { kind: 'customized', nextMs: delayLevelsMs };

/** 16 retries after the first delivery. */
export const defaultAttemptsMax = 17;

/** How long a message stays invisible after its failed delivery number `attempt` (from 1). */
export function retryDelayMs(policy: RetryPolicy, attempt: number): number {
  if (policy.kind === 'customized') return policy.nextMs[Math.min(attempt, policy.nextMs.length) - 1] ?? 0;
  return Math.min(policy.maxMs, policy.initialMs * policy.multiplier ** (attempt - 1));
}

/** Whether messages of such a topic may be ones of a message group, or of a lite topic, which keep their order. */
export function isOrdered({ type }: Pick<Topic, 'type'>): boolean {
  return type === MessageType.fifo || type === MessageType.lite || type === MessageType.mixed;
}
