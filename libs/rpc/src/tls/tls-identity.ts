/** Who a server says it is under TLS. */
import { generate } from 'selfsigned';

export interface TlsIdentity {
  /** The certificate, and those between it and its authority, as PEM. */
  readonly certPem: string;
  readonly keyPem: string;
  /** Of mutual TLS: the authorities whose word is taken for others, as PEM. */
  readonly caPem?: string;
}

const validMs = 10 * 365 * 24 * 3_600_000;

/**
 * A certificate nobody vouches for (P-256), as RocketMQ's own proxy makes one when it is given none. The official
 * Java, Go, C++ and C# clients accept any certificate; the others need a real one, or plain text.
 */
export async function selfSignedIdentity(
  wallMs: number,
  hosts: readonly string[] = ['localhost'],
): Promise<TlsIdentity> {
  const made = await generate([{ name: 'commonName', value: hosts[0] ?? 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(wallMs - 24 * 3_600_000), // Clocks differ.
    notAfterDate: new Date(wallMs + validMs),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [...hosts.map((value) => ({ type: 2 as const, value })), { type: 7, ip: '127.0.0.1' }],
      },
    ],
  });
  return { certPem: made.cert, keyPem: made.private };
}
