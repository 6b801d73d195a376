/** Runs targets of all projects by Nx, with its output on the screen, and counts from what Nx and the tasks leave. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runInGroup } from './group.ts';
import { count, readReport, type End, type Outcome } from './outcome.ts';

/** What Nx notes of its last run. */
interface Run {
  readonly tasks: readonly { readonly taskId: string; readonly status: number }[];
}

export async function runNx(root: string, targets: readonly string[]): Promise<Outcome[]> {
  const note = join(root, '.nx/cache/run.json');
  rmSync(note, { force: true });
  const wanted = tasksOf(root, targets);
  console.log(`${wanted.length} tasks`);
  for (const { report } of wanted) if (report !== undefined) rmSync(report, { force: true });
  const args = ['node_modules/nx/dist/bin/nx.js', 'run-many', '--outputStyle=stream', '-t', ...targets];
  const end = await runInGroup(args, { NX_DAEMON: 'false', NX_TUI: 'false' });
  const run = existsSync(note) ? (JSON.parse(readFileSync(note, 'utf8')) as Run) : { tasks: [] };
  return outcomesOf(wanted, new Map(run.tasks.map(({ taskId, status }) => [taskId, status])), end);
}

export interface Task {
  readonly id: string;
  /** Where a task with many checks tells them. */
  readonly report: string | undefined;
}

/** Each task with what came of it; one that Nx does not speak of did not run, because one it stands on had failed. */
export function outcomesOf(
  wanted: readonly Task[],
  statuses: ReadonlyMap<string, number>,
  end: End,
  read: (report: string) => readonly string[] = readReport,
): Outcome[] {
  return wanted.map(({ id, report }) => {
    const lines = report === undefined ? [] : read(report);
    const status = statuses.get(id);
    if (status === undefined && lines.length === 0) {
      return { task: id, passed: 0, skipped: 0, failures: [end.cut ?? 'was not run'] };
    }
    const code = status ?? (end.code || 1);
    if (report === undefined && code === 0) return { task: id, passed: 1, skipped: 0, failures: [] };
    return count(id, lines, { code, cut: end.cut });
  });
}

/** The tasks that these targets come to, with those that they stand on. */
function tasksOf(root: string, targets: readonly string[]): Task[] {
  const args = ['node_modules/nx/dist/bin/nx.js', 'run-many', '--graph=stdout', '-t', ...targets];
  const env = { ...process.env, NX_DAEMON: 'false' };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env, maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`Nx can't say what there is to do:\n${stdout}${stderr}`);
  const { tasks } = JSON.parse(stdout) as { tasks: { tasks: Record<string, { outputs: readonly string[] }> } };
  return Object.entries(tasks.tasks).map(([id, { outputs }]) => {
    const report = outputs.find((output) => output.startsWith('dist/reports/'));
    return { id, report: report === undefined ? undefined : join(root, report) };
  });
}
