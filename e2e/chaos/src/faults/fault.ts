/** What a fault is: whom it hits, how, and how the victim comes back. */
import type { ClusterProcess } from '../../../../tools/cluster/process.ts';
import type { Clients } from '../../../support/clients.js';
import type { Cluster } from '../../../support/cluster.js';
import type { Network } from '../network.js';
import type { Need, Tools } from '../tools.js';
import type { Victims } from '../victims.js';

/** Where a fault strikes, and what it may use. */
export interface Stage {
  readonly cluster: Cluster;
  /** The folder of all data of the cluster. */
  readonly home: string;
  readonly set: string;
  readonly victims: Victims;
  readonly network: Network;
  readonly tools: Tools;
  /** From 0 to below 1, of the run's seed. */
  readonly chance: () => number;
  /** At the second proxy. */
  readonly clients: Clients;
  /** Resolves when sends to the set have been answered again for a while. */
  readonly servesAgain: () => Promise<void>;
  /** Resolves when so many more sends to the set have been answered. */
  readonly more: (count: number) => Promise<void>;
  /** For the report. */
  readonly note: (what: string) => void;
}

export interface Struck {
  readonly atMs: number;
  /** Lasts as long as the fault does, and ends with everybody back. */
  readonly undo: () => Promise<void>;
}

export interface Fault {
  /** In words, for the report. */
  readonly words: string;
  readonly needs?: readonly Need[];
  /** Promises that hold for this one beside those that hold for all. */
  readonly keeps?: readonly ('every send' | 'the leader')[];
  readonly strike: (stage: Stage) => Promise<Struck>;
}

export function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Something that lasts for so long, and then is undone. */
export function lasting(ms: number, undo: () => void | Promise<void>): Struck {
  const atMs = performance.now();
  return {
    atMs,
    undo: async () => {
      await rest(Math.max(0, atMs + ms - performance.now()));
      await undo();
    },
  };
}

/** Starts those that do not run, and waits for all. */
export async function bringBack(processes: readonly ClusterProcess[]): Promise<void> {
  for (const process of processes) if (process.pid === undefined) process.launch();
  await Promise.all(processes.map((process) => process.ready(90_000)));
}

export async function killAll(processes: readonly ClusterProcess[]): Promise<void> {
  for (const process of processes) process.killNow();
  await Promise.all(processes.map((process) => process.kill()));
}

/** SIGSTOP. @returns SIGCONT, for the same process only */
export function pause(victim: ClusterProcess): () => void {
  const { pid } = victim;
  if (pid !== undefined) process.kill(pid, 'SIGSTOP');
  return () => {
    if (pid !== undefined && victim.pid === pid) process.kill(pid, 'SIGCONT');
  };
}
