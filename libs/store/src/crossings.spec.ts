/**
 * Things that cross: what one part of the store does to its files, or hears, while another is in the middle of something.
 */
import { type Epoch, type LogPosition, RecordKind, type TopicId } from '@cometmq/model';
import { Prng } from '@cometmq/shared';

import { faultyDisk } from './disk/faulty-disk.js';
import { MemoryDisk, systemError } from './disk/memory-disk.js';
import { Holds } from './holds.js';
import { durably, numbered, openLog, readAll } from './log/log-harness.js';
import type { SegmentInfo } from './log/segment.js';
import { committed, idsOf, openStore, send } from './store-harness.js';
import type { OpenedStore } from './store-harness.js';

const onDisk = { checkpoints: 'on the disk' } as const;
const body = { timestampMs: 1000, bodyBytes: 500 };

function durable({ replication, appendEnd }: OpenedStore['store']): Promise<void> {
  return new Promise((resolve, reject) => replication.whenDurable(appendEnd, resolve, reject));
}

// Goal: an index made of what was cut off is never taken for that of what stands there now. Method: records of the same size in
// another queue come in the place of those cut off; the power goes before the new index is there.
it('an index of what was cut off does not come back by a power cut', async () => {
  const { store, disk } = await openStore(onDisk);
  await store.beginEpoch(1 as Epoch, 0);
  const files = disk as MemoryDisk;
  store.replication.commitsWhenDurable = false;
  const from = store.appendEnd;
  const fill = async (queue: number): Promise<void> => {
    while ([...files.names('data/log')].filter((name) => name.endsWith('.log')).length < 2) {
      send(store, { topic: 1, queue, id: 'm', ...body });
      await durable(store);
    }
  };
  await fill(1);
  await store.idle();
  expect([...files.names('data/index')].length).toBe(1);
  await store.replication.stepDown(from);
  await store.replication.lead();
  let left: MemoryDisk | undefined;
  files.watcher = ({ kind, path }) => {
    if (kind === 'make' && path.startsWith('data/index')) left ??= files.crash(new Prng(1), { survives: 0 }, true);
  };
  await fill(2);
  await store.idle();
  files.watcher = undefined;
  const wanted = await openStore({ ...onDisk, disk: left as unknown as MemoryDisk });
  const [one, two] = [await idsOf(wanted.store, 1, 1), await idsOf(wanted.store, 1, 2)];
  expect([one.length, two.length > 5]).toEqual([0, true]);
  await wanted.store.stop();
  await store.stop();
});

// Goal: a follower folds all that is committed, whenever it hears of it. Method: it hears of the rest after any number of steps.
it('a commit that comes as a fold ends is folded too', async () => {
  const leader = await openStore(onDisk);
  const { store } = leader;
  await store.beginEpoch(1 as Epoch, 0);
  const follower = await openStore({ ...onDisk, follows: true });
  await follower.store.takeSalt(store.salt as number);
  const ends: LogPosition[] = [];
  for (let i = 0; i < 120; i += 1) ends.push(send(store, { topic: 1, queue: 0, id: `m${i}`, ...body }).end);
  await committed(store);
  for (let from = 0 as LogPosition; from < store.appendEnd;) {
    const bytes = await store.replication.readBytes(from, 64 * 1024);
    from = follower.store.replication.append(bytes as Uint8Array);
  }
  await durable(follower.store);
  const { replication } = follower.store;
  for (let steps = 0; steps < 60; steps += 1) {
    replication.advanceCommit(ends[2 * steps] as LogPosition);
    for (let i = 0; i < steps; i += 1) await Promise.resolve();
    replication.advanceCommit(ends[2 * steps + 1] as LogPosition);
    for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    expect([steps, follower.store.foldedEnd]).toEqual([steps, ends[2 * steps + 1]]);
  }
  await follower.store.stop();
  await store.stop();
});

