import type { MessageBytes, RpcChannel } from '@cometmq/rpc';
import type { Clock, Timer } from '@cometmq/shared';

interface Kept {
  readonly channel: RpcChannel;
  asked: number;
  /** Another one is to be used: it is closed with its last answer. */
  over: boolean;
  idle: Timer | undefined;
}

/** So long a connection is kept for the next question. */
const keptMs = 2_000;

/**
 * Questions to one address. Those that follow one another within a moment share a connection, as making one takes longer than
 * most answers: an election asks whether, then that; a hand-over gets ready, then goes on. After a failure, or a while of
 * silence, the next question has a connection of its own.
 */
export class CloseQuestions {
  private kept: Kept | undefined;

  constructor(
    private readonly connect: () => RpcChannel,
    private readonly clock: Clock,
  ) {}

  async ask(path: string, request: MessageBytes, msMax: number): Promise<Uint8Array> {
    const kept = (this.kept ??= { channel: this.connect(), asked: 0, over: false, idle: undefined });
    kept.idle?.cancel();
    kept.asked += 1;
    try {
      return await kept.channel.unary(path, request, { deadlineMs: this.clock.monotonicMs() + msMax });
    } catch (caught) {
      this.giveUp(kept);
      throw caught;
    } finally {
      kept.asked -= 1;
      if (kept.asked === 0) {
        if (kept.over) kept.channel.close();
        else kept.idle = this.clock.after(keptMs, () => this.close(kept));
      }
    }
  }

  private giveUp(kept: Kept): void {
    kept.over = true;
    if (this.kept === kept) this.kept = undefined;
  }

  private close(kept: Kept): void {
    this.giveUp(kept);
    kept.channel.close();
  }
}
