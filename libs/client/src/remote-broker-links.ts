import type { DuplexStream, RpcChannel } from '@cometmq/rpc';
import type { Clock, Part } from '@cometmq/shared';

import type { BrokerLink } from './broker-link.js';
import type { BrokerLinks } from './broker-links.js';
import type { Directory } from './directory.js';
import { GrpcBrokerLink, type FrameStream } from './grpc-broker-link.js';

interface Opened {
  readonly address: string;
  readonly channel: RpcChannel;
  readonly link: GrpcBrokerLink;
}

/** Links over the network to the leaders that the directory names; made when first asked for, closed when deposed. */
export class RemoteBrokerLinks implements BrokerLinks, Part {
  readonly name = 'broker links';
  private readonly opened = new Map<string, Opened>();
  private forget: (() => void) | undefined;

  constructor(
    private readonly directory: Directory,
    private readonly connect: (address: string) => RpcChannel,
    private readonly clock: Clock,
  ) {}

  start(): Promise<void> {
    this.forget = this.directory.onUpdate(() => this.closeDeposed());
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.forget?.();
    for (const [name, opened] of this.opened) this.close(name, opened);
    return Promise.resolve();
  }

  link(brokerSet: string): BrokerLink | undefined {
    const address = this.directory.brokerSet(brokerSet)?.leader;
    if (address === undefined || address === '') return undefined;
    const opened = this.opened.get(brokerSet);
    if (opened?.address === address) return opened.link;
    if (opened) this.close(brokerSet, opened);
    const channel = this.connect(address);
    const link = new GrpcBrokerLink((path) => frames(channel.bidi(path)), this.clock);
    this.opened.set(brokerSet, { address, channel, link });
    return link;
  }

  private closeDeposed(): void {
    for (const [name, opened] of this.opened) {
      const leader = this.directory.brokerSet(name)?.leader;
      // While nobody leads, the old link stays: its leader may only have been silent to the name service.
      if (leader !== undefined && leader !== opened.address) this.close(name, opened);
    }
  }

  private close(name: string, { channel, link }: Opened): void {
    this.opened.delete(name);
    link.close();
    channel.close();
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
