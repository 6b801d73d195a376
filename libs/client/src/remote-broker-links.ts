import type { DuplexStream, RpcChannel } from '@cometmq/rpc';
import type { Clock, Component, Timer } from '@cometmq/shared';

import type { BrokerLink } from './broker-link.js';
import type { BrokerLinks } from './broker-links.js';
import { GrpcBrokerLink, type FrameStream, type LinkEvents, type ReadMembers } from './grpc-broker-link.js';
import type { Leaders } from './leaders.js';
import { MemberReads } from './member-reads.js';
import type { KnownLeader } from './not-leader.js';
import { SpareChannels } from './spare-channels.js';

interface Opened {
  readonly leader: KnownLeader;
  readonly channel: RpcChannel;
  readonly link: GrpcBrokerLink;
}

/** What a leader was asked before another one took over is answered by it in this time, or asked of the other. */
const lastAnswersMs = 200;

/**
 * Links over the network to the leaders of the broker sets, one for each term. New calls go to the newest leader as soon as
 * it is known. Calls that are open at the one before get a moment: in a planned hand-over it answers them all.
 */
export class RemoteBrokerLinks implements BrokerLinks, Component {
  readonly name = 'broker links';
  private readonly opened = new Map<string, Opened>();
  private readonly ending = new Map<Opened, Timer>();
  private readonly spares: SpareChannels;
  private readonly reads: MemberReads;
  private forget: (() => void) | undefined;

  constructor(
    private readonly leaders: Leaders,
    connect: (address: string) => RpcChannel,
    private readonly clock: Clock,
  ) {
    this.spares = new SpareChannels(leaders, connect, clock);
    this.reads = new MemberReads(connect, clock);
  }

  start(): Promise<void> {
    this.forget = this.leaders.onChange((brokerSet) => this.endEarlier(brokerSet));
    this.spares.start();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.forget?.();
    for (const timer of this.ending.values()) timer.cancel();
    for (const opened of [...this.ending.keys(), ...this.opened.values()]) close(opened);
    this.ending.clear();
    this.opened.clear();
    this.spares.stop();
    this.reads.close();
    return Promise.resolve();
  }

  link(brokerSet: string): BrokerLink | undefined {
    const leader = this.leaders.leader(brokerSet);
    if (leader === undefined || leader.address === '') return undefined;
    const opened = this.opened.get(brokerSet);
    return opened?.leader === leader ? opened.link : this.open(brokerSet, leader);
  }

  doubtful(brokerSet: string): boolean {
    return this.leaders.doubtful(brokerSet);
  }

  onChange(listener: (brokerSet: string) => void): () => void {
    return this.leaders.onChange(listener);
  }

  private open(brokerSet: string, leader: KnownLeader): BrokerLink {
    this.endEarlier(brokerSet);
    const { leaders } = this;
    const channel = this.spares.take(leader.address);
    const events: LinkEvents = {
      serves: () => leaders.trust(brokerSet, leader.epoch),
      broke: () => leaders.doubt(brokerSet, leader.epoch),
      notLeader: (other) => {
        if (other) leaders.heard(brokerSet, other);
        leaders.doubt(brokerSet, leader.epoch);
      },
    };
    const read: ReadMembers = (places) => this.reads.read(brokerSet, leader.address, places);
    const link = new GrpcBrokerLink((path) => frames(channel.bidi(path)), this.clock, events, read);
    this.opened.set(brokerSet, { leader, channel, link });
    return link;
  }

  /**
   * While nobody else leads, the old one stays: its leader may only have been silent to the name service. It goes with its
   * set.
   */
  private endEarlier(brokerSet: string): void {
    const opened = this.opened.get(brokerSet);
    const leader = this.leaders.leader(brokerSet);
    if (!opened || (leader ? opened.leader === leader : this.leaders.has(brokerSet))) return;
    this.opened.delete(brokerSet);
    const timer = this.clock.after(lastAnswersMs, () => {
      this.ending.delete(opened);
      close(opened);
    });
    this.ending.set(opened, timer);
    opened.link.endOrder();
  }
}

function close({ link, channel }: Opened): void {
  link.close();
  channel.close();
}

function frames(stream: DuplexStream): FrameStream {
  return {
    write: (frame) => stream.write(frame),
    onDrain: (act) => stream.onDrain(act),
    onMessage: (act) => stream.onMessage(act),
    onEnd: (act) => stream.onEnd(act),
    end: () => stream.end(),
  };
}
