/**
 * Append with group commit: 1 KiB records, a fixed number in flight, each counted once it is durable. Says records a
 * second, CPU a record (all threads), and how long a record waits.
 *
 *   node append.bench.js [folder] [seconds] [in flight] [payload bytes]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { RecordKind, logPosition, queueId, queueOffset, topicId } from '@cometmq/model';
import { systemClock } from '@cometmq/shared';

import { FileDisk } from '../src/disk/file-disk.js';
import { CommitLog } from '../src/log/commit-log.js';

export interface AppendFigures {
  readonly recordsPerSecond: number;
  readonly cpuMicrosPerRecord: number;
  readonly cpuSystemMicrosPerRecord: number;
  readonly waitMsMedian: number;
  readonly waitMs99: number;
  readonly batchRecords: number;
  readonly rssMiB: number;
}

export async function benchAppend(
  parent: string,
  seconds: number,
  inFlight: number,
  bytes: number,
): Promise<AppendFigures> {
  const folder = mkdtempSync(join(parent, 'cometmq-append-'));
  const clock = systemClock;
  const log = new CommitLog(new FileDisk(folder), 'log', {}, clock, {
    onFailed: (error) => {
      throw error;
    },
    onSealed: (segment) => void log.unlink(segment.first),
  });
  await log.open(undefined);
  try {
    const payload = [Buffer.alloc(100, 1), Buffer.alloc(bytes - 100, 2)];
    let done = 0;
    let batches = 0;
    let sent = 0;
    let counting = false;
    const waits: number[] = [];
    log.onDurable(() => (batches += 1));
    let enough = false;
    await new Promise<void>((finished) => {
      let open = 0;
      const send = (): void => {
        sent += 1;
        open += 1;
        const sampledMs = sent % 64 === 0 ? clock.monotonicMs() : 0;
        const { position, size } = log.append({
          kind: RecordKind.message,
          timestampMs: 1_700_000_000_000 + sent,
          payload,
          queue: {
            topicId: topicId(1),
            queueId: queueId(sent & 7),
            queueOffset: queueOffset(sent >>> 3),
            tagHash: 7,
            groupHash: 0,
          },
        });
        log.whenDurable(logPosition(position + size), () => {
          open -= 1;
          if (counting) done += 1;
          if (sampledMs > 0 && counting) waits.push(clock.monotonicMs() - sampledMs);
          if (!enough) send();
          else if (open === 0) finished();
        });
      };
      for (let i = 0; i < inFlight; i += 1) send();
      clock.after(1_000, () => {
        counting = true;
        batches = 0;
        begin = { ms: clock.monotonicMs(), cpu: process.cpuUsage() };
        clock.after(seconds * 1_000, () => (enough = true));
      });
      keepAlive = setInterval(() => undefined, 1_000);
    });
    const ms = clock.monotonicMs() - begin.ms;
    const cpu = process.cpuUsage(begin.cpu);
    waits.sort((a, b) => a - b);
    return {
      recordsPerSecond: Math.round((done / ms) * 1_000),
      cpuMicrosPerRecord: (cpu.user + cpu.system) / done,
      cpuSystemMicrosPerRecord: cpu.system / done,
      waitMsMedian: waits[waits.length >>> 1] ?? 0,
      waitMs99: waits[Math.floor(waits.length * 0.99)] ?? 0,
      batchRecords: done / batches,
      rssMiB: process.memoryUsage().rss / 1024 ** 2,
    };
  } finally {
    clearInterval(keepAlive);
    await log.close();
    rmSync(folder, { recursive: true });
  }
}

let begin = { ms: 0, cpu: process.cpuUsage() };
let keepAlive: NodeJS.Timeout | undefined;

if (process.argv[1]?.includes('append.bench')) {
  const [parent = tmpdir(), seconds = '5', inFlight = '1024', bytes = '1024'] = process.argv.slice(2);
  const figures = await benchAppend(parent, Number(seconds), Number(inFlight), Number(bytes));
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
