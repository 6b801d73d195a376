/**
 * Whatever one operation of the disk says, and whenever. Goal: nothing acknowledged is lost, nothing is read wrong, nothing
 * hangs, and no rejection is left to nobody: the store goes on, or says that it has failed. Method: by chance one operation of the
 * disk fails, or all from there on, while messages come and go; then the process ends, with or without the power, and what
 * the next one finds is compared with what was acknowledged.
 */
import { type Epoch, type LogPosition, memberId, RecordKind, type TopicId } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import type { Disk } from './disk/disk.js';
import { faultyDisk, type FaultyOperation } from './disk/faulty-disk.js';
import { MemoryDisk, systemError } from './disk/memory-disk.js';
import { committed, idsOf, openStore, send } from './store-harness.js';
import type { OpenedStore } from './store-harness.js';

const given = { checkpoints: 'on the disk' } as const;
const codes = ['EIO', 'ENOSPC', 'EMFILE', 'EROFS', 'EACCES'];
const keptTopic = 1;
const shortTopic = 2;

interface Plan {
  readonly at: number;
  readonly lasts: boolean;
  readonly code: string;
}

/**
 * Lets time pass until it is over, whatever comes of it; what waits for room may do so.
 * @throws Error where it hangs; what of ours is broken
 */
async function settled(
  act: () => Promise<unknown>,
  opened: OpenedStore,
  mayWait = (): boolean => false,
): Promise<void> {
  let over = false;
  let failure: unknown;
  const begun = async (): Promise<void> => void (await act());
  void begun()
    .catch((caught: unknown) => (failure = caught))
    .finally(() => (over = true));
  for (let turns = 0; !over; turns += 1) {
    if (opened.failures.length > 0 && turns > 100) return; // The process ends.
    if (turns > 300 && mayWait()) return;
    if (turns > 3000) throw new Error('it hangs');
    opened.clock.advance(50);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (failure !== undefined) MqError.from(failure);
}

/** A disk of which one operation fails, or all from there on, once `arm` was called. */
class Failing {
  readonly seen: string[] = [];
  private operations = 0;
  private plan: Plan | undefined;
  readonly disk: Disk;

  constructor(readonly under = new MemoryDisk()) {
    this.disk = faultyDisk(under, (operation, path) => this.fault(operation, path));
  }

  arm(chance: Prng): void {
    this.operations = 0;
    this.plan = { at: 1 + chance.below(600), lasts: chance.chance(0.3), code: chance.pick(codes) };
  }
  get isFull(): boolean {
    return this.plan?.lasts === true && this.plan.code === 'ENOSPC' && this.operations >= this.plan.at;
  }
  disarm(): void {
    this.plan = undefined;
  }

  private fault(operation: FaultyOperation, path: string): Error | undefined {
    this.operations += 1;
    const { plan, operations } = this;
    if (!plan || operations < plan.at || (!plan.lasts && operations > plan.at)) return undefined;
    if (operation === 'close' || operation === 'lock') return undefined;
    if (plan.code === 'ENOSPC' && ['read', 'size', 'list', 'unlink', 'freeBytes'].includes(operation)) return undefined;
    this.seen.push(`${plan.code} ${operation} ${path}`);
    return systemError(plan.code, `${operation} of ${path}`);
  }
}

/** What the next process finds. @throws Error where it can't start */
async function next(left: MemoryDisk, follows: boolean, why: readonly unknown[]): Promise<OpenedStore> {
  return openStore({ ...given, disk: left, follows }).catch((caught: unknown) => {
    throw new Error(`${String(caught)} after ${why.map(String).join(', ')}`);
  });
}

it.each(seeds(Number(process.env['FAULT_SEEDS'] ?? 30)))(
  'a leader loses nothing that was acknowledged (seed %i)',
  async (seed) => {
    const chance = new Prng(seed);
    const failing = new Failing();
    const limits = { checkpointBytes: 6_000, scrubBytesPerSecond: 1e6, scrubEveryMs: 1000 };
    const opened = await openStore({ ...given, disk: failing.disk, limits });
    const { store, failures, clock } = opened;
    await store.beginEpoch(1 as Epoch, 0);
    failing.arm(chance);
    const acknowledged: string[] = [];
    let nowMs = 1000;
    const policy = (topic: TopicId): { ms: number } | undefined =>
      (topic as number) === shortTopic ? { ms: 100 } : undefined;
    const sendSome = (step: number): void => {
      for (let i = chance.below(6); i >= 0; i -= 1) {
        const id = `m${step}-${i}`;
        const topic = chance.chance(0.5) ? keptTopic : shortTopic;
        const { end } = send(store, { topic, queue: 0, id, timestampMs: nowMs, bodyBytes: chance.below(700) });
        store.whenCommitted(end, (error) => {
          if (!error && topic === keptTopic) acknowledged.push(id);
        });
      }
    };
    for (let step = 0; step < 60 && failures.length === 0; step += 1) {
      nowMs += chance.below(200);
      const roll = chance.below(12);
      await settled(
        async () => {
          if (roll < 7) sendSome(step);
          else if (roll === 7) store.append(RecordKind.ack, nowMs, Uint8Array.of(chance.below(4), 1));
          else if (roll === 8) await store.checkpoint();
          else if (roll === 9) await store.retention.run(nowMs, policy);
          else if (roll === 10) await idsOf(store, keptTopic, 0);
          else await store.repairs.digest(store.replication.oldest, store.commitEnd);
        },
        opened,
        () => failing.isFull,
      );
      clock.advance(chance.below(500));
      for (let turns = chance.below(6); turns >= 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
    }
    if (failures.length === 0 && chance.chance(0.4)) await settled(() => store.stop(), opened);
    failing.disarm();
    const wanted = [...acknowledged];
    const left = chance.chance(0.5) ? failing.under.kill() : failing.under.crash(chance);
    const again = await next(left, false, [...failing.seen.slice(0, 3), failures[0]]);
    const found = new Set(await idsOf(again.store, keptTopic, 0));
    expect([wanted.filter((id) => !found.has(id)), again.store.damage.all]).toEqual([[], []]);
    await again.store.stop();
  },
);

// Method: a follower takes a leader's log, promises, steps back, takes snapshots.
it.each(seeds(Number(process.env['FAULT_SEEDS'] ?? 30)))(
  'a follower has what it acknowledged, and keeps what it promised (seed %i)',
  async (seed) => {
    const chance = new Prng(seed);
    const leader = await openStore(given);
    await leader.store.beginEpoch(1 as Epoch, 0);
    const failing = new Failing();
    const opened = await openStore({ ...given, disk: failing.disk, follows: true, limits: { checkpointBytes: 6_000 } });
    const { store, failures, clock } = opened;
    await store.takeSalt(leader.store.salt as number);
    failing.arm(chance);
    let acknowledged = 0;
    let promised = 0;
    let sent = 0;
    let nowMs = 1000;
    const copy = async (): Promise<void> => {
      const bytes = await leader.store.replication.readBytes(store.appendEnd, 1 + chance.below(6000));
      if (!bytes) {
        await store.snapshots.install(leader.store.snapshots.stream());
        acknowledged = Math.max(acknowledged, store.replication.durableEnd);
        return;
      }
      if (bytes.byteLength === 0) return;
      const end = store.replication.append(bytes);
      store.replication.whenDurable(end, () => (acknowledged = Math.max(acknowledged, end)));
    };
    for (let step = 0; step < 60 && failures.length === 0; step += 1) {
      nowMs += chance.below(100);
      for (let i = chance.below(5); i > 0; i -= 1) {
        send(leader.store, {
          topic: 1,
          queue: 0,
          id: `m${(sent += 1)}`,
          timestampMs: nowMs,
          bodyBytes: chance.below(900),
        });
      }
      await settled(() => committed(leader.store), leader);
      if (chance.chance(0.05)) await settled(() => leader.store.retention.run(nowMs, () => ({ ms: 300 })), leader);
      const roll = chance.below(14);
      await settled(
        async () => {
          if (roll < 8) await copy();
          else if (roll === 8) store.replication.advanceCommit(Math.min(acknowledged, store.appendEnd) as LogPosition);
          else if (roll === 9) await store.checkpoint();
          else if (roll === 10) {
            const epoch = (promised + 1) as Epoch;
            await store.term.write({ promised: { epoch, to: memberId('a/b') } });
            promised = epoch;
          } else if (roll === 11) {
            acknowledged = store.commitEnd; // What stands behind is another leader's from now on.
            await store.replication.stepDown(store.commitEnd);
          } else if (roll === 12) await store.snapshots.install(leader.store.snapshots.stream());
          else await idsOf(store, 1, 0);
        },
        opened,
        () => failing.isFull,
      );
      clock.advance(chance.below(500));
      for (let turns = chance.below(6); turns >= 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
    }
    if (failures.length === 0 && chance.chance(0.4)) await settled(() => store.stop(), opened);
    failing.disarm();
    const had = acknowledged;
    const left = chance.chance(0.5) ? failing.under.kill() : failing.under.crash(chance);
    const again = await next(left, true, [...failing.seen.slice(0, 3), failures[0]]);
    expect(again.store.appendEnd).toBeGreaterThanOrEqual(had);
    expect(again.store.term.read().promised?.epoch ?? 0).toBeGreaterThanOrEqual(promised);
    const from = Math.max(again.store.replication.oldest, leader.store.replication.oldest) as LogPosition;
    const end = Math.min(again.store.appendEnd, leader.store.commitEnd) as LogPosition;
    const digest = await again.store.repairs.digest(from, end);
    if (from < end) expect(digest).toEqual(await leader.store.repairs.digest(from, end));
    for (const { store: each } of [again, leader]) await each.stop();
  },
);

// Goal: a manifest names files that are there. Method: at each step of a checkpoint the disk is full for a while; then the process
// ends, and what is there is started from.
it.each([1, 2, 3, 5])('a checkpoint that finds the disk full for %i steps leaves a whole one', async (steps) => {
  for (let from = 1, isOver = false; !isOver; from += 1) {
    const under = new MemoryDisk();
    let operations = -Infinity;
    const disk = faultyDisk(under, (operation, path) => {
      if (!path.startsWith('data/state') || operation === 'close' || operation === 'unlink') return undefined;
      operations += 1;
      return operations >= from && operations < from + steps ? systemError('ENOSPC', operation) : undefined;
    });
    const opened = await openStore({ ...given, disk });
    const { store } = opened;
    await store.beginEpoch(1 as Epoch, 0);
    for (let round = 0; round < 3; round += 1) {
      send(store, { topic: 1, queue: 0, id: `m${round}`, timestampMs: 1000, bodyBytes: 40 });
      store.append(RecordKind.ack, 1000, Uint8Array.of(1, 1));
      await committed(store);
      if (round === 2) operations = 0;
      const made = store.checkpoint();
      // Before it is tried again.
      for (let turns = 0; turns < 10; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      if (round < 2) await made;
    }
    isOver = operations < from;
    const left = under.crash(new Prng(from), { survives: from % 2 });
    const again = await next(left, false, [from]);
    expect([from, await idsOf(again.store, 1, 0), again.view.sums.get('1')]).toEqual([from, ['m0', 'm1', 'm2'], 3]);
    expect(again.troubles).toEqual([]);
    await again.store.stop();
    if (from > 60) throw new Error('a checkpoint has fewer steps');
  }
});
