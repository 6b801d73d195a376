/** So much at once, and so much a second: what is not used comes back up to the burst. */
export class Allowance {
  private left: number;
  private atMs: number;

  constructor(
    readonly burst: number,
    private readonly perSecond: number,
    nowMs: number,
  ) {
    this.left = burst;
    this.atMs = nowMs;
  }

  /** False, and nothing is spent, when there is not so much left. */
  spend(amount: number, nowMs: number): boolean {
    if (this.available(nowMs) < amount) return false;
    this.left -= amount;
    return true;
  }

  earn(amount: number): void {
    this.left = Math.min(this.burst, this.left + amount);
  }

  available(nowMs: number): number {
    if (nowMs > this.atMs) {
      this.left = Math.min(this.burst, this.left + ((nowMs - this.atMs) / 1_000) * this.perSecond);
      this.atMs = nowMs;
    }
    return this.left;
  }
}
