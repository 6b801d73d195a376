import { count, type Values } from '@cometmq/shared';

import type { FrontDoorLimits } from './limits.js';

/** What can be set of a port for processes of our own, wherever there is one. */
export const internalPortSettings = {
  internalConnectionsMax: count({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    why: 'Connections at once to each gRPC port for other processes, also those in the middle of their TLS handshake. When all are taken, the address that has the most gives one up for another.',
  }),
  internalConnectionsPerAddressMax: count({
    default: 2_500,
    min: 1,
    max: 1_000_000,
    why: 'Connections at once to such a port from one IPv4 address or one IPv6 /64. Raise it where a NAT or a mesh hides who calls.',
  }),
};

export function internalConnections(
  config: Values<typeof internalPortSettings>,
): Pick<FrontDoorLimits, 'connectionsMax' | 'addressConnectionsMax'> {
  const connectionsMax = config.internalConnectionsMax;
  return { connectionsMax, addressConnectionsMax: Math.min(connectionsMax, config.internalConnectionsPerAddressMax) };
}
