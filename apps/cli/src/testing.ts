import { GrpcJsChannel } from '@cometmq/rpc';
import { Prng, systemClock, type Clock } from '@cometmq/shared';

import { runCli } from './cli.js';
import type { World } from './world.js';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A person at a terminal: files in memory, answers given beforehand, real calls to the addresses the test says. */
export class FakeTerminal {
  readonly files = new Map<string, string>();
  env: Record<string, string> = { HOME: '/home/me' };
  input: string | Uint8Array = '';
  answers: string[] = [];
  isTerminal = false;
  /** No file can be written. */
  readOnly = false;
  /** Nobody reads standard output any more. */
  readerIsGone = false;
  /** So much later it is with each look at the clock, beside the time that really passes. */
  clockStepMs = 0;
  readonly asked: string[] = [];
  /** What the run under way has said up to now. */
  out = '';
  err = '';
  interrupt = new AbortController();
  /** The way to the REST API. */
  fetch: World['fetch'] = (...request) => fetch(...request);
  private readonly chance = new Prng(1);

  async run(...argv: readonly string[]): Promise<Ran> {
    this.out = '';
    this.err = '';
    this.interrupt = new AbortController();
    const code = await runCli(argv, this.world());
    return { code, out: this.out, err: this.err };
  }

  private clock(): Clock {
    let aheadMs = 0;
    const monotonicMs = (): number => systemClock.monotonicMs() + (aheadMs += this.clockStepMs);
    return Object.assign(Object.create(systemClock) as Clock, { monotonicMs });
  }

  private world(): World {
    return {
      env: this.env,
      out: (text) => void (this.out += text),
      err: (text) => void (this.err += text),
      written: async () => !this.readerIsGone,
      terminal: { in: this.isTerminal, out: this.isTerminal, err: this.isTerminal },
      readAllInput: async () => Buffer.from(this.input as string),
      ask: async (question) => {
        this.asked.push(question);
        return this.answers.shift() ?? '';
      },
      askSecret: async (question) => {
        this.asked.push(question);
        return this.answers.shift() ?? '';
      },
      clock: this.clock(),
      chance: this.chance,
      fetch: (...request) => this.fetch(...request),
      connect: async (address) => new GrpcJsChannel({ address, clock: systemClock }),
      files: {
        read: (path) => {
          const text = this.files.get(path);
          return text === undefined ? undefined : Buffer.from(text);
        },
        write: (path, text) => {
          if (this.readOnly) throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
          this.files.set(path, text);
        },
        remove: (path) => void this.files.delete(path),
        list: (folder) =>
          [...this.files.keys()]
            .filter((path) => path.startsWith(`${folder}/`))
            .map((path) => path.slice(folder.length + 1)),
      },
      interrupted: this.interrupt.signal,
    };
  }
}
