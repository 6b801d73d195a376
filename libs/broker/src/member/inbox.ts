/**
 * Things that happen, one after another: what happens while the one before is still being carried out waits for its end.
 * What can be carried out at once is, and costs no promise.
 */
export class Inbox {
  private readonly waiting: (() => Promise<void> | undefined)[] = [];
  private busy = false;
  private closed = false;

  constructor(private readonly onFailed: (caught: unknown) => void) {}

  /** A promise answered by `act` holds up what comes behind it. */
  put(act: () => Promise<void> | undefined): void {
    if (this.closed) return;
    this.waiting.push(act);
    if (!this.busy) this.work();
  }

  /** What waits is dropped. What is being carried out goes on. */
  close(): void {
    this.closed = true;
    this.waiting.length = 0;
  }

  private work(): void {
    this.busy = true;
    for (let act = this.waiting.shift(); act; act = this.waiting.shift()) {
      let done: Promise<void> | undefined;
      try {
        done = act();
      } catch (caught) {
        this.failed(caught);
        return;
      }
      if (!done) continue;
      done.then(
        () => this.work(),
        (caught: unknown) => this.failed(caught),
      );
      return;
    }
    this.busy = false;
  }

  private failed(caught: unknown): void {
    this.close();
    this.onFailed(caught);
  }
}
