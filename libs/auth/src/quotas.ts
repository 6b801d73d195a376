import type { UserQuota } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Principal } from './principal.js';
import { TokenBucket } from './token-bucket.js';

interface Used {
  readonly quota: UserQuota;
  readonly requests: TokenBucket | undefined;
  readonly bytes: TokenBucket | undefined;
}

const usersKeptUsually = 10_000;

/** What users may ask for in a second, each in this process. Idle ones may save up a second's worth. */
export class Quotas {
  /** Requests that were refused. */
  refused = 0;
  private readonly used = new Map<string, Used>();

  constructor(private readonly usersKept = usersKeptUsually) {}

  /** @throws MqError TOO_MANY_REQUESTS, with what is used up and for how long */
  take({ name, user }: Principal, requests: number, bytes: number, nowMs: number): void {
    const quota = user?.quota;
    if (quota === undefined) return;
    let used = this.used.get(name);
    if (!used || !same(used.quota, quota)) {
      if (!used && this.used.size >= this.usersKept) this.forgetIdle(nowMs);
      this.used.set(name, (used = usedOf(quota, nowMs)));
    }
    this.spend(name, 'requests', used.requests, requests, quota.requestsPerSecond, nowMs);
    this.spend(name, 'bytes', used.bytes, bytes, quota.bytesPerSecond, nowMs);
  }

  /** Users come and go. Who has saved up all it may loses nothing. */
  private forgetIdle(nowMs: number): void {
    for (const [name, { requests, bytes }] of this.used) {
      if ((requests?.isFull(nowMs) ?? true) && (bytes?.isFull(nowMs) ?? true)) this.used.delete(name);
    }
  }

  private spend(
    user: string,
    what: string,
    bucket: TokenBucket | undefined,
    count: number,
    perSecond: number | undefined,
    nowMs: number,
  ): void {
    if (!bucket || bucket.take(count, nowMs)) return;
    this.refused += 1;
    const waitMs = Math.ceil(bucket.waitMs(count, nowMs));
    throw new MqError(
      'TOO_MANY_REQUESTS',
      `user ${user} has used up its ${perSecond} ${what} a second on this node; try again in ${waitMs} ms`,
    );
  }
}

function usedOf(quota: UserQuota, nowMs: number): Used {
  const bucket = (perSecond: number | undefined): TokenBucket | undefined =>
    perSecond === undefined ? undefined : new TokenBucket(perSecond, perSecond, nowMs);
  return { quota, requests: bucket(quota.requestsPerSecond), bytes: bucket(quota.bytesPerSecond) };
}

function same(a: UserQuota, b: UserQuota): boolean {
  return a === b || (a.requestsPerSecond === b.requestsPerSecond && a.bytesPerSecond === b.bytesPerSecond);
}
