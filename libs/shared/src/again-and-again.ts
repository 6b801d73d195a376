import type { Clock, Timer } from './clock.js';
import { ToldOnce } from './told-once.js';

/** Does something again and again: each time begins so long after the one before was over. What fails is told, and goes on. */
export class AgainAndAgain {
  private timer: Timer | undefined;
  private under: Promise<void> | undefined;
  private isStopped = false;
  private readonly failures: ToldOnce;

  constructor(
    private readonly clock: Clock,
    private readonly everyMs: number,
    private readonly act: () => Promise<unknown>,
    /** Told once for each reason, and again once it had gone well. What it throws ends the process. */
    failed: (caught: unknown) => void,
  ) {
    this.failures = new ToldOnce(failed);
  }

  get stopped(): boolean {
    return this.isStopped;
  }

  start(): void {
    if (this.isStopped) return;
    this.timer = this.clock.after(this.everyMs, () => {
      this.under = this.act()
        .then(
          () => this.failures.over(),
          (caught: unknown) => this.failures.failed(caught),
        )
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
