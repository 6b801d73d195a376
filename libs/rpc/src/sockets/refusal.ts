import { connect } from 'node:net';

import { hostAndPort, type Clock } from '@cometmq/shared';

import { knownAddresses } from './known-addresses.js';

/**
 * Whether the machine at `host:port` says that nobody listens there. One that says nothing for `msMax`, a name that is not
 * known, or a network that leads nowhere refuses nothing.
 */
export function refusesConnection(address: string, msMax: number, clock: Clock): Promise<boolean> {
  const at = hostAndPort(address);
  if (at === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({ ...at, lookup: knownAddresses.lookup });
    const end = (refused: boolean): void => {
      timer.cancel();
      socket.destroy();
      resolve(refused);
    };
    const timer = clock.after(msMax, () => end(false));
    socket.on('connect', () => end(false));
    socket.on('error', (error: NodeJS.ErrnoException & { errors?: readonly NodeJS.ErrnoException[] }) => {
      // A name with several addresses was tried at each of them: all must refuse.
      end((error.errors ?? [error]).every(({ code }) => code === 'ECONNREFUSED'));
    });
  });
}
