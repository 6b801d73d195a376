/**
 * How many topics and groups clients of one address may have made by their first use: so many at once, and as many again in
 * each minute. What was made stays made, so this is what one caller can burden everybody with. An IPv6 address counts as
 * its /64. Addresses that have their whole budget again are forgotten.
 */
import { addressKey, type Clock, MqError } from '@cometmq/shared';

interface Budget {
  left: number;
  readAtMs: number;
}

const minuteMs = 60_000;
const rememberedMax = 10_000;

export class FirstUses {
  private readonly budgets = new Map<string, Budget>();

  constructor(
    private readonly clock: Clock,
    /** 0: no limit. */
    private readonly perMinuteMax: number,
  ) {}

  /**
   * Something is about to be made for this caller. Counted before it is, or as many as come at once would all find room.
   * @throws MqError TOO_MANY_REQUESTS when nothing more may be made for this caller now
   */
  take(peer: string): void {
    if (this.perMinuteMax === 0) return;
    const key = addressKey(peer);
    let budget = this.budgets.get(key);
    if (budget) this.refill(budget);
    else {
      if (this.budgets.size >= rememberedMax) this.forgetWhole();
      this.budgets.set(key, (budget = { left: this.perMinuteMax, readAtMs: this.clock.monotonicMs() }));
    }
    if (budget.left < 1) {
      throw new MqError(
        'TOO_MANY_REQUESTS',
        `clients at ${key} had ${this.perMinuteMax} topics and groups made by their first use, as many as may be ` +
          'in a minute (creationsPerAddressMax): wait, or have them made by an operator',
      );
    }
    budget.left -= 1;
  }

  /** It was not made. */
  giveBack(peer: string): void {
    const key = addressKey(peer);
    const budget = this.budgets.get(key);
    if (!budget) return;
    budget.left += 1;
    if (budget.left >= this.perMinuteMax) this.budgets.delete(key);
  }

  private refill(budget: Budget): void {
    const nowMs = this.clock.monotonicMs();
    budget.left = Math.min(this.perMinuteMax, budget.left + ((nowMs - budget.readAtMs) * this.perMinuteMax) / minuteMs);
    budget.readAtMs = nowMs;
  }

  /** Those who need not be remembered; where all must be, the oldest. */
  private forgetWhole(): void {
    for (const [key, budget] of this.budgets) {
      this.refill(budget);
      if (budget.left >= this.perMinuteMax) this.budgets.delete(key);
    }
    const [oldest] = this.budgets.keys();
    if (this.budgets.size >= rememberedMax && oldest !== undefined) this.budgets.delete(oldest);
  }
}
