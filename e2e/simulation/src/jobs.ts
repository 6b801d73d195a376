/**
 * Several processes share the seeds of a run: whoever has finished one is given the next one. A seed does the same in any
 * process, so nothing depends on who runs it; one whose process ends has failed, and another process goes on.
 */
import { type ChildProcess, fork } from 'node:child_process';

import { failed, type Ran, runSeed, type Settings } from './run-seed.js';
import { Tally, type TallyCounts } from './tally.js';

/** What a process that runs seeds is told. Nothing more to do: it says what it has counted, and ends. */
type Order = { readonly seed: number; readonly settings: Settings } | { readonly seed: undefined };
type Report = { readonly ran: Ran } | { readonly counts: TallyCounts; readonly cpuS: number };

/** The first argument of a process that runs seeds for another one. */
export const jobArgument = 'job';
/** What lives for one step is gone with the next collection; functions that are called a few times in a seed are compiled at once. */
const flags = ['--max-semi-space-size=32', '--always-sparkplug'];

export interface Shared {
  readonly tally: Tally;
  /** Of all processes. */
  readonly cpuS: number;
}

/** @param next the next seed; undefined: there is none. */
export async function share(
  jobs: number,
  settings: Settings,
  next: () => number | undefined,
  onRan: (ran: Ran) => void,
): Promise<Shared> {
  const tally = new Tally();
  let cpuS = 0;
  const one = async (): Promise<void> => {
    for (let isOver = false; !isOver;) {
      const seed = next();
      if (seed === undefined) return;
      const counts = await runInProcess(seed, settings, next, onRan);
      if (!counts) continue; // It ended over a seed, and others are left.
      tally.add(counts.counts);
      cpuS += counts.cpuS;
      isOver = true;
    }
  };
  await Promise.all(Array.from({ length: jobs }, one));
  return { tally, cpuS };
}

type Counts = Extract<Report, { counts: unknown }>;

/** Runs seeds, from `first` on, as long as there are some. Undefined: the process ended over one of them. */
function runInProcess(
  first: number,
  settings: Settings,
  next: () => number | undefined,
  onRan: (ran: Ran) => void,
): Promise<Counts | undefined> {
  const child: ChildProcess = fork(process.argv[1] as string, [jobArgument], {
    execArgv: [...process.execArgv, ...flags],
  });
  // One that has ended says so below.
  const order = (what: Order): void => void child.send(what, () => undefined);
  let seed: number | undefined = first;
  let counts: Counts | undefined;
  order({ seed: first, settings });
  child.on('message', (report: Report) => {
    if ('counts' in report) {
      counts = report;
      return;
    }
    onRan(report.ran);
    seed = next();
    order(seed === undefined ? { seed } : { seed, settings });
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (seed !== undefined) onRan(failed(seed, settings, `seed ${seed}: its process ended with ${signal ?? code}`));
      resolve(counts);
    });
  });
}

/** Runs what it is told to, for the process that started it, until that says that nothing is left or is gone. */
export function runOrders(): void {
  const tally = new Tally();
  process.on('disconnect', () => process.exit(1));
  process.on('message', (order: Order) => {
    if (order.seed !== undefined) {
      void runSeed(order.seed, order.settings, tally).then((ran) => report({ ran }));
      return;
    }
    const { user, system } = process.cpuUsage();
    report({ counts: tally.counts(), cpuS: (user + system) / 1e6 }, () => process.exit(0));
  });
}

function report(what: Report, then: () => void = () => undefined): void {
  process.send?.(what, then);
}
