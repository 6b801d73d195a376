import { MqError, type Clock } from '@cometmq/shared';

/** Who asked may no more, and why. */
type Ended = (error: MqError) => void;

export interface StandingParts {
  /** Looks at user, token and rule as they are now. @throws MqError when who asked may not have the answer any more */
  readonly recheck: () => void;
  /** The same for work that outlives the answer: the token may have ended by itself, or its session been left. */
  readonly recheckOrder: () => void;
  /** When the token or the session ends by itself, on the wall clock. */
  readonly untilMs: number;
  readonly clock: Clock;
  /** Called after anything has changed that `recheck` looks at; gives what ends that. */
  readonly onChange: (listener: () => void) => () => void;
}

/**
 * Whether who asked may still have what is being answered. It is decided when a request comes, and an answer may go on for
 * long after that: it ends when the user, its policies, its token or its session do.
 */
export class Standing {
  /** @param parts undefined: nothing can end it, as everybody may */
  constructor(private readonly parts: StandingParts | undefined) {}

  /** @throws MqError UNAUTHORIZED, FORBIDDEN */
  check(): void {
    this.parts?.recheck();
  }

  /**
   * For work that was ordered, and goes on after the answer: by a user who is gone, disabled, has another secret or other
   * policies by now, it must not. Tokens end sooner than work.
   * @throws MqError UNAUTHORIZED, FORBIDDEN
   */
  checkOrder(): void {
    this.parts?.recheckOrder();
  }

  /** Calls `ended` once, as soon as it is over. @returns what ends the watching */
  watch(ended: Ended): () => void {
    const { parts } = this;
    if (!parts) return () => undefined;
    const { clock, untilMs } = parts;
    const look = (): void => {
      try {
        parts.recheck();
      } catch (caught) {
        forget();
        ended(MqError.from(caught));
      }
    };
    const unlisten = parts.onChange(look);
    const timer = clock.after(untilMs - clock.wallMs(), look);
    const forget = (): void => {
      unlisten();
      timer.cancel();
    };
    return forget;
  }
}

/** Everybody may. */
export const forEver = new Standing(undefined);