// Goal: a compacted segment that is damaged costs nothing while the one it was made of is still there. Method: the power goes
// before that one's name is gone for good.
it('a damaged compacted segment gives way to the one that it was made of', async () => {
  const { store, disk } = await openStore(onDisk);
  const files = disk as MemoryDisk;
  await store.beginEpoch(1 as Epoch, 0);
  for (let i = 0; i < 40; i += 1) {
    send(store, { topic: i % 7 === 0 ? 2 : 1, queue: 0, id: `m${i}`, ...body });
    store.append(RecordKind.ack, 1000 + i, Uint8Array.of(i % 4, i));
  }
  await committed(store);
  const kept = await idsOf(store, 2, 0);
  await store.checkpoint();
  await store.idle();
  let left: MemoryDisk | undefined;
  files.watcher = ({ kind, path }) => {
    if (kind === 'unlink' && path.endsWith('.log')) left ??= files.crash(new Prng(1), { survives: 0 }, true);
  };
  await store.retention.run(5000, (topic: TopicId) => ((topic as number) === 1 ? { ms: 1 } : undefined));
  files.watcher = undefined;
  if (!left) throw new Error('nothing was compacted');
  const [compacted] = [...left.names('data/log')].filter((name) => name.endsWith('.compacted'));
  left.peek(`data/log/${compacted}`).fill(7, 0, 64);
  const found = await openStore({ ...onDisk, disk: left });
  expect(await idsOf(found.store, 2, 0)).toEqual(kept);
  expect([found.store.damage.all, found.troubles.length]).toEqual([[], 1]);
  await found.store.stop();
  const again = await openStore({ ...onDisk, disk: left });
  expect([await idsOf(again.store, 2, 0), again.store.damage.all, again.troubles]).toEqual([kept, [], []]);
  await again.store.stop();
  await store.stop();
});

// Goal: whoever goes through the log finds what stands there now. Method: a segment is compacted between two slices of it.
it('who looks through a segment that is replaced meanwhile goes on in the new one', async () => {
  const disk = new MemoryDisk();
  const { log } = await openLog(disk, undefined, { segmentBytes: 512 * 1024, tailCacheBytes: 4096 });
  for (let n = 0; n < 400; n += 1) await durably(log, numbered(n, 3000));
  const [{ first, end }] = log.segments() as [SegmentInfo];
  let slices = 0;
  await log.check(
    first,
    end,
    () => undefined,
    async () => {
      slices += 1;
      if (slices > 1) return;
      const prepared = await log.prepareCompaction(first, () => true, Infinity);
      if (prepared) await log.replace(prepared);
    },
  );
  expect([slices > 1, log.segments()[0]?.generation]).toEqual([true, 1]);
  await log.close();
});

// Goal: no more files are open than are read. Method: more segments than may be open, taken up at a start.
it('a start leaves no more files open than readers may have', async () => {
  const disk = new MemoryDisk();
  const { log } = await openLog(disk);
  for (let n = 0; n < 400; n += 1) await durably(log, numbered(n, 3000));
  await log.close();
  let open = 0;
  const opening = disk.open.bind(disk);
  disk.open = async (path, options) => {
    const file = await opening(path, options);
    open += 1;
    return Object.assign(file, {
      close: () => {
        open -= 1;
        return Promise.resolve();
      },
    });
  };
  const again = await openLog(disk);
  expect([again.log.segments().length > 100, open < 80]).toEqual([true, true]);
  await again.log.close();
});

// Goal: a log that was cut is opened again. Method: the note of how far it was durable finds no room to be written lower.
it('a log that is cut while the disk is full can be opened again', async () => {
  const disk = new MemoryDisk();
  let isFull = false;
  const full = faultyDisk(disk, (operation, path) =>
    isFull && operation === 'write' && path === 'log/durable' ? systemError('ENOSPC', 'no space left') : undefined,
  );
  const { log, clock } = await openLog(full);
  log.commitsWhenDurable = false;
  await durably(log, numbered(1));
  const { position } = await durably(log, numbered(2));
  clock.advance(200);
  await new Promise((resolve) => setImmediate(resolve));
  isFull = true;
  await log.truncate(position);
  const again = await openLog(disk.kill());
  expect((await readAll(again.log)).map(({ n }) => n)).toEqual([1]);
  await again.log.close();
});

