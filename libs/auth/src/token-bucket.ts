/** So many a second, and so many at once. Refilled by the time that has passed; no timer. */
export class TokenBucket {
  private tokens: number;
  private lastMs: number;

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    nowMs: number,
  ) {
    this.tokens = burst;
    this.lastMs = nowMs;
  }

  /** More than is there is taken whole where nothing is owed: what is larger than the burst must get through too. */
  take(count: number, nowMs: number): boolean {
    this.refill(nowMs);
    if (this.tokens < Math.min(count, this.burst)) return false;
    this.tokens -= count;
    return true;
  }

  isEmpty(nowMs: number): boolean {
    this.refill(nowMs);
    return this.tokens < 1;
  }

  /** When `count` could be taken, from now on. */
  waitMs(count: number, nowMs: number): number {
    this.refill(nowMs);
    return Math.max(0, ((Math.min(count, this.burst) - this.tokens) * 1000) / this.perSecond);
  }

  /** Full again: nothing is lost when it is forgotten. */
  isFull(nowMs: number): boolean {
    this.refill(nowMs);
    return this.tokens >= this.burst;
  }

  private refill(nowMs: number): void {
    this.tokens = Math.min(this.burst, this.tokens + ((nowMs - this.lastMs) * this.perSecond) / 1000);
    this.lastMs = nowMs;
  }
}

/** Buckets by key, bounded: the oldest go first, a tenth at once, so that a flood of keys costs little each. */
export class TokenBuckets {
  private readonly buckets = new Map<string, TokenBucket>();

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly keysMax: number,
  ) {}

  get(key: string): TokenBucket | undefined {
    return this.buckets.get(key);
  }

  of(key: string, nowMs: number): TokenBucket {
    let bucket = this.buckets.get(key);
    if (!bucket) {
      if (this.buckets.size >= this.keysMax) this.makeRoom(nowMs);
      bucket = new TokenBucket(this.perSecond, this.burst, nowMs);
      this.buckets.set(key, bucket);
    }
    return bucket;
  }

  private makeRoom(nowMs: number): void {
    for (const [key, bucket] of this.buckets) if (bucket.isFull(nowMs)) this.buckets.delete(key);
    const enough = this.keysMax - Math.ceil(this.keysMax / 10);
    for (const key of this.buckets.keys()) {
      if (this.buckets.size <= enough) return;
      this.buckets.delete(key);
    }
  }
}
