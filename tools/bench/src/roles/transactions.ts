/** Transactions on a broker in this process: half messages that are committed at once, beside plain sends. */
import { MessageType } from '@cometmq/model';
import { systemClock as clock } from '@cometmq/shared';

import { BenchBroker } from '../support/bench-broker.js';

export interface TransactionsJob {
  readonly folder: string;
  readonly messages: number;
  readonly inFlight: number;
}

export interface TransactionsFigures {
  readonly plainPerSecond: number;
  readonly plainCpuSecondsPerMillion: number;
  readonly committedPerSecond: number;
  readonly committedCpuSecondsPerMillion: number;
}

interface Measured {
  readonly perSecond: number;
  readonly cpuSecondsPerMillion: number;
}

export async function measureTransactions(job: TransactionsJob): Promise<TransactionsFigures> {
  const bench = await BenchBroker.open(job.folder, MessageType.mixed);
  await plain(bench, { ...job, messages: Math.min(50_000, job.messages) });
  await committed(bench, { ...job, messages: Math.min(50_000, job.messages) });
  const one = await plain(bench, job);
  const other = await committed(bench, job);
  await bench.close();
  return {
    plainPerSecond: one.perSecond,
    plainCpuSecondsPerMillion: one.cpuSecondsPerMillion,
    committedPerSecond: other.perSecond,
    committedCpuSecondsPerMillion: other.cpuSecondsPerMillion,
  };
}

function plain(bench: BenchBroker, { messages, inFlight }: TransactionsJob): Promise<Measured> {
  return measured(messages, () => bench.sendAll(messages, inFlight, 1_024, () => ({ type: MessageType.normal })));
}

/** Counted once both answers are there. */
function committed(bench: BenchBroker, { messages, inFlight }: TransactionsJob): Promise<Measured> {
  const body = [Buffer.alloc(1_024, 2)];
  return measured(
    messages,
    () =>
      new Promise((resolve, reject) => {
        let begun = 0;
        let done = 0;
        const next = (): void => {
          begun += 1;
          bench.sendOne({ type: MessageType.transaction }, body, begun, (error, result) => {
            const place = result?.pending;
            if (error || !place) reject(error ?? new Error('half a message was expected'));
            else bench.broker.endTransaction({ place, resolution: 'commit', checked: false }, ended);
          });
        };
        const ended = (error: Error | undefined): void => {
          if (error) reject(error);
          done += 1;
          if (begun < messages) next();
          else if (done === messages) resolve();
        };
        for (let i = 0; i < inFlight; i += 1) next();
      }),
  );
}

async function measured(messages: number, run: () => Promise<void>): Promise<Measured> {
  const cpu = process.cpuUsage();
  const startMs = clock.monotonicMs();
  await run();
  const ms = clock.monotonicMs() - startMs;
  const used = process.cpuUsage(cpu);
  return { perSecond: (messages / ms) * 1_000, cpuSecondsPerMillion: (used.user + used.system) / messages };
}
