/** A member that lacks too much gets a snapshot, and comes to what the others have. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { RecordKind } from '@cometmq/model';
import type { Epoch, LogPosition, QueueId, TopicId } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import type { Disk } from '../disk/disk.js';
import { faultyDisk } from '../disk/faulty-disk.js';
import { FileDisk } from '../disk/file-disk.js';
import { MemoryDisk } from '../disk/memory-disk.js';
import { Pair } from '../pair-harness.js';
import { MessageStore } from '../message-store.js';
import { committed, idsOf, openStore, send, smallLimits, TallyView } from '../store-harness.js';
import type { OpenedStore } from '../store-harness.js';
import { replaceBySnapshot } from './snapshots.js';

const hour = 3_600_000;

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

async function* given(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    await Promise.resolve();
    yield piece;
  }
}

async function code(act: Promise<unknown>): Promise<string> {
  try {
    await act;
    return 'taken';
  } catch (caught) {
    return MqError.from(caught).code;
  }
}

const onDisk = { checkpoints: 'on the disk', follows: true } as const;

/** A leader whose log has lost its head: some of it given back, some compacted, some whole. */
async function oldLeader(clock = new ManualClock(), disk: Disk = new MemoryDisk()): Promise<OpenedStore> {
  const opened = await openStore({ ...onDisk, clock, disk });
  const { store } = opened;
  await store.replication.lead();
  store.replication.commitsWhenDurable = true;
  await store.beginEpoch(1 as Epoch, 0);
  for (let i = 0; i < 60; i += 1) {
    const topic = i % 10 === 9 && i > 20 ? 2 : 1;
    send(store, { topic, queue: 0, id: `m${i}`, timestampMs: 1000 + i, bodyBytes: 600 });
    store.append(RecordKind.ack, 1000 + i, Uint8Array.of(i % 4, i));
  }
  await committed(store);
  await store.checkpoint();
  await store.retention.run(1040 + hour, (topic) => ({ ms: (topic as number) === 1 ? hour : 100 * hour }));
  for (let i = 60; i < 65; i += 1) send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1000 + i });
  await committed(store);
  return opened;
}

async function told({ store, view }: OpenedStore): Promise<unknown> {
  const bounds = [1, 2].map((topic) => ({ ...store.bounds(topic as TopicId, 0 as QueueId) }));
  return {
    end: store.appendEnd,
    sums: [...view.sums].sort(),
    bounds,
    one: await idsOf(store, 1, 0),
    two: await idsOf(store, 2, 0),
  };
}

