/**
 * This program again, as another process, for one job: `main.cjs --role=<name>` reads its job as JSON from stdin and
 * writes what came of it as the last line of stdout.
 */
import { spawn } from 'node:child_process';

import { atExit } from './at-exit.js';
import { type CompactionFigures, type CompactionJob, benchCompaction } from '../roles/compaction.js';
import { type DecisionsFigures, type DecisionsJob, decide } from '../roles/decisions.js';
import { type DeliveryStateFigures, type DeliveryStateJob, benchDeliveryState } from '../roles/delivery-state.js';
import { type GuessesFigures, type GuessesJob, guess } from '../roles/guesses.js';
import { type InFlightFigures, type InFlightJob, measureInFlight } from '../roles/in-flight.js';
import { type LiteTopicsFigures, type LiteTopicsJob, benchLiteTopics } from '../roles/lite-topics.js';
import {
  type LatenessFigures,
  type LatenessJob,
  type RestartFigures,
  type RestartJob,
  type RushFigures,
  type RushJob,
  type WaitingFigures,
  type WaitingJob,
  fillWithWaiting,
  measureLateness,
  measureRush,
  restartWithWaiting,
} from '../roles/delays.js';
import { type KnownCallerFigures, type KnownCallerJob, measureKnownCaller } from '../roles/known-caller.js';
import { type LogAppendFigures, type LogAppendJob, appendToLog } from '../roles/log-append.js';
import { type ManyQueuesFigures, type ManyQueuesJob, benchManyQueues } from '../roles/many-queues.js';
import { type StoreAppendFigures, type StoreAppendJob, appendToStore } from '../roles/store-append.js';
import { makeNoise, type NoiseFigures, type NoiseJob } from '../roles/noise.js';
import { type SqlFiltersFigures, type SqlFiltersJob, benchSqlFilters } from '../roles/sql-filters.js';
import { type TransactionsFigures, type TransactionsJob, measureTransactions } from '../roles/transactions.js';
import { type LoadFigures, type LoadJob, runLoad } from '../load/load.js';

export interface RoleJobs {
  load: LoadJob;
  'log-append': LogAppendJob;
  'store-append': StoreAppendJob;
  'many-queues': ManyQueuesJob;
  'lite-topics': LiteTopicsJob;
  compaction: CompactionJob;
  'delivery-state': DeliveryStateJob;
  'sql-filters': SqlFiltersJob;
  'delay-lateness': LatenessJob;
  'delay-rush': RushJob;
  'delay-fill': WaitingJob;
  'delay-restart': RestartJob;
  guesses: GuessesJob;
  noise: NoiseJob;
  decisions: DecisionsJob;
  'in-flight': InFlightJob;
  'known-caller': KnownCallerJob;
  transactions: TransactionsJob;
}

export interface RoleResults {
  load: LoadFigures;
  'log-append': LogAppendFigures;
  'store-append': StoreAppendFigures;
  'many-queues': ManyQueuesFigures;
  'lite-topics': LiteTopicsFigures;
  compaction: CompactionFigures;
  'delivery-state': DeliveryStateFigures;
  'sql-filters': SqlFiltersFigures;
  'delay-lateness': LatenessFigures;
  'delay-rush': RushFigures;
  'delay-fill': WaitingFigures;
  'delay-restart': RestartFigures;
  guesses: GuessesFigures;
  noise: NoiseFigures;
  decisions: DecisionsFigures;
  'in-flight': InFlightFigures;
  'known-caller': KnownCallerFigures;
  transactions: TransactionsFigures;
}

const roles: { readonly [K in keyof RoleJobs]: (job: RoleJobs[K]) => Promise<RoleResults[K]> } = {
  load: runLoad,
  'log-append': appendToLog,
  'store-append': appendToStore,
  'many-queues': benchManyQueues,
  'lite-topics': benchLiteTopics,
  compaction: benchCompaction,
  'delivery-state': benchDeliveryState,
  'sql-filters': benchSqlFilters,
  'delay-lateness': measureLateness,
  'delay-rush': measureRush,
  'delay-fill': fillWithWaiting,
  'delay-restart': restartWithWaiting,
  guesses: guess,
  noise: makeNoise,
  decisions: decide,
  'in-flight': measureInFlight,
  'known-caller': measureKnownCaller,
  transactions: measureTransactions,
};

/** In the child. */
export async function playRole<K extends keyof RoleJobs>(role: K): Promise<void> {
  let text = '';
  for await (const chunk of process.stdin) text += String(chunk);
  const result = await roles[role](JSON.parse(text) as RoleJobs[K]);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

export function isRole(name: string): name is keyof RoleJobs {
  return Object.hasOwn(roles, name);
}

/** In the parent. */
export function runRole<K extends keyof RoleJobs>(
  program: string,
  role: K,
  job: RoleJobs[K],
  flags: readonly string[] = [],
): Promise<RoleResults[K]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, program, `--role=${role}`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const forget = atExit(() => child.kill('SIGKILL'));
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      forget();
      const last = said.trimEnd().split('\n').at(-1) ?? '';
      if (code === 0) resolve(JSON.parse(last) as RoleResults[K]);
      else reject(new Error(`the process for "${role}" ended with ${String(code)}`));
    });
    child.stdin.end(JSON.stringify(job));
  });
}
