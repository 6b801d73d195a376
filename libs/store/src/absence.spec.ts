// Goal: what is missing is no command. Nothing is deleted or begun anew because something that should be there is not:
// only what a record says was deleted, or expired, is. Method: take one thing away, and let everything that deletes run.
import type { TopicId } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { replaceFile } from './disk/disk.js';
import { MemoryDisk } from './disk/memory-disk.js';
import type { MessageStore } from './message-store.js';
import { committed, idsOf, openStore, send } from './store-harness.js';
import { MemoryCheckpointStore } from './views/memory-checkpoint-store.js';
import { Tombstones } from './views/tombstones.js';

const day = 24 * 3_600_000;

async function fill(store: MessageStore, topic: number, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1)
    send(store, { topic, queue: 0, id: `${topic}-${i}`, timestampMs: 1_000, bodyBytes: 200 });
  await committed(store);
  await store.idle();
}

it('a queue that the directory has lost costs no segment', async () => {
  const disk = new MemoryDisk();
  const checkpoints = new MemoryCheckpointStore();
  const first = await openStore({ disk, checkpoints });
  await fill(first.store, 1, 40);
  await first.store.stop();
  const stored = checkpoints.load();
  const gone = [...(stored?.pieces ?? [])].filter(([key]) => key.startsWith('directory/')).map(([key]) => key);
  expect(gone).not.toEqual([]);
  await checkpoints.write(
    stored?.position ?? (0 as never),
    stored?.epoch ?? (0 as never),
    gone.map((key) => ({ key, value: undefined })),
  );
  const { store } = await openStore({ disk, checkpoints });
  const before = (await disk.list('data/log')).filter((name) => name.endsWith('.log'));
  expect(before.length).toBeGreaterThan(2);
  for (let round = 0; round < 3; round += 1) await store.retention.run(100 * day, () => ({ ms: day }));
  expect((await disk.list('data/log')).filter((name) => name.endsWith('.log'))).toEqual(before);
  await store.stop();
});

it('a topic that a record deleted is deleted after a restart too, and its space comes back', async () => {
  const disk = new MemoryDisk();
  const checkpoints = new MemoryCheckpointStore();
  const first = await openStore({ disk, checkpoints });
  await fill(first.store, 1, 40);
  first.store.deleteTopic(1 as TopicId, 2_000);
  await committed(first.store);
  await first.store.stop();
  const { store } = await openStore({ disk, checkpoints });
  expect(() => send(store, { topic: 1, queue: 0, id: 'late', timestampMs: 3_000 })).toThrow('TOPIC_NOT_FOUND');
  await store.retention.run(3_000, () => undefined);
  expect(store.sizes.segments).toBe(1);
  await store.stop();
});

it('a folder that has lost its log and its state is not begun anew', async () => {
  const disk = new MemoryDisk();
  const first = await openStore({ disk, checkpoints: 'on the disk' });
  await fill(first.store, 1, 5);
  await first.store.stop();
  for (const folder of ['data/log', 'data/state']) {
    for (const name of await disk.list(folder)) await disk.unlink(`${folder}/${name}`);
  }
  await expect(openStore({ disk, checkpoints: 'on the disk' })).rejects.toMatchObject({
    code: 'DATA_FOLDER',
    message: expect.stringContaining('this data folder has had one') as string,
  });
  expect([await disk.list('data/log'), await disk.list('data/state')]).toEqual([[], []]);
});

// A crash before the first segment was durable leaves a folder without a log, and that one may begin.
it.each(seeds(10))('a folder whose first start was cut off may begin again (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const disk = new MemoryDisk();
  const crashes: MemoryDisk[] = [];
  disk.watcher = () => void crashes.push(disk.crash(chance, {}, true));
  const first = await openStore({ disk, checkpoints: 'on the disk' });
  disk.watcher = undefined;
  for (const crashed of crashes) {
    const { store } = await openStore({ disk: crashed, checkpoints: 'on the disk' });
    await fill(store, 1, 1);
    expect(await idsOf(store, 1, 0)).toEqual(['1-0']);
    await store.stop();
  }
  await first.store.stop();
});

