import type { QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { readWhole } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import { faultyDisk } from '../disk/faulty-disk.js';
import { MemoryDisk } from '../disk/memory-disk.js';
import type { MessageStore } from '../message-store.js';
import { committed, hashText, idsOf, openStore, refer, send } from '../store-harness.js';
import { MemoryCheckpointStore } from '../views/memory-checkpoint-store.js';

const folder = 'data/index';

async function indexFiles(disk: Disk): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const name of await disk.list(folder)) {
    const bytes = await readWhole(disk, `${folder}/${name}`);
    if (bytes) files.set(name, bytes);
  }
  return files;
}

/** Several segments of messages with keys and references, over queues that come and go. */
async function fill(store: MessageStore, chance: Prng, messages: number): Promise<Map<string, string[]>> {
  const queues = new Map<string, string[]>();
  for (let i = 0; i < messages; i += 1) {
    // A queue that is in every segment, some that are in few, one that is seen at the very beginning and end only.
    const queue = chance.chance(0.5) ? 0 : 1 + chance.below(40);
    const rare = i === 0 || i === messages - 1 ? 99 : queue;
    const id = `m${i}`;
    const placed = send(store, {
      topic: 1,
      queue: rare,
      id,
      keys: [`k${i % 7}`],
      timestampMs: 1000 + i * 100,
      tagHash: i,
    });
    queues.set(`1/${rare}`, [...(queues.get(`1/${rare}`) ?? []), id]);
    if (chance.chance(0.1)) {
      refer(store, { topic: 2, queue: 0, timestampMs: 1000 + i * 100 }, { ...placed, topic: 1 });
      queues.set('2/0', [...(queues.get('2/0') ?? []), id]);
    }
    if (chance.chance(0.1)) await committed(store);
  }
  await committed(store);
  await store.idle();
  return queues;
}

async function expectAll(store: MessageStore, queues: ReadonlyMap<string, string[]>): Promise<void> {
  for (const [key, ids] of queues) {
    const [topic, queue] = key.split('/').map(Number) as [number, number];
    expect([key, await idsOf(store, topic, queue)]).toEqual([key, ids]);
  }
}

// Goal: an index file is worth nothing. Method: delete, cut or damage files by chance, and look everything up again;
// what is made anew must be, byte for byte, what was there.
describe('index files', () => {
  it.each(seeds(25))('come back with the same contents (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const checkpoints = new MemoryCheckpointStore();
    const disk = new MemoryDisk();
    const first = await openStore({ disk, checkpoints });
    const queues = await fill(first.store, chance, 150 + chance.below(100));
    await first.store.stop();
    const before = await indexFiles(disk);
    expect(before.size).toBeGreaterThan(3);
    let harmed = 0;
    for (const [name, bytes] of before) {
      const roll = chance.below(4);
      if (roll === 0) continue;
      harmed += 1;
      if (roll === 1) {
        await disk.unlink(`${folder}/${name}`);
        continue;
      }
      const file = await disk.open(`${folder}/${name}`);
      if (roll === 2) await file.truncate(chance.below(bytes.length));
      else {
        const at = chance.below(bytes.length);
        await file.write([Uint8Array.of((bytes[at] ?? 0) ^ (1 << chance.below(8)))], at);
      }
      await file.sync();
      await file.close();
    }
    const again = await openStore({ disk, checkpoints });
    await expectAll(again.store, queues);
    const found = await again.store.findByKey(1 as TopicId, hashText('k3'), 0, 1e12, 1000);
    expect(found.length).toBe(
      [...queues]
        .filter(([key]) => key !== '2/0')
        .flatMap(([, ids]) => ids)
        .filter((id) => Number(id.slice(1)) % 7 === 3).length,
    );
    expect(await indexFiles(disk)).toEqual(before);
    expect(again.store.sizes.indexesRebuilt).toBe(harmed);
    expect(again.troubles).toEqual([]);
    await again.store.stop();
  });

  it('find a queue that is in the oldest segment and nowhere since', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk } = await openStore({ checkpoints });
    send(store, { topic: 1, queue: 5, id: 'old', timestampMs: 1 });
    for (let i = 0; i < 200; i += 1) send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 2, bodyBytes: 100 });
    await committed(store);
    await store.idle();
    expect(await idsOf(store, 1, 5)).toEqual(['old']);
    await store.stop();
    const again = await openStore({ checkpoints, disk });
    send(again.store, { topic: 1, queue: 5, id: 'new', timestampMs: 3 });
    await committed(again.store);
    expect(await idsOf(again.store, 1, 5)).toEqual(['old', 'new']);
    await again.store.stop();
  });

  // Goal: tables of many pages are found through. Method: thousands of queues and references in each of a few segments.
  it('hold thousands of queues and references', async () => {
    const chance = new Prng(7);
    const checkpoints = new MemoryCheckpointStore();
    const limits = { segmentBytes: 768 * 1024, pendingBytesMax: 64 * 1024 * 1024, batchBytesMax: 256 * 1024 };
    const { store, disk, clock } = await openStore({ checkpoints, limits });
    const queues = new Map<number, string[]>();
    const t0 = clock.wallMs();
    const target = { ...send(store, { topic: 3, queue: 0, id: 'target', timestampMs: t0 }), topic: 3 };
    for (let i = 0; i < 24_000; i += 1) {
      const queue = chance.below(6000) * 700_000; // Up to 2^32.
      const id = `m${i}`;
      send(store, { topic: 1, queue, id, timestampMs: t0, bodyBytes: 1 });
      queues.set(queue, [...(queues.get(queue) ?? []), id]);
      if (i < 7000) refer(store, { topic: 2, queue: i % 2, timestampMs: t0 + 60_000 }, target);
    }
    await committed(store);
    await store.idle();
    expect(store.sizes.segments).toBeGreaterThan(3);
    const check = async (now: MessageStore): Promise<void> => {
      const some = [...queues].filter(() => chance.chance(0.1));
      for (const [queue, ids] of some) expect([queue, await idsOf(now, 1, queue)]).toEqual([queue, ids]);
      expect((await idsOf(now, 2, 0)).length).toBe(3500);
    };
    await check(store);
    await store.stop();
    const again = await openStore({ checkpoints, disk, limits, clock });
    await check(again.store);
    // The last of the references keeps its target, wherever in the table it stands.
    await again.store.retention.run(t0 + 120_000, (topicId) => ({ ms: (topicId as number) === 3 ? 1000 : 1e9 }));
    expect(await idsOf(again.store, 3, 0)).toEqual([]);
    expect((await idsOf(again.store, 2, 1)).every((id) => id === 'target')).toBe(true);
    expect(again.troubles).toEqual([]);
    await again.store.stop();
  });

  it('of segments that are gone are deleted at the start', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk } = await openStore({ checkpoints });
    await store.stop();
    const stray = await disk.open(`${folder}/0000000000123456.index`, { create: true });
    await stray.close();
    const again = await openStore({ checkpoints, disk });
    expect(await disk.list(folder)).toEqual([]);
    await again.store.stop();
  });

  it('answer at once when what they are asked for is in memory', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store } = await openStore({ checkpoints });
    await fill(store, new Prng(3), 200);
    const look = (from: number) => store.scan(1 as TopicId, 0 as QueueId, from as QueueOffset, 5);
    const { next } = store.bounds(1 as TopicId, 0 as QueueId);
    expect(look(next - 1)).not.toBeInstanceOf(Promise);
    expect(look(0)).toBeInstanceOf(Promise);
    await look(0);
    expect(look(0)).not.toBeInstanceOf(Promise);
    await store.stop();
  });
});

