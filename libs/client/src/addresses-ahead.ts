import type { Clock, Component, Timer } from '@cometmq/shared';

import type { Directory } from './directory.js';

const everyMs = 5_000;
/** A member that has moved is looked up by whoever connects; this is for when nobody answers then. */
const againMs = 30_000;

/**
 * Has the names of all members of broker sets looked up before they are needed. When a leader's machine dies, those that are
 * left have to find each other, some for the first time; and the network's name service may have died with it.
 */
export class AddressesAhead implements Component {
  readonly name = 'addresses of members';
  private readonly askedMs = new Map<string, number>();
  private timer: Timer | undefined;
  private under: Promise<void> = Promise.resolve();
  private stopped = false;

  /** @param only the members of this set; left out: of all */
  constructor(
    private readonly directory: Directory,
    private readonly clock: Clock,
    private readonly lookUp: (address: string) => Promise<void>,
    private readonly only?: string,
  ) {}

  start(): Promise<void> {
    this.again(0);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.under;
  }

  private again(afterMs: number): void {
    if (this.stopped) return;
    this.timer = this.clock.after(afterMs, () => {
      this.under = this.look().finally(() => this.again(everyMs));
    });
  }

  /** One after the other: a look-up that is not answered keeps a thread. */
  private async look(): Promise<void> {
    const there = new Set<string>();
    for (const { name, members } of this.directory.brokerSets()) {
      if (this.only !== undefined && name !== this.only) continue;
      for (const { address } of members) if (address !== '') there.add(address);
    }
    for (const address of this.askedMs.keys()) if (!there.has(address)) this.askedMs.delete(address);
    for (const address of there) {
      const nowMs = this.clock.monotonicMs();
      if (this.stopped) return;
      if (nowMs - (this.askedMs.get(address) ?? -Infinity) < againMs) continue;
      this.askedMs.set(address, nowMs);
      await this.lookUp(address);
    }
  }
}
