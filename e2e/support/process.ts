import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

import { rootFolder } from '../../tools/cluster/cluster.ts';

export const root = rootFolder();

/** A program of ours as a real process: started, waited for until it says it is ready, killed or stopped. */
export class Program {
  /** What it has said so far, for the failure's message. */
  said = '';
  /** Told of all it says, from its first word on. */
  heard: ((text: string) => void) | undefined;
  private child: ChildProcess | undefined;
  private ended: Promise<number | null> = Promise.resolve(null);

  /** @param bundle of an app, or where else it lies below dist/ */
  constructor(
    private readonly app: string,
    private readonly args: readonly string[],
    private readonly bundle = `apps/${app}`,
  ) {}

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  async start(waitMs = 30_000): Promise<void> {
    const child = spawn(process.execPath, [join(root, 'dist', this.bundle, 'main.cjs'), ...this.args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] },
    });
    this.child = child;
    this.ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    let timer: NodeJS.Timeout | undefined;
    const ready = new Promise<void>((resolve, reject) => {
      const hear = (chunk: Buffer): void => {
        this.heard?.(chunk.toString());
        this.said = (this.said + chunk.toString()).slice(-20_000);
        if (this.said.includes('"msg":"ready"')) resolve();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code) => reject(new Error(`${this.app} ended with ${String(code)}:\n${this.said}`)));
      timer = setTimeout(() => reject(new Error(`${this.app} was not ready in ${waitMs} ms:\n${this.said}`)), waitMs);
    });
    await ready.finally(() => clearTimeout(timer));
    this.said = '';
  }

  /** Power off: no chance to say goodbye. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL');
    await this.ended;
  }

  /** Waits until it ends by itself. @returns the exit code */
  async end(): Promise<number | null> {
    return this.ended;
  }

  /** SIGTERM. @returns the exit code */
  async stop(): Promise<number | null> {
    this.child?.kill('SIGTERM');
    return this.ended;
  }
}
