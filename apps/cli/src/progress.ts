import type { World } from './world.js';

/** How often the line is written anew. */
const everyMs = 200;

/**
 * One line on standard error that counts up while long work goes on, where standard error is a terminal. It begins only
 * after `everyMs`, so that short work shows none, and is wiped at the end, so that it stands in nobody's way.
 */
export class Progress {
  private readonly beganMs: number;
  private shownMs: number;
  private shown = false;

  constructor(
    private readonly world: Pick<World, 'clock' | 'err' | 'terminal'>,
    private readonly what: string,
    private readonly total: number,
  ) {
    this.beganMs = world.clock.monotonicMs();
    this.shownMs = this.beganMs;
  }

  /** So many are done by now. */
  done(count: number): void {
    const nowMs = this.world.clock.monotonicMs();
    if (!this.world.terminal.err || nowMs - this.shownMs < everyMs) return;
    this.shownMs = nowMs;
    this.shown = true;
    const perSecond = Math.round((count * 1000) / (nowMs - this.beganMs));
    const share = Number.isFinite(this.total) ? ` of ${grouped(this.total)}` : '';
    this.world.err(`\r\x1b[K${grouped(count)}${share} ${this.what}, ${grouped(perSecond)}/s`);
  }

  end(): void {
    if (this.shown) this.world.err('\r\x1b[K');
    this.shown = false;
  }
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
