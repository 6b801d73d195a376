import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { resolve } from 'node:path';

import { atExit } from './at-exit.js';

const startMsMax = 120_000;
/** More than one set of three members, with all that they stand on, asks for. */
const portsWanted = 40;

/** `npm run cluster` with one proxy and one broker set of so many members. */
export class ClusterProgram {
  private constructor(
    readonly port: number,
    /** Of the set's members. */
    readonly brokers: readonly number[],
    private readonly end: () => Promise<void>,
  ) {}

  /** @param flags of `npm run cluster` */
  static async start(folder: string, replicas: number, flags: readonly string[]): Promise<ClusterProgram> {
    const port = await freeRun();
    const root = resolve(process.argv[1] ?? '', '../../../..');
    const size = [`--replicas=${replicas}`, '--proxies=1', '--namesrvs=1', '--etcds=1'];
    const args = [`--port-base=${port}`, `--data-dir=${folder}`, ...size, '--auto-create', ...flags];
    const child = spawn(process.execPath, ['tools/cluster/main.ts', ...args], {
      ...{ cwd: root, stdio: ['ignore', 'pipe', 'pipe'] as const, env: process.env },
    });
    let said = '';
    const hear = (chunk: Buffer): void => void (said = (said + chunk.toString()).slice(-4000));
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const forget = atExit(() => child.kill('SIGTERM'));
    const ended = new Promise<void>((settle) => child.once('exit', () => settle(forget())));
    const fromMs = performance.now();
    while (!said.includes('is ready')) {
      if (child.exitCode !== null) throw new Error(`the cluster ended at its start:\n${said}`);
      if (performance.now() - fromMs > startMsMax) throw new Error(`the cluster was not ready:\n${said}`);
      await new Promise((settle) => setTimeout(settle, 50));
    }
    return new ClusterProgram(port, brokersBelow(child.pid ?? 0), async () => {
      child.kill('SIGTERM');
      await ended;
    });
  }

  stop(): Promise<void> {
    return this.end();
  }
}

/** Broker processes that descend from `root`. */
function brokersBelow(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const descends = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === root || descends(parent));
  };
  return [...parents.keys()].filter((pid) => {
    return descends(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('apps/broker/main.cjs');
  });
}

/** The first of a run of ports that are free now. */
async function freeRun(): Promise<number> {
  for (let first = 24_000 + (process.pid % 100) * 80; first < 60_000; first += portsWanted) {
    const free = await Promise.all(Array.from({ length: portsWanted }, (_, i) => isFree(first + i)));
    if (free.every((each) => each)) return first;
  }
  throw new Error(`there are no ${portsWanted} free ports in a row`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const server = createServer();
    server.once('error', () => settle(false));
    server.listen(port, '127.0.0.1', () => server.close(() => settle(true)));
  });
}
