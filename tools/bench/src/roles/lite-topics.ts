/**
 * A million lite topics: made by a message each, then deleted as if all had been idle. What they cost in CPU, how long a
 * start takes with all of them, and what the process holds for each right after it: the view, the directory, the index of
 * the active segment, and a group's progress in those that it has begun.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { GroupsView } from '@cometmq/consumption';
import { LiteTopicsView } from '@cometmq/lite';
import { encodeEnvelope, epoch, groupId, queueOffset, topicId, type QueueId } from '@cometmq/model';
import { systemClock } from '@cometmq/shared';
import { FileDisk, MessageStore } from '@cometmq/store';

const parent = topicId(1);
const group = groupId(2);
const deletedPerRecord = 1_024;

export interface LiteTopicsJob {
  readonly folder: string;
  readonly topics: number;
  readonly inFlight: number;
  readonly payloadBytes: number;
}

export interface LiteTopicsFigures {
  /** Lite topics made and their first messages committed. */
  readonly createdPerSecond: number;
  readonly createMicros: number;
  readonly startMs: number;
  /** Held right after the start, without any group. */
  readonly bytesPerTopic: number;
  /** What a group that has begun in each of them adds. */
  readonly bytesPerGroupAndTopic: number;
  readonly findMicros: number;
  readonly deletedPerSecond: number;
  readonly deleteMicros: number;
  readonly left: number;
}

export async function benchLiteTopics(job: LiteTopicsJob): Promise<LiteTopicsFigures> {
  const first = open(job.folder);
  await first.store.start();
  await first.store.beginEpoch(epoch(1));
  const created = await measured(() => create(first, job));
  await first.store.stop();

  const { store, lite, groups } = open(job.folder);
  const before = await heldBytes();
  const openMs = systemClock.monotonicMs();
  await store.start();
  const startMs = systemClock.monotonicMs() - openMs;
  const held = await heldBytes();
  await store.beginEpoch(epoch(2));
  const found = await measured(async () => {
    for (let i = 0; i < job.topics; i += 1) if (lite.find(parent, nameOf(i)) === undefined) throw new Error(nameOf(i));
  });
  await beginAll(store, lite, groups);
  const heldWithGroup = await heldBytes();
  const deleted = await measured(() => deleteAll(store, lite));
  const left = lite.count + store.sizes.queues;
  await store.stop();
  rmSync(join(job.folder, 'lite'), { recursive: true });
  return {
    createdPerSecond: job.topics / created.seconds,
    createMicros: created.cpuMicros / job.topics,
    startMs,
    bytesPerTopic: (held - before) / job.topics,
    bytesPerGroupAndTopic: (heldWithGroup - held) / job.topics,
    findMicros: found.cpuMicros / job.topics,
    deletedPerSecond: job.topics / deleted.seconds,
    deleteMicros: deleted.cpuMicros / job.topics,
    left,
  };
}

function open(folder: string) {
  const lite = new LiteTopicsView();
  const groups = new GroupsView();
  const store = new MessageStore({
    disk: new FileDisk(folder),
    folder: 'lite',
    brokerName: 'bench',
    clock: systemClock,
    views: [groups, lite],
    onFailed: (error) => {
      throw error;
    },
    onTrouble: (what, cause) => process.stderr.write(`${what}: ${String(cause)}\n`),
  });
  return { store, lite, groups };
}

/** As long as a session's id. */
const nameOf = (i: number): string => `session-${String(i).padStart(12, '0')}`;

function create({ store, lite }: ReturnType<typeof open>, job: LiteTopicsJob): Promise<void> {
  const none = Buffer.alloc(0);
  let begun = 0;
  let done = 0;
  return new Promise((resolve, reject) => {
    const keepAlive = setInterval(() => undefined, 1000);
    const next = (): void => {
      const name = nameOf(begun);
      begun += 1;
      const timestampMs = 1_700_000_000_000 + (begun >>> 7);
      const { queueId, record } = lite.decideCreate(parent, name);
      store.append(record.kind, timestampMs, record.payload);
      const id = Buffer.from(String(begun).padStart(34, '0'));
      const envelope = encodeEnvelope({ type: 5, tag: none, id, group: none, keys: [], liteTopic: Buffer.from(name) });
      const payload = [envelope, Buffer.alloc(job.payloadBytes, 2)];
      const { end } = store.appendMessage({ topicId: parent, queueId, tagHash: 0, groupHash: 7, timestampMs, payload });
      store.whenCommitted(end, (error) => {
        if (error) reject(error);
        done += 1;
        if (begun < job.topics) next();
        else if (done === job.topics) {
          clearInterval(keepAlive);
          resolve();
        }
      });
    };
    for (let i = Math.min(job.inFlight, job.topics); i > 0; i -= 1) next();
  });
}

async function beginAll(store: MessageStore, lite: LiteTopicsView, groups: GroupsView): Promise<void> {
  await eachSlice(lite, async (queues) => {
    const starts = queues.map((queueId) => ({ topicId: parent, queueId, offset: queueOffset(1) }));
    const { kind, payload } = groups.decideStarts(group, starts);
    await committed(store, store.append(kind, 1_700_000_100_000, payload).end);
  });
}

async function deleteAll(store: MessageStore, lite: LiteTopicsView): Promise<void> {
  await eachSlice(lite, async (queues) => {
    const gone = queues.map((queueId) => {
      const { messages, bytes } = store.queueSize(parent, queueId) ?? { messages: 0, bytes: 0 };
      return { topicId: parent, queueId, messages, bytes };
    });
    await committed(store, store.deleteLiteQueues(lite.decideDelete(gone), 1_700_000_200_000).end);
  });
}

async function eachSlice(lite: LiteTopicsView, act: (queues: readonly QueueId[]) => Promise<void>): Promise<void> {
  let from: number | undefined = 0;
  while (from !== undefined) {
    const queues: QueueId[] = [];
    from = lite.walk(from, deletedPerRecord, (_topic, queueId) => queues.push(queueId));
    if (queues.length > 0) await act(queues);
  }
}

function committed(store: MessageStore, end: Parameters<MessageStore['whenCommitted']>[0]): Promise<void> {
  return new Promise((resolve, reject) => store.whenCommitted(end, (error) => (error ? reject(error) : resolve())));
}

async function measured(act: () => Promise<void>): Promise<{ seconds: number; cpuMicros: number }> {
  const startMs = systemClock.monotonicMs();
  const cpu = process.cpuUsage();
  await act();
  const used = process.cpuUsage(cpu);
  return { seconds: (systemClock.monotonicMs() - startMs) / 1000, cpuMicros: used.user + used.system };
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
