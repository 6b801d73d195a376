/** A connection of which bytes wait to be read. */
export interface GivingWay {
  /** Reads some of them; joins again where more are left. */
  goOn(): void;
}

/** Each keeps what its socket has delivered, up to 128 KiB, which nothing else counts. */
export const waitingMax = 1_024;
/** So many turns of the event loop the last of them waits at the most. */
const turnsMax = 16;

/**
 * The connections whose callers ask for more than they may. All others are read as soon as bytes arrive; of these a few are
 * read in each turn of the event loop, one after another, so that what it costs to refuse them is spread between what others ask.
 */
export class LastInTurn {
  private readonly waiting: GivingWay[] = [];
  private due = false;

  constructor(private readonly soon: (act: () => void) => void) {}

  /** False: as many wait as may. It is read at once then, as any other is. */
  join(connection: GivingWay): boolean {
    if (this.waiting.length >= waitingMax) return false;
    this.waiting.push(connection);
    this.arrange();
    return true;
  }

  private arrange(): void {
    if (this.due || this.waiting.length === 0) return;
    this.due = true;
    this.soon(() => {
      this.due = false;
      for (const connection of this.waiting.splice(0, Math.ceil(this.waiting.length / turnsMax))) connection.goOn();
      this.arrange();
    });
  }
}
