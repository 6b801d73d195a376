/**
 * The log alone, with group commit: a fixed number of records in flight, each counted once it is durable.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { RecordKind, logPosition, queueId, queueOffset, topicId } from '@cometmq/model';
import { systemClock } from '@cometmq/shared';
import { CommitLog, FileDisk } from '@cometmq/store';

import { Histogram } from '../load/histogram.js';

export interface LogAppendJob {
  readonly folder: string;
  readonly seconds: number;
  readonly inFlight: number;
  readonly payloadBytes: number;
}

export interface LogAppendFigures {
  readonly perSecond: number;
  readonly cpuSecondsPerMillion: number;
  readonly msMedian: number;
  readonly ms99: number;
  readonly recordsPerBatch: number;
}

/** One wait in so many is timed. */
const timedEvery = 64;
const warmUpMs = 1_000;

export async function appendToLog(job: LogAppendJob): Promise<LogAppendFigures> {
  const clock = systemClock;
  const unlinks: Promise<void>[] = [];
  const log = new CommitLog(new FileDisk(job.folder), 'log', {}, clock, {
    onFailed: (error) => {
      throw error;
    },
    onSealed: (segment) => unlinks.push(log.unlink(segment.first)),
  });
  await log.open(undefined, 1);
  const keepAlive = setInterval(() => undefined, 1_000);
  try {
    const payload = [Buffer.alloc(100, 1), Buffer.alloc(job.payloadBytes - 100, 2)];
    const times = new Histogram();
    let done = 0;
    let batches = 0;
    let sent = 0;
    let counting = false;
    let enough = false;
    let startMs = 0;
    let cpu = process.cpuUsage();
    log.onDurable(() => (batches += 1));
    await new Promise<void>((finished) => {
      let open = 0;
      const send = (): void => {
        sent += 1;
        open += 1;
        const sentMs = sent % timedEvery === 0 ? clock.monotonicMs() : 0;
        const queue = {
          topicId: topicId(1),
          queueId: queueId(sent & 7),
          queueOffset: queueOffset(sent >>> 3),
          tagHash: 7,
          groupHash: 0,
        };
        const timestampMs = 1_700_000_000_000 + sent;
        const { position, size } = log.append({ kind: RecordKind.message, timestampMs, payload, queue });
        log.whenDurable(logPosition(position + size), () => {
          open -= 1;
          if (counting) done += 1;
          if (sentMs > 0 && counting) times.add(clock.monotonicMs() - sentMs);
          if (!enough) send();
          else if (open === 0) finished();
        });
      };
      for (let i = 0; i < job.inFlight; i += 1) send();
      clock.after(warmUpMs, () => {
        counting = true;
        batches = 0;
        startMs = clock.monotonicMs();
        cpu = process.cpuUsage();
        clock.after(job.seconds * 1_000, () => (enough = true));
      });
    });
    const ms = clock.monotonicMs() - startMs;
    const used = process.cpuUsage(cpu);
    return {
      perSecond: (done / ms) * 1_000,
      cpuSecondsPerMillion: (used.user + used.system) / done,
      msMedian: times.at(0.5),
      ms99: times.at(0.99),
      recordsPerBatch: done / batches,
    };
  } finally {
    clearInterval(keepAlive);
    await log.close();
    await Promise.all(unlinks); // Nothing may still be at work in the folder that goes.
    rmSync(join(job.folder, 'log'), { recursive: true });
  }
}
