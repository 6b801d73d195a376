import type { RpcChannel } from '@cometmq/rpc';
import { MqError, type Clock, type Component } from '@cometmq/shared';

import type { Directory } from './directory.js';
import type { Leaders } from './leaders.js';
import type { KnownLeader } from './not-leader.js';

interface Opened {
  /** One that comes back under its old name may have another address behind it: a new term, a new look. */
  readonly leader: KnownLeader;
  readonly channel: RpcChannel;
}

/** One channel to the leader of each broker set, made when first asked for, closed when deposed. */
export class LeaderChannels implements Component {
  readonly name = 'leader channels';
  private readonly opened = new Map<string, Opened>();
  private forget: (() => void) | undefined;

  constructor(
    private readonly directory: Directory,
    private readonly leaders: Leaders,
    private readonly connect: (address: string) => RpcChannel,
    private readonly clock: Clock,
    /** How long one question may take. */
    private readonly askMsMax = 5_000,
  ) {}

  start(): Promise<void> {
    this.forget = this.leaders.onChange((brokerSet) => this.closeDeposed(brokerSet));
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.forget?.();
    for (const [name, { channel }] of this.opened) this.close(name, channel);
    return Promise.resolve();
  }

  /** @throws MqError NOT_FOUND for an unknown set, UNAVAILABLE while nobody leads it */
  channel(brokerSet: string): RpcChannel {
    if (!this.directory.brokerSet(brokerSet)) {
      throw new MqError('NOT_FOUND', `there is no broker set "${brokerSet}"`);
    }
    const leader = this.leaders.leader(brokerSet);
    if (leader === undefined || leader.address === '') throw new MqError('UNAVAILABLE', `nobody leads ${brokerSet}`);
    const opened = this.opened.get(brokerSet);
    if (opened?.leader === leader) return opened.channel;
    if (opened) this.close(brokerSet, opened.channel);
    const channel = this.connect(leader.address);
    this.opened.set(brokerSet, { leader, channel });
    return channel;
  }

  /** One question to the leader. @param path `/package.Service/Method` */
  async ask(brokerSet: string, path: string, request: Uint8Array, msMax = this.askMsMax): Promise<Uint8Array> {
    const deadlineMs = this.clock.monotonicMs() + msMax;
    return this.channel(brokerSet).unary(path, request, { deadlineMs });
  }

  /** While nobody leads, the old one stays: its leader may only have been silent to the name service. */
  private closeDeposed(brokerSet: string): void {
    const opened = this.opened.get(brokerSet);
    const leader = this.leaders.leader(brokerSet);
    if (opened && leader && leader !== opened.leader) this.close(brokerSet, opened.channel);
  }

  private close(name: string, channel: RpcChannel): void {
    this.opened.delete(name);
    channel.close();
  }
}
