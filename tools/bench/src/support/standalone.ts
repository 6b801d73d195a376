import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { atExit } from './at-exit.js';
import { H2Client } from '../load/h2-client.js';
import { type LoadUser, Routes, codeOk, queryRoute, statusCodeOf } from '../load/requests.js';

/** With millions of messages, on a machine that does other work: how long it took is said by who measures it. */
const startMsMax = 300_000;

/** The whole system in one process. Ready means: a client's QueryRoute was answered. */
export class Standalone {
  /** From the process's start to the first answered QueryRoute. */
  startMs = 0;
  private child: ChildProcess | undefined;
  private ended: Promise<void> = Promise.resolve();
  private said = '';

  constructor(
    private readonly program: string,
    readonly dataDir: string,
    readonly port: number,
    readonly adminPort: number,
    private readonly args: readonly string[],
  ) {}

  static async at(program: string, dataDir: string, args: readonly string[]): Promise<Standalone> {
    const [port = 0, admin = 0, metrics = 0] = await freePorts(3);
    const ports = [`--proxy-port=${port}`, `--admin-port=${admin}`, `--metrics-port=${metrics}`];
    return new Standalone(program, dataDir, port, admin, [...ports, ...args]);
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error('standalone does not run');
    return this.child.pid;
  }

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  async start(): Promise<this> {
    const fromMs = performance.now();
    const flags = process.env['BENCH_NODE_FLAGS']?.split(' ') ?? [];
    const child = spawn(process.execPath, [...flags, this.program, `--data-dir=${this.dataDir}`, ...this.args], {
      cwd: join(this.program, '../../../..'),
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] },
    });
    this.child = child;
    this.said = '';
    const hear = (chunk: Buffer): void => void (this.said = (this.said + chunk.toString()).slice(-4000));
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const forget = atExit(() => child.kill('SIGKILL'));
    this.ended = new Promise((resolve) => child.once('exit', () => resolve(forget())));
    while (!(await this.answers())) {
      if (!this.running) throw new Error(`standalone ended at its start:\n${this.said}`);
      if (performance.now() - fromMs > startMsMax) throw new Error(`standalone was not ready:\n${this.said}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.startMs = performance.now() - fromMs;
    return this;
  }

  /** Of a server with users: makes one that may send to a topic, beside so many policies on others. */
  makeSender(name: string, topic: string, others: number): Promise<LoadUser> {
    return this.makeUser(name, { produce: [topic, ...Array.from({ length: others }, (_, i) => `other-${i}-*`)] });
  }

  /** Of a server with users. @param draft as the REST API takes it */
  async makeUser(name: string, draft: object): Promise<LoadUser> {
    const [user, secret] = readFileSync(join(this.dataDir, 'identity/admin'), 'utf8').trim().split(' ');
    const token = await this.tokenOf(user, secret);
    const given = { name, secret: 'secret-of-the-load' };
    await this.rest('POST', '/users', { ...given, ...draft }, { authorization: `Bearer ${token}` });
    return given;
  }

  /** The first admin is made after the start: it is let in as soon as it is known. */
  private async tokenOf(user: string | undefined, secret: string | undefined): Promise<string> {
    for (let tries = 0; ; tries += 1) {
      const login = await fetch(`http://127.0.0.1:${this.adminPort}/api/v1/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ user, secret }),
      });
      if (login.ok) return ((await login.json()) as { token: string }).token;
      if (tries === 4) throw new Error(`login: ${login.status} ${await login.text()}`); // Five wrong ones a minute are taken.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  /** Calls the administrators' API. */
  async rest(method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${this.adminPort}/api/v1${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  }

  /** SIGKILL: no goodbye. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL');
    await this.ended;
  }

  async stop(): Promise<void> {
    this.child?.kill('SIGTERM');
    await this.ended;
  }

  private async answers(): Promise<boolean> {
    const client = await H2Client.open(this.port).catch(() => undefined);
    if (!client) return false;
    try {
      const answer = await client.unary(new Routes('bench-ready@1@0@0').queryRoute, queryRoute('bench-ready'));
      return this.args.includes('--users') || statusCodeOf(answer) === codeOk; // Nobody is refused: it serves.
    } catch {
      return false;
    } finally {
      client.close();
    }
  }
}

/** Ports of 127.0.0.1 that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            resolve(typeof address === 'object' && address ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
