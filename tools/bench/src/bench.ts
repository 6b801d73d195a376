/** What every bench is given and gives. One file a bench in `benches/`; `registry.ts` lists them. */
import type { LoadFigures, LoadJob } from './load/load.js';
import type { RoleJobs, RoleResults } from './support/roles.js';
import type { Standalone } from './support/standalone.js';

export interface Bench {
  readonly name: string;
  /** One line: what is measured. */
  readonly about: string;
  run(context: BenchContext): Promise<readonly Figure[]>;
}

export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface BenchContext {
  /** Sizes that only show that it runs. */
  readonly quick: boolean;
  /** How often what is short is measured; the best counts. */
  readonly rounds: number;
  /** How many messages are wanted, where somebody said it. */
  readonly messages: number | undefined;
  /** A folder of this bench's own, gone afterwards. */
  readonly folder: string;
  /** For who watches. */
  say(line: string): void;
  /** The whole system in a process of its own; stopped, if it still runs, when the bench is over. */
  standalone(args?: readonly string[]): Promise<Standalone>;
  /** Runs a part of the bench in a process of its own, so that its CPU and memory are nobody else's. */
  inProcess<K extends keyof RoleJobs>(role: K, job: RoleJobs[K]): Promise<RoleResults[K]>;
  /** `inProcess('load', …)`, and its figures are told. */
  load(job: LoadJob): Promise<LoadFigures>;
}

/** The round with the least CPU, and the best rate of all rounds. */
export function best(rounds: readonly LoadFigures[]): LoadFigures {
  const [first] = rounds;
  if (!first) throw new Error('there was no round');
  return {
    ...rounds.reduce((a, b) => (b.cpuSecondsPerMillion < a.cpuSecondsPerMillion ? b : a)),
    perSecond: Math.max(...rounds.map(({ perSecond }) => perSecond)),
    msMedian: Math.min(...rounds.map(({ msMedian }) => msMedian)),
    ms99: Math.min(...rounds.map(({ ms99 }) => ms99)),
  };
}

export async function rounds<T>(count: number, run: (round: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  for (let round = 0; round < count; round += 1) done.push(await run(round));
  return done;
}

/** What is in the middle: a neighbour that wakes up in one round does not move it. */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 0 ? ((sorted[middle - 1] ?? NaN) + upper) / 2 : upper;
}
