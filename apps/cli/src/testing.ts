import { GrpcJsChannel } from '@cometmq/rpc';
import { Prng, systemClock } from '@cometmq/shared';

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
  readonly asked: string[] = [];
  /** What the run under way has said up to now. */
  out = '';
  err = '';
  interrupt = new AbortController();
  private readonly chance = new Prng(1);

  async run(...argv: readonly string[]): Promise<Ran> {
    this.out = '';
    this.err = '';
    this.interrupt = new AbortController();
    const code = await runCli(argv, this.world());
    return { code, out: this.out, err: this.err };
  }

  private world(): World {
    return {
      env: this.env,
      out: (text) => void (this.out += text),
      err: (text) => void (this.err += text),
      terminal: { in: this.isTerminal, out: this.isTerminal },
      readAllInput: async () => Buffer.from(this.input as string),
      ask: async (question) => {
        this.asked.push(question);
        return this.answers.shift() ?? '';
      },
      clock: systemClock,
      chance: this.chance,
      fetch: (...request) => fetch(...request),
      connect: (address) => new GrpcJsChannel({ address, clock: systemClock }),
      files: {
        read: (path) => {
          const text = this.files.get(path);
          return text === undefined ? undefined : Buffer.from(text);
        },
        write: (path, text) => void this.files.set(path, text),
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
