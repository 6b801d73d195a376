/** Messages in flight on a broker in this process: what they take while nobody acknowledges, and when they come again. */
import { MessageType } from '@cometmq/model';
import { sleep, systemClock as clock } from '@cometmq/shared';

import { Histogram } from '../load/histogram.js';
import { BenchBroker, rssMiB } from '../support/bench-broker.js';

export interface InFlightJob {
  readonly folder: string;
  /** Held at once. */
  readonly messages: number;
  /** Of those that are to come again. */
  readonly again: number;
}

export interface InFlightFigures {
  readonly rssGrowthMiB: number;
  readonly againMsMedian: number;
  readonly againMs99: number;
  /** Above 0: a message came before its invisible time was over. */
  readonly earlyMsMax: number;
}

const normal = { type: MessageType.normal };
const batchMax = 32;
const invisibleMs = 10_000;

export async function measureInFlight(job: InFlightJob): Promise<InFlightFigures> {
  const bench = await BenchBroker.open(job.folder, MessageType.normal);
  const again = await measureAgain(bench, job.again);
  await bench.sendAll(job.messages, 1_000, 200, () => normal);
  globalThis.gc?.();
  const before = rssMiB();
  let peak = before;
  for (let held = 0; held < job.messages;) {
    const taken = await bench.receive('holder', batchMax, 3_600_000, 5_000);
    if (taken.length === 0) throw new Error(`only ${held} of ${job.messages} messages came`);
    held += taken.length;
    if (held % 10_000 < batchMax) peak = Math.max(peak, rssMiB());
  }
  globalThis.gc?.();
  const rssGrowthMiB = Math.max(peak, rssMiB()) - before;
  await bench.close();
  return { rssGrowthMiB, ...again };
}

/** Received at a steady pace, never acknowledged at first; late is when a waiting consumer has it again. */
async function measureAgain(bench: BenchBroker, count: number): Promise<Omit<InFlightFigures, 'rssGrowthMiB'>> {
  await bench.sendAll(count, 100, 1_024, () => normal);
  const due = new Map<string, number>();
  while (due.size < count) {
    const dueMs = clock.monotonicMs() + invisibleMs;
    for (const { receipt } of await bench.receive('first', 8, invisibleMs, 0)) {
      due.set(`${receipt.queueId}/${receipt.offset}`, dueMs);
    }
    await sleep(clock, 5);
  }
  const late = new Histogram();
  let earlyMsMax = 0;
  while (due.size > 0) {
    const taken = await bench.receive('second', batchMax, 60_000, 20_000);
    const nowMs = clock.monotonicMs();
    for (const { receipt } of taken) {
      const key = `${receipt.queueId}/${receipt.offset}`;
      const lateMs = nowMs - (due.get(key) ?? nowMs);
      due.delete(key);
      late.add(Math.max(0, lateMs));
      earlyMsMax = Math.max(earlyMsMax, -lateMs);
      bench.broker.ack({ receipt }, (error) => {
        if (error) throw error;
      });
    }
  }
  return { againMsMedian: late.at(0.5), againMs99: late.at(0.99), earlyMsMax };
}
