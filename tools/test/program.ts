/** Runs one program of `npm test` and says what came of it. */
import { spawn } from 'node:child_process';

export interface Outcome {
  readonly step: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** A line for each failure, for the summary. */
  readonly failures: readonly string[];
  readonly output: string;
  readonly seconds: number;
}

const failuresShown = 10;

export async function runProgram(step: string, command: readonly string[]): Promise<Outcome> {
  const startMs = performance.now();
  const { code, output } = await run(command);
  const lines = output.trim().split('\n');
  const counted = /^(\d+) passed, (\d+) failed$/.exec(lines.at(-1) ?? '');
  const passed = counted ? Number(counted[1]) : code === 0 ? 1 : 0;
  // A program that fails and counts no failure has failed all the same.
  const failed = Math.max(counted ? Number(counted[2]) : 0, code === 0 ? 0 : 1);
  const told = lines.filter((line) => line.trim() !== '').slice(0, counted ? -1 : undefined);
  const failures = failed === 0 ? [] : told.slice(0, failuresShown);
  if (failed > 0 && told.length > failuresShown)
    failures.push(`… and ${told.length - failuresShown} lines more, above`);
  if (failed > 0 && failures.length === 0) failures.push(`exit code ${code}`);
  return { step, passed, failed, skipped: 0, failures, output, seconds: elapsedS(startMs) };
}

function run(command: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const take = (chunk: Buffer): void => void (output += chunk.toString());
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => resolve({ code: 1, output: `${output}${error.message}` }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

export function elapsedS(sinceMs: number): number {
  return (performance.now() - sinceMs) / 1000;
}
