import { PublicClient } from '@cometmq/client';
import { GrpcJsChannel } from '@cometmq/rpc';
import { Prng, systemClock } from '@cometmq/shared';

import type { Standalone } from './standalone.js';

/** A client that keeps nothing alive: for tests whose server goes away, and for those that want one call at a time. */
export function publicClient(broker: Standalone, seed = Date.now()): PublicClient & { close(): void } {
  const channel = new GrpcJsChannel({ address: broker.endpoints, clock: systemClock });
  const client = new PublicClient({ channel, clock: systemClock, chance: new Prng(seed) });
  return Object.assign(client, { close: () => channel.close() });
}
