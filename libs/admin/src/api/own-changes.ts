import { TokenBuckets } from '@cometmq/auth';
import { MqError, type Clock } from '@cometmq/shared';

/** More than a user may have tokens: all of them can be made in a row. */
const burst = 40;
const perSecond = 1;
const usersKept = 20_000;

/**
 * Changes that every user may make of its record, without a super user. It is written whole to the metadata, and told to every process:
 * so a user makes some in a row, and then one a second.
 */
export class OwnChanges {
  private readonly buckets = new TokenBuckets(perSecond, burst, usersKept);

  constructor(private readonly clock: Clock) {}

  /** @param by who asks, whosever record it is. @throws MqError TOO_MANY_REQUESTS */
  take(by: string): void {
    const nowMs = this.clock.monotonicMs();
    const bucket = this.buckets.of(by, nowMs);
    if (bucket.take(1, nowMs)) return;
    const seconds = Math.ceil(bucket.waitMs(1, nowMs) / 1_000);
    throw new MqError(
      'TOO_MANY_REQUESTS',
      `user ${by} changes tokens or its secret too often; try again in ${seconds} s`,
    );
  }
}
