/** What the clients are run against: the whole in one process, or all parts as processes of their own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';

import { freshCluster } from '../../support/cluster.js';
import { Standalone } from '../../support/standalone.js';
import { Admin } from './admin.js';
import type { ClientUser, Target } from './process-driver.js';

export const deployments = ['standalone', 'cluster'] as const;
export type DeploymentName = (typeof deployments)[number];
export const transports = ['plain', 'tls'] as const;
export type Transport = (typeof transports)[number];

export interface Deployment {
  readonly name: DeploymentName;
  /** Whether clients say who they are. */
  readonly hasUsers: boolean;
  readonly admin: Admin;
  /** One node, or two. */
  targets(transport: Transport): [Target, Target?];
  /** Kills what the clients are connected to (of several nodes the first), and starts it again. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Groups come into being on first use, topics don't: that a topic is missing is something to be told. */
const creation = ['--auto-create-topics=false', '--auto-create-groups=true'];

/** As they are started where nothing else is said: a laptop's without users, a cluster with them. */
export async function deploy(name: DeploymentName, hasUsers = name === 'cluster'): Promise<Deployment> {
  const { caFile, flags, remove } = await certificates();
  let user: ClientUser | undefined;
  const targets = (ports: readonly number[]): Deployment['targets'] => {
    return (transport) => {
      const tls = transport === 'tls';
      // An address in plain text, a name under TLS: routes are told in the same words.
      const of = (port: number): Target => ({
        endpoints: `${tls ? 'localhost' : '127.0.0.1'}:${port}`,
        tls,
        caFile,
        user,
      });
      const [first = 0, second] = ports;
      return second === undefined ? [of(first)] : [of(first), of(second)];
    };
  };
  if (name === 'standalone') {
    const server = await new Standalone().start([...creation, ...flags, ...(hasUsers ? ['--users'] : [])]);
    const admin = new Admin(`http://127.0.0.1:${server.adminPort}`);
    if (hasUsers) user = await clientUser(admin, server.dataDir);
    const restart = async (): Promise<void> => {
      await server.program.kill();
      await server.program.start();
    };
    const stop = (): Promise<void> => server.stop().finally(remove);
    return { name, hasUsers, admin, targets: targets([server.grpcPort]), restart, stop };
  }
  const cluster = await freshCluster({ flags: { namesrv: creation, proxy: flags }, users: hasUsers });
  const ports = cluster.proxies.map(({ address }) => Number(address.split(':')[1]));
  const restart = async (): Promise<void> => {
    await cluster.proxies[0]?.kill();
    await cluster.proxies[0]?.start();
  };
  const admin = new Admin(cluster.restUrl);
  if (hasUsers) user = await clientUser(admin, cluster.home);
  return {
    name,
    hasUsers,
    admin,
    targets: targets(ports),
    restart,
    stop: () => cluster.end().finally(remove),
  };
}

/** @param home where the first admin's name and secret are kept */
async function clientUser(admin: Admin, home: string): Promise<ClientUser> {
  const [name = '', secret = ''] = readFileSync(join(home, 'identity/admin'), 'utf8').trim().split(' ');
  await admin.login(name, secret);
  return admin.createClientUser('conformance');
}

/** An authority made for this run, and a certificate of the server that it has signed: some clients look. */
async function certificates(): Promise<{ caFile: string; flags: string[]; remove: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-conformance-'));
  const kind = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;
  const authority = await generate([{ name: 'commonName', value: 'conformance' }], {
    ...kind,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...kind,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const caFile = write('ca.pem', authority.cert);
  const certFile = write('server.pem', server.cert);
  const keyFile = write('server.key', server.private);
  return {
    caFile,
    flags: [`--tls-cert-file=${certFile}`, `--tls-key-file=${keyFile}`],
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
