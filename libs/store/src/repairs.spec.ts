/** Damage in a sealed segment: found by looking, mended from another member, and never by making anything up. */
import { MiB, RecordKind } from '@cometmq/model';
import type { Epoch, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import { faultyDisk } from './disk/faulty-disk.js';
import { MemoryDisk, systemError } from './disk/memory-disk.js';
import type { DamagedSegment } from './repairs.js';
import type { Damage } from './log/segments.js';
import { committed, idsOf, openStore, send } from './store-harness.js';
import type { OpenedStore } from './store-harness.js';

const hour = 3_600_000;
const onDisk = { checkpoints: 'on the disk' } as const;

/** A store with some sealed segments, and another one with the same bytes on a disk of its own. */
async function twins(more: Parameters<typeof openStore>[0] = {}): Promise<{ one: OpenedStore; two: OpenedStore }> {
  const one = await openStore(onDisk);
  const { store } = one;
  await store.beginEpoch(1 as Epoch, 0);
  for (let i = 0; i < 40; i += 1) {
    send(store, { topic: 1 + (i % 2), queue: 0, id: `m${i}`, timestampMs: 1000 + i, bodyBytes: 500 });
    store.append(RecordKind.ack, 1000 + i, Uint8Array.of(i % 4, i));
  }
  await committed(store);
  await store.checkpoint();
  await store.stop();
  const disk = (one.disk as MemoryDisk).settled();
  const clock = more.clock ?? new ManualClock();
  return {
    one: await openStore({ ...onDisk, disk: one.disk, clock }),
    two: await openStore({ ...onDisk, ...more, disk }),
  };
}

/** A store whose disk had no room for the indexes of segments that it filled, and another one with the same records. */
async function withoutIndexes(): Promise<{
  readonly one: OpenedStore;
  readonly two: OpenedStore;
  readonly files: MemoryDisk;
  readonly makeRoom: () => void;
}> {
  const files = new MemoryDisk();
  let isFull = true;
  const disk = faultyDisk(files, (operation, path) =>
    isFull && operation === 'write' && path.startsWith('data/index/')
      ? systemError('ENOSPC', 'no space left on device')
      : undefined,
  );
  const one = await openStore({ ...onDisk, disk });
  const { store, troubles } = one;
  await store.beginEpoch(1 as Epoch, 0);
  for (let i = 0; i < 40; i += 1) {
    send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1000 + i, bodyBytes: 500 });
  }
  await committed(store);
  await store.checkpoint();
  await store.idle();
  expect(troubles.length).toBeGreaterThan(0);
  const two = await openStore({ ...onDisk, disk: files.settled() });
  return { one, two, files, makeRoom: () => (isFull = false) };
}

function sealedFile(disk: MemoryDisk, nth: number): Promise<string> {
  return disk.list('data/log').then((names) => names.filter((name) => name.endsWith('.log'))[nth] as string);
}

async function code(act: Promise<unknown>): Promise<string> {
  try {
    await act;
    return 'taken';
  } catch (caught) {
    return MqError.from(caught).code;
  }
}

async function* given(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    await Promise.resolve();
    yield piece;
  }
}

async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

async function idsOrCode(store: OpenedStore['store'], topic: number): Promise<unknown> {
  return idsOf(store, topic, 0).catch((caught: unknown) => MqError.from(caught).code);
}

