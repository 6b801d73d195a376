import type { Clock, Timer } from './clock.js';

/** Does something again and again: each time begins so long after the one before was over. What fails is told, and goes on. */
export class AgainAndAgain {
  private timer: Timer | undefined;
  private under: Promise<void> | undefined;
  private isStopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly everyMs: number,
    private readonly act: () => Promise<unknown>,
    /** What it throws ends the process. */
    private readonly failed: (caught: unknown) => void,
  ) {}

  get stopped(): boolean {
    return this.isStopped;
  }

  start(): void {
    if (this.isStopped) return;
    this.timer = this.clock.after(this.everyMs, () => {
      this.under = this.act()
        .then(() => undefined, this.failed)
        .finally(() => this.start());
    });
  }

  /** Resolves when what is under way is over. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.timer?.cancel();
    await this.under;
  }
}
