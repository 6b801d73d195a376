import { internal } from '@cometmq/proto';
import type { RpcChannel } from '@cometmq/rpc';
import type { Clock, Timer } from '@cometmq/shared';

import type { Leaders } from './leaders.js';
import { replicationPaths } from './peer-frames.js';

/** How often those that may lead next are looked for, and asked whether they are there. */
const lookMs = 5_000;
const answerMs = 2_000;

/**
 * A connection to each member that may lead next. Making one takes several turns of two processes, a handshake of TLS among
 * them, and whoever takes over has all its clients come at once: so it is there before the first call.
 */
export class SpareChannels {
  /** By address. */
  private readonly spares = new Map<string, RpcChannel>();
  private timer: Timer | undefined;

  constructor(
    private readonly leaders: Leaders,
    private readonly connect: (address: string) => RpcChannel,
    private readonly clock: Clock,
  ) {}

  start(): void {
    this.look();
  }

  stop(): void {
    this.timer?.cancel();
    for (const channel of this.spares.values()) channel.close();
    this.spares.clear();
  }

  /** For whoever uses it from now on: the one that is there, or a new one. */
  take(address: string): RpcChannel {
    const spare = this.spares.get(address);
    this.spares.delete(address);
    return spare ?? this.connect(address);
  }

  private readonly look = (): void => {
    this.timer = this.clock.after(lookMs, this.look);
    const wanted = new Map<string, string>();
    for (const brokerSet of this.leaders.brokerSets()) {
      for (const address of this.leaders.successors(brokerSet)) wanted.set(address, brokerSet);
    }
    for (const [address, channel] of this.spares) if (!wanted.has(address)) this.drop(address, channel);
    for (const [address, brokerSet] of wanted) void this.ask(address, brokerSet);
  };

  private async ask(address: string, brokerSet: string): Promise<void> {
    const channel = this.spares.get(address) ?? this.connect(address);
    this.spares.set(address, channel);
    try {
      const request = internal.MemberStatusRequest.encode({ brokerSet }).finish();
      await channel.unary(replicationPaths.status, request, { deadlineMs: this.clock.monotonicMs() + answerMs });
    } catch {
      // No use to anybody: the next look makes a new one.
      if (this.spares.get(address) === channel) this.drop(address, channel);
    }
  }

  private drop(address: string, channel: RpcChannel): void {
    this.spares.delete(address);
    channel.close();
  }
}
