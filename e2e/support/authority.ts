import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from 'selfsigned';

/** A certificate authority of a test's own, and a server's certificate from it, as PEM files. */
export interface Certified {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export async function certify(folder: string, host = 'localhost'): Promise<Certified> {
  const ec = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;
  const ca = await generate([{ name: 'commonName', value: 'test authority' }], {
    ...ec,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: host }], {
    ...ec,
    ca: { key: ca.private, cert: ca.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: host }] },
    ],
  });
  const write = (name: string, pem: string): string => {
    const file = join(folder, name);
    writeFileSync(file, pem);
    return file;
  };
  return {
    caFile: write('ca.pem', ca.cert),
    certFile: write('server.pem', server.cert),
    keyFile: write('server.key.pem', server.private),
  };
}
