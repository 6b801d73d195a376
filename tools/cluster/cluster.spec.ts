// Goal: the processes are told of one another, nobody's port is another's. Method: the commands, before anything runs.
import { mkdtempSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePorts, portsFrom, portsOf, usualPorts, type Ports } from './ports.ts';
import { deleteData, noteProcesses, otherEtcds, running, stopRunning } from './remains.ts';

const all = (ports: Ports): number[] => Object.values(ports).flat() as number[];

describe('the ports of a cluster', () => {
  const size = { etcds: 3, namesrvs: 3, sets: 2, replicas: 3, proxies: 4 };

  it.each([
    ['the usual ones', usualPorts(size)],
    ['a run of ports', portsFrom(21_000, size)],
  ])('%s: one for each process and purpose, no two the same', (_, ports) => {
    expect(all(ports)).toHaveLength(portsOf(size));
    expect(new Set(all(ports)).size).toBe(portsOf(size));
    expect(ports.watch).toHaveLength(3 + 2 * 3 + 4 + 1);
  });

  it('a run of ports begins with what clients are told', () => {
    const ports = portsFrom(21_000, size);
    expect([...ports.proxies, ports.dashboardApi]).toEqual([21_000, 21_001, 21_002, 21_003, 21_004]);
    expect(Math.max(...all(ports))).toBe(21_000 + portsOf(size) - 1);
  });

  it('free ones can be listened on, all at once', async () => {
    const ports = await freePorts(20);
    expect(new Set(ports).size).toBe(20);
    const servers = ports.map((port) => createServer().listen(port, '127.0.0.1'));
    await Promise.all(servers.map((server) => once(server, 'listening')));
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  });
});

it('two processes that look for ports at the same time get them from different blocks', async () => {
  const blocks = async (): Promise<Set<number>> => {
    let made: typeof freePorts = freePorts;
    await jest.isolateModulesAsync(async () => void ({ freePorts: made } = await import('./ports.ts')));
    return new Set((await made(30)).map((port) => Math.floor((port - 10_000) / 64)));
  };
  const [one, other] = [await blocks(), await blocks()]; // The first one's ports are not listened on yet.
  expect([...one].filter((block) => other.has(block))).toEqual([]);
});

describe('what a cluster leaves', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'cometmq-cluster-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is found again and stopped, and a process that is none of ours is left alone', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'], { stdio: 'ignore' });
    const gone = once(child, 'exit');
    noteProcesses(folder, [{ name: 'broker-0', pid: child.pid }]);
    expect(running(folder).map(({ name }) => name)).toEqual(['broker-0']);
    // This very process, as if its number had been the name server's in an earlier life of the machine.
    const mistaken = { name: 'namesrv-0', pid: process.pid, begun: '1' };
    writeFileSync(join(folder, 'processes.json'), JSON.stringify([mistaken, ...running(folder)]));
    expect((await stopRunning(folder)).map(({ name }) => name)).toEqual(['broker-0']);
    expect(await gone).toEqual([null, 'SIGTERM']);
    expect(running(folder)).toEqual([]);
  });

  it('tells that etcd had another number of members', () => {
    for (const name of ['etcd', 'broker-0']) mkdirSync(join(folder, name));
    expect(otherEtcds(folder, ['etcd'])).toEqual([]);
    expect(otherEtcds(folder, ['etcd-0', 'etcd-1', 'etcd-2'])).toEqual(['etcd']);
  });

  it('is deleted, and nothing else', () => {
    for (const name of [
      'etcd',
      'etcd-2',
      'broker-0',
      'broker-11',
      'broker-1-c',
      'logs',
      'identity',
      'certificates',
      'my-notes',
    ])
      mkdirSync(join(folder, name));
    noteProcesses(folder, []);
    deleteData(folder);
    for (const name of ['etcd-2', 'broker-11', 'broker-1-c', 'identity', 'certificates'])
      expect(existsSync(join(folder, name))).toBe(false);
    expect(existsSync(join(folder, 'my-notes'))).toBe(true);
    rmSync(join(folder, 'my-notes'), { recursive: true });
    deleteData(folder);
    expect(existsSync(folder)).toBe(false);
  });
});
