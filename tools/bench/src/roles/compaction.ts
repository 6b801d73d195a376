/** Segments of short-lived messages with a few between that wait for long: what it takes to leave only those. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { encodeEnvelope, epoch, queueId, topicId } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { systemClock } from '@cometmq/shared';
import { FileDisk, MessageStore } from '@cometmq/store';

export interface CompactionJob {
  readonly folder: string;
  readonly messages: number;
  /** One in so many is pending and lives; the others expire. */
  readonly waitingEvery: number;
  readonly payloadBytes: number;
}

export interface CompactionFigures {
  readonly logMiBBefore: number;
  readonly logMiBAfter: number;
  /** What the messages that live take. */
  readonly liveMiB: number;
  readonly segments: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** The longest the event loop was away. */
  readonly stallMs: number;
  /** Reading a message from a compacted segment, one after another. */
  readonly readMicros: number;
}

export async function benchCompaction(job: CompactionJob): Promise<CompactionFigures> {
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
  await store.beginEpoch(epoch(1));
  const t0 = systemClock.wallMs();
  const waiting = await fill(store, job, t0);
  await store.checkpoint();
  await store.idle();
  const before = store.sizes;
  const cpu = process.cpuUsage();
  const startMs = systemClock.monotonicMs();
  let stallMs = 0;
  let last = startMs;
  const timer = setInterval(() => {
    const now = systemClock.monotonicMs();
    stallMs = Math.max(stallMs, now - last - 2);
    last = now;
  }, 2);
  for (let compacted = -1; compacted !== store.sizes.segmentsCompacted;) {
    compacted = store.sizes.segmentsCompacted;
    await store.retention.run(t0 + 1_000_000, () => ({ ms: 1_000 }));
  }
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  clearInterval(timer);
  const used = process.cpuUsage(cpu);
  const after = store.sizes;
  const readMs = systemClock.monotonicMs();
  for (const { position, size } of waiting) await store.read(position, size);
  const readMicros = ((systemClock.monotonicMs() - readMs) * 1000) / waiting.length;
  await store.stop();
  rmSync(join(job.folder, 'store'), { recursive: true });
  const mib = 1024 ** 2;
  return {
    logMiBBefore: before.logBytes / mib,
    logMiBAfter: after.logBytes / mib,
    liveMiB: after.pendingMessageBytes / mib,
    segments: after.segmentsCompacted,
    seconds,
    cpuSeconds: (used.user + used.system) / 1e6,
    stallMs,
    readMicros,
  };
}

function fill(
  store: MessageStore,
  { messages, waitingEvery, payloadBytes }: CompactionJob,
  timestampMs: number,
): Promise<{ position: LogPosition; size: number }[]> {
  const none = Buffer.alloc(0);
  const envelope = encodeEnvelope({ type: 1, tag: none, id: Buffer.alloc(34, '1'), group: none, keys: [] });
  const payload = [envelope, Buffer.alloc(payloadBytes - envelope.length, 2)];
  const waiting: { position: LogPosition; size: number }[] = [];
  let sent = 0;
  let done = 0;
  return new Promise((resolve, reject) => {
    const keepAlive = setInterval(() => undefined, 1000);
    const next = (): void => {
      sent += 1;
      envelope.writeUInt32LE(sent, 4); // Another hash of an id each time.
      const draft = {
        topicId: topicId(1),
        queueId: queueId(sent % 64),
        tagHash: 7,
        groupHash: 0,
        timestampMs,
        payload,
      };
      const waits = sent % waitingEvery === 0;
      const placed = waits ? store.appendPending(draft) : store.appendMessage(draft);
      if (waits) waiting.push({ position: placed.position, size: placed.size });
      store.whenCommitted(placed.end, (error) => {
        if (error) reject(error);
        done += 1;
        if (sent < messages) next();
        else if (done === messages) {
          clearInterval(keepAlive);
          resolve(waiting);
        }
      });
    };
    for (let i = 0; i < Math.min(512, messages); i += 1) next();
  });
}