// Goal: however many readers want index pages, they share a few open files and a few reads, and one read serves all who
// want the same. Method: everybody reads every queue of sealed segments at once; the disk counts.
describe('many readers at once', () => {
  async function sealed(): Promise<{ disk: MemoryDisk; checkpoints: MemoryCheckpointStore; queues: number[] }> {
    const disk = new MemoryDisk();
    const checkpoints = new MemoryCheckpointStore();
    const { store } = await openStore({ disk, checkpoints });
    const queues = Array.from({ length: 200 }, (_, queue) => queue);
    for (let round = 0; round < 3; round += 1) {
      for (const queue of queues) send(store, { topic: 1, queue, id: `m${round}-${queue}`, timestampMs: 1 });
      await committed(store);
    }
    await store.stop();
    return { disk, checkpoints, queues };
  }

  it('open few files, read few pages at a time, and each page once', async () => {
    const { disk, checkpoints, queues } = await sealed();
    const count = { opens: 0, reads: 0, under: 0, most: 0 };
    const counted = faultyDisk(disk, async (operation, path) => {
      if (!path.startsWith(folder)) return undefined;
      if (operation === 'open') count.opens += 1;
      if (operation !== 'read') return undefined;
      count.reads += 1;
      count.most = Math.max(count.most, (count.under += 1));
      await new Promise((resolve) => setImmediate(resolve));
      count.under -= 1;
      return undefined;
    });
    const { store } = await openStore({ disk: counted, checkpoints, limits: { indexCacheBytes: 64 * 1024 * 1024 } });
    const segments = store.sizes.segments;
    expect(segments).toBeGreaterThan(5);
    Object.assign(count, { opens: 0, reads: 0 });
    const scans = queues.flatMap((queue) =>
      Array.from({ length: 10 }, () => store.scan(1 as TopicId, queue as QueueId, 0 as QueueOffset, 10)),
    );
    for (const scan of scans) expect((await scan).count).toBeGreaterThan(0);
    expect(count.opens).toBeLessThanOrEqual(segments);
    expect(count.most).toBeLessThanOrEqual(2);
    // Of each: the head in two reads, a page of entries and one of queues.
    expect(count.reads).toBeLessThanOrEqual(segments * 4);
    await store.stop();
  });

  it('begin nothing when they ask for what is in memory', async () => {
    const { disk, checkpoints } = await sealed();
    let reads = 0;
    const counted = faultyDisk(disk, (operation, path) => {
      if (operation === 'read' && path.startsWith(folder)) reads += 1;
      return undefined;
    });
    const { store } = await openStore({ disk: counted, checkpoints });
    await store.idle();
    reads = 0;
    const look = () => store.scanInMemory(1 as TopicId, 7 as QueueId, 0 as QueueOffset, 10);
    expect([look(), reads]).toEqual([undefined, 0]);
    const found = await store.scan(1 as TopicId, 7 as QueueId, 0 as QueueOffset, 10);
    expect(look()).toEqual(found);
    const copy = found.copy();
    expect([copy.from, copy.count, copy.position(0), copy.size(0)]).toEqual([
      found.from,
      found.count,
      found.position(0),
      found.size(0),
    ]);
    await store.stop();
  });
});
