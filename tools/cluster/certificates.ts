/**
 * Certificates of a cluster on this machine, made at its first start and kept with its data: an authority, a certificate for each
 * role that names it, and one for etcd.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { certifiedBy, newAuthority, type Certified } from '@cometmq/rpc/authority';

export const certifiedRoles = ['namesrv', 'broker', 'proxy', 'dashboard-api', 'etcd'] as const;
export type CertifiedRole = (typeof certifiedRoles)[number];

/** PEM files. */
export interface CertificateFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const folderName = 'certificates';

export const nameOfRole = (role: CertifiedRole): string => `${role}.cometmq.internal`;

/** Where they are, made or not. */
export function certificateFiles(folder: string, role: CertifiedRole | 'ca'): CertificateFiles {
  const file = (name: string): string => join(folder, folderName, name);
  return { ca: file('ca.pem'), cert: file(`${role}.pem`), key: file(`${role}.key`) };
}

/** Makes what is not there yet. */
export async function ensureCertificates(folder: string): Promise<void> {
  mkdirSync(join(folder, folderName), { recursive: true, mode: 0o700 });
  const authority = certificateFiles(folder, 'ca');
  const wallMs = Date.now();
  if (!existsSync(authority.cert)) write(authority, await newAuthority('CometMQ cluster', wallMs));
  const signer = read(authority);
  const missing = certifiedRoles.filter((role) => !existsSync(certificateFiles(folder, role).cert));
  await Promise.all(missing.map((role) => certify(folder, role, signer)));
}

/** A new certificate in the place of the one that is there. */
export function renewCertificate(folder: string, role: CertifiedRole): Promise<void> {
  return certify(folder, role, read(certificateFiles(folder, 'ca')));
}

async function certify(folder: string, role: CertifiedRole, signer: Certified): Promise<void> {
  const names = [nameOfRole(role), 'localhost'];
  const made = await certifiedBy(signer, { names, addresses: ['127.0.0.1'], wallMs: Date.now() });
  write(certificateFiles(folder, role), made);
}

function write({ cert, key }: CertificateFiles, { certPem, keyPem }: Certified): void {
  writeFileSync(key, keyPem, { mode: 0o600 });
  writeFileSync(cert, certPem);
}

function read({ cert, key }: CertificateFiles): Certified {
  return { certPem: readFileSync(cert, 'utf8'), keyPem: readFileSync(key, 'utf8') };
}
