/** Delayed messages on a broker in this process: how late they come, a rush of them, and very many that wait. */
import { Envelope, MessageType } from '@cometmq/model';
import { sleep, systemClock as clock } from '@cometmq/shared';

import { Histogram } from '../load/histogram.js';
import { BenchBroker, rssMiB } from '../support/bench-broker.js';

export interface LatenessJob {
  readonly folder: string;
  readonly perSecond: number;
  readonly seconds: number;
}

export interface LatenessFigures {
  readonly messages: number;
  readonly earlyMsMax: number;
  readonly msMedian: number;
  readonly ms99: number;
  readonly msMax: number;
}

/** Sent at a steady rate, due 0.5 to 5 s later; late is when a consumer has it. */
export async function measureLateness(job: LatenessJob): Promise<LatenessFigures> {
  const bench = await BenchBroker.open(job.folder, MessageType.delay);
  const lateness = new Histogram();
  const total = job.perSecond * job.seconds;
  let early = 0;
  let late = 0;
  let seen = 0;
  bench.consume(
    16,
    (payload) => {
      const lateMs = clock.wallMs() - (new Envelope(payload).dueMs ?? 0);
      early = Math.max(early, -lateMs);
      late = Math.max(late, lateMs);
      lateness.add(Math.max(0, lateMs));
      seen += 1;
    },
    () => seen === total,
  );
  const stepMs = 10;
  const perStep = (job.perSecond * stepMs) / 1_000;
  const startMs = clock.monotonicMs();
  const body = [Buffer.alloc(1_024, 2)];
  for (let sent = 0; sent < total;) {
    const wanted = Math.min(total, Math.floor((clock.monotonicMs() - startMs) / stepMs) * perStep);
    for (; sent < wanted; sent += 1) {
      const dueMs = clock.wallMs() + 500 + ((sent * 7_919) % 4_500);
      bench.sendOne({ type: MessageType.delay, dueMs }, body, sent, (error) => {
        if (error) throw error;
      });
    }
    await sleep(clock, stepMs);
  }
  while (seen < total) await sleep(clock, 50);
  await bench.close();
  return { messages: seen, earlyMsMax: early, msMedian: lateness.at(0.5), ms99: lateness.at(0.99), msMax: late };
}

export interface RushJob {
  readonly folder: string;
  readonly messages: number;
}

export interface RushFigures {
  /** From the end of the second in which all were due. */
  readonly visibleSeconds: number;
  readonly consumedSeconds: number;
  readonly earlyMsMax: number;
  readonly rssGrowthMiB: number;
  /** Of sends that went on meanwhile. */
  readonly sends: number;
  readonly sendMs99: number;
  readonly sendMsMax: number;
}

