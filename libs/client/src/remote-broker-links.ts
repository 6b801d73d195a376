import type { DuplexStream, RpcChannel } from '@cometmq/rpc';
import type { Clock, Component } from '@cometmq/shared';

import type { BrokerLink } from './broker-link.js';
import type { BrokerLinks } from './broker-links.js';
import type { Directory } from './directory.js';
import { GrpcBrokerLink, type FrameStream } from './grpc-broker-link.js';
import type { LeaderChannels } from './leader-channels.js';

interface Opened {
  readonly channel: RpcChannel;
  readonly link: GrpcBrokerLink;
}

/** Links over the network to the leaders that the directory names; each lives and ends with its leader's channel. */
export class RemoteBrokerLinks implements BrokerLinks, Component {
  readonly name = 'broker links';
  private readonly opened = new Map<string, Opened>();

  constructor(
    private readonly directory: Directory,
    private readonly leaders: LeaderChannels,
    private readonly clock: Clock,
  ) {}

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    for (const { link } of this.opened.values()) link.close();
    this.opened.clear();
    return Promise.resolve();
  }

  link(brokerSet: string): BrokerLink | undefined {
    const address = this.directory.brokerSet(brokerSet)?.leader;
    if (address === undefined || address === '') return undefined;
    const channel = this.leaders.channel(brokerSet);
    const opened = this.opened.get(brokerSet);
    if (opened?.channel === channel) return opened.link;
    opened?.link.close();
    const link = new GrpcBrokerLink((path) => frames(channel.bidi(path)), this.clock);
    this.opened.set(brokerSet, { channel, link });
    return link;
  }
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
