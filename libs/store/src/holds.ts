/**
 * What keeps the log's files where they are: while anybody holds them, no segment is given back and none is replaced. For
 * who copies the files, or is about to change what the log is.
 */
import { OneByOne } from '@cometmq/shared';

export class Holds {
  private held = 0;
  private readonly moves = new OneByOne();

  get isHeld(): boolean {
    return this.held > 0;
  }

  /** From when it resolves, until the answer is called, nothing moves. */
  async take(): Promise<() => void> {
    this.held += 1;
    let mine = true;
    await this.moves.done;
    return () => {
      if (mine) this.held -= 1;
      mine = false;
    };
  }

  /**
   * Does what moves files, unless they are held; one at a time. `act` looks first whether it is still wanted, and answers
   * whether it has moved anything. False: it has not, or they are held, and nothing was done.
   */
  move(act: () => Promise<boolean>): Promise<boolean> {
    return this.moves.take(() => (this.isHeld ? Promise.resolve(false) : act()));
  }
}
