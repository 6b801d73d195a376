/**
 * The whole store: append with group commit, all views folded, indexes sealed, checkpoints written; then the scan of a
 * consumer over everything.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { encodeEnvelope, epoch, queueId, queueOffset, topicId } from '@cometmq/model';
import { systemClock } from '@cometmq/shared';
import { FileDisk, MessageStore } from '@cometmq/store';

const topic = topicId(1);

export interface StoreAppendJob {
  readonly folder: string;
  readonly messages: number;
  readonly inFlight: number;
  readonly payloadBytes: number;
  readonly queues: number;
}

export interface StoreAppendFigures {
  readonly perSecond: number;
  readonly cpuSecondsPerMillion: number;
  /** Of it, in the kernel: mostly copying to the page cache and the disk. */
  readonly cpuKernelSecondsPerMillion: number;
  readonly rssGrowthMiB: number;
  readonly scanMicrosPerMessage: number;
}

export async function appendToStore(job: StoreAppendJob): Promise<StoreAppendFigures> {
  const store = new MessageStore({
    disk: new FileDisk(job.folder),
    folder: 'store',
    brokerName: 'bench',
    clock: systemClock,
    views: [],
    onFailed: (error) => {
      throw error;
    },
    onTrouble: (what, cause) => process.stderr.write(`${what}: ${String(cause)}\n`),
  });
  await store.start();
  try {
    await store.beginEpoch(epoch(1));
    await appendAll(store, { ...job, messages: Math.min(job.messages, 100_000) }); // Compiled, buffers in place.
    const rssBefore = process.memoryUsage().rss;
    const cpu = process.cpuUsage();
    const startMs = systemClock.monotonicMs();
    await appendAll(store, job);
    const ms = systemClock.monotonicMs() - startMs;
    const used = process.cpuUsage(cpu);
    await store.idle();
    const rssGrowthMiB = (process.memoryUsage().rss - rssBefore) / 1024 ** 2;
    return {
      perSecond: (job.messages / ms) * 1000,
      cpuSecondsPerMillion: (used.user + used.system) / job.messages,
      cpuKernelSecondsPerMillion: used.system / job.messages,
      rssGrowthMiB,
      scanMicrosPerMessage: await scanAll(store, job.queues),
    };
  } finally {
    await store.stop();
    rmSync(join(job.folder, 'store'), { recursive: true });
  }
}

function appendAll(store: MessageStore, job: StoreAppendJob): Promise<void> {
  const none = Buffer.alloc(0);
  const id = Buffer.from('1'.padStart(34, '0'));
  const envelope = encodeEnvelope({ type: 1, tag: none, id, group: none, keys: [] });
  const payload = [envelope, Buffer.alloc(job.payloadBytes - envelope.length, 2)];
  let sent = 0;
  let done = 0;
  return new Promise((resolve, reject) => {
    const keepAlive = setInterval(() => undefined, 1000);
    const send = (): void => {
      envelope.writeUInt32LE(sent + 1, 4); // Another hash of an id each time.
      const { end } = store.appendMessage({
        topicId: topic,
        queueId: queueId(sent % job.queues),
        tagHash: 7,
        groupHash: 0,
        timestampMs: 1_700_000_000_000 + (sent >>> 7),
        payload,
      });
      sent += 1;
      store.whenCommitted(end, onDone);
    };
    const onDone = (error?: Error): void => {
      if (error) reject(error);
      done += 1;
      if (sent < job.messages) send();
      else if (done === job.messages) {
        clearInterval(keepAlive);
        resolve();
      }
    };
    for (let i = 0; i < job.inFlight; i += 1) send();
  });
}

async function scanAll(store: MessageStore, queues: number): Promise<number> {
  const cpu = process.cpuUsage();
  let read = 0;
  let bytes = 0;
  for (let queue = 0; queue < queues; queue += 1) {
    for (let from = queueOffset(0); ;) {
      const found = store.scan(topic, queueId(queue), from, 256);
      const entries = found instanceof Promise ? await found : found;
      if (entries.count === 0) break;
      for (let i = 0; i < entries.count; i += 1) bytes += entries.size(i);
      read += entries.count;
      from = entries.end;
    }
  }
  const used = process.cpuUsage(cpu);
  if (bytes === 0) throw new Error('nothing was found');
  return (used.user + used.system) / read;
}
