import { connect } from 'node:tls';

import { hostAndPort, type Clock } from '@cometmq/shared';

/**
 * When the certificate ends that is shown at `host:port`, in milliseconds since 1970. Undefined: nobody shows one there
 * within `msMax`. It is looked at, not trusted: nothing is said to whoever shows it.
 */
export function shownCertificateUntilMs(address: string, msMax: number, clock: Clock): Promise<number | undefined> {
  const at = hostAndPort(address);
  if (at === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const isName = !/^[\d.]+$|:/.test(at.host);
    const socket = connect({
      ...at,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1'],
      ...(isName && { servername: at.host }),
    });
    const end = (untilMs: number | undefined): void => {
      timer.cancel();
      socket.destroy();
      resolve(untilMs);
    };
    const timer = clock.after(msMax, () => end(undefined));
    socket.on('secureConnect', () => {
      const untilMs = Date.parse(socket.getPeerCertificate().valid_to);
      end(Number.isFinite(untilMs) ? untilMs : undefined);
    });
    socket.on('error', () => end(undefined));
    socket.on('close', () => end(undefined));
  });
}
