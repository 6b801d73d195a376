import type { RpcChannel } from '@cometmq/rpc';
import type { Chance, Clock } from '@cometmq/shared';

/** Everything the command line touches outside itself, so that a test can be its terminal, its disk and its network. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard output: what was asked for, and nothing else. */
  out(text: string): void;
  /** Standard error: progress, notes and mistakes. */
  err(text: string): void;
  /** Where each of them leads to a person. */
  readonly terminal: { readonly in: boolean; readonly out: boolean };
  readAllInput(): Promise<Uint8Array>;
  /** Asks the person at the terminal for a line. */
  ask(question: string): Promise<string>;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly fetch: typeof fetch;
  connect(address: string, tls: { readonly caPem?: string } | undefined): RpcChannel;
  readonly files: Files;
  /** Aborted when the person wants to stop (Ctrl-C, SIGTERM). */
  readonly interrupted: AbortSignal;
}

export interface Files {
  /** Undefined: there is no such file. */
  read(path: string): Uint8Array | undefined;
  /** Replaces the file at once, for its owner's eyes only; makes the folders it lies in. */
  write(path: string, text: string): void;
  remove(path: string): void;
  /** Names in a folder; none if it is not there. */
  list(folder: string): readonly string[];
}