// Goal: damage that a follower or another member runs into is known here, so that it can be mended. Method: bytes of a sealed
// segment that nobody else reads are changed.
it.each(['shipped', 'compared', 'given'])('damage in what is %s to others is noted', async (how) => {
  const { store, disk } = await openStore(onDisk);
  await store.beginEpoch(1 as Epoch, 0);
  for (let i = 0; i < 40; i += 1) send(store, { topic: 1, queue: 0, id: `m${i}`, ...body });
  await committed(store);
  await store.stop();
  const again = await openStore({ ...onDisk, disk });
  const name = [...(disk as MemoryDisk).names('data/log')].filter((one) => one.endsWith('.log')).sort()[1] as string;
  const first = Number.parseInt(name, 10) as LogPosition;
  const end = (first + 3000) as LogPosition;
  (disk as MemoryDisk).peek(`data/log/${name}`).fill(7, 1000, 1020);
  const { repairs, replication } = again.store;
  const read = async (): Promise<void> => {
    if (how === 'shipped')
      for (let at = first; at < end;)
        at = (at + ((await replication.readBytes(at, 1))?.byteLength ?? 0)) as LogPosition;
    else if (how === 'compared') await repairs.digest(first, end);
    else for await (const piece of repairs.records(first, end)) void piece;
  };
  await expect(read()).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
  expect(repairs.wanted.map((one) => one.first)).toEqual([first]);
  await again.store.stop();
});

// Goal: what an operator has given up of a compacted segment is over. Method: its head is damaged; then all of it expires.
it('a damaged compacted segment that was given up is told of no more, and goes when its time has come', async () => {
  const { store, disk } = await openStore(onDisk);
  const files = disk as MemoryDisk;
  await store.beginEpoch(1 as Epoch, 0);
  for (let i = 0; i < 40; i += 1) send(store, { topic: i % 7 === 0 ? 2 : 1, queue: 0, id: `m${i}`, ...body });
  await committed(store);
  await store.checkpoint();
  await store.idle();
  await store.retention.run(5000, (topic: TopicId) => ((topic as number) === 1 ? { ms: 1 } : undefined));
  await store.stop();
  const named = (): string[] => [...files.names('data/log')].filter((name) => name.endsWith('.compacted')).sort();
  const [compacted] = named();
  files.peek(`data/log/${compacted}`).fill(7, 0, 64);
  const hurt = await openStore({ ...onDisk, disk });
  expect(hurt.store.damage.all.length).toBe(1);
  await hurt.store.damage.giveUp();
  await hurt.store.stop();
  const again = await openStore({ ...onDisk, disk });
  expect(again.store.damage.all).toEqual([]);
  expect(named()).toContain(compacted);
  await again.store.retention.run(9000, () => ({ ms: 1 }));
  expect(named()).not.toContain(compacted);
  await again.store.stop();
});

// Goal: who could not take a folder does not keep it. Method: a note is lost, and brought back.
it('a folder that could not be opened may be opened once that was mended', async () => {
  const { store, disk } = await openStore(onDisk);
  await store.stop();
  const files = disk as MemoryDisk;
  const notes = ['data/term', 'data/term.copy'].map((path) => [path, Buffer.from(files.peek(path))] as const);
  for (const [path] of notes) await disk.unlink(path);
  await expect(openStore({ ...onDisk, disk })).rejects.toMatchObject({ code: 'DATA_FOLDER' });
  for (const [path, bytes] of notes) await (await disk.open(path, { create: true })).write([bytes], 0);
  await (await openStore({ ...onDisk, disk })).store.stop();
});

