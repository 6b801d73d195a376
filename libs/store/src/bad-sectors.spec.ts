/**
 * Sectors that the disk can't read any more. Goal: they are damage like any other: what stands in them is lost and nothing
 * beside it, it is told, and what can be made anew is. Method: a store on a disk that answers EIO for some pages, read as
 * consumers read it, scrubbed, mended, started again.
 */
import type { Epoch, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { BadSectors } from './disk/bad-sectors.js';
import { joinPath } from './disk/disk.js';
import type { MemoryDisk } from './disk/memory-disk.js';
import { compactedName, segmentName } from './log/segment.js';
import type { MessageStore } from './message-store.js';
import { committed, idOf, idsOf, openStore, send } from './store-harness.js';
import type { OpenedStore } from './store-harness.js';

const KiB = 1024;
const topic = 1 as TopicId;
const queue = 0 as QueueId;
const limits = { segmentBytes: 32 * KiB, tailCacheBytes: 4 * KiB, blockCacheBytes: 0 };
const given = { checkpoints: 'on the disk', limits } as const;

interface Written {
  readonly disk: MemoryDisk;
  readonly sent: { readonly id: string; readonly position: number; readonly size: number }[];
  readonly ids: string[];
  readonly sealed: { readonly first: number; readonly end: number }[];
}

/** Some sealed segments, stopped. */
async function written(chance: Prng): Promise<Written> {
  const { store, disk } = await openStore(given);
  await store.beginEpoch(1 as Epoch, 0);
  const sent: Written['sent'] = [];
  for (let i = 0; i < 160; i += 1) {
    const id = `m${i}`;
    const bodyBytes = 300 + chance.below(1000);
    sent.push({ id, ...send(store, { topic, queue, id, timestampMs: 1000 + i, bodyBytes }) });
    if (i % 8 === 0) await committed(store);
  }
  await committed(store);
  await store.checkpoint();
  await store.idle();
  await store.stop();
  const names = (await disk.list('data/log')).filter((name) => name.endsWith('.log')).sort();
  const firsts = names.map((name) => Number.parseInt(name, 10));
  const sealed = firsts.slice(0, -1).map((first, i) => ({ first, end: firsts[i + 1] as number }));
  expect(sealed.length).toBeGreaterThan(2);
  return { disk: (disk as MemoryDisk).settled(), sent, ids: sent.map(({ id }) => id), sealed };
}

function start(sectors: BadSectors, more: Parameters<typeof openStore>[0] = {}): Promise<OpenedStore> {
  return openStore({ ...given, ...more, disk: sectors.disk });
}

/** What a consumer gets: ids, and `-` for what can't be read. */
async function consumed(store: MessageStore): Promise<string[]> {
  const found: string[] = [];
  const { first, committed: end } = store.bounds(topic, queue);
  for (let from: QueueOffset = first; from < end;) {
    const entries = await store.scan(topic, queue, from, 7);
    expect(entries.count).toBeGreaterThan(0);
    const wanted = Array.from({ length: entries.count }, (_, i) => ({
      position: entries.position(i),
      size: entries.size(i),
    }));
    for (const message of await store.readAll(wanted)) {
      if (message instanceof MqError) expect(message.code).toBe('CORRUPT_RECORD');
      found.push(message instanceof MqError ? '-' : idOf(message));
    }
    from = entries.end;
  }
  return found;
}

function filesIn(disk: MemoryDisk, folder: string, suffix: string): string[] {
  return [...disk.names(folder)].filter((name) => name.endsWith(suffix)).sort();
}

describe('a sector that can not be read', () => {
  it.each(seeds(8))(
    'of a sealed segment costs what stands in it, until another member mends it (seed %i)',
    async (seed) => {
      const chance = new Prng(seed);
      const all = await written(chance);
      const twin = await openStore({ ...given, disk: all.disk.settled() });
      const { first, end } = chance.pick(all.sealed);
      const page = first + Math.floor(chance.below(end - first) / 4096) * 4096;
      const sectors = new BadSectors(all.disk);
      sectors.damage(joinPath('data/log', segmentName(first)), page - first);
      const withIndex = chance.chance(0.5);
      if (!withIndex)
        for (const name of filesIn(all.disk, 'data/index', '.index')) await all.disk.unlink(`data/index/${name}`);
      const { store, failures } = await start(sectors);
      const pageEnd = Math.min(page + 4096, end); // What follows stands in another file.
      const isHit = ({ position, size }: Written['sent'][0]): boolean => position < pageEnd && position + size > page;
      const wanted = all.sent.map((one) => (isHit(one) ? '-' : one.id));
      expect(wanted).toContain('-');
      expect(await consumed(store)).toEqual(wanted);
      expect(store.sizes.lostBytes).toBeGreaterThan(0);
      const [damaged] = store.repairs.wanted;
      expect([store.repairs.wanted.length, damaged?.first]).toEqual([1, first]);
      await store.repairs.mend(
        first as LogPosition,
        twin.store.repairs.records(first as LogPosition, end as LogPosition),
      );
      expect([await consumed(store), store.sizes.lostBytes, failures]).toEqual([all.ids, 0, []]);
      for (const each of [store, twin.store]) await each.stop();
    },
  );

  // Goal: what was met while nothing could be made of it is told once it can; and so is what comes after a segment was mended.
  // Method: one that is first read in the active segment, then in the same one once it is sealed, then in the mended one.
  it('of the active segment is told once that is sealed, and again after it was mended', async () => {
    const all = await written(new Prng(8));
    const twin = await openStore({ ...given, disk: all.disk.settled() });
    const sectors = new BadSectors(all.disk);
    const { store } = await start(sectors);
    const first = filesIn(all.disk, 'data/log', '.log')
      .map((name) => Number.parseInt(name, 10))
      .at(-1) as LogPosition;
    const [{ position, size }] = all.sent.filter((one) => one.position >= first) as [Written['sent'][0]];
    const read = (): Promise<unknown> => Promise.resolve(store.repairs.digest(first, (position + size) as LogPosition));
    sectors.damage(joinPath('data/log', segmentName(first)), position - first);
    await expect(read()).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
    expect(store.repairs.wanted).toEqual([]);
    for (const one of [store, twin.store]) {
      for (let i = 0; i < 60; i += 1) {
        send(one, { topic, queue, id: `n${i}`, timestampMs: 5000, bodyBytes: 900 });
        await committed(one);
      }
      await one.idle();
    }
    for (const file of [segmentName(first), compactedName(first)]) {
      sectors.damage(joinPath('data/log', file), position - first);
      await expect(read()).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
      const [wanted] = store.repairs.wanted;
      expect(wanted).toMatchObject({ first });
      await store.repairs.mend(first, twin.store.repairs.records(first, wanted?.end as LogPosition));
      expect([store.repairs.wanted, (await read()) !== undefined]).toEqual([[], true]);
    }
    for (const each of [store, twin.store]) await each.stop();
  });

  it('of a sealed segment is found by looking, and what lies behind is looked at too', async () => {
    const all = await written(new Prng(3));
    const sectors = new BadSectors(all.disk);
    for (const { first } of all.sealed.slice(0, 2)) sectors.damage(joinPath('data/log', segmentName(first)), 5000);
    const scrub = { scrubBytesPerSecond: 1e9, scrubEveryMs: 1 };
    const { store, clock } = await start(sectors, { limits: { ...limits, ...scrub } });
    while (store.repairs.wanted.length < 2) {
      clock.advance(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(store.repairs.wanted.map(({ first }) => first)).toEqual(all.sealed.slice(0, 2).map(({ first }) => first));
    await store.stop();
  });

  it('of an index costs nothing: the file is made anew', async () => {
    const all = await written(new Prng(4));
    const sectors = new BadSectors(all.disk);
    const [name] = filesIn(all.disk, 'data/index', '.index');
    sectors.damage(`data/index/${name}`, 0);
    const { store, troubles } = await start(sectors);
    expect(await idsOf(store, topic, queue)).toEqual(all.ids);
    expect([store.sizes.indexesRebuilt, troubles]).toEqual([1, []]);
    await store.stop();
  });

  it('of the newest records is damage, not the end of the log: nothing is cut off', async () => {
    const all = await written(new Prng(5));
    const last = all.sent.at(-1) as Written['sent'][0];
    const active = filesIn(all.disk, 'data/log', '.log').at(-1) as string;
    const first = Number.parseInt(active, 10);
    const before = Buffer.from(all.disk.peek(`data/log/${active}`));
    const sectors = new BadSectors(all.disk);
    sectors.damage(`data/log/${active}`, last.position + last.size - 1 - first);
    // Neither a checkpoint nor a note says how far the log goes.
    await all.disk.unlink('data/log/durable');
    await expect(start(sectors)).rejects.toMatchObject({
      code: 'CORRUPT_RECORD',
      reason: expect.stringContaining('the disk can not read it') as unknown,
    });
    expect(all.disk.peek(`data/log/${active}`)).toEqual(before);
    // An operator may go on without it.
    const { store } = await start(sectors, { giveUpDamage: true });
    const left = await consumed(store);
    expect(left.filter((id) => id !== '-').length).toBeGreaterThan(100);
    const { position, size } = send(store, { topic, queue, id: 'after', timestampMs: 9000 });
    await committed(store);
    expect(idOf(await store.read(position, size))).toBe('after');
    await store.stop();
    const again = await start(sectors);
    expect((await consumed(again.store)).at(-1)).toBe('after');
    await again.store.stop();
  });

  it('of what is made ahead of use, or of a note that only helps, is no harm', async () => {
    const all = await written(new Prng(6));
    const active = filesIn(all.disk, 'data/log', '.log').at(-1) as string;
    const file = await all.disk.open(`data/log/${active}`);
    const bytes = await file.size();
    await file.truncate(bytes + 64 * KiB);
    await file.sync();
    const sectors = new BadSectors(all.disk);
    sectors.damage(`data/log/${active}`, bytes + 40 * KiB);
    sectors.damage('data/log/durable', 0);
    const { store } = await start(sectors);
    expect(await idsOf(store, topic, queue)).toEqual(all.ids);
    await store.stop();
  });

  it('of a checkpoint has the state made again from a log that is whole', async () => {
    const all = await written(new Prng(7));
    const sectors = new BadSectors(all.disk);
    const [name] = filesIn(all.disk, 'data/state', '.pieces');
    sectors.damage(`data/state/${name}`, 0);
    const { store, troubles } = await start(sectors);
    expect(await idsOf(store, topic, queue)).toEqual(all.ids);
    expect(troubles.length).toBe(1);
    await store.stop();
  });
});
