/** Two stores with the same log: what one decides, the other comes to; and they change places. */
import { type Epoch, type LogPosition, RecordKind, logPosition } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import type { Disk } from './disk/disk.js';
import { faultyDisk } from './disk/faulty-disk.js';
import { MemoryDisk, systemError } from './disk/memory-disk.js';
import { Member, Pair } from './pair-harness.js';
import { committed, openStore, send } from './store-harness.js';
import type { OpenedStore } from './store-harness.js';

// Goal: a follower comes to what the leader has, by construction, and so does a leader that was deposed. Method: the
// leader decides by chance; copies, commits, restarts and changes of place come by chance; then both are compared.
it.each(seeds(25))('two members come to the same, whoever leads (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const pair = new Pair(chance);
  await pair.start();
  for (let step = 0; step < 25; step += 1) {
    pair.act(chance.below(20));
    const roll = chance.below(10);
    if (roll < 5) await pair.copy();
    else if (roll === 5) await pair.restartFollower();
    else if (roll === 6) void pair.leader.store.checkpoint();
    else if (roll === 7) await pair.changePlaces();
    else if (roll === 8) await pair.compare();
    else await pair.retain();
  }
  await pair.compare();
  await pair.leader.store.stop();
  await pair.follower.store.stop();
});

// Goal: a checkpoint has what the log says, whenever a member that steps down is stopped. Method: a disk that is slow by chance.
it.each(seeds(20))(
  'a member that is stopped while it steps down has the same when it starts again (seed %i)',
  async (seed) => {
    const chance = new Prng(seed);
    const pair = new Pair(chance);
    const { disk } = pair.follower;
    let isSlow = false;
    const pause = async (): Promise<void> => {
      for (let turns = isSlow ? chance.below(12) : 0; turns > 0; turns -= 1)
        await new Promise((done) => setImmediate(done));
    };
    const [open, list] = [disk.open.bind(disk), disk.list.bind(disk)];
    disk.open = async (...args) => pause().then(() => open(...args));
    disk.list = async (...args) => pause().then(() => list(...args));
    await pair.start();
    for (let round = 0; round < 6; round += 1) {
      pair.act(10);
      await pair.copy();
      const { store } = pair.follower;
      await store.checkpoint();
      pair.act(10);
      await pair.copy();
      isSlow = true;
      const down = store.replication.stepDown(store.appendEnd).catch(() => undefined);
      for (let turns = chance.below(12); turns > 0; turns -= 1) await new Promise((done) => setImmediate(done));
      await Promise.all([store.stop(), down]);
      isSlow = false;
      await pair.follower.start(true);
      await pair.compare();
    }
    await pair.leader.store.stop();
    await pair.follower.store.stop();
  },
);

// Goal: who is deposed ends nothing by itself while it folds again from before its last checkpoint. Method: the time of the next
// checkpoint comes at every turn of the fold.
it('no checkpoint is begun while what a deposed member had folded is folded again', async () => {
  const { store, clock, failures, view } = await openStore({ limits: { segmentBytes: 256 * 1024 } });
  for (let i = 0; i < 400; i += 1) send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: i, bodyBytes: 200 });
  await committed(store);
  await store.checkpoint();
  const { checkpointPosition } = store.sizes;
  store.replication.commitsWhenDurable = false;
  send(store, { topic: 1, queue: 0, id: 'uncommitted', timestampMs: 400 });
  await new Promise<void>((resolve) => store.replication.whenDurable(store.appendEnd, resolve));
  const begun: number[] = [];
  const takeChanges = view.takeChanges.bind(view);
  view.takeChanges = () => {
    begun.push(store.foldedEnd);
    return takeChanges();
  };
  let isDown = false;
  const down = store.replication.stepDown(store.commitEnd).finally(() => (isDown = true));
  let folding = 0;
  while (!isDown) {
    if (store.foldedEnd < checkpointPosition) folding += 1;
    clock.advance(60_000);
    await Promise.resolve();
    if (folding > 100_000) await new Promise(setImmediate);
  }
  await down;
  expect(folding).toBeGreaterThan(1);
  expect(begun.filter((end) => end < checkpointPosition)).toEqual([]);
  expect([failures, store.foldedEnd]).toEqual([[], store.commitEnd]);
  await store.stop();
});

