/** Runs one of jest's projects, with our reporter's lines on the screen, and counts from those it writes to a file. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { elapsedS, type Outcome } from './program.ts';

/** A spec caught in a loop of its own can't be stopped by jest; a run that takes longer than this is ended. */
const minutesMax = Number(process.env['COMETMQ_TEST_MINUTES_MAX'] ?? 15);

/** What reporter.mjs writes. */
interface Started {
  readonly started: string;
}
interface Ended {
  readonly ended: string;
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly string[];
}

export async function runJest(project: string, patterns: readonly string[], scratch: string): Promise<Outcome> {
  const startMs = performance.now();
  const report = join(scratch, `${project}.jsonl`);
  const args = [
    ...['node_modules/jest/bin/jest.js', '--selectProjects', project, '--passWithNoTests'],
    `--reporters=${join(import.meta.dirname, 'reporter.mjs')}`,
    // The processes under test need the cores more than jest does.
    // The official clients leave timers behind that would keep jest waiting for ever.
    ...(project === 'e2e'
      ? ['--maxWorkers=1', '--testTimeout=120000', '--forceExit']
      : ['--maxWorkers=2', '--testTimeout=60000']),
    ...patterns,
  ];
  const end = await run(args, report);
  const lines = existsSync(report) ? readFileSync(report, 'utf8').trim().split('\n') : [];
  return { step: project, output: '', seconds: elapsedS(startMs), ...count(lines, end) };
}

export interface End {
  readonly code: number;
  /** True when it was ended because it took too long. */
  readonly late: boolean;
}

/** What the reporter's lines and jest's end come to. A spec that did not run, or not to its end, counts as one failure. */
export function count(lines: readonly string[], { code, late }: End): Omit<Outcome, 'step' | 'output' | 'seconds'> {
  const open = new Set<string>();
  const failures: string[] = [];
  let passed = 0;
  let skipped = 0;
  for (const line of lines) {
    const told = JSON.parse(line) as Started | Ended;
    if ('started' in told) {
      open.add(told.started);
      continue;
    }
    open.delete(told.ended);
    passed += told.passed;
    skipped += told.skipped;
    failures.push(...told.failures.map((failure) => `${told.ended}: ${shortly(failure)}`));
  }
  for (const spec of open) failures.push(`${spec}: ${late ? `still ran after ${minutesMax} minutes` : 'never ended'}`);
  if (failures.length === 0 && (late || code !== 0)) {
    failures.push(late ? `jest still ran after ${minutesMax} minutes` : `jest ended with exit code ${code}`);
  }
  return { passed, failed: failures.length, skipped, failures };
}

function shortly(failure: string): string {
  const lines = stripVTControlCharacters(failure).split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, 3)
    .join(' · ')
    .slice(0, 240);
}

function run(args: readonly string[], report: string): Promise<End> {
  // A spec that starts `node` or `npx` gets this Node.js.
  const path = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`;
  const env = { ...process.env, PATH: path, COMETMQ_TEST_REPORT: report };
  return new Promise((resolve) => {
    // In a process group of its own: ending it ends its workers, and what their specs have started, too.
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], env, detached: true });
    let late = false;
    const endGroup = (signal: NodeJS.Signals): void => {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    };
    const limit = setTimeout(() => {
      late = true;
      endGroup('SIGKILL');
    }, minutesMax * 60_000);
    const passOn = (signal: NodeJS.Signals): void => {
      endGroup('SIGKILL');
      process.exit(signal === 'SIGINT' ? 130 : 143);
    };
    process.on('SIGINT', passOn).on('SIGTERM', passOn);
    const done = (code: number): void => {
      clearTimeout(limit);
      process.off('SIGINT', passOn).off('SIGTERM', passOn);
      resolve({ code, late });
    };
    child.on('error', () => done(1));
    child.on('exit', (code) => done(code ?? 1));
  });
}
