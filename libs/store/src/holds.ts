/**
 * What keeps the log's files where they are: while anybody holds them, no segment is given back and none is replaced. For
 * who copies the files, or is about to change what the log is.
 */
export class Holds {
  private held = 0;
  private moving: Promise<unknown> | undefined;

  get isHeld(): boolean {
    return this.held > 0;
  }

  /** From when it resolves, until the answer is called, nothing moves. */
  async take(): Promise<() => void> {
    this.held += 1;
    let mine = true;
    await this.moving;
    return () => {
      if (mine) this.held -= 1;
      mine = false;
    };
  }

  /** Does what moves files, unless they are held. False: they are, and nothing was done. One at a time. */
  async move(act: () => Promise<void>): Promise<boolean> {
    if (this.isHeld) return false;
    const moved = act();
    this.moving = moved.catch(() => undefined); // Whoever moves is told.
    await moved;
    return true;
  }
}
