/**
 * The whole store: append with group commit, all views folded, indexes sealed, checkpoints written; then a consumer's
 * scan over everything; then an opening after a stop without goodbye.
 *
 *   node store.bench.js [folder] [million records] [in flight] [payload bytes] [queues]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { encodeEnvelope } from '@cometmq/model';
import type { LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { systemClock } from '@cometmq/shared';

import { FileDisk } from '../src/disk/file-disk.js';
import { SegmentIndex } from '../src/index/segment-index.js';
import { MessageStore } from '../src/message-store.js';
import { Directory } from '../src/views/directory.js';
import { Sizes } from '../src/views/sizes.js';

const topic = 1 as TopicId;

function open(folder: string): MessageStore {
  return new MessageStore({
    disk: new FileDisk(folder),
    folder: 'data',
    brokerName: 'bench',
    clock: systemClock,
    views: [],
    onFailed: (error) => {
      throw error;
    },
    onTrouble: (what, cause) => process.stderr.write(`${what}: ${String(cause)}\n`),
  });
}

/** Microseconds a message for the fold alone: directory, sizes, segment index with the id. */
export function benchFold(messages: number, queues: number): number {
  const envelope = envelopeOf(1);
  const directory = new Directory();
  const sizes = new Sizes();
  let index = new SegmentIndex(0 as LogPosition);
  const cpu = process.cpuUsage();
  for (let i = 0; i < messages; i += 1) {
    const position = i * 1100;
    if (position - index.first > 256 * 1024 * 1024) index = new SegmentIndex(position as LogPosition, index.entryCount);
    const queue = i % queues;
    const offset = Math.floor(i / queues);
    index.add(topic, queue, offset, position, 1100, 7, 0, i >>> 5);
    index.addKeys(topic, envelope);
    directory.advance(topic, queue, offset, position);
    sizes.grow(topic, 1100);
  }
  const used = process.cpuUsage(cpu);
  return (used.user + used.system) / messages;
}

export interface StoreFigures {
  readonly foldMicros: number;
  readonly recordsPerSecond: number;
  readonly cpuSecondsPerMillion: number;
  /** Of it, in the kernel: mostly copying to the page cache and the disk. */
  readonly cpuSystemSecondsPerMillion: number;
  readonly rssGrowthMiB: number;
  readonly rssMiB: number;
  readonly scanMicrosPerEntry: number;
  readonly openMs: number;
  readonly logGiB: number;
}

export async function benchStore(
  parent: string,
  messages: number,
  inFlight: number,
  bytes: number,
  queues: number,
): Promise<StoreFigures> {
  const folder = mkdtempSync(join(parent, 'cometmq-store-'));
  try {
    const foldMicros = benchFold(1_000_000, queues);
    const store = open(folder);
    await store.start();
    const rssBefore = process.memoryUsage().rss;
    const cpu = process.cpuUsage();
    const beganMs = systemClock.monotonicMs();
    await appendAll(store, messages, inFlight, bytes, queues);
    const tookMs = systemClock.monotonicMs() - beganMs;
    const used = process.cpuUsage(cpu);
    await store.idle();
    const rssAfter = process.memoryUsage().rss;
    const scanMicrosPerEntry = await scanAll(store, queues);
    const logGiB = store.appendEnd / 1024 ** 3;
    // As after a kill: the lock is given back, no last checkpoint is made.
    const copy = folder;
    await abandon(store);
    const again = open(copy);
    const openedMs = systemClock.monotonicMs();
    await again.start();
    const openMs = systemClock.monotonicMs() - openedMs;
    const { next } = again.bounds(topic, 0 as QueueId);
    if (next !== Math.ceil(messages / queues)) throw new Error(`queue 0 has ${next} messages after opening`);
    await again.stop();
    return {
      foldMicros,
      recordsPerSecond: Math.round((messages / tookMs) * 1000),
      cpuSecondsPerMillion: (used.user + used.system) / messages,
      cpuSystemSecondsPerMillion: used.system / messages,
      rssGrowthMiB: (rssAfter - rssBefore) / 1024 ** 2,
      rssMiB: rssAfter / 1024 ** 2,
      scanMicrosPerEntry,
      openMs,
      logGiB,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function envelopeOf(n: number): Buffer {
  const none = Buffer.alloc(0);
  const id = Buffer.from(n.toString(16).padStart(34, '0'));
  return encodeEnvelope({ type: 1, tag: none, id, group: none, keys: [] });
}

function appendAll(
  store: MessageStore,
  messages: number,
  inFlight: number,
  bytes: number,
  queues: number,
): Promise<void> {
  const envelope = envelopeOf(1);
  const body = Buffer.alloc(bytes - envelope.length, 2);
  const payload = [envelope, body];
  let sent = 0;
  let done = 0;
  return new Promise((resolve, reject) => {
    const keepAlive = setInterval(() => undefined, 1000);
    const send = (): void => {
      envelope.writeUInt32LE(sent + 1, 4);
      const { end } = store.appendMessage({
        topicId: topic,
        queueId: (sent % queues) as QueueId,
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
      if (sent < messages) send();
      else if (done === messages) {
        clearInterval(keepAlive);
        resolve();
      }
    };
    for (let i = 0; i < inFlight; i += 1) send();
  });
}

async function scanAll(store: MessageStore, queues: number): Promise<number> {
  const cpu = process.cpuUsage();
  let entriesRead = 0;
  let sum = 0;
  for (let queue = 0; queue < queues; queue += 1) {
    for (let from = 0 as QueueOffset; ;) {
      const found = store.scan(topic, queue as QueueId, from, 256);
      const entries = found instanceof Promise ? await found : found;
      if (entries.count === 0) break;
      for (let i = 0; i < entries.count; i += 1) sum += entries.size(i);
      entriesRead += entries.count;
      from = entries.end;
    }
  }
  const used = process.cpuUsage(cpu);
  if (sum === 0) throw new Error('nothing was found');
  return (used.user + used.system) / entriesRead;
}

async function abandon(store: MessageStore): Promise<void> {
  const inside = store as unknown as {
    log: { close(): Promise<void> };
    checkpointer: { stop(): Promise<void> };
    dataFolder: { release(): Promise<void> };
    timer: { cancel(): void };
    stopping: boolean;
  };
  inside.stopping = true;
  inside.timer.cancel();
  await inside.log.close();
  await inside.checkpointer.stop();
  await inside.dataFolder.release();
}

if (process.argv[1]?.includes('store.bench')) {
  const [parent = tmpdir(), million = '1', inFlight = '1024', bytes = '1024', queues = '64'] = process.argv.slice(2);
  const figures = await benchStore(parent, Number(million) * 1e6, Number(inFlight), Number(bytes), Number(queues));
  process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
}
