/** TLS as clients are offered it: 1.2 and 1.3, with authenticated encryption and forward secrecy only. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { MqError } from '@cometmq/shared';
import type { TlsIdentity } from './tls-identity.js';

/** No suites in CBC mode, which other libraries still offer, and none without ephemeral keys. */
const ciphers = [
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':');

/** @throws MqError CONFIG where certificate and key are no matching pair */
export function secureContextOf({ certPem, keyPem, caPem }: TlsIdentity): SecureContext {
  try {
    const ca = caPem === undefined ? {} : { ca: caPem };
    const shown = certPem === '' && keyPem === '' ? {} : { cert: certPem, key: keyPem };
    return createSecureContext({ ...shown, ...ca, minVersion: 'TLSv1.2', ciphers });
  } catch (cause) {
    throw new MqError('CONFIG', 'the TLS certificate and key are no matching PEM pair', { cause });
  }
}

/** When a certificate ends, in milliseconds since 1970. @throws MqError CONFIG where it is none */
export function validUntilMs(certPem: string): number {
  try {
    return Date.parse(new X509Certificate(certPem).validTo);
  } catch (cause) {
    throw new MqError('CONFIG', 'the TLS certificate is not PEM', { cause });
  }
}
