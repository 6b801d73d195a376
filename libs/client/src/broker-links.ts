import type { BrokerLink } from './broker-link.js';

/**
 * The way to the leader of each broker set, as it is known now: the broker's own service where it runs in this process, else
 * a link over the network.
 */
export interface BrokerLinks {
  /** A map read, cheap enough for every message. Undefined: nobody leads that set, or there is no such set. */
  link(brokerSet: string): BrokerLink | undefined;
  /** The leader could not be reached, and nothing has come from it since; what can go elsewhere should. Left out: never. */
  doubtful?(brokerSet: string): boolean;
  /** Called when a set gets another leader, or its leader can be reached again or not any more. Left out: as the directory says. */
  onChange?(listener: (brokerSet: string) => void): () => void;
}