/** All due within the same second, with consumers waiting and other sends going on. */
export async function measureRush(job: RushJob): Promise<RushFigures> {
  const bench = await BenchBroker.open(job.folder, MessageType.mixed);
  const { broker, topic } = bench;
  const normal = (): { type: MessageType } => ({ type: MessageType.normal });
  const warm = Math.min(50_000, job.messages);
  let seen = 0;
  let early = 0;
  bench.consume(
    16,
    (payload) => {
      const { dueMs } = new Envelope(payload);
      if (dueMs === undefined) return;
      early = Math.max(early, dueMs - clock.wallMs());
      seen += 1;
    },
    () => seen === job.messages,
  );
  const warmStart = clock.monotonicMs();
  await bench.sendAll(warm, 1_000, 1_024, normal);
  const perMs = warm / (clock.monotonicMs() - warmStart);
  const dueMs = Math.ceil((clock.wallMs() + 2 * (job.messages / perMs) + 5_000) / 1_000) * 1_000;
  await bench.sendAll(job.messages, 1_000, 1_024, (i) => ({ type: MessageType.delay, dueMs: dueMs + (i % 1_000) }));
  if (clock.wallMs() > dueMs - 1_000) throw new Error('they were sent too slowly to be due at once');
  // What a million sends have left behind is not the rush's.
  globalThis.gc?.();
  const before = rssMiB();
  let peak = before;
  let visibleMs = 0;
  const sends = new Histogram();
  let sendCount = 0;
  let sendMsMax = 0;
  while (clock.wallMs() < dueMs - 500) await sleep(clock, 50);
  const body = [Buffer.alloc(1_024, 2)];
  while (seen < job.messages) {
    for (let i = 0; i < 10; i += 1) {
      const sentMs = clock.monotonicMs();
      bench.sendOne(normal(), body, sendCount, (error) => {
        if (error) throw error;
        const ms = clock.monotonicMs() - sentMs;
        sends.add(ms);
        sendMsMax = Math.max(sendMsMax, ms);
      });
      sendCount += 1;
    }
    peak = Math.max(peak, rssMiB());
    if (visibleMs === 0 && (broker.delayed.sizes.get(topic.id) ?? 0) === 0) visibleMs = clock.wallMs();
    await sleep(clock, 10);
  }
  const consumedMs = clock.wallMs();
  await bench.close();
  return {
    visibleSeconds: ((visibleMs || consumedMs) - dueMs - 1_000) / 1_000,
    consumedSeconds: (consumedMs - dueMs - 1_000) / 1_000,
    earlyMsMax: early,
    rssGrowthMiB: peak - before,
    sends: sendCount,
    sendMs99: sends.at(0.99),
    sendMsMax,
  };
}

export interface WaitingJob {
  readonly folder: string;
  readonly messages: number;
}

export interface WaitingFigures {
  readonly perSecond: number;
  /** At a tenth of them, and at all. */
  readonly rssTenthMiB: number;
  readonly rssAllMiB: number;
}

const day = 24 * 3_600_000;

/** Fills a broker with messages due in an hour to 40 days. Ends as `kill -9` would, with the log and no last checkpoint. */
export async function fillWithWaiting(job: WaitingJob): Promise<WaitingFigures> {
  const bench = await BenchBroker.open(job.folder, MessageType.delay);
  const startMs = clock.monotonicMs();
  const dueFromMs = clock.wallMs() + day / 24;
  const fill = (count: number, from: number): Promise<void> =>
    bench.sendAll(count, 2_000, 64, (i) => {
      const spread = Math.imul(from + i + 1, 0x9e3779b1) >>> 0;
      return { type: MessageType.delay, dueMs: dueFromMs + (spread % (40 * day - day / 24)) };
    });
  const settled = async (): Promise<number> => {
    await bench.broker.store.checkpoint();
    globalThis.gc?.();
    await sleep(clock, 1_000);
    globalThis.gc?.();
    return rssMiB();
  };
  const tenth = Math.floor(job.messages / 10);
  await fill(tenth, 0);
  const rssTenthMiB = await settled();
  await fill(job.messages - tenth, tenth);
  const perSecond = (job.messages / (clock.monotonicMs() - startMs)) * 1_000;
  const rssAllMiB = await settled();
  await fill(Math.min(20_000, tenth), job.messages); // What no checkpoint knows.
  setTimeout(() => process.exit(0), 500);
  return { perSecond, rssTenthMiB, rssAllMiB };
}

export interface RestartJob {
  readonly folder: string;
  readonly term: number;
}

export interface RestartFigures {
  readonly startMs: number;
  readonly waiting: number;
  readonly rssMiB: number;
}

export async function restartWithWaiting(job: RestartJob): Promise<RestartFigures> {
  const bench = await BenchBroker.open(job.folder, MessageType.delay);
  const waiting = bench.broker.delayed.size;
  globalThis.gc?.();
  const figures = { startMs: bench.startMs, waiting, rssMiB: rssMiB() };
  setTimeout(() => process.exit(0), 500);
  return figures;
}