// Goal: what a follower has just taken costs no disk and no block to be folded. Method: bytes asked of the disk are counted.
it('a follower folds what it has in memory from there', async () => {
  const pair = new Pair(new Prng(1));
  const reads = countReads(pair.follower);
  await pair.start();
  pair.act(5);
  await pair.copy(true);
  reads.bytes = 0;
  const before = pair.follower.store.foldedEnd;
  for (let i = 0; i < 10; i += 1) {
    pair.act(2);
    await pair.copy(true);
  }
  expect(pair.follower.store.foldedEnd).toBeGreaterThan(before);
  expect(reads.bytes).toBe(0);
  await pair.leader.store.stop();
  await pair.follower.store.stop();
});

// Goal: after a planned hand-over the one that led follows at once, however long its log. Method: as above; then both are
// compared, and it goes on folding from there.
it('a leader that is deposed with all committed folds nothing again', async () => {
  const pair = new Pair(new Prng(2));
  const reads = countReads(pair.leader);
  await pair.start();
  pair.act(20);
  await pair.copy(true);
  reads.bytes = 0;
  await pair.changePlaces();
  expect(reads.bytes).toBe(0);
  pair.act(20);
  await pair.compare();
  await pair.leader.store.stop();
  await pair.follower.store.stop();
});

function countReads({ disk }: Member): { bytes: number } {
  const reads = { bytes: 0 };
  const open = disk.open.bind(disk);
  disk.open = async (...args) => {
    const file = await open(...args);
    const read = file.read.bind(file);
    file.read = (into, at) => {
      reads.bytes += into.byteLength;
      return read(into, at);
    };
    return file;
  };
  return reads;
}

it('a log that has begun takes no other salt; one that has not keeps what it took', async () => {
  const [one, two] = [new Member(), new Member()];
  await one.start(true);
  expect(one.store.salt).toBeUndefined();
  await one.store.takeSalt(77);
  await one.store.stop();
  await one.start(true);
  await one.store.replication.lead();
  one.store.replication.commitsWhenDurable = true;
  await one.store.beginEpoch(1 as Epoch, 1);
  expect(one.store.salt).toBe(77);
  await one.store.takeSalt(77);
  await expect(one.store.takeSalt(78)).rejects.toThrow(/DATA_FOLDER.*it is another set's/);
  await two.start(true);
  await two.store.takeSalt(77);
  const bytes = await one.store.replication.readBytes(0 as LogPosition, 1000);
  expect(two.store.replication.append(bytes as Uint8Array)).toBe(one.store.appendEnd);
  await one.store.stop();
  await two.store.stop();
});

// Goal: what the leader before left uncommitted, however much, does not keep the next one from beginning: only its first
// record commits it. Method: a member takes more than its limit for what waits, and leads.
it('a term begins over more than may wait otherwise', async () => {
  const one = await openStore({ follows: true });
  await one.store.replication.lead();
  one.store.replication.commitsWhenDurable = true;
  await one.store.beginEpoch(1 as Epoch, 1);
  for (let i = 0; i < 40; i += 1) send(one.store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1, bodyBytes: 500 });
  await new Promise<void>((resolve, reject) => one.store.replication.whenDurable(one.store.appendEnd, resolve, reject));
  const two = await openStore({ follows: true, limits: { pendingBytesMax: 4096 } });
  const { replication } = two.store;
  await two.store.takeSalt(one.store.salt ?? 0);
  while (two.store.appendEnd < one.store.appendEnd) {
    const bytes = await one.store.replication.readBytes(two.store.appendEnd, 1 << 20);
    replication.append(bytes as Uint8Array);
  }
  expect(two.store.appendEnd).toBeGreaterThan(2 * 4096);
  expect(two.store.commitEnd).toBe(0);
  await replication.lead();
  const begun = two.store.beginEpoch(2 as Epoch, 2);
  await new Promise<void>((resolve, reject) => replication.whenDurable(two.store.appendEnd, resolve, reject));
  replication.advanceCommit(two.store.appendEnd);
  await begun;
  expect(two.store.commitEnd).toBeGreaterThan(one.store.appendEnd);
  await one.store.stop();
  await two.store.stop();
});

