import type { RpcChannel } from '@cometmq/rpc';
import type { Chance, Clock } from '@cometmq/shared';

/** Everything the command line touches outside itself, so that a test can be its terminal, its disk and its network. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard output: what was asked for, and nothing else. */
  out(text: string): void;
  /** Standard error: progress, notes and mistakes. */
  err(text: string): void;
  /** Resolves when the reader of standard output has taken all of it; false: the reader is gone. */
  written(): Promise<boolean>;
  /** Which of them are a terminal, with a person in front of it. */
  readonly terminal: { readonly in: boolean; readonly out: boolean; readonly err: boolean };
  /** @throws MqError CANCELLED when `interrupted` comes first. */
  readAllInput(): Promise<Uint8Array>;
  /** Asks the person at the terminal for a line. @throws MqError CANCELLED when it is given up: Ctrl-C, Ctrl-D. */
  ask(question: string): Promise<string>;
  /** The same, for what is not to be seen. */
  askSecret(question: string): Promise<string>;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly fetch: typeof fetch;
  /** The libraries of the wire are loaded with the first connection, so that all other commands start without them. */
  connect(address: string, tls: { readonly caPem?: string } | undefined): Promise<RpcChannel>;
  readonly files: Files;
  /** Aborted when the command is to stop: Ctrl-C, SIGTERM, a closed terminal, a reader of the output that is gone. */
  readonly interrupted: AbortSignal;
}

export interface Files {
  /** Undefined: there is no such file. @throws MqError CONFIG when it can't be read as a file. */
  read(path: string): Uint8Array | undefined;
  /** Replaces the file at once, for its owner's eyes only; makes the folders it lies in. */
  write(path: string, text: string): void;
  remove(path: string): void;
  /** Names in a folder; none if it is not there. */
  list(folder: string): readonly string[];
}

/** A variable of the environment. An empty one is not set: what starts programs often can't leave one out. */
export function setting({ env }: Pick<World, 'env'>, name: `COMET_${string}`): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}
