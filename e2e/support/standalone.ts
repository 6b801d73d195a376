import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from './free-port.js';
import { Program } from './process.js';

/** The whole system in one process, on ports and in a folder of its own. */
export class Standalone {
  program!: Program;
  grpcPort = 0;
  adminPort = 0;
  metricsPort = 0;
  readonly dataDir = mkdtempSync(join(tmpdir(), 'cometmq-e2e-'));

  /** @param bundle below dist/: another program than the standalone one, with its arguments */
  async start(args: readonly string[] = [], bundle?: string): Promise<this> {
    this.grpcPort ||= await freePort();
    this.adminPort ||= await freePort();
    this.metricsPort ||= await freePort();
    const all = [
      `--data-dir=${this.dataDir}`,
      `--proxy-port=${this.grpcPort}`,
      `--admin-port=${this.adminPort}`,
      `--metrics-port=${this.metricsPort}`,
      '--log-level=info',
      ...args,
    ];
    this.program = new Program('standalone', all, bundle);
    await this.program.start();
    return this;
  }

  get endpoints(): string {
    return `127.0.0.1:${this.grpcPort}`;
  }

  async stop(): Promise<void> {
    const program = this.program as Program | undefined;
    await program?.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}
