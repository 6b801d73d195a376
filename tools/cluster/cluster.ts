/**
 * The whole system as separate processes on this machine: etcd, name servers, brokers, proxies and the dashboard API.
 * `npm run cluster` runs it for people, the end-to-end specs for themselves.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ensure } from '../debian/ensure.mjs';
import { certificateFiles, ensureCertificates, nameOfRole } from './certificates.ts';
import { portsFrom, someFreePorts, usualPorts, type Ports, type Size } from './ports.ts';
import { ClusterProcess, type Recipe } from './process.ts';

export type Role = 'namesrv' | 'broker' | 'proxy' | 'dashboard-api';

export interface ClusterOptions {
  /** Where etcd's and the brokers' data and all logs are kept; made if it is not there. */
  readonly folder: string;
  /** `usual`: the ports everybody knows; a number: the first of a run of ports; `free`: any that are free. */
  readonly ports: 'usual' | 'free' | number;
  readonly size?: Partial<Size>;
  /** More flags for all processes of a role, as they would be typed. */
  readonly flags?: Partial<Record<Role, readonly string[]>>;
  /** Whether everybody has to say who they are; the admin's name and secret are in the folder `identity` then. */
  readonly users?: boolean;
  /** Whether its processes talk to one another and to etcd in plain text, without certificates; default: no. */
  readonly plainText?: boolean;
  /** True where a terminal's Ctrl-C must not reach the processes but through `stop`. */
  readonly ownGroup?: boolean;
  /** Asked for each port that others of the cluster call: gives the port they shall call instead. */
  readonly door?: (name: string, port: number) => Promise<number>;
  /** More of the surroundings of a process; there is nothing but a PATH else. */
  readonly env?: (name: string) => Readonly<Record<string, string>>;
}

/**
 * Two name servers and two proxies, so that each can be missing; one broker set of one member. Where sets have several
 * members, three of etcd and of the name servers, so that any process can be missing.
 */
export function sizeOf(size: Partial<Size> = {}): Size {
  const [etcds, namesrvs] = (size.replicas ?? 1) > 1 ? [3, 3] : [1, 2];
  return { etcds, namesrvs, sets: 1, replicas: 1, proxies: 2, ...size };
}

export class Cluster {
  readonly etcds: readonly ClusterProcess[];
  readonly namesrvs: readonly ClusterProcess[];
  /** Of all sets. */
  readonly brokers: readonly ClusterProcess[];
  /** The members of each broker set. */
  readonly sets: readonly (readonly ClusterProcess[])[];
  readonly proxies: readonly ClusterProcess[];
  readonly dashboardApi: ClusterProcess;
  private readonly folder: string;
  private readonly plainText: boolean;
  private stopped = false;

  /** Starts nothing yet. */
  constructor(options: Omit<ClusterOptions, 'ports' | 'size'>, ports: Ports, size: Size, called: Ports = ports) {
    const recipes = recipesOf(options, ports, called, size);
    const make = (list: readonly Recipe[]): ClusterProcess[] => list.map((recipe) => new ClusterProcess(recipe));
    this.folder = options.folder;
    this.plainText = options.plainText === true;
    this.etcds = make(recipes.etcds);
    this.namesrvs = make(recipes.namesrvs);
    this.brokers = make(recipes.brokers);
    this.sets = Array.from({ length: size.sets }, (_, set) =>
      this.brokers.slice(set * size.replicas, (set + 1) * size.replicas),
    );
    this.proxies = make(recipes.proxies);
    this.dashboardApi = new ClusterProcess(recipes.dashboardApi);
  }

  /** The first one. */
  get etcd(): ClusterProcess {
    return this.etcds[0] as ClusterProcess;
  }

  /** In the order they stand on one another. */
  get processes(): readonly ClusterProcess[] {
    return [...this.etcds, ...this.namesrvs, ...this.brokers, ...this.proxies, this.dashboardApi];
  }

  /** The base URL of the REST API. */
  get restUrl(): string {
    return `http://${this.dashboardApi.address}`;
  }

  /** Starts all, and returns when all are ready. Those that stand on others wait for them by themselves. */
  async start(): Promise<void> {
    mkdirSync(join(this.folder, 'logs'), { recursive: true });
    this.stopped = false;
    if (!this.plainText) await ensureCertificates(this.folder);
    try {
      await launched(this.etcds);
      if (this.stopped) throw new Error('stopped before it was ready');
      await launched(this.processes.slice(this.etcds.length));
    } catch (caught) {
      await this.stop();
      throw caught;
    }
  }

  /** Stops all, front door first. @returns the names of those that had to be killed */
  async stop(): Promise<string[]> {
    this.stopped = true;
    const killed: string[] = [];
    const stop = async (list: readonly ClusterProcess[]): Promise<void> => {
      await Promise.all(list.map(async (process) => ((await process.stop()) ? killed.push(process.name) : 0)));
    };
    await stop([this.dashboardApi, ...this.proxies]);
    await stop(this.brokers);
    await stop(this.namesrvs);
    await stop(this.etcds);
    return killed;
  }
}

