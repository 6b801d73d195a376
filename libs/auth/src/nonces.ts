import type { Clock } from '@cometmq/shared';

/**
 * Nonces of requests that were let in, each remembered for as long as the clock would let its request in again, and for a
 * while that no setting of the clock shortens: no request comes in twice, however many there are.
 *
 * Memory is bounded. When it is full, users who have sent most forget the oldest half of theirs, by the time at which their
 * requests end, and from then on no request of such a user is let in that ends earlier: what was forgotten can't come again.
 * Whoever signs with the time that it is notices nothing of that. Only requests that were signed right get here, so nobody
 * who knows no secret can fill it, and a user that floods shortens the time of its own requests alone.
 */
const secondMs = 1_000;

interface OfSecond {
  readonly nonces: Set<string>;
  /** By the clock that nobody sets: of the last of them. */
  takenMs: number;
}

interface OfUser {
  /** By the second in which the request ends. */
  readonly bySecond: Map<number, OfSecond>;
  count: number;
  /** What ends before this second may have been let in before. */
  floor: number;
}

export class Nonces {
  private readonly users = new Map<string, OfUser>();
  private count = 0;
  private sweptMs = -Infinity;

  /** @param keptMs at least so long each is remembered, though the clock be set: it may be set back again */
  constructor(
    private readonly clock: Clock,
    private readonly keptMs: number,
    private readonly max = 200_000,
  ) {}

  get size(): number {
    return this.count;
  }

  /**
   * @param untilMs when the request ends: later, the clock does not let it in
   * @returns `again`: it was let in before; `unsure`: it is older than what is remembered
   */
  take(user: string, nonce: string, untilMs: number): 'first' | 'again' | 'unsure' {
    const nowMs = this.clock.monotonicMs();
    if (this.count >= this.max || nowMs - this.sweptMs >= 60 * secondMs) this.forgetEnded(nowMs);
    if (this.count >= this.max) this.forgetOldest();
    const second = Math.floor(untilMs / secondMs);
    const of = this.users.get(user) ?? { bySecond: new Map<number, OfSecond>(), count: 0, floor: 0 };
    if (second < of.floor) return 'unsure';
    const ofSecond = of.bySecond.get(second) ?? { nonces: new Set<string>(), takenMs: nowMs };
    if (ofSecond.nonces.has(nonce)) return 'again';
    ofSecond.nonces.add(nonce);
    ofSecond.takenMs = nowMs;
    of.bySecond.set(second, ofSecond);
    of.count += 1;
    this.count += 1;
    this.users.set(user, of);
    return 'first';
  }

  private forgetEnded(nowMs: number): void {
    this.sweptMs = nowMs;
    const ended = Math.floor(this.clock.wallMs() / secondMs);
    for (const [user, of] of this.users) {
      for (const [second, { takenMs }] of of.bySecond) {
        if (second < ended && nowMs - takenMs >= this.keptMs) this.forget(of, second);
      }
      if (of.count === 0 && of.floor <= ended) this.users.delete(user);
    }
  }

  /** Until a tenth is free. */
  private forgetOldest(): void {
    const enough = this.max - Math.ceil(this.max / 10);
    const byCount = [...this.users.values()].sort((a, b) => b.count - a.count);
    for (const of of byCount) {
      if (this.count <= enough) return;
      const half = of.count / 2;
      for (const second of [...of.bySecond.keys()].sort((a, b) => a - b)) {
        if (of.count <= half) break;
        this.forget(of, second);
        of.floor = Math.max(of.floor, second + 1);
      }
    }
  }

  private forget(of: OfUser, second: number): void {
    const gone = of.bySecond.get(second)?.nonces.size ?? 0;
    of.bySecond.delete(second);
    of.count -= gone;
    this.count -= gone;
  }
}
