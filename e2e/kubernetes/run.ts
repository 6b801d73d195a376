/** Runs a program to its end, and says what it said when it failed. */
import { spawn, spawnSync } from 'node:child_process';

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function attempt(file: string, args: readonly string[], input?: string, env = process.env): Ran {
  const { status, stdout, stderr, error } = spawnSync(file, args, {
    encoding: 'utf8',
    env,
    maxBuffer: 64 * 1024 * 1024,
    ...(input !== undefined && { input }),
  });
  return { status, stdout, stderr: error === undefined ? stderr : `${stderr}${error.message}` };
}

export function must(file: string, args: readonly string[], input?: string, env = process.env): string {
  const { status, stdout, stderr } = attempt(file, args, input, env);
  if (status === 0) return stdout;
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-30).join('\n');
  throw new Error(`${file} ${args.join(' ')} ended with ${status}:\n${said}`);
}

export interface Followed {
  /** Resolves when it has ended. */
  readonly over: Promise<void>;
  end(signal: NodeJS.Signals): void;
}

/** Follows what a program says, line by line, until it ends. */
export function follow(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  hear: (line: string) => void,
): Followed {
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) hear(line);
  });
  const over = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  return { over, end: (signal) => void child.kill(signal) };
}
