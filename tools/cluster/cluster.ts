/**
 * The whole system as separate processes on this machine: etcd, name servers, brokers, proxies and the dashboard API.
 * `npm run cluster` runs it for people, the end-to-end specs for themselves.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ensure } from '../debian/ensure.mjs';
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
  /** True where a terminal's Ctrl-C must not reach the processes but through `stop`. */
  readonly ownGroup?: boolean;
}

/** Two name servers and two proxies, so that each can be missing; one broker set. */
const usualSize: Size = { namesrvs: 2, brokers: 1, proxies: 2 };

export class Cluster {
  readonly etcd: ClusterProcess;
  readonly namesrvs: readonly ClusterProcess[];
  readonly brokers: readonly ClusterProcess[];
  readonly proxies: readonly ClusterProcess[];
  readonly dashboardApi: ClusterProcess;
  private readonly folder: string;
  private stopped = false;

  /** Starts nothing yet. */
  constructor(options: Omit<ClusterOptions, 'ports'>, ports: Ports) {
    const recipes = recipesOf(options, ports);
    const make = (list: readonly Recipe[]): ClusterProcess[] => list.map((recipe) => new ClusterProcess(recipe));
    this.folder = options.folder;
    this.etcd = new ClusterProcess(recipes.etcd);
    this.namesrvs = make(recipes.namesrvs);
    this.brokers = make(recipes.brokers);
    this.proxies = make(recipes.proxies);
    this.dashboardApi = new ClusterProcess(recipes.dashboardApi);
  }

  /** In the order they stand on one another. */
  get processes(): readonly ClusterProcess[] {
    return [this.etcd, ...this.namesrvs, ...this.brokers, ...this.proxies, this.dashboardApi];
  }

  /** The base URL of the REST API. */
  get restUrl(): string {
    return `http://${this.dashboardApi.address}`;
  }

  /** Starts all, and returns when all are ready. Those that stand on others wait for them by themselves. */
  async start(): Promise<void> {
    mkdirSync(join(this.folder, 'logs'), { recursive: true });
    this.stopped = false;
    try {
      await this.etcd.start();
      if (this.stopped) throw new Error('stopped before it was ready');
      const ours = this.processes.slice(1);
      for (const process of ours) process.launch();
      await Promise.all(ours.map((process) => process.ready()));
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
    await stop([this.etcd]);
    return killed;
  }
}

/** A cluster that is ready for use. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const cluster = await makeCluster(options);
  await cluster.start();
  return cluster;
}

export async function makeCluster(options: ClusterOptions): Promise<Cluster> {
  const size = { ...usualSize, ...options.size };
  const { ports } = options;
  if (ports === 'free') return new Cluster(options, await someFreePorts(size));
  return new Cluster(options, ports === 'usual' ? usualPorts(size) : portsFrom(ports, size));
}

interface Recipes {
  readonly etcd: Recipe;
  readonly namesrvs: readonly Recipe[];
  readonly brokers: readonly Recipe[];
  readonly proxies: readonly Recipe[];
  readonly dashboardApi: Recipe;
}

const host = '127.0.0.1';

function recipesOf({ folder, flags = {}, ownGroup = false }: Omit<ClusterOptions, 'ports'>, ports: Ports): Recipes {
  const root = rootFolder();
  const watch = [...ports.watch];
  const namesrvAddresses = ports.namesrvs.map((port) => `${host}:${port}`).join(',');
  const logFile = (name: string): string => join(folder, 'logs', `${name}.log`);
  const ours = (role: Role, name: string, port: number, own: Readonly<Record<string, string>>): Recipe => {
    const watchPort = watch.shift() ?? 0;
    const all = { ...own, 'metrics-host': host, 'metrics-port': watchPort };
    return {
      name,
      address: `${host}:${port}`,
      // Started by `npm run`, this process need not be the Node.js that the project brings with it.
      file: process.env['COMET_NODE'] ?? process.execPath,
      args: [join(root, 'dist/apps', role, 'main.cjs'), ...asFlags(all), ...(flags[role] ?? [])],
      readyUrl: `http://${host}:${watchPort}/readyz`,
      logFile: logFile(name),
      ownGroup,
    };
  };
  const etcdUrl = `http://${host}:${ports.etcdClient}`;
  const peerUrl = `http://${host}:${ports.etcdPeer}`;
  return {
    etcd: {
      name: 'etcd',
      address: `${host}:${ports.etcdClient}`,
      file: ensure('etcd', 'etcd-server'),
      args: asFlags({
        name: 'etcd',
        'data-dir': join(folder, 'etcd'),
        'listen-client-urls': etcdUrl,
        'advertise-client-urls': etcdUrl,
        'listen-peer-urls': peerUrl,
        'initial-advertise-peer-urls': peerUrl,
        'initial-cluster': `etcd=${peerUrl}`,
        logger: 'zap',
        'log-level': 'warn',
      }),
      readyUrl: `${etcdUrl}/health`,
      logFile: logFile('etcd'),
      ownGroup,
    },
    namesrvs: ports.namesrvs.map((port, i) =>
      ours('namesrv', `namesrv-${i}`, port, { host, port: String(port), 'etcd-endpoints': etcdUrl }),
    ),
    brokers: ports.brokers.map((port, i) =>
      ours('broker', `broker-${i}`, port, {
        host,
        port: String(port),
        'broker-name': `broker-${i}`,
        'data-dir': join(folder, `broker-${i}`),
        'advertised-address': `${host}:${port}`,
        'namesrv-addresses': namesrvAddresses,
      }),
    ),
    proxies: ports.proxies.map((port, i) =>
      ours('proxy', `proxy-${i}`, port, {
        'proxy-host': host,
        'proxy-port': String(port),
        'namesrv-addresses': namesrvAddresses,
      }),
    ),
    dashboardApi: ours('dashboard-api', 'dashboard-api', ports.dashboardApi, {
      'admin-host': host,
      'admin-port': String(ports.dashboardApi),
      'namesrv-addresses': namesrvAddresses,
    }),
  };
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
