/** How much of something a peer may do: a burst, and then so much a second. */
export class Allowance {
  private left: number;

  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
  ) {
    this.left = burst;
  }

  /** False when it is used up. */
  spend(): boolean {
    this.left -= 1;
    return this.left >= 0;
  }

  refill(seconds: number): void {
    this.left = Math.min(this.burst, Math.max(0, this.left) + this.perSecond * seconds);
  }
}
