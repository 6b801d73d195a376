/** Runs one of jest's projects, with its own report on the screen, and counts from the JSON it writes. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { elapsedS, type Outcome } from './program.ts';

/** What is used of jest's JSON report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

export async function runJest(project: string, patterns: readonly string[], scratch: string): Promise<Outcome> {
  const startMs = performance.now();
  const file = join(scratch, `${project}.json`);
  const code = await run([
    ...['node_modules/jest/bin/jest.js', '--selectProjects', project, '--passWithNoTests', '--json'],
    ...[`--outputFile=${file}`, '--silent=false', '--reporters=default', ...patterns],
    // The processes under test need the cores more than jest does.
    ...(project === 'e2e' ? ['--maxWorkers=1'] : ['--maxWorkers=2']),
  ]);
  const seconds = elapsedS(startMs);
  if (!existsSync(file)) {
    const failures = code === 0 ? [] : [`jest ended with exit code ${code} before it had a report`];
    return { step: project, passed: 0, failed: failures.length, skipped: 0, failures, output: '', seconds };
  }
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  const failures = failuresOf(report);
  // A spec that does not even load counts as one; so does a run that fails without saying which test did.
  const failed = Math.max(failures.length, code === 0 ? 0 : 1);
  if (failed > failures.length) failures.push(`jest ended with exit code ${code}`);
  const skipped = report.numPendingTests + report.numTodoTests;
  return { step: project, passed: report.numPassedTests, failed, skipped, failures, output: '', seconds };
}

function failuresOf(report: Report): string[] {
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const path = relative(process.cwd(), name);
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (failed.length === 0 && status === 'failed') return [`${path}: ${firstLine(message)}`];
    return failed.map((test) => `${path}: ${test.fullName}: ${firstLine(test.failureMessages?.[0] ?? '')}`);
  });
}

function firstLine(message: string): string {
  const lines = stripVTControlCharacters(message).split('\n');
  const telling = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('● Test suite'));
  return (telling[0] ?? 'no message').slice(0, 200);
}

function run(args: readonly string[]): Promise<number> {
  // A spec that starts `node` or `npx` gets this Node.js.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}` };
  return new Promise((resolve) => {
    // Jest's JSON goes to its file; its report for people goes to stderr.
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
    child.on('error', () => resolve(1));
    child.on('close', (code) => resolve(code ?? 1));
  });
}