async function follow(follower: OpenedStore, leader: OpenedStore): Promise<void> {
  const { store } = follower;
  while (store.appendEnd < leader.store.appendEnd) {
    const bytes = await leader.store.replication.readBytes(store.appendEnd, 3000);
    if (!bytes) throw new Error('it lacks what the leader has let go of');
    store.replication.append(bytes);
  }
  await new Promise<void>((resolve, reject) => store.replication.whenDurable(store.appendEnd, resolve, reject));
  store.replication.advanceCommit(store.appendEnd);
  for (let turns = 0; store.foldedEnd < store.appendEnd && turns < 10_000; turns += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a snapshot', () => {
  it('brings a new member to what the leader has, and it goes on, starts again, and leads', async () => {
    const leader = await oldLeader();
    expect(leader.store.sizes.segmentsCompacted).toBeGreaterThan(0);
    const { oldest } = leader.store.replication;
    const whole = leader.store.replication.readBytes(oldest, 1000);
    expect((await whole)?.byteLength).toBeGreaterThan(0);
    const hole = leader.store.replication.readBytes((oldest - 1) as LogPosition, 1000);
    expect([await hole.catch(() => undefined), oldest > 0]).toEqual([undefined, true]);
    expect(await leader.store.replication.readBytes(0 as LogPosition, 1000)).toBeUndefined();
    const follower = await openStore(onDisk);
    let bytesToCome = 0;
    const pieces = leader.store.snapshots.stream();
    const info = await follower.store.snapshots.install(pieces, ({ bytes }) => (bytesToCome = bytes));
    expect(bytesToCome).toBe(info.bytes);
    expect([follower.store.appendEnd, follower.store.foldedEnd]).toEqual([info.end, info.end]);
    expect(await told(follower)).toEqual(await told(leader));
    send(leader.store, { topic: 1, queue: 0, id: 'next', timestampMs: 2000 });
    await committed(leader.store);
    await follow(follower, leader);
    expect(await told(follower)).toEqual(await told(leader));
    expect(follower.store.epochs).toEqual(leader.store.epochs);
    expect([follower.failures, follower.troubles, follower.store.damage.all]).toEqual([[], [], []]);
    const { disk } = follower;
    await follower.store.stop();
    const again = await openStore({ ...onDisk, disk });
    expect(await told(again)).toEqual(await told(leader));
    await again.store.replication.lead();
    again.store.replication.commitsWhenDurable = true;
    await again.store.beginEpoch(2 as Epoch, 3000);
    send(again.store, { topic: 1, queue: 0, id: 'more', timestampMs: 3000 });
    await committed(again.store);
    expect((await idsOf(again.store, 1, 0)).at(-1)).toBe('more');
    await again.store.stop();
    await leader.store.stop();
  });

  it('is taken on the real disk too, of a checkpoint whose files are gone by then', async () => {
    const folders = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'cometmq-snapshot-')));
    const [one, two] = folders.map((folder) => new FileDisk(folder)) as [FileDisk, FileDisk];
    const leader = await oldLeader(new ManualClock(), one);
    const pieces = leader.store.snapshots.stream();
    const first = await pieces.next();
    const files = await one.list('data/state');
    const gone = async (): Promise<boolean> => {
      const left = await one.list('data/state');
      return files.some((name) => name.endsWith('.pieces') && !left.includes(name));
    };
    for (let i = 0; i < 200 && !(await gone()); i += 1) {
      leader.store.append(RecordKind.ack, 5000, Uint8Array.of(i, 1));
      await committed(leader.store);
      await leader.store.checkpoint();
    }
    expect(await gone()).toBe(true);
    const follower = await openStore({ ...onDisk, disk: two });
    await follower.store.snapshots.install(
      (async function* () {
        yield first.value as Uint8Array;
        yield* pieces;
      })(),
    );
    await follow(follower, leader);
    expect(await told(follower)).toEqual(await told(leader));
    for (const { store } of [leader, follower]) await store.stop();
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  it('comes in pieces of 256 KiB at the most, what it is first', async () => {
    const leader = await oldLeader();
    for (let i = 0; i < 400; i += 1) {
      send(leader.store, { topic: 3, queue: 0, id: `big${i}`, timestampMs: 5000, bodyBytes: 1800 });
      if (i % 50 === 0) await committed(leader.store);
    }
    await committed(leader.store);
    await leader.store.checkpoint();
    const pieces = await gather(leader.store.snapshots.stream());
    expect(Math.max(...pieces.map((piece) => piece.byteLength))).toBeLessThanOrEqual(256 * 1024);
    expect(Buffer.from(pieces[0] as Uint8Array).toString('latin1')).toContain('"position":');
    await leader.store.stop();
  });

  // Goal: half a snapshot is never what a folder holds. Method: the power is cut before every operation of the disk
  // while one is installed; what starts then has all of the old, or all of the new, and can take the snapshot again.
  it.each(seeds(3))('leaves the old or the new, whenever the power goes (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const leader = await oldLeader();
    const pieces = await gather(leader.store.snapshots.stream());
    const disk = new MemoryDisk();
    const follower = await openStore({ ...onDisk, disk });
    // What it has is the beginning of another log: so little of old and new is the same.
    if (chance.chance(0.5)) {
      await follower.store.takeSalt(99);
      await follower.store.replication.lead();
      follower.store.append(RecordKind.ack, 1, Uint8Array.of(9, 9));
      for (let i = 0; i < 12; i += 1)
        send(follower.store, { topic: 1, queue: 0, id: `old${i}`, timestampMs: 1, bodyBytes: 900 });
      await new Promise<void>((resolve) => follower.store.replication.whenDurable(follower.store.appendEnd, resolve));
      await follower.store.replication.stepDown(follower.store.appendEnd);
    }
    const old = { end: follower.store.appendEnd, sums: [] as unknown[] };
    const moments: MemoryDisk[] = [];
    disk.watcher = () => moments.push(disk.crash(chance, {}, true));
    await follower.store.snapshots.install(given(pieces));
    disk.watcher = undefined;
    const fresh = { end: follower.store.appendEnd, sums: [...follower.view.sums].sort() };
    moments.push(disk.crash(chance, {}, true));
    expect(moments.length).toBeGreaterThan(50);
    const ends = new Set<number>();
    for (const moment of moments) {
      const found = await openStore({ ...onDisk, disk: moment });
      const { store } = found;
      store.replication.advanceCommit(store.appendEnd);
      for (let turns = 0; store.foldedEnd < store.appendEnd && turns < 1000; turns += 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      ends.add(store.appendEnd);
      expect([old.end, fresh.end]).toContain(store.appendEnd);
      if (store.appendEnd === fresh.end) expect([...found.view.sums].sort()).toEqual(fresh.sums);
      expect((await moment.list('data/log')).filter((name) => name.endsWith('.incoming'))).toEqual([]);
      expect([found.failures, found.store.damage.all]).toEqual([[], []]);
      if (chance.chance(0.1) && store.appendEnd === old.end) {
        const again = await openStoreAgain(found, moment);
        await again.store.snapshots.install(given(pieces));
        expect(again.store.appendEnd).toBe(fresh.end);
        await again.store.stop();
      } else await store.stop();
    }
    expect(ends.size).toBe(2);
    await leader.store.stop();
    await follower.store.stop();
  });

  // Goal: an operation that fails is not half a snapshot either. Method: of those that one takes each fails once; what
  // starts then has all of the old, or all of the new.
  it('leaves the old or the new, whatever operation of the disk fails', async () => {
    const leader = await oldLeader();
    const pieces = await gather(leader.store.snapshots.stream());
    const ends = new Map<string, number>();
    for (let failing = 1, failed = true; failed; failing += 1) {
      const disk = new MemoryDisk();
      let left = Infinity;
      let which = '';
      const faulty = faultyDisk(disk, (operation, path) => {
        if (operation === 'close' || (left -= 1) !== 0) return undefined;
        which = `${operation} ${path}`;
        return Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
      });
      const follower = await openStore({ ...onDisk, disk: faulty });
      const { replication } = follower.store;
      await replication.lead();
      send(follower.store, { topic: 1, queue: 0, id: 'old', timestampMs: 1 });
      await new Promise<void>((resolve) => replication.whenDurable(follower.store.appendEnd, resolve));
      await replication.stepDown(follower.store.appendEnd);
      const oldEnd = follower.store.appendEnd;
      left = failing;
      const outcome = await code(follower.store.snapshots.install(given(pieces)));
      left = Infinity;
      failed = which !== '';
      const mayGoOn = follower.failures.length === 0;
      const again = await openStore({ ...onDisk, disk: disk.settled() });
      const { appendEnd } = again.store;
      const names = await (again.disk as MemoryDisk).list('data/log');
      const known = appendEnd === oldEnd ? 'old' : appendEnd === leader.store.appendEnd ? 'new' : 'neither';
      ends.set(known, (ends.get(known) ?? 0) + 1);
      expect([which, known, names.filter((name) => name.endsWith('.incoming'))]).not.toContain('neither');
      // Whoever goes on as before, and writes, must not find the other one at the next start.
      if (mayGoOn) expect([which, known]).toEqual([which, outcome === 'taken' ? 'new' : 'old']);
      await again.store.stop();
      await follower.store.stop().catch(() => undefined);
    }
    expect(ends.get('old')).toBeGreaterThan(20);
    expect(ends.get('new')).toBeGreaterThan(5);
    await leader.store.stop();
  });

  it('that was damaged on its way, or is not whole, changes nothing', async () => {
    const leader = await oldLeader();
    const pieces = await gather(leader.store.snapshots.stream());
    const bytes = Buffer.concat(pieces);
    const follower = await openStore(onDisk);
    await follower.store.snapshots.install(given(pieces));
    const before = await told(follower);
    const disk = follower.disk as MemoryDisk;
    const names = await disk.list('data/log');
    for (let i = 0; i < 60; i += 1) {
      const at = Math.floor((bytes.byteLength * i) / 60);
      const other = Buffer.from(bytes);
      other.writeUInt8(other.readUInt8(at) ^ 4, at);
      expect([at, await code(follower.store.snapshots.install(given([other])))]).not.toEqual([at, 'taken']);
      expect([at, await code(follower.store.snapshots.install(given([bytes.subarray(0, at)])))]).toEqual([
        at,
        'CORRUPT_RECORD',
      ]);
    }
    expect(await code(follower.store.snapshots.install(given([bytes, Buffer.alloc(1)])))).toBe('CORRUPT_RECORD');
    const lost = (async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 3000);
      await Promise.resolve();
      throw new MqError('UNAVAILABLE', 'the other one is gone');
    })();
    expect(await code(follower.store.snapshots.install(lost))).toBe('UNAVAILABLE');
    expect(await disk.list('data/log')).toEqual(names);
    await follow(follower, leader);
    expect(await told(follower)).toEqual(await told(leader));
    expect(before).toBeDefined();
    expect(follower.failures).toEqual([]);
    await leader.store.stop();
    await follower.store.stop();
  });

  // Goal: nobody leads on a log that came damaged from its maker, all sums of the way right. Method: its newest segment rots there.
  it('whose log is damaged behind its state is refused', async () => {
    const leader = await oldLeader();
    const disk = leader.disk as MemoryDisk;
    const newest = (await disk.list('data/log')).filter((name) => name.endsWith('.log')).at(-1) ?? '';
    const segment = disk.peek(`data/log/${newest}`);
    const at = segment.findLastIndex((byte) => byte !== 0) - 5;
    segment.writeUInt8(segment.readUInt8(at) ^ 4, at);
    const pieces = await gather(leader.store.snapshots.stream());
    const follower = await openStore(onDisk);
    expect(await code(follower.store.snapshots.install(given(pieces)))).toBe('CORRUPT_RECORD');
    expect(follower.store.appendEnd).toBe(0);
    await leader.store.stop();
    await follower.store.stop();
  });

  it('that is older than what is committed here is refused; so is one that does not fit the disk', async () => {
    const leader = await oldLeader();
    const older = await gather(leader.store.snapshots.stream());
    for (let i = 0; i < 20; i += 1)
      send(leader.store, { topic: 1, queue: 0, id: `n${i}`, timestampMs: 2000, bodyBytes: 600 });
    await committed(leader.store);
    const follower = await openStore(onDisk);
    await follower.store.snapshots.install(leader.store.snapshots.stream());
    await follow(follower, leader);
    expect(await code(follower.store.snapshots.install(given(older)))).toBe('CONFLICT');
    const small = new MemoryDisk({ capacityBytes: 24 * 1024 });
    const other = await openStore({ ...onDisk, disk: small });
    expect(await code(other.store.snapshots.install(given(older)))).toBe('STORAGE_FULL');
    expect((await small.list('data/log')).filter((name) => name.endsWith('.incoming'))).toEqual([]);
    for (const { store } of [leader, follower, other]) await store.stop();
  });

  it('leaves segments where they are that are here already, where there is no room for them twice', async () => {
    const leader = await oldLeader();
    const first = await gather(leader.store.snapshots.stream());
    const whole = first.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const disk = new MemoryDisk({ capacityBytes: 3 * whole });
    const follower = await openStore({ ...onDisk, disk });
    await follower.store.snapshots.install(given(first));
    for (let i = 0; i < 5; i += 1)
      send(leader.store, { topic: 1, queue: 0, id: `n${i}`, timestampMs: 2000, bodyBytes: 600 });
    await committed(leader.store);
    // What it holds besides takes all the room but for a little.
    const other = await disk.open('data/other', { create: true });
    await other.write([Buffer.alloc((await disk.freeBytes()) - Math.floor(whole * 0.7))], 0);
    const before = await disk.list('data/log');
    await follower.store.snapshots.install(leader.store.snapshots.stream());
    expect((await disk.list('data/log')).filter((name) => before.includes(name)).length).toBeGreaterThan(4);
    await follow(follower, leader);
    expect(await told(follower)).toEqual(await told(leader));
    // One that is not the same here is not taken for it.
    const segment = (await disk.list('data/log')).find((name) => name.endsWith('.log')) as string;
    disk.peek(`data/log/${segment}`).fill(7, 100, 110);
    await other.write([Buffer.alloc((await disk.freeBytes()) - 2000)], await other.size());
    expect(await code(follower.store.snapshots.install(leader.store.snapshots.stream()))).toBe('STORAGE_FULL');
    expect((await disk.list('data/log')).filter((name) => name.endsWith('.incoming'))).toEqual([]);
    for (const { store } of [leader, follower]) await store.stop();
  });

  it('holds segments back while it is read, and no longer than somebody reads it', async () => {
    const clock = new ManualClock();
    const leader = await oldLeader(clock);
    const everything = (): { ms: number } => ({ ms: 0 });
    const { segments } = leader.store.sizes;
    const pieces = leader.store.snapshots.stream();
    await pieces.next();
    await leader.store.retention.run(1000 * hour, everything);
    expect(leader.store.sizes.segments).toBe(segments);
    clock.advance(60_000);
    await leader.store.retention.run(1001 * hour, everything);
    expect(leader.store.sizes.segments).toBeLessThan(segments);
    expect(await code(pieces.next())).toBe('UNAVAILABLE');
    await leader.store.stop();
  });

  it('keeps nothing waiting once nobody reads it any more', async () => {
    const clock = new ManualClock();
    const leader = await oldLeader(clock);
    const before = clock.timersWaiting;
    const pieces = leader.store.snapshots.stream();
    await pieces.next();
    expect(clock.timersWaiting).toBe(before + 1);
    await pieces.return();
    expect(clock.timersWaiting).toBe(before);
    await leader.store.stop();
  });

  it('takes the place of a folder that can not be opened any more, which is another member from then on', async () => {
    const leader = await oldLeader();
    const follower = await openStore(onDisk);
    await follower.store.snapshots.install(leader.store.snapshots.stream());
    await follow(follower, leader);
    const { incarnation } = follower.store;
    const disk = follower.disk as MemoryDisk;
    await follower.store.stop();
    const newest = (await disk.list('data/log')).findLast((name) => name.endsWith('.log')) as string;
    disk.peek(`data/log/${newest}`).fill(7, 10, 20);
    const place = { disk, folder: 'data', brokerName: 'b1' };
    const refusal = (): Promise<string> => code(openStore({ ...onDisk, disk }));
    expect(await refusal()).toBe('CORRUPT_RECORD');
    const pieces = await gather(leader.store.snapshots.stream());
    expect(await code(replaceBySnapshot(place, given(pieces.slice(0, 2)), 'another member'))).toBe('CORRUPT_RECORD');
    expect(await refusal()).toBe('CORRUPT_RECORD');
    await replaceBySnapshot(place, given(pieces), 'another member');
    const again = await openStore({ ...onDisk, disk });
    expect(again.store.incarnation).not.toBe(incarnation);
    await follow(again, leader);
    expect(await told(again)).toEqual(await told(leader));
    await again.store.stop();
    await leader.store.stop();
  });

  it('restores what a store could not be started on, which then starts as the same member', async () => {
    const leader = await oldLeader();
    const follower = await openStore(onDisk);
    await follower.store.snapshots.install(leader.store.snapshots.stream());
    await follow(follower, leader);
    const { incarnation } = follower.store;
    const disk = follower.disk as MemoryDisk;
    await follower.store.stop();
    for (const folder of ['log', 'state']) {
      const files = await disk.list(`data/${folder}`);
      const newest = files.findLast((name) => name.endsWith('.log') || name.endsWith('.pieces')) as string;
      disk.peek(`data/${folder}/${newest}`).fill(7, 10, 20);
      const store = new MessageStore({
        ...{ disk, folder: 'data', brokerName: 'b1', clock: new ManualClock(), limits: smallLimits, follows: true },
        ...{ views: [new TallyView()], onFailed: () => undefined },
      });
      expect(await code(store.start())).toMatch(/CORRUPT_RECORD|DATA_FOLDER/);
      await store.restore(leader.store.snapshots.stream());
      await store.start();
      store.replication.advanceCommit(store.appendEnd);
      for (let turns = 0; store.foldedEnd < store.appendEnd && turns < 1000; turns += 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(store.incarnation).toBe(incarnation);
      expect(await idsOf(store, 1, 0)).toEqual(await idsOf(leader.store, 1, 0));
      await store.stop();
    }
    await leader.store.stop();
  });

  // Goal: whatever the leader does meanwhile, and whatever the follower had, both come to the same. Method: chance.
  it.each(seeds(20))('brings a member that lags far behind to the same (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const pair = new Pair(chance);
    await pair.start();
    for (let step = 0; step < 6; step += 1) {
      pair.act(chance.below(40));
      if (chance.chance(0.7)) await pair.copy();
      await pair.goOnAlone(1 + chance.below(4));
      if (chance.chance(0.3)) await pair.replaceFollower();
      if (chance.chance(0.3)) await pair.install();
      await pair.compare();
      if (chance.chance(0.3)) await pair.restartFollower();
      if (chance.chance(0.3)) await pair.changePlaces();
    }
    await pair.compare();
    expect(pair.installed).toBeGreaterThan(0);
    await pair.leader.store.stop();
    await pair.follower.store.stop();
  });
});

/** Half of what was cut off in its log is still to be committed there: a store that only holds it. */
async function openStoreAgain(found: OpenedStore, disk: MemoryDisk): Promise<OpenedStore> {
  await found.store.stop();
  return openStore({ ...onDisk, disk });
}
