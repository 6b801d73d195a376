/** Somebody with a copy of the repository and a Node.js, and the first things they do. */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { bareEnvironment, isFree, processesOf, Running, shell, until } from './programs.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const usualPorts = { proxy: 8081, admin: 8082, metrics: 5557 };
const startMsMax = 300_000; // The first one installs everything.

export class Newcomer {
  /** @param {string} [nodeFolder] where their `node` is; none: the machine's */
  constructor(name, folder, nodeFolder) {
    this.name = name;
    this.folder = folder;
    this.env = bareEnvironment(nodeFolder);
  }

  clone(source) {
    return shell(`git clone --quiet --no-local "${source}" "${this.folder}"`, { env: this.env });
  }

  run(line, more = {}) {
    return shell(line, { cwd: this.folder, env: this.env, ...more });
  }

  /** `npm start`, until it is ready. In a terminal, where one is asked for. On other ports where the usual are taken. */
  async start({ inTerminal }) {
    this.ports = { ...usualPorts };
    const flags = [];
    for (const [name, port] of Object.entries(usualPorts)) {
      if (await isFree(port)) continue;
      this.ports[name] = 20_000 + (process.pid % 5_000) + flags.length;
      flags.push(` --${name}-port=${this.ports[name]}`);
    }
    const line = `npm start${flags.length > 0 ? ' --' : ''}${flags.join('')}`;
    const options = { cwd: this.folder, env: { ...this.env, SHELL: '/bin/sh' } };
    this.terminal = inTerminal;
    this.system = inTerminal
      ? new Running('script', ['-qefc', line, '/dev/null'], { ...options, input: 'pipe' })
      : new Running('sh', ['-ec', line], options);
    await this.system.says(inTerminal ? /CometMQ .*is ready/ : /"msg":"ready"/, startMsMax);
  }

  /** Ctrl-C; then nothing of it may be there any more. */
  async stop() {
    if (this.terminal) this.system.type('\x03');
    else this.system.interrupt();
    await this.system.ended(30_000);
    await nothingLeft(this.folder, Object.values(this.ports));
  }

  get endpoints() {
    return `127.0.0.1:${this.ports.proxy}`;
  }

  /** Gives its space back; nobody waits for it. */
  remove() {
    void rm(this.folder, { recursive: true, force: true }).catch(() => undefined);
  }

  /** With what `comet` is told where the usual ports were taken. */
  get cometEnv() {
    return { ...this.env, COMET_ENDPOINT: this.endpoints, COMET_API: `http://127.0.0.1:${this.ports.admin}` };
  }

  /** The official Node.js client; client.mjs says what it can be told. */
  client(clientFolder, ...args) {
    const line = ['node', `"${join(here, 'client.mjs')}"`, this.endpoints, ...args].join(' ');
    return shell(line, { cwd: clientFolder, env: this.env, withinMs: 60_000 });
  }
}

export async function nothingLeft(folder, ports) {
  let left = [];
  await until(
    () => `everything has ended:\n${left.map(({ pid, line }) => `${pid} ${line}`).join('\n')}`,
    () => (left = processesOf(folder)).length === 0,
    10_000,
  );
  for (const port of ports) if (!(await isFree(port))) throw new Error(`port ${port} is still in use`);
}

/** Start, a message all the way, Ctrl-C, start again, what was left is there. It goes on running. */
export async function firstMinute(checks, newcomer, { source, clientFolder, inTerminal }) {
  const { name } = newcomer;
  await checks.must(`${name}: git clone`, () => newcomer.clone(source));
  await checks.must(`${name}: npm start, from nothing to ready`, async () => {
    await newcomer.start({ inTerminal });
    const json = newcomer.system.said.split('\n').find((line) => line.startsWith('{'));
    if (inTerminal && json !== undefined) throw new Error(`JSON on a terminal:\n${json}`);
    // A terminal gives what was written in one go in several pieces.
    for (const told of inTerminal ? ['clients', 'http://', 'data', 'comet -- send'] : []) {
      await until(
        () => `it says ${told}:\n${newcomer.system.said}`,
        () => newcomer.system.said.includes(told),
        10_000,
      );
    }
  });
  const all = ['first', 'second', 'third'];
  let left;
  await checks.must(`${name}: an official client sends, receives and acknowledges`, async () => {
    await newcomer.client(clientFolder, 'send', ...all);
    const received = JSON.parse(await newcomer.client(clientFolder, 'receive', '2'));
    left = all.filter((body) => !received.includes(body));
    if (received.length !== 2 || left.length !== 1) throw new Error(`received ${JSON.stringify(received)}`);
  });
  await checks.must(`${name}: Ctrl-C stops everything`, () => newcomer.stop());
  await checks.must(`${name}: npm start again, the message that was left is there`, async () => {
    await newcomer.start({ inTerminal });
    const received = JSON.parse(await newcomer.client(clientFolder, 'receive', '1'));
    if (String(received) !== String(left)) throw new Error(`received ${received}, not ${left}`);
  });
}