describe('a damaged segment', () => {
  // Goal: whatever happened to a sealed file, another member's records bring all of it back. Method: chance damages it
  // while nobody runs, and while the store does.
  it.each(seeds(24))('is made anew from another member (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const { one, two } = await twins();
    const disk = two.disk as MemoryDisk;
    const whole = [await idsOf(one.store, 1, 0), await idsOf(one.store, 2, 0)];
    const name = await sealedFile(disk, 1 + chance.below(2));
    const first = Number.parseInt(name, 10) as LogPosition;
    const how = chance.below(3);
    let hurt = two;
    if (how === 0) disk.peek(`data/log/${name}`).fill(chance.below(256), 300, 320 + chance.below(300));
    else await two.store.stop();
    if (how === 1) await disk.unlink(`data/log/${name}`);
    if (how === 2) await (await disk.open(`data/log/${name}`)).truncate(100 + chance.below(2000));
    if (how > 0) hurt = await openStore({ ...onDisk, disk });
    const { store } = hurt;
    if (how === 0) await Promise.all([idsOrCode(store, 1), idsOrCode(store, 2)]); // Found on reading.
    const [wanted] = store.repairs.wanted;
    expect([store.repairs.wanted.length, wanted?.first]).toEqual([1, first]);
    await store.repairs.mend(first, one.store.repairs.records(first, wanted?.end as LogPosition));
    expect([store.repairs.wanted, store.damage.all, store.sizes.lostBytes]).toEqual([[], [], 0]);
    expect([await idsOf(store, 1, 0), await idsOf(store, 2, 0)]).toEqual(whole);
    // It can be fetched from, compared, started from, and given back.
    expect(store.replication.oldest).toBe(0);
    const bytes = await store.replication.readBytes(first, 3000);
    expect(bytes).toEqual(await one.store.replication.readBytes(first, 3000));
    await store.stop();
    const again = await openStore({ ...onDisk, disk });
    expect([await idsOf(again.store, 1, 0), await idsOf(again.store, 2, 0)]).toEqual(whole);
    expect([again.store.damage.all, again.troubles, again.failures]).toEqual([[], [], []]);
    await again.store.retention.run(2000 + hour, () => ({ ms: hour }));
    expect(again.store.sizes.segments).toBeLessThan(3);
    await again.store.stop();
    await one.store.stop();
  });

  // Goal: what a full disk left undone is done once there is room, whether or not anything more is sent. Method: no index
  // file can be written while a segment fills; then it is damaged, and nothing is appended any more.
  it('is made anew once its index can be written, which the disk had no room for', async () => {
    const { one, two, files, makeRoom } = await withoutIndexes();
    const { store } = one;
    files.peek(`data/log/${await sealedFile(files, 0)}`).fill(7, 300, 320);
    expect(await idsOrCode(store, 1)).toBe('CORRUPT_RECORD');
    const [wanted] = store.repairs.wanted;
    const { first, end } = wanted as DamagedSegment;
    const mend = (): Promise<void> => store.repairs.mend(first, two.store.repairs.records(first, end));
    expect(await code(mend())).toBe('STORAGE_FULL');
    expect(store.repairs.wanted).toEqual([wanted]);
    makeRoom();
    await mend();
    expect([store.repairs.wanted, await idsOf(store, 1, 0)]).toEqual([[], await idsOf(two.store, 1, 0)]);
    await Promise.all([store.stop(), two.store.stop()]);
  });

  it('is given back, too, once there is room for its index', async () => {
    const { one, two, makeRoom } = await withoutIndexes();
    const { store } = one;
    const { segments } = store.sizes;
    const expire = (): Promise<void> => store.retention.run(2000 + hour, () => ({ ms: hour }));
    await expire();
    expect(store.sizes.segments).toBe(segments);
    makeRoom();
    await expire();
    expect(store.sizes.segments).toBeLessThan(segments);
    await Promise.all([store.stop(), two.store.stop()]);
  });

  it('is not mended by what is not all of it, and stays as it was', async () => {
    const { one, two } = await twins();
    const disk = two.disk as MemoryDisk;
    const name = await sealedFile(disk, 1);
    const first = Number.parseInt(name, 10) as LogPosition;
    disk.peek(`data/log/${name}`).fill(7, 300, 320);
    await Promise.all([idsOrCode(two.store, 1), idsOrCode(two.store, 2)]);
    const [wanted] = two.store.repairs.wanted;
    const bytes = await bytesOf(one.store.repairs.records(first, wanted?.end as LogPosition));
    const other = Buffer.from(bytes);
    other.writeUInt8(other.readUInt8(700) ^ 1, 700);
    const mend = (...pieces: Uint8Array[]): Promise<string> => code(two.store.repairs.mend(first, given(...pieces)));
    expect(await mend(other)).toBe('CORRUPT_RECORD');
    expect(await mend(bytes.subarray(0, bytes.byteLength - 10))).toBe('CORRUPT_RECORD');
    expect(await mend(bytes, bytes)).toBe('CORRUPT_RECORD');
    expect(await code(two.store.repairs.mend((first + 1) as LogPosition, given(bytes)))).toBe('NOT_FOUND');
    expect(two.store.repairs.wanted).toEqual([wanted]);
    expect((await disk.list('data/log')).filter((one) => one.endsWith('.tmp'))).toEqual([]);
    expect(await code(bytesOf(two.store.repairs.records(first, wanted?.end as LogPosition)))).toBe('CORRUPT_RECORD');
    expect(await mend(bytes)).toBe('taken');
    expect(two.store.repairs.wanted).toEqual([]);
    for (const { store } of [one, two]) await store.stop();
  });

  it('may lack what the other member has left out, once a checkpoint knows all that it said', async () => {
    const { one, two } = await twins();
    const disk = two.disk as MemoryDisk;
    for (const { store } of [one, two]) {
      await store.retention.run(1000 + hour + 1, (topic) => ((topic as number) === 1 ? { ms: 1 } : { ms: 10 * hour }));
    }
    expect(one.store.sizes.segmentsCompacted).toBeGreaterThan(0);
    const compacted = (await disk.list('data/log')).find((file) => file.endsWith('.compacted')) as string;
    const first = Number.parseInt(compacted, 10) as LogPosition;
    const left = await idsOf(one.store, 2, 0);
    disk.peek(`data/log/${compacted}`).fill(1, 80, 120);
    await idsOrCode(two.store, 2);
    const [wanted] = two.store.repairs.wanted;
    expect(wanted?.first).toBe(first);
    await two.store.repairs.mend(first, one.store.repairs.records(first, wanted?.end as LogPosition));
    expect(await idsOf(two.store, 2, 0)).toEqual(left);
    expect(two.store.repairs.wanted).toEqual([]);
    for (const { store } of [one, two]) await store.stop();
  });

  // Goal: nobody passes over a message that came back. Method: it is in no index, and all that is known of it then is kept while
  // its segment is made anew, and afterwards.
  it('does not count as given up what was missed before', async () => {
    const { one, two } = await twins();
    const disk = two.disk as MemoryDisk;
    const name = await sealedFile(disk, 1);
    const first = Number.parseInt(name, 10) as LogPosition;
    await two.store.stop();
    disk.peek(`data/log/${name}`).fill(7);
    for (const index of await disk.list('data/index')) await disk.unlink(`data/index/${index}`);
    const { store } = await openStore({ ...onDisk, disk });
    const missed = async () => {
      for (let from = 0; from < 20; from += 1) {
        const entries = await store.scan(1 as TopicId, 0 as QueueId, from as QueueOffset, 1);
        if (entries.size(0) === 0) return entries;
      }
      return undefined;
    };
    const entries = await missed();
    const [wanted] = store.repairs.wanted;
    if (!entries) throw new Error('something is missed');
    const isGivenUp = (): boolean => store.damage.isGivenUp(entries.position(0), 0);
    expect(isGivenUp()).toBe(false);
    const seen = new Set<boolean>();
    disk.watcher = () => seen.add(isGivenUp());
    await store.repairs.mend(first, one.store.repairs.records(first, wanted?.end as LogPosition));
    disk.watcher = undefined;
    expect([[...seen], isGivenUp()]).toEqual([[false], false]);
    expect(store.damage.all).toEqual([]);
    expect(await missed()).toBeUndefined();
    for (const each of [one.store, store]) await each.stop();
  });

  it('counts as given up what is missed once an operator has said so', async () => {
    const { one, two } = await twins();
    const disk = two.disk as MemoryDisk;
    const name = await sealedFile(disk, 1);
    await two.store.stop();
    await disk.unlink(`data/log/${name}`);
    for (const index of await disk.list('data/index')) await disk.unlink(`data/index/${index}`);
    const { store } = await openStore({ ...onDisk, disk });
    await store.damage.giveUp();
    let lost = 0;
    for (let from = 0; from < 20; from += 1) {
      const entries = await store.scan(1 as TopicId, 0 as QueueId, from as QueueOffset, 1);
      if (entries.size(0) === 0 && store.damage.isGivenUp(entries.position(0), 0)) lost += 1;
    }
    expect(lost).toBeGreaterThan(0);
    for (const each of [one.store, store]) await each.stop();
  });

  // Goal: a power cut while one is mended leaves it damaged or mended. Method: before every operation of the disk.
  it('is as it was or mended, whenever the power goes', async () => {
    const chance = new Prng(5);
    const { one, two } = await twins();
    const disk = two.disk as MemoryDisk;
    const whole = await idsOf(one.store, 1, 0);
    const name = await sealedFile(disk, 1);
    const first = Number.parseInt(name, 10) as LogPosition;
    await two.store.stop();
    await disk.unlink(`data/log/${name}`);
    const hurt = await openStore({ ...onDisk, disk });
    const [wanted] = hurt.store.repairs.wanted;
    const moments: MemoryDisk[] = [];
    disk.watcher = () => moments.push(disk.crash(chance, {}, true));
    await hurt.store.repairs.mend(first, one.store.repairs.records(first, wanted?.end as LogPosition));
    disk.watcher = undefined;
    moments.push(disk.crash(chance, {}, true));
    const seen = new Set<number>();
    for (const moment of moments) {
      const found = await openStore({ ...onDisk, disk: moment });
      const { wanted: still } = found.store.repairs;
      seen.add(still.length);
      if (still.length === 0) expect(await idsOf(found.store, 1, 0)).toEqual(whole);
      else expect(still).toEqual([wanted]);
      await found.store.stop();
    }
    expect([...seen].sort()).toEqual([0, 1]);
    for (const { store } of [one, hurt]) await store.stop();
  });
});

