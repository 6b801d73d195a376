/**
 * What a cluster leaves in its folder: the data, the logs, and a note of the processes that run on it. So a cluster
 * whose starter was killed can still be found and stopped, and the folder be emptied of what is ours and nothing else.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Noted {
  readonly name: string;
  readonly pid: number;
  /** Told apart by this from another process that got the same number later; as the system gives it. */
  readonly begun: string;
}

const note = 'processes.json';
const ours = /^(etcd(-\d+)?|broker-\d+(-[a-z])?|logs|identity|audit|certificates|processes\.json)$/;
const stopMsMax = 35_000;

export function noteProcesses(folder: string, processes: readonly { name: string; pid: number | undefined }[]): void {
  const noted = processes.flatMap(({ name, pid }) => {
    const begun = pid === undefined ? undefined : begunOf(pid);
    return pid === undefined || begun === undefined ? [] : [{ name, pid, begun }];
  });
  writeFileSync(join(folder, note), `${JSON.stringify(noted, undefined, 2)}\n`);
}

/** The processes that run on this folder now, as far as a note tells. */
export function running(folder: string): readonly Noted[] {
  const file = join(folder, note);
  if (!existsSync(file)) return [];
  const noted = JSON.parse(readFileSync(file, 'utf8')) as readonly Noted[];
  return noted.filter(({ pid, begun }) => begunOf(pid) === begun);
}

/** Stops what still runs on this folder, in the opposite order of its start. @returns what was stopped */
export async function stopRunning(folder: string): Promise<readonly Noted[]> {
  const found = running(folder);
  for (const { pid, begun } of [...found].reverse()) {
    process.kill(pid, 'SIGTERM');
    const endMs = performance.now() + stopMsMax;
    while (begunOf(pid) === begun) {
      if (performance.now() > endMs) process.kill(pid, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return found;
}

/** Deletes what a cluster has left in the folder, and the folder if nothing else is in it. */
export function deleteData(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (ours.test(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}

/** Data of other members of etcd than these: with another number of them they do not find together. */
export function otherEtcds(folder: string, names: readonly string[]): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => /^etcd(-\d+)?$/.test(name) && !names.includes(name));
}

/** When a process began, in the system's own words; undefined when there is none, or it is dead and not yet buried. */
export function begunOf(pid: number): string | undefined {
  try {
    // The name in brackets may hold anything, blanks too: count from its end.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
