/** A program in a process group of its own: ended with all that it has started, when it takes too long or we are ended. */
import { spawn } from 'node:child_process';
import { delimiter, dirname } from 'node:path';
import { type End } from './outcome.ts';

/** A spec caught in a loop of its own can't be stopped by jest; a run that takes longer than this is ended. */
const minutesMax = Number(process.env['COMETMQ_TEST_MINUTES_MAX'] ?? 30);

export function runInGroup(args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<End> {
  // A spec that starts `node` or `npx` gets this Node.js.
  const path = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, PATH: path, ...more },
      detached: true,
    });
    let cut: string | undefined;
    const endGroup = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    const limit = setTimeout(() => {
      cut = `still ran after ${minutesMax} minutes`;
      endGroup();
    }, minutesMax * 60_000);
    const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
    const passOn = (signal: NodeJS.Signals): void => {
      endGroup();
      process.exit(signals[signal as keyof typeof signals]);
    };
    for (const signal of Object.keys(signals)) process.on(signal, passOn);
    const done = (code: number): void => {
      clearTimeout(limit);
      for (const signal of Object.keys(signals)) process.off(signal, passOn);
      resolve({ code, cut });
    };
    child.on('error', () => done(1));
    child.on('exit', (code) => done(code ?? 1));
  });
}