describe('looking through the log', () => {
  it('finds damage that nobody reads, within its rate, and goes on by itself', async () => {
    const clock = new ManualClock();
    const told: Damage[] = [];
    const limits = { scrubBytesPerSecond: 1000, scrubEveryMs: 300_000 };
    const { one, two } = await twins({ clock, limits, onDamage: (damage) => told.push(damage) });
    const disk = two.disk as MemoryDisk;
    const name = await sealedFile(disk, 2);
    const first = Number.parseInt(name, 10);
    disk.peek(`data/log/${name}`).fill(7, 300, 320);
    const steps = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 1000) {
        clock.advance(1000);
        for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await steps(61_000);
    expect(told).toEqual([]); // Some two segments of 4 KiB are before it.
    await steps(20_000);
    expect(told.length).toBe(1);
    expect(told[0]?.first).toBe(first); // The first record, and nothing else.
    expect(told[0]?.end).toBeLessThan(first + 1000);
    const [wanted] = two.store.repairs.wanted;
    if (!wanted) throw new Error('what was found is wanted');
    await two.store.repairs.mend(wanted.first, one.store.repairs.records(wanted.first, wanted.end));
    await steps(2 * limits.scrubEveryMs);
    expect([told.length, two.store.repairs.wanted, two.troubles]).toEqual([1, [], []]);
    for (const { store } of [one, two]) await store.stop();
  });
});

