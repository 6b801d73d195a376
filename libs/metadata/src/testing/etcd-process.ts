import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { until } from './until.js';

/** Specs that need an etcd: left out where there is none to test against, but never on the build machine. */
export function withEtcd(name: string, specs: () => void): void {
  const isThere = process.env['CI'] !== undefined || spawnSync('etcd', ['--version'], { stdio: 'ignore' }).status === 0;
  (isThere ? describe : describe.skip)(name, specs);
}

export interface EtcdOptions {
  /** PEM files; who comes must have a certificate of that authority too. */
  readonly tls?: { readonly caFile: string; readonly certFile: string; readonly keyFile: string };
  /** How long a user's token lives that is not used. */
  readonly tokenSeconds?: number;
}

/** A real etcd on free ports, with its data in a folder that goes with it: alone, or one of several. */
export class EtcdProcess {
  private readonly folder = mkdtempSync(join(tmpdir(), 'cometmq-etcd-'));
  private process: ChildProcess | undefined;

  private constructor(
    readonly clientPort: number,
    private readonly peerPort: number,
    private readonly options: EtcdOptions,
    private readonly self = 'test',
    /** All of the cluster, as etcd is told. */
    private readonly cluster = `test=http://127.0.0.1:${peerPort}`,
  ) {}

  static async begin(options: EtcdOptions = {}): Promise<EtcdProcess> {
    const etcd = new EtcdProcess(await freePort(), await freePort(), options);
    await etcd.start();
    return etcd;
  }

  /** A cluster of so many, that answers. */
  static async cluster(count: number): Promise<EtcdProcess[]> {
    const members: { name: string; client: number; peer: number }[] = [];
    for (let at = 0; at < count; at += 1) {
      members.push({ name: `test-${at}`, client: await freePort(), peer: await freePort() });
    }
    const all = members.map(({ name, peer }) => `${name}=http://127.0.0.1:${peer}`).join(',');
    const started = members.map(({ name, client, peer }) => new EtcdProcess(client, peer, {}, name, all));
    await Promise.all(started.map((etcd) => etcd.start()));
    return started;
  }

  /** Another one, not started, on a copy of the data as it is now; this one must not be running. */
  async copy(): Promise<EtcdProcess> {
    const copy = new EtcdProcess(await freePort(), await freePort(), this.options, this.self, this.cluster);
    rmSync(copy.folder, { recursive: true });
    cpSync(this.folder, copy.folder, { recursive: true });
    return copy;
  }

  /** It is stopped where it stands, or goes on: to others it hangs. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.process?.kill(signal);
  }

  get endpoint(): string {
    return `${this.options.tls ? 'https' : 'http'}://127.0.0.1:${this.clientPort}`;
  }

  /** Starts it on the data it had, and waits until it answers. */
  async start(): Promise<void> {
    const client = this.endpoint;
    const peer = `http://127.0.0.1:${this.peerPort}`;
    const metrics = `http://127.0.0.1:${await freePort()}`;
    const { tls, tokenSeconds } = this.options;
    const flags = {
      name: this.self,
      'data-dir': this.folder,
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': this.cluster,
      logger: 'zap',
      'log-level': 'error',
      ...(tls && {
        'cert-file': tls.certFile,
        'key-file': tls.keyFile,
        'trusted-ca-file': tls.caFile,
        'client-cert-auth': 'true',
        'listen-metrics-urls': metrics, // Asked without a certificate; each question is a line of its log.
      }),
      ...(tokenSeconds !== undefined && { 'auth-token-ttl': String(tokenSeconds) }),
    };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const started = spawn('etcd', args, { stdio: ['ignore', 'ignore', tls ? 'ignore' : 'inherit'] });
    this.process = started;
    await until('etcd answers', async () => {
      if (started.exitCode !== null) throw new Error(`etcd ended with ${started.exitCode}`);
      const answer = await fetch(`${tls ? metrics : client}/health`).catch(() => undefined);
      return answer?.ok === true && (await answer.text()).includes('true');
    });
  }

  async kill(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    const running = this.process;
    this.process = undefined;
    if (!running || running.exitCode !== null) return;
    const gone = once(running, 'close');
    running.kill(signal);
    await gone;
  }

  /** It is gone with all that it had; started again, it begins anew. */
  async lose(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { mode: 0o700 });
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
