import type { Peers } from '@cometmq/client';
import { type Clock, failureFacts, type Timer } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

const lookMs = 1_000;
/** After a segment that nobody could give. */
const againMs = 30_000;

export interface MendingParts {
  readonly brokerSet: string;
  readonly store: StorePorts;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the other members of the set, as far as they are known. */
  readonly others: () => readonly string[];
}

/** What of this member's log is damaged is made anew of what another member has, while everything goes on. */
export class Mending {
  private timer: Timer | undefined;
  private mending: Promise<void> | undefined;
  private stopped = false;

  constructor(private readonly parts: MendingParts) {
    this.later(lookMs);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.mending;
  }

  private later(delayMs: number): void {
    if (this.stopped) return;
    this.timer = this.parts.clock.after(delayMs, () => {
      this.mending = this.look().finally(() => (this.mending = undefined));
    });
  }

  private async look(): Promise<void> {
    const { store, others } = this.parts;
    const wanted = others().length > 0 ? store.repairs.wanted : [];
    let failed = false;
    for (const { first, end } of wanted) failed = !(await this.mend(first, end)) || failed;
    this.later(failed ? againMs : lookMs);
  }

  private async mend(...[first, end]: Parameters<StorePorts['repairs']['records']>): Promise<boolean> {
    const { brokerSet, store, peers, others, log } = this.parts;
    for (const address of others()) {
      if (this.stopped) return true;
      try {
        await store.repairs.mend(first, peers.peer(address).segmentBytes(brokerSet, first, end));
        log.info({ first, end, from: address }, 'a damaged segment was mended from another member');
        return true;
      } catch (caught) {
        log.warn(
          { first, end, from: address, ...failureFacts(caught) },
          'a damaged segment could not be mended from there',
        );
      }
    }
    return false;
  }
}
