/**
 * A certificate authority of one's own, for clusters on one machine and for specs. P-256 throughout. A door of its own, which
 * imports nothing of ours: programs that are not bundled use it, too.
 */
import { generate } from 'selfsigned';

export interface Certified {
  readonly certPem: string;
  readonly keyPem: string;
}

const kind = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;
const day = 24 * 3_600_000;

/** @param wallMs now */
export async function newAuthority(name: string, wallMs: number): Promise<Certified> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
    ...kind,
    notBeforeDate: new Date(wallMs - day), // Clocks differ.
    notAfterDate: new Date(wallMs + 10 * 365 * day),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { certPem: cert, keyPem: key };
}

export interface Wanted {
  /** DNS names; the first is the common name too. */
  readonly names: readonly string[];
  readonly addresses?: readonly string[];
  readonly wallMs: number;
  readonly validMs?: number;
}

/** A certificate for a server and for a client. */
export async function certifiedBy(
  { certPem, keyPem }: Certified,
  { names, addresses = [], wallMs, validMs = 10 * 365 * day }: Wanted,
): Promise<Certified> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: names[0] ?? 'nobody' }], {
    ...kind,
    ca: { cert: certPem, key: keyPem },
    notBeforeDate: new Date(wallMs - day),
    notAfterDate: new Date(wallMs + validMs),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...names.map((value) => ({ type: 2 as const, value })),
          ...addresses.map((ip) => ({ type: 7 as const, ip })),
        ],
      },
    ],
  });
  return { certPem: cert, keyPem: key };
}