// Goal: a member with a full disk goes on as a follower. Method: it is deposed while its checkpoint waits for room, which nobody
// can make before it has stepped down.
it('who steps down does not wait for a checkpoint that finds no room', async () => {
  const { store, disk, clock, failures } = await openStore(onDisk);
  const files = disk as MemoryDisk;
  await store.beginEpoch(1 as Epoch, 0);
  for (let i = 0; i < 5; i += 1) send(store, { topic: 1, queue: 0, id: `m${i}`, ...body });
  await committed(store);
  files.capacityBytes = files.usedBytes();
  const checkpoint = store.checkpoint();
  for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  store.replication.commitsWhenDurable = false;
  const to = store.appendEnd;
  store.append(RecordKind.ack, 2000, Uint8Array.of(1, 1));
  await durable(store);
  let isDown = false;
  const down = store.replication.stepDown(to).finally(() => (isDown = true));
  for (let turns = 0; !isDown && turns < 1000; turns += 1) {
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(isDown).toBe(true);
  await Promise.all([down, checkpoint]);
  expect([store.appendEnd, await idsOf(store, 1, 0), failures]).toEqual([to, ['m0', 'm1', 'm2', 'm3', 'm4'], []]);
  files.capacityBytes = Infinity;
  await store.replication.lead();
  await store.checkpoint();
  await store.stop();
});

// Goal: the same where its log waits for room. Method: what it wrote last finds none, and the reserve is used up; it is deposed, gives
// that up, and goes on with what its leader sends once there is room.
it.each([
  ['for the next segment', 500, 0],
  ['for the next segment, and keeps a part of it', 500, 1],
  ['for itself', 100_000, 0],
  ['for itself, and keeps a part of it', 100_000, 1],
])('who steps down does not wait for a batch that finds no room %s', async (_, bodyBytes, kept) => {
  const { store, disk, clock, failures } = await openStore(onDisk);
  const files = disk as MemoryDisk;
  await store.beginEpoch(1 as Epoch, 0);
  for (let i = 0; i < 5; i += 1) send(store, { topic: 1, queue: 0, id: `m${i}`, ...body });
  await committed(store);
  store.replication.commitsWhenDurable = false;
  files.capacityBytes = files.usedBytes();
  const until = async (done: () => boolean): Promise<void> => {
    for (let turns = 0; !done() && turns < 2_000; turns += 1) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  let to = store.appendEnd;
  let isDurable = true;
  const ends: LogPosition[] = [];
  for (let i = 0; isDurable && i < 1_000; i += 1) {
    const before = store.appendEnd;
    // What a broker decides is taken on a full disk too, in the reserve.
    for (let each = 0; each < 2; each += 1) {
      ends.push(store.append(RecordKind.ack, 1000, new Uint8Array(bodyBytes).fill(1)).end);
    }
    isDurable = false;
    durable(store).then(
      () => (isDurable = true),
      () => undefined,
    );
    await until(() => isDurable);
    if (!isDurable) to = kept === 1 ? (ends.at(-2) as LogPosition) : before;
  }
  expect(isDurable).toBe(false);
  let isDown = false;
  const down = store.replication.stepDown(to).finally(() => (isDown = true));
  await until(() => isDown);
  expect([isDown, store.appendEnd]).toEqual([true, to]);
  await down;
  files.capacityBytes = Infinity;
  await store.replication.lead();
  store.replication.commitsWhenDurable = true;
  await until(() => !store.diskFull);
  send(store, { topic: 1, queue: 0, id: 'last', ...body });
  const done = committed(store);
  let isDone = false;
  void done.then(() => (isDone = true));
  await until(() => isDone);
  await done;
  const found = await idsOf(store, 1, 0);
  expect([found.slice(0, 5), found.at(-1), failures]).toEqual([['m0', 'm1', 'm2', 'm3', 'm4'], 'last', []]);
  await store.stop();
  const again = await openStore({ ...onDisk, disk });
  expect(await idsOf(again.store, 1, 0)).toEqual(found);
  await again.store.stop();
});

describe('moves of files', () => {
  it('are done one at a time, and who holds the files waits for all of them', async () => {
    const holds = new Holds();
    let finish: (moved: boolean) => void = () => undefined;
    const first = new Promise<boolean>((resolve) => (finish = resolve));
    const done: string[] = [];
    const moves = [
      holds.move(() => first.then((moved) => (done.push('first'), moved))),
      holds.move(() => (done.push('second'), Promise.resolve(true))),
    ];
    await new Promise((resolve) => setImmediate(resolve)); // The first is under way.
    const taken = holds.take().then((release) => (done.push('taken'), release));
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toEqual([]);
    finish(true);
    const release = await taken;
    expect(done).toEqual(['first', 'taken']); // The second had not begun.
    expect(await Promise.all(moves)).toEqual([true, false]);
    release();
    expect(await holds.move(() => Promise.resolve(true))).toBe(true);
  });

  it('that fail keep nobody from the next one', async () => {
    const holds = new Holds();
    await expect(holds.move(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await holds.move(() => Promise.resolve(true))).toBe(true);
    (await holds.take())();
  });
});
