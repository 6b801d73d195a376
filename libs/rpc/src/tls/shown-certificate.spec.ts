// Goal: when a certificate ends is seen from outside, whoever signed it; who shows none is told apart. Method: real sockets.
import { createServer as createPlain } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:tls';

import { systemClock as clock } from '@cometmq/shared';

import { shownCertificateUntilMs } from './shown-certificate.js';
import { selfSignedIdentity } from './tls-identity.js';

const listening = async (server: Server): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

it('sees when it ends, also where clients must show one too, and trusts nobody for it', async () => {
  const { certPem: cert, keyPem: key } = await selfSignedIdentity(clock.wallMs());
  for (const requestCert of [false, true]) {
    const server = createServer({ cert, key, requestCert, rejectUnauthorized: requestCert });
    server.on('tlsClientError', () => undefined);
    const untilMs = await shownCertificateUntilMs(await listening(server), 30_000, clock);
    expect(untilMs).toBeGreaterThan(clock.wallMs());
    await new Promise((resolve) => server.close(resolve));
  }
});

it('knows nothing of who speaks no TLS, is not there, or has no address', async () => {
  const plain = createPlain((socket) =>
    socket
      .on('error', () => undefined)
      .resume()
      .end('hello\n'),
  );
  const address = await listening(plain);
  expect(await shownCertificateUntilMs(address, 30_000, clock)).toBeUndefined();
  await new Promise((resolve) => plain.close(resolve));
  expect(await shownCertificateUntilMs(address, 30_000, clock)).toBeUndefined();
  expect(await shownCertificateUntilMs('nowhere', 30_000, clock)).toBeUndefined();
  const silent = createPlain((socket) => socket.on('error', () => undefined).resume());
  expect(await shownCertificateUntilMs(await listening(silent), 50, clock)).toBeUndefined();
  silent.close();
});
