/**
 * What may be sent and polled in a second by one topic, one consumer group and one address, each in this process; a user's own
 * share is libs/auth's. What ends work, acknowledgements above all, is never counted.
 */
import { networkOf, TokenBuckets } from '@cometmq/auth';
import { printable } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { MessagingLimits } from './limits.js';

export type RateLimits = Pick<
  MessagingLimits,
  | 'topicRequestsPerSecond'
  | 'topicBytesPerSecond'
  | 'groupRequestsPerSecond'
  | 'groupBytesPerSecond'
  | 'addressRequestsPerSecond'
  | 'addressBytesPerSecond'
>;

interface Kind {
  readonly what: string;
  readonly requests: TokenBuckets | undefined;
  readonly bytes: TokenBuckets | undefined;
  readonly limits: { readonly requests: number; readonly bytes: number };
}

/** Keys that are remembered; idle ones are full again when they are forgotten. */
const keysMax = 20_000;
/** What is longer is the name of nothing, and refused as such behind this. */
const nameLengthMax = 255;

export class Rates {
  private readonly topic: Kind | undefined;
  private readonly group: Kind | undefined;
  private readonly address: Kind | undefined;

  constructor(limits: RateLimits) {
    this.topic = kindOf('topic', limits.topicRequestsPerSecond, limits.topicBytesPerSecond);
    this.group = kindOf('consumer group', limits.groupRequestsPerSecond, limits.groupBytesPerSecond);
    this.address = kindOf('address', limits.addressRequestsPerSecond, limits.addressBytesPerSecond);
  }

  /** @throws MqError TOO_MANY_REQUESTS, with what is used up and for how long */
  take(
    { topic, group, peer }: { readonly topic: string; readonly group: string | undefined; readonly peer: string },
    requests: number,
    bytes: number,
    nowMs: number,
  ): void {
    if (this.address) spend(this.address, networkOf(peer), requests, bytes, nowMs);
    if (this.topic && topic.length <= nameLengthMax) spend(this.topic, topic, requests, bytes, nowMs);
    if (this.group && group !== undefined && group.length <= nameLengthMax) {
      spend(this.group, group, requests, bytes, nowMs);
    }
  }
}

/** Undefined: nothing is limited. */
export function ratesOf(limits: RateLimits): Rates | undefined {
  const { topicRequestsPerSecond, topicBytesPerSecond, groupRequestsPerSecond, groupBytesPerSecond } = limits;
  const { addressRequestsPerSecond, addressBytesPerSecond } = limits;
  const all =
    topicRequestsPerSecond +
    topicBytesPerSecond +
    groupRequestsPerSecond +
    groupBytesPerSecond +
    addressRequestsPerSecond +
    addressBytesPerSecond;
  return all > 0 ? new Rates(limits) : undefined;
}

function kindOf(what: string, requests: number, bytes: number): Kind | undefined {
  if (requests === 0 && bytes === 0) return undefined;
  const buckets = (perSecond: number): TokenBuckets | undefined =>
    perSecond === 0 ? undefined : new TokenBuckets(perSecond, perSecond, keysMax);
  return { what, requests: buckets(requests), bytes: buckets(bytes), limits: { requests, bytes } };
}

function spend(kind: Kind, key: string, requests: number, bytes: number, nowMs: number): void {
  for (const [unit, count] of [
    ['requests', requests],
    ['bytes', bytes],
  ] as const) {
    const bucket = kind[unit]?.of(key, nowMs);
    if (!bucket || bucket.take(count, nowMs)) continue;
    const waitMs = Math.ceil(bucket.waitMs(count, nowMs));
    throw new MqError(
      'TOO_MANY_REQUESTS',
      `${kind.what} "${printable(key)}" has used up its ${kind.limits[unit]} ${unit} a second on this node; try again in ${waitMs} ms`,
    );
  }
}