// Goal: a log with a hole that retention made is not taken for a whole one. Method: one topic is kept, and stands before
// and behind another one that has expired; then the checkpoint is damaged, gone, or an older one is brought back.
describe('a log with a hole in it', () => {
  async function holed(checkpoints: MemoryCheckpointStore | 'on the disk') {
    const disk = new MemoryDisk();
    const { store } = await openStore({ disk, checkpoints });
    await fill(store, 1, 20);
    await store.checkpoint();
    const old = checkpoints === 'on the disk' ? undefined : checkpoints.copy();
    await fill(store, 2, 60);
    await fill(store, 1, 20);
    await store.retention.run(100 * day, (topic) => ((topic as number) === 2 ? { ms: day } : undefined));
    const names = await disk.list('data/log');
    expect(names).toContain('0000000000000000.log');
    expect(names.filter((name) => name.endsWith('.log')).length).toBeLessThan(8);
    await store.stop();
    return { disk, old };
  }

  it('does not make a damaged state again', async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore({ disk, checkpoints: 'on the disk' });
    await fill(store, 1, 60);
    await store.stop();
    const names = (await disk.list('data/log')).filter((name) => name.endsWith('.log'));
    await disk.unlink(`data/log/${names[2]}`);
    for (const name of ['manifest', 'manifest.copy']) disk.peek(`data/state/${name}`).fill(0);
    await expect(openStore({ disk, checkpoints: 'on the disk' })).rejects.toThrow(/is not all there.*Bring back/);
  });

  it('does not make a state that is gone', async () => {
    const { disk } = await holed(new MemoryCheckpointStore());
    const checkpoints = new MemoryCheckpointStore();
    await expect(openStore({ disk, checkpoints })).rejects.toThrow(/holds nothing from position .*which is gone/);
  });

  it('says what to do where the state is that of a version which kept it in another way', async () => {
    const { disk } = await holed(new MemoryCheckpointStore());
    await disk.makeFolder('data/state');
    await replaceFile(disk, 'data/state/data.mdb', [Buffer.from('x')]);
    await expect(openStore({ disk, checkpoints: 'on the disk' })).rejects.toThrow(/start that version again/);
    expect(await disk.list('data/state')).toContain('data.mdb');
  });

  it('does not go on from an older checkpoint than the hole', async () => {
    const { disk, old } = await holed(new MemoryCheckpointStore());
    if (!old) throw new Error('there was a checkpoint');
    await expect(openStore({ disk, checkpoints: old })).rejects.toThrow(/holds nothing from position .*which ends at/);
  });
});

it('files of others in the folder of indexes stay', async () => {
  const disk = new MemoryDisk();
  const checkpoints = new MemoryCheckpointStore();
  const first = await openStore({ disk, checkpoints });
  await first.store.stop();
  for (const name of ['notes.txt', '0000000000000007.index'])
    await replaceFile(disk, `data/index/${name}`, [Buffer.from('x')]);
  const { store } = await openStore({ disk, checkpoints });
  expect(await disk.list('data/index')).toEqual(['notes.txt']);
  await store.stop();
});

// Goal: what was deleted is known for ever. Method: beside sets, through pieces, in a space so small that bits are shared.
it.each(seeds(5))('tombstones are as sets would be (seed %i)', (seed) => {
  const chance = new Prng(seed);
  let tombstones = new Tombstones();
  const pieces = new Map<string, Uint8Array>();
  const topics = new Set<number>();
  const queues = new Set<string>();
  for (let step = 0; step < 2_000; step += 1) {
    const topic = chance.pick([1, 2, 1_023, 1_024, 0xfffffffe]);
    const queue = chance.below(5_000);
    if (chance.chance(0.002)) {
      tombstones.addTopic(topic);
      topics.add(topic);
    } else if (!topics.has(topic)) {
      tombstones.addQueue(topic, queue);
      queues.add(`${topic}/${queue}`);
    }
    if (chance.chance(0.01)) {
      for (const { key, value } of tombstones.takeChanges()) {
        if (value) pieces.set(key, value);
        else pieces.delete(key);
      }
      tombstones = new Tombstones();
      for (const [key, value] of pieces) tombstones.load(key, value);
    }
    const [askedTopic, askedQueue] = [chance.pick([1, 2, 3, 1_023, 1_024, 0xfffffffe]), chance.below(5_000)];
    const wanted = topics.has(askedTopic) || queues.has(`${askedTopic}/${askedQueue}`);
    if (tombstones.hasQueue(askedTopic, askedQueue) !== wanted)
      throw new Error(`${askedTopic}/${askedQueue}: not ${wanted}`);
    if (tombstones.hasTopic(askedTopic) !== topics.has(askedTopic)) throw new Error(`topic ${askedTopic}`);
  }
  expect(queues.size).toBeGreaterThan(0);
});
