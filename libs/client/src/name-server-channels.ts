import type { RpcChannel } from '@cometmq/rpc';
import { assert, MqError } from '@cometmq/shared';

import type { NameServersNow } from './name-servers.js';

/** Connections to instances that are no more, kept for what may still be under way on them. */
const unusedMax = 8;

/**
 * The connections of one client of the name service, and the instance that it holds on to. Instances are numbers, in the order of the
 * list as it is now; a number beyond it counts from its beginning again.
 */
export class NameServerChannels {
  /** The instance that is asked first. */
  current = 0;
  private readonly channels = new Map<string, RpcChannel>();
  private closed = false;

  constructor(
    private readonly nameServers: NameServersNow,
    private readonly connect: (address: string) => RpcChannel,
  ) {
    assert(nameServers.addresses.length > 0, 'the name service has an address');
  }

  get count(): number {
    return this.nameServers.addresses.length;
  }

  /** Those that failed go on to the next one together. */
  moveOn(from: number): void {
    if (this.current === from) this.current = (from + 1) % this.count;
  }

  /** @throws MqError UNAVAILABLE once it is closed */
  to(instance: number): RpcChannel {
    if (this.closed) throw new MqError('UNAVAILABLE', 'the link to the name service is closed');
    const { addresses } = this.nameServers;
    const address = addresses[instance % addresses.length];
    assert(address !== undefined, 'an instance has an address');
    let channel = this.channels.get(address);
    if (!channel) {
      this.closeUnused(addresses);
      channel = this.connect(address);
      this.channels.set(address, channel);
    }
    return channel;
  }

  unreachable(last: MqError): MqError {
    const where = this.nameServers.addresses.join(', ');
    return new MqError('UNAVAILABLE', `the name service at ${where} is not available: ${last.reason}`, { cause: last });
  }

  close(): void {
    this.closed = true;
    for (const channel of this.channels.values()) channel.close();
  }

  private closeUnused(addresses: readonly string[]): void {
    const unused = [...this.channels.keys()].filter((address) => !addresses.includes(address));
    for (const address of unused.slice(0, Math.max(0, unused.length - unusedMax))) {
      this.channels.get(address)?.close();
      this.channels.delete(address);
    }
  }
}
