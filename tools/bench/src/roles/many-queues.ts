/**
 * A store with many queues: how long a send waits beside few of them, what a queue costs in memory, how long a start
 * takes, and what a checkpoint costs after only some have changed.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { encodeEnvelope, epoch, queueId, topicId } from '@cometmq/model';
import { Prng, systemClock } from '@cometmq/shared';
import { FileDisk, MessageStore } from '@cometmq/store';

import { Histogram } from '../load/histogram.js';

const topic = topicId(1);

export interface ManyQueuesJob {
  readonly folder: string;
  /** Each gets a message first. */
  readonly queues: number;
  /** Then so many go to queues by chance. */
  readonly messages: number;
  readonly inFlight: number;
  readonly payloadBytes: number;
}

export interface ManyQueuesFigures {
  readonly perSecond: number;
  readonly cpuSecondsPerMillion: number;
  /** From the append until it is committed. */
  readonly msMedian: number;
  readonly ms99: number;
  /** The longest the event loop was away. */
  readonly stallMs: number;
  /** Of all that the process holds right after a start: the directory, and the index of the active segment. */
  readonly bytesPerQueue: number;
  readonly startMs: number;
  /** A checkpoint after a thousand queues have changed. */
  readonly checkpointMs: number;
}

export async function benchManyQueues(job: ManyQueuesJob): Promise<ManyQueuesFigures> {
  let store = open(job.folder);
  await store.start();
  await store.beginEpoch(epoch(1));
  const load = new Load(job);
  // Compiled, and buffers in place.
  await load.send(store, 100_000, () => 0);
  let next = 0;
  await load.send(store, job.queues, () => next++);
  const chance = new Prng(1);
  const cpu = process.cpuUsage();
  const startMs = systemClock.monotonicMs();
  const stalls = watchStalls();
  const times = await load.send(store, job.messages, () => chance.below(job.queues));
  const stallMs = stalls();
  const ms = systemClock.monotonicMs() - startMs;
  const used = process.cpuUsage(cpu);
  await store.stop();
  store = open(job.folder);
  const heldBefore = await heldBytes(); // Of the first one nothing is left.
  const openMs = systemClock.monotonicMs();
  await store.start();
  const startedMs = systemClock.monotonicMs();
  const bytesPerQueue = ((await heldBytes()) - heldBefore) / job.queues;
  await load.send(store, 1_000, () => chance.below(job.queues));
  const checkpointMs = systemClock.monotonicMs();
  await store.checkpoint();
  const checkpointedMs = systemClock.monotonicMs();
  await store.stop();
  rmSync(join(job.folder, 'store'), { recursive: true });
  return {
    perSecond: (job.messages / ms) * 1000,
    cpuSecondsPerMillion: (used.user + used.system) / job.messages,
    msMedian: times.at(0.5),
    ms99: times.at(0.99),
    stallMs,
    bytesPerQueue,
    startMs: startedMs - openMs,
    checkpointMs: checkpointedMs - checkpointMs,
  };
}

function open(folder: string): MessageStore {
  return new MessageStore({
    disk: new FileDisk(folder),
    folder: 'store',
    brokerName: 'bench',
    clock: systemClock,
    views: [],
    onFailed: (error) => {
      throw error;
    },
    onTrouble: (what, cause) => process.stderr.write(`${what}: ${String(cause)}\n`),
  });
}

async function heldBytes(): Promise<number> {
  // What arrays held comes free only after the turn in which they were collected.
  for (let i = 0; i < 3; i += 1) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Answers, when called, the longest time between two looks. */
function watchStalls(): () => number {
  let longest = 0;
  let last = systemClock.monotonicMs();
  const timer = setInterval(() => {
    const now = systemClock.monotonicMs();
    longest = Math.max(longest, now - last - 5);
    last = now;
  }, 5);
  return () => {
    clearInterval(timer);
    return longest;
  };
}

class Load {
  private readonly payload: Buffer[];
  private sent = 0;

  constructor(private readonly job: ManyQueuesJob) {
    const none = Buffer.alloc(0);
    const envelope = encodeEnvelope({ type: 1, tag: none, id: Buffer.alloc(34, '1'), group: none, keys: [] });
    this.payload = [envelope, Buffer.alloc(Math.max(0, job.payloadBytes - envelope.length), 2)];
  }

  send(store: MessageStore, messages: number, queueOf: () => number): Promise<Histogram> {
    const times = new Histogram();
    let begun = 0;
    let done = 0;
    return new Promise((resolve, reject) => {
      const keepAlive = setInterval(() => undefined, 1000);
      const next = (): void => {
        begun += 1;
        this.sent += 1;
        this.payload[0]?.writeUInt32LE(this.sent, 4); // Another hash of an id each time.
        const sentMs = systemClock.monotonicMs();
        const { end } = store.appendMessage({
          topicId: topic,
          queueId: queueId(queueOf()),
          tagHash: 7,
          groupHash: 0,
          timestampMs: 1_700_000_000_000 + (this.sent >>> 7),
          payload: this.payload,
        });
        store.whenCommitted(end, (error) => {
          if (error) reject(error);
          times.add(systemClock.monotonicMs() - sentMs);
          done += 1;
          if (begun < messages) next();
          else if (done === messages) {
            clearInterval(keepAlive);
            resolve(times);
          }
        });
      };
      for (let i = Math.min(this.job.inFlight, messages); i > 0; i -= 1) next();
    });
  }
}
