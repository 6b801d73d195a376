/**
 * What a server holds for all its callers in one direction, and who waits until there is room for more.
 *
 * Each connection's asks are served in the order they were made, the connections in turn. Nobody is served from within
 * a call of theirs: the server does it once at the end of a turn of the event loop in which something was given back.
 */
import { MemoryAccount } from './memory-account.js';

/** SegmentSpace that was asked for. Belongs to one line at a time. */
export interface MemoryAsk {
  readonly bytes: number;
  /** The bytes have been taken for it. */
  granted(): void;
}

export class MemoryPool {
  readonly account: MemoryAccount;
  private readonly lines = new Map<MemoryAccount, MemoryAsk[]>();
  private due = false;

  /** @param later runs `act` at the end of this turn of the event loop */
  constructor(
    bytesMax: number,
    private readonly later: (act: () => void) => void,
  ) {
    this.account = new MemoryAccount(bytesMax, undefined, () => this.given());
  }

  /** Somebody waits. */
  get short(): boolean {
    return this.lines.size > 0;
  }

  /** True: taken. False: `ask.granted` will be run, unless it is withdrawn before. */
  ask(account: MemoryAccount, ask: MemoryAsk): boolean {
    const line = this.lines.get(account);
    if (line === undefined && account.take(ask.bytes)) return true;
    if (line === undefined) this.lines.set(account, [ask]);
    else line.push(ask);
    return false;
  }

  withdraw(account: MemoryAccount, ask: MemoryAsk): void {
    const line = this.lines.get(account);
    const at = line?.indexOf(ask) ?? -1;
    if (line === undefined || at < 0) return;
    line.splice(at, 1);
    if (line.length === 0) this.lines.delete(account);
    else if (at === 0) this.given(); // What stands behind it may fit.
  }

  private given(): void {
    if (this.due || this.lines.size === 0) return;
    this.due = true;
    this.later(() => this.serve());
  }

  private serve(): void {
    this.due = false;
    for (const [account, line] of [...this.lines]) {
      const first = line[0];
      if (first === undefined || this.lines.get(account) !== line) continue;
      if (!this.account.fits(first.bytes)) return;
      if (!account.take(first.bytes)) continue;
      line.shift();
      this.lines.delete(account);
      if (line.length > 0) {
        this.lines.set(account, line); // Its next one after those of the others.
        this.given();
      }
      first.granted();
    }
  }
}