async function launched(processes: readonly ClusterProcess[]): Promise<void> {
  for (const process of processes) process.launch();
  await Promise.all(processes.map((process) => process.ready(readyMsMax)));
}

/** A cluster that is ready for use. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const cluster = await makeCluster(options);
  await cluster.start();
  return cluster;
}

export async function makeCluster(options: ClusterOptions): Promise<Cluster> {
  const size = sizeOf(options.size);
  const ports = await portsOfCluster(options.ports, size);
  const { door } = options;
  return new Cluster(options, ports, size, door ? await called(ports, size, door) : ports);
}

async function portsOfCluster(ports: ClusterOptions['ports'], size: Size): Promise<Ports> {
  if (ports === 'free') return someFreePorts(size);
  return ports === 'usual' ? usualPorts(size) : portsFrom(ports, size);
}

/** The ports that processes call each other by, where something stands between them. */
async function called(ports: Ports, size: Size, door: NonNullable<ClusterOptions['door']>): Promise<Ports> {
  const doors = (list: readonly number[], nameOf: (i: number) => string): Promise<number[]> =>
    Promise.all(list.map((port, i) => door(nameOf(i), port)));
  const etcds = etcdNames(size.etcds);
  return {
    ...ports,
    etcdClients: await doors(ports.etcdClients, (i) => etcds[i] ?? ''),
    etcdPeers: await doors(ports.etcdPeers, (i) => etcds[i] ?? ''),
    namesrvs: await doors(ports.namesrvs, (i) => `namesrv-${i}`),
    brokers: await doors(ports.brokers, (i) =>
      memberName(Math.floor(i / size.replicas), i % size.replicas, size.replicas),
    ),
  };
}

interface Recipes {
  readonly etcds: readonly Recipe[];
  readonly namesrvs: readonly Recipe[];
  readonly brokers: readonly Recipe[];
  readonly proxies: readonly Recipe[];
  readonly dashboardApi: Recipe;
}

const host = '127.0.0.1';
const auditBytesMax = String(64 * 1024 * 1024);
/** A machine that has much else to do starts a dozen processes slowly. */
const readyMsMax = 120_000;

/** `etcd`, or `etcd-0`, `etcd-1`, … where there are several. */
export function etcdNames(etcds: number): string[] {
  return etcds === 1 ? ['etcd'] : Array.from({ length: etcds }, (_, i) => `etcd-${i}`);
}

/** The place of a member in its set: `broker-0` where it is alone, else `broker-0-a`, `broker-0-b`, … */
export function memberName(set: number, member: number, replicas: number): string {
  return replicas === 1 ? `broker-${set}` : `broker-${set}-${String.fromCharCode(97 + member)}`;
}