describe('a digest of the log', () => {
  it('is the same where the bytes are, and another one where they are not', async () => {
    const { one, two } = await twins();
    const end = one.store.appendEnd;
    const whole = await one.store.repairs.digest(0 as LogPosition, end);
    expect(whole?.records).toBe(81);
    expect(await two.store.repairs.digest(0 as LogPosition, end)).toEqual(whole);
    const [part, rest] = [one.store, two.store];
    for (const store of [part, rest]) await store.beginEpoch(2 as Epoch, 5000);
    send(part, { topic: 1, queue: 0, id: 'here', timestampMs: 6000 });
    send(rest, { topic: 1, queue: 0, id: 'else', timestampMs: 6000 });
    for (const store of [part, rest]) await committed(store);
    expect(part.appendEnd).toBe(rest.appendEnd);
    const differs = await Promise.all([part, rest].map((store) => store.repairs.digest(end, store.appendEnd)));
    expect(differs[0]?.records).toBe(2);
    expect(differs[0]?.sum).not.toBe(differs[1]?.sum);
    expect(await code(part.repairs.digest(end, (part.appendEnd + 1) as LogPosition))).toBe('NOT_FOUND');
    await part.retention.run(1000 + hour, (topic) => ((topic as number) === 1 ? { ms: 1 } : undefined));
    expect(part.sizes.segmentsCompacted).toBeGreaterThan(0);
    expect(await part.repairs.digest(0 as LogPosition, end)).toBeUndefined();
    for (const store of [part, rest]) await store.stop();
  });

  // Goal: what is left out meanwhile makes no difference between members. Method: a segment is compacted while
  // its first slice is read.
  it('is none where something was left out while it was taken', async () => {
    let hold: Promise<undefined> | undefined;
    const disk = faultyDisk(new MemoryDisk(), (operation, path) => {
      if (operation !== 'read' || !path.startsWith('data/log/')) return undefined;
      const held = hold;
      hold = undefined; // The first read alone.
      return held;
    });
    const { store } = await openStore({ ...onDisk, disk, limits: { segmentBytes: 2 * MiB, pendingBytesMax: 8 * MiB } });
    for (let i = 0; i < 1500; i += 1) {
      send(store, { topic: 1 + (i % 10 === 0 ? 1 : 0), queue: 0, id: `m${i}`, timestampMs: 1000, bodyBytes: 1900 });
      if (i % 100 === 0) await committed(store);
    }
    await committed(store);
    await store.checkpoint();
    await store.idle();
    const end = store.appendEnd;
    const whole = await store.repairs.digest(0 as LogPosition, end);
    expect(whole).toMatchObject({ end, records: 1500 });
    let go = (): void => undefined;
    hold = new Promise((resolve) => (go = () => resolve(undefined)));
    const digest = store.repairs.digest(0 as LogPosition, end);
    const over = store.retention.run(1000 + hour, (topic) => ((topic as number) === 1 ? { ms: 1 } : undefined));
    for (let turns = 0; store.sizes.segmentsCompacted === 0 && turns < 10_000; turns += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(store.sizes.segmentsCompacted).toBeGreaterThan(0);
    go();
    expect(await digest).toBeUndefined();
    await over;
    await store.stop();
  });
});
