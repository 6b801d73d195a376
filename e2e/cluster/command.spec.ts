// Goal: `npm run cluster` says where everything is, ends with the one who asks, and tells who died. Method: the program
// itself, on ports of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { rootFolder } from '../../tools/cluster/cluster.ts';
import { freePorts } from '../../tools/cluster/ports.ts';
import { begunOf } from '../../tools/cluster/remains.ts';
import { freshCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

describe('npm run cluster', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-command-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const small = ['--proxies', '1', '--namesrvs', '1'];

  function command(...args: string[]) {
    const program = join(rootFolder(), 'tools/cluster/main.ts');
    const child = spawn(process.execPath, [program, '--data-dir', folder, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { out: '', err: '' };
    child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
    const ended = once(child, 'close').then(([code]) => code as number);
    const ready = () =>
      until('the cluster', () => {
        if (child.exitCode !== null) throw new Error(said.err);
        return said.out.includes('CometMQ is ready');
      });
    return { child, said, ended, ready };
  }

  /** The first of ten ports in a row that nobody listens on. */
  async function portBase(): Promise<string> {
    for (;;) {
      const [base = 0] = await freePorts(1);
      const servers = Array.from({ length: 10 }, (_, i) => createServer().listen(base + i, '127.0.0.1'));
      const free = await Promise.all(servers.map((server) => once(server, 'listening'))).then(
        () => true,
        () => false,
      );
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
      if (free) return String(base);
    }
  }

  const noted = (): { name: string; pid: number }[] =>
    JSON.parse(readFileSync(join(folder, 'processes.json'), 'utf8')) as { name: string; pid: number }[];

  it('runs until it is asked to stop, and not twice on one folder', async () => {
    const base = await portBase();
    const first = command('--port-base', base, ...small);
    await first.ready();
    expect(first.said.out).toContain(`clients          127.0.0.1:${base}\n`);
    expect(noted().map(({ name }) => name)).toEqual(['etcd', 'namesrv-0', 'broker-0', 'proxy-0', 'dashboard-api']);
    const second = command('--port-base', base, ...small);
    expect(await second.ended).toBe(1);
    expect(second.said.err).toContain('is in use by etcd');
    first.child.kill('SIGINT');
    expect(await first.ended).toBe(0);
    expect(noted()).toEqual([]);
  });

  it('brings back what an etcd held that was lost', async () => {
    const base = await portBase();
    rmSync(join(folder, 'etcd'), { recursive: true });
    const refused = command('--port-base', base, ...small);
    expect(await refused.ended).toBe(1);
    expect(refused.said.err).toContain('--adopt-metadata');
    const adopting = command('--port-base', base, ...small, '--adopt-metadata');
    await adopting.ready();
    adopting.child.kill('SIGINT');
    expect(await adopting.ended).toBe(0);
  });

  it('says who died and of what, and stops the others', async () => {
    const { said, ended, ready } = command('--port-base', await portBase(), ...small);
    await ready();
    const processes = noted();
    process.kill(processes.find(({ name }) => name === 'proxy-0')?.pid ?? 0, 'SIGKILL');
    expect(await ended).toBe(1);
    expect(said.err).toContain('proxy-0 died of SIGKILL\n');
    for (const { pid } of processes) expect(begunOf(pid)).toBeUndefined();
  });

  it('leaves nothing behind when it is asked twice, though one Ctrl-C arrives twice', async () => {
    const { child, said, ended, ready } = command('--port-base', await portBase(), ...small);
    await ready();
    const processes = noted();
    // One that does not stop by itself.
    process.kill(processes.find(({ name }) => name === 'proxy-0')?.pid ?? 0, 'SIGSTOP');
    child.kill('SIGINT');
    child.kill('SIGINT');
    await until('it stops', () => said.err.includes('stopping'));
    await until('asked again', () => {
      child.kill('SIGINT');
      return said.err.includes('killed');
    });
    expect(await ended).toBe(130);
    await until('nothing is left', () => processes.every(({ pid }) => begunOf(pid) === undefined));
  });

  it('leaves nothing behind when it is killed, and deletes the data', async () => {
    const { child, ended, ready } = command('--port-base', await portBase(), ...small);
    await ready();
    const processes = noted();
    child.kill('SIGKILL');
    await ended;
    await until('nothing is left', () => processes.every(({ pid }) => begunOf(pid) === undefined), 30_000);
    const down = command('--tear-down');
    expect(await down.ended).toBe(0);
    for (const { pid } of processes) expect(begunOf(pid)).toBeUndefined();
    expect(existsSync(folder)).toBe(false);
  });

  it.each([
    ['--port-bas', '1'],
    ['--port-base', 'high'],
    ['--brokers', '0'],
  ])('refuses %s %s with exit code 2', async (...args) => {
    const { said, ended } = command(...args);
    expect(await ended).toBe(2);
    expect(said.err).toContain(args[0]);
  });
});

it('a cluster of a test that can not start leaves no folder behind', async () => {
  const own = mkdtempSync(join(tmpdir(), 'cometmq-fresh-'));
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = own;
  try {
    const size = { etcds: 1, namesrvs: 1, proxies: 0 };
    const refuse = (): void => {
      throw new Error('not this one');
    };
    await expect(freshCluster({ size }, refuse)).rejects.toThrow('not this one');
    await expect(freshCluster({ size, flags: { namesrv: ['--no-such-setting=1'] } })).rejects.toThrow();
    expect(readdirSync(own)).toEqual([]);
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
    rmSync(own, { recursive: true, force: true });
  }
}, 120_000);
