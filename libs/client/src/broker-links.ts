import type { BrokerLink } from './broker-link.js';

/**
 * The way to the leader of each broker set, as the directory names it now: the broker's own service where it runs in
 * this process, else a link over the network.
 */
export interface BrokerLinks {
  /** A map read, cheap enough for every message. Undefined: nobody leads that set, or there is no such set. */
  link(brokerSet: string): BrokerLink | undefined;
}
