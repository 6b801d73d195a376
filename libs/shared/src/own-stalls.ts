/**
 * Tells who judges the silence of others, in looks of a regular period, whether this process stood still itself: what they said
 * meanwhile is yet to be read, so their silence begins anew. A process that is late at every look still judges at every
 * second one.
 */
export class OwnStalls {
  private excused = false;

  constructor(
    private readonly everyMs: number,
    private lastMs: number,
  ) {}

  /** To be called once at each look. True: nobody is to be judged silent by this one. */
  stoodStill(nowMs: number): boolean {
    const isLate = nowMs - this.lastMs > 2 * this.everyMs;
    this.lastMs = nowMs;
    this.excused = isLate && !this.excused;
    return this.excused;
  }
}
