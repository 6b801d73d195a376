/** How often it is said how it goes. */
const beatMs = 250;

/**
 * How a program's sends go, for whoever watches its output: four times a second a line of JSON with how many were answered and
 * failed, the longest time without an answered one since the last line, and why one failed.
 */
export class SendBeats {
  answered = 0;
  failed = 0;
  /** Resolves when so many were answered as are wanted, or on SIGTERM. */
  readonly over: Promise<void>;
  private readonly enough: () => void;
  private lastMs = performance.now();
  private gapMs = 0;
  private why = '';
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly sendsMax: number | undefined) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.enough = resolve;
    process.once('SIGTERM', resolve);
  }

  /** For `OrderLedger`: a send is answered. */
  readonly heard = (_lane: number, acknowledged: boolean, _tookMs: number, problem: unknown): void => {
    if (!acknowledged) {
      this.failed += 1;
      this.why = String(problem);
      return;
    }
    const nowMs = performance.now();
    this.gapMs = Math.max(this.gapMs, nowMs - this.lastMs);
    this.lastMs = nowMs;
    this.answered += 1;
    if (this.answered === this.sendsMax) this.enough();
  };

  /** From now on it is said, and what came before is no gap. @param more said with it */
  begin(more: () => object = () => ({})): void {
    this.lastMs = performance.now();
    this.timer = setInterval(() => {
      const { answered, failed, why } = this;
      const openMs = performance.now() - this.lastMs;
      const beat = { answered, failed, gapMs: Math.round(Math.max(this.gapMs, openMs)), ...more() };
      console.log(JSON.stringify({ ...beat, ...(why !== '' && { why }) }));
      [this.gapMs, this.why] = [0, ''];
    }, beatMs);
  }

  end(): void {
    clearInterval(this.timer);
  }
}
