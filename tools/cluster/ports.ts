/**
 * Which process listens where. Free ports are taken from below the range that outgoing connections get theirs from:
 * else a client that knocks at the port of a server that is down may be given that very port, and talk to itself.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** The ports of a cluster, one list a role, one entry a process. */
export interface Ports {
  readonly etcdClients: readonly number[];
  readonly etcdPeers: readonly number[];
  readonly namesrvs: readonly number[];
  /** Members of the first broker set, then those of the next. */
  readonly brokers: readonly number[];
  readonly proxies: readonly number[];
  readonly dashboardApi: number;
  /** Of /metrics, /healthz and /readyz: name servers, brokers, proxies, dashboard API, in this order. */
  readonly watch: readonly number[];
}

export interface Size {
  readonly etcds: number;
  readonly namesrvs: number;
  /** Broker sets, and the members of each. */
  readonly sets: number;
  readonly replicas: number;
  readonly proxies: number;
}

/** The ports everybody knows, each counted up for the further processes of a role. 8082 is the dashboard's. */
export function usualPorts({ etcds, namesrvs, sets, replicas, proxies }: Size): Ports {
  const brokers = sets * replicas;
  return {
    etcdClients: counted(2379, etcds, 2),
    etcdPeers: counted(2380, etcds, 2),
    namesrvs: counted(9876, namesrvs),
    brokers: counted(10_911, brokers),
    proxies: [8081, ...counted(8083, proxies - 1)],
    dashboardApi: 8082,
    watch: counted(5557, namesrvs + brokers + proxies + 1),
  };
}

/** One port after the other. */
export function portsFrom(base: number, size: Size): Ports {
  return dealt(size, counted(base, portsOf(size)));
}

/** Ports that nobody listens on now. */
export async function someFreePorts(size: Size): Promise<Ports> {
  return dealt(size, await freePorts(portsOf(size)));
}

export function portsOf({ etcds, namesrvs, sets, replicas, proxies }: Size): number {
  return 2 * (1 + etcds + namesrvs + sets * replicas + proxies);
}

/**
 * Ports are taken from blocks that belong to one process each, for as long as it lives: it listens on the first port of a
 * block. So two clusters that start at the same time do not get the same ones between the look and the start.
 */
const block = { size: 64, first: 10_000, count: 312 };
let left: number[] = [];

/** So many ports of 127.0.0.1 that nobody listens on now, no two of them the same, and none that was given before. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = left.shift();
    if (port === undefined) left = await freshBlock();
    else if (await isFree(port)) ports.push(port);
  }
  return ports;
}

async function freshBlock(): Promise<number[]> {
  for (;;) {
    const first = block.first + block.size * Math.floor(Math.random() * block.count);
    const mark = await listen(first);
    if (mark === undefined) continue;
    mark.unref();
    return counted(first + 1, block.size - 1);
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

async function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined; // Taken: another will do.
  }
}

function dealt(size: Size, ports: readonly number[]): Ports {
  const left = [...ports];
  const take = (count: number): number[] => left.splice(0, count);
  return {
    proxies: take(size.proxies),
    dashboardApi: take(1)[0] ?? 0,
    namesrvs: take(size.namesrvs),
    brokers: take(size.sets * size.replicas),
    etcdClients: take(size.etcds),
    etcdPeers: take(size.etcds),
    watch: left,
  };
}

function counted(first: number, count: number, step = 1): number[] {
  return Array.from({ length: Math.max(0, count) }, (_, i) => first + step * i);
}