// Goal: what a checkpoint says of epochs does not outlive the bytes that it was said of. Method: a follower stores one while
// its log holds the beginning of an epoch that is not committed, and is cut back to before that: another may begin earlier.
it('an epoch that was cut off is in no checkpoint', async () => {
  const { store: leader } = await openStore({ follows: true });
  await leader.replication.lead();
  leader.replication.commitsWhenDurable = true;
  for (const epoch of [1, 2]) {
    await leader.beginEpoch(epoch as Epoch, 1);
    for (let i = 0; i < 3; i += 1) send(leader, { topic: 1, queue: 0, id: `${epoch} ${i}`, timestampMs: 1 });
  }
  await new Promise<void>((resolve) => leader.replication.whenDurable(leader.appendEnd, resolve));
  const [, second] = leader.epochs;
  const common = second?.start ?? logPosition(0);

  const follower = new Member();
  await follower.start(true);
  await follower.store.takeSalt(leader.salt ?? 0);
  const bytes = await leader.replication.readBytes(logPosition(0), 1 << 20);
  follower.store.replication.append(bytes as Uint8Array);
  follower.store.replication.advanceCommit(common);
  await follower.settled();
  await follower.store.checkpoint();
  expect(follower.store.epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
  await follower.store.replication.stepDown(common);
  expect(follower.store.epochs.map(({ epoch }) => epoch)).toEqual([1]);
  await follower.store.stop();
  await leader.stop();
});

/** A follower with all that a leader has written, durably, and none of it committed; `middle`: half of it ends there. */
async function taken(disk: Disk = new MemoryDisk()): Promise<OpenedStore & { readonly middle: LogPosition }> {
  const { store: leader } = await openStore({ follows: true });
  await leader.replication.lead();
  leader.replication.commitsWhenDurable = true;
  await leader.beginEpoch(1 as Epoch, 1);
  let middle = logPosition(0);
  for (let i = 0; i < 60; i += 1) {
    send(leader, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1, bodyBytes: 500 });
    const { end } = leader.append(RecordKind.ack, 1, Uint8Array.of(1, 1));
    if (i === 30) middle = end;
  }
  await committed(leader);
  const follower = await openStore({ disk, follows: true, limits: { segmentBytes: 64 * 1024 } });
  const { store } = follower;
  await store.takeSalt(leader.salt ?? 0);
  while (store.appendEnd < leader.appendEnd) {
    const bytes = await leader.replication.readBytes(store.appendEnd, 1 << 20);
    store.replication.append(bytes as Uint8Array);
  }
  await new Promise<void>((resolve, reject) => store.replication.whenDurable(store.appendEnd, resolve, reject));
  await leader.stop();
  return { ...follower, middle };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

// Goal: a follower that can't fold what is committed says so, once, and does not try again and again. Method: a disk that can't
// read the log any more, when what it has taken is committed.
it('a follower that can not read what is committed stops there', async () => {
  let [isBad, reads] = [false, 0];
  const disk = faultyDisk(new MemoryDisk(), (operation, path) => {
    if (!isBad || operation !== 'read' || !path.startsWith('data/log/')) return undefined;
    reads += 1;
    // This disk answers without a turn of the event loop: who reads without end would never give the spec one.
    if (reads >= 1_000) return new Promise<undefined>(() => undefined);
    return systemError('EIO', 'i/o error, read');
  });
  const { store, failures } = await taken(disk);
  isBad = true;
  store.replication.advanceCommit(store.appendEnd);
  for (let turns = 0; turns < 50; turns += 1) await turn();
  expect(failures).toMatchObject([{ code: 'CORRUPT_RECORD' }]);
  expect([reads > 0, reads < 1_000, store.foldedEnd]).toEqual([true, true, 0]);
  isBad = false;
  await store.stop();
});

// Goal: a member that begins to lead folds each record once. Method: the rest is committed at every moment of its fold.
it('what is committed while a member begins to lead is folded once', async () => {
  for (let moment = 0; moment < 60; moment += 1) {
    const { store, view, failures, middle } = await taken();
    const { replication } = store;
    const end = store.appendEnd;
    replication.advanceCommit(middle);
    const leads = replication.lead();
    for (let i = 0; i < moment; i += 1) await Promise.resolve();
    replication.advanceCommit(end);
    await leads;
    expect([view.sums.get('1'), store.foldedEnd, failures]).toEqual([60, end, []]);
    await store.stop();
  }
});
