// Goal: what happens around a server ends no server. Method: the standalone program as a process of its own, at a terminal that is
// closed, and with fewer files than strangers would take.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from '../support/free-port.js';
import { root } from '../support/process.js';
import { until } from '../support/until.js';

const waitMs = 60_000;
let folder: string;
let ports: { proxy: number; admin: number; metrics: number };
const undo: (() => unknown)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cometmq-surroundings-'));
  ports = { proxy: await freePort(), admin: await freePort(), metrics: await freePort() };
});
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
  rmSync(folder, { recursive: true, force: true });
});

/** A line for a shell, which becomes the program. Its process is in the file `pid`. */
const line = (): string =>
  [
    `echo $$ > ${folder}/pid; exec ${process.execPath} ${join(root, 'dist/apps/standalone/main.cjs')}`,
    `--data-dir=${folder}/data --proxy-port=${ports.proxy} --admin-port=${ports.admin} --metrics-port=${ports.metrics}`,
  ].join(' ');

const isReady = async (): Promise<boolean> =>
  fetch(`http://127.0.0.1:${ports.metrics}/readyz`).then(
    ({ status }) => status === 200,
    () => false,
  );

function pid(): number {
  return Number(readFileSync(join(folder, 'pid'), 'utf8'));
}

function isAlive(): boolean {
  try {
    return process.kill(pid(), 0);
  } catch {
    return false;
  }
}

async function stop(): Promise<void> {
  if (isAlive()) process.kill(pid(), 'SIGTERM');
  await until('its end', async () => !isAlive(), waitMs);
}

function newTopic(name: string): Promise<number> {
  const headers = { 'content-type': 'application/json', connection: 'close' };
  const request = { method: 'POST', headers, body: JSON.stringify({ name }) };
  return fetch(`http://127.0.0.1:${ports.admin}/api/v1/topics`, request).then(({ status }) => status);
}

it('a server goes on when the terminal is closed that it tells of what happens', async () => {
  // A session of its own: else the terminal's end would be a signal, too.
  const words = ['-qefc', `setsid -w sh -c '${line()}'`, '/dev/null'];
  const terminal: ChildProcess = spawn('script', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(terminal, 'exit');
  let shown = '';
  terminal.stdout?.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  undo.push(stop);
  await until('the server', async () => shown.includes('Ctrl-C stops it.') && (await isReady()), waitMs);
  terminal.kill('SIGKILL');
  await closed;
  expect(await newTopic('one')).toBe(201); // Told of.
  expect(await newTopic('two')).toBe(201);
  expect(isAlive()).toBe(true);
}, 90_000);

it('a server has files for itself and its operators when strangers want them all', async () => {
  const server = spawn('bash', ['-c', `ulimit -n 400 && ${line()}`], { stdio: 'ignore' });
  const ended = once(server, 'exit');
  undo.push(() => ended, stop);
  await until('the server', isReady, waitMs);
  const held = new Set<Socket>();
  undo.push(() => held.forEach((socket) => socket.destroy()));
  const made = Array.from({ length: 450 }, async () => {
    const socket = connect({ host: '127.0.0.1', port: ports.proxy, localAddress: '127.0.0.3' });
    held.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => held.delete(socket));
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  });
  await Promise.all(made);
  await until('those that are not let in', async () => held.size <= 80, waitMs);
  expect(await isReady()).toBe(true);
  expect(await newTopic('one')).toBe(201);
  expect(held.size).toBeGreaterThan(0);
}, 90_000);
