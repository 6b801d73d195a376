/** Things of which one is done at a time, in the order in which they were asked for. */
export class OneByOne {
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  get isFree(): boolean {
    return this.waiting === 0;
  }
  /** Resolves when all that was begun is over. */
  get done(): Promise<unknown> {
    return this.last;
  }

  /** Each looks again, when its turn has come, whether it is still wanted. */
  take<T>(act: () => Promise<T>): Promise<T> {
    this.waiting += 1;
    const done = this.last.then(act).finally(() => (this.waiting -= 1));
    this.last = done.catch(() => undefined); // Whoever wanted it is told.
    return done;
  }
}