function recipesOf(
  options: Omit<ClusterOptions, 'ports' | 'size'>,
  ports: Ports,
  called: Ports,
  { replicas }: Size,
): Recipes {
  const { folder, flags = {}, ownGroup = false, users = false, plainText = false, env = () => ({}) } = options;
  const root = rootFolder();
  const watch = [...ports.watch];
  const namesrvAddresses = called.namesrvs.map((port) => `${host}:${port}`).join(',');
  const logFile = (name: string): string => join(folder, 'logs', `${name}.log`);
  const ours = (role: Role, name: string, port: number, own: Readonly<Record<string, string>>): Recipe => {
    const watchPort = watch.shift() ?? 0;
    const { ca, cert, key } = certificateFiles(folder, role);
    const tls = { 'internal-tls-ca-file': ca, 'internal-tls-cert-file': cert, 'internal-tls-key-file': key };
    const all = { ...own, ...(!plainText && tls), 'metrics-host': host, 'metrics-port': watchPort };
    return {
      name,
      address: `${host}:${port}`,
      // Started by `npm run`, this process need not be the Node.js that the project brings with it.
      file: process.env['COMET_NODE'] ?? process.execPath,
      args: [join(root, 'dist/apps', role, 'main.cjs'), ...asFlags(all), ...(flags[role] ?? [])],
      readyUrl: `http://${host}:${watchPort}/readyz`,
      logFile: logFile(name),
      ownGroup,
      env: env(name),
    };
  };
  const names = etcdNames(ports.etcdClients.length);
  const scheme = plainText ? 'http' : 'https';
  const clientUrl = (i: number, of = ports): string => `${scheme}://${host}:${of.etcdClients[i]}`;
  const peerUrl = (i: number, of = called): string => `${scheme}://${host}:${of.etcdPeers[i]}`;
  const ofEtcd = certificateFiles(folder, 'etcd');
  const etcdTls = {
    ...{ 'cert-file': ofEtcd.cert, 'key-file': ofEtcd.key, 'trusted-ca-file': ofEtcd.ca, 'client-cert-auth': 'true' },
    ...{ 'peer-cert-file': ofEtcd.cert, 'peer-key-file': ofEtcd.key, 'peer-trusted-ca-file': ofEtcd.ca },
    'peer-client-cert-auth': 'true',
    // A certificate of the cluster's is not enough: the metadata are the name servers' alone.
    'client-cert-allowed-hostname': nameOfRole('namesrv'),
    'peer-cert-allowed-hostname': nameOfRole('etcd'),
  };
  const toEtcd = certificateFiles(folder, 'namesrv');
  const namesrvTls = { 'etcd-ca-file': toEtcd.ca, 'etcd-cert-file': toEtcd.cert, 'etcd-key-file': toEtcd.key };
  const namesrvAtEtcd = plainText ? {} : { ...namesrvTls, 'etcd-root-password-file': etcdRootPasswordFile(folder) };
  const etcdUrl = names.map((_, i) => clientUrl(i, called)).join(',');
  const files = users ? identityFiles(folder) : undefined;
  const identity: Readonly<Record<string, string>> = files
    ? { 'secret-key-file': files.keys, 'admin-secret-file': files.admin }
    : { insecure: 'true' };
  const auditOf = (name: string): Readonly<Record<string, string>> =>
    users ? { 'audit-file': join(folder, 'audit', `${name}.jsonl`), 'audit-file-bytes-max': auditBytesMax } : {};
  return {
    etcds: names.map((name, i) => ({
      name,
      address: `${host}:${ports.etcdClients[i]}`,
      file: ensure('etcd', 'etcd-server'),
      args: asFlags({
        name,
        'data-dir': join(folder, name),
        'listen-client-urls': clientUrl(i),
        'advertise-client-urls': clientUrl(i, called),
        'listen-peer-urls': peerUrl(i, ports),
        'initial-advertise-peer-urls': peerUrl(i),
        'initial-cluster': names.map((each, j) => `${each}=${peerUrl(j)}`).join(','),
        logger: 'zap',
        'log-level': 'warn',
        ...(!plainText && etcdTls),
      }),
      readyUrl: `${clientUrl(i)}/health`,
      ...(!plainText && { readyTls: toEtcd }),
      logFile: logFile(name),
      ownGroup,
      env: env(name),
    })),
    namesrvs: ports.namesrvs.map((port, i) =>
      ours('namesrv', `namesrv-${i}`, port, {
        host,
        port: String(port),
        'etcd-endpoints': etcdUrl,
        ...namesrvAtEtcd,
      }),
    ),
    brokers: ports.brokers.map((port, i) => {
      const set = Math.floor(i / replicas);
      const name = memberName(set, i % replicas, replicas);
      const address = `${host}:${called.brokers[i]}`;
      return {
        ...ours('broker', name, port, {
          host,
          port: String(port),
          'broker-name': `broker-${set}`,
          ...(replicas > 1 && { 'member-name': name, 'members-wanted': String(replicas) }),
          'data-dir': join(folder, name),
          'advertised-address': address,
          'namesrv-addresses': namesrvAddresses,
        }),
        address,
      };
    }),
    proxies: ports.proxies.map((port, i) =>
      ours('proxy', `proxy-${i}`, port, {
        'proxy-host': host,
        'proxy-port': String(port),
        'namesrv-addresses': namesrvAddresses,
        ...identity,
        ...auditOf(`proxy-${i}`),
      }),
    ),
    dashboardApi: ours('dashboard-api', 'dashboard-api', ports.dashboardApi, {
      'admin-host': host,
      'admin-port': String(ports.dashboardApi),
      'namesrv-addresses': namesrvAddresses,
      ...identity,
      ...auditOf('dashboard-api'),
    }),
  };
}

/** Made once, and kept with the data: the key file of users' secrets, and the first admin. */
export function identityFiles(folder: string): {
  readonly keys: string;
  readonly admin: string;
  readonly isNew: boolean;
} {
  const [keys, admin] = [join(folder, 'identity/keys'), join(folder, 'identity/admin')];
  const isNew = !existsSync(keys);
  if (isNew) {
    mkdirSync(dirname(keys), { recursive: true, mode: 0o700 });
    const secret = randomBytes(64)
      .toString('base64')
      .replace(/[^a-zA-Z0-9]/g, '')
      .slice(0, 40);
    writeFileSync(admin, `admin ${secret}\n`, { mode: 0o600 });
    writeFileSync(keys, `k1 ${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  }
  return { keys, admin, isNew };
}

/** Made once, and kept with the data: the password of root in etcd. */
export function etcdRootPasswordFile(folder: string): string {
  const file = join(folder, 'identity/etcd-root');
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  }
  return file;
}

function asFlags(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}

/** Where the repository begins, seen from this source or from a bundle it is part of. */
export function rootFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package-lock.json'))) {
    const above = dirname(folder);
    if (above === folder) throw new Error(`${import.meta.dirname} is in no copy of the repository`);
    folder = above;
  }
  return folder;
}
