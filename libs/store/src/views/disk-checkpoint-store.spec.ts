import { RecordKind } from '@cometmq/model';
import type { Epoch, LogPosition } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import type { Disk } from '../disk/disk.js';
import { faultyDisk } from '../disk/faulty-disk.js';
import { MemoryDisk } from '../disk/memory-disk.js';
import { committed, idsOf, openStore, send, smallLimits } from '../store-harness.js';
import type { OpenedStore } from '../store-harness.js';
import type { PieceChange } from './checkpoint-store.js';
import { DiskCheckpointStore } from './disk-checkpoint-store.js';

const open = (disk: Disk, log = 'log', clock = new ManualClock()): Promise<DiskCheckpointStore> =>
  DiskCheckpointStore.open(disk, 'state', log, clock);

type State = ReadonlyMap<string, string>;

function stateOf(store: DiskCheckpointStore): { position: number; pieces: State } {
  const found = store.load();
  const pieces = [...(found?.pieces ?? []), ...(found?.coldPieces ?? [])];
  return {
    position: found?.position ?? 0,
    pieces: new Map(pieces.map(([key, value]) => [key, Buffer.from(value).toString()])),
  };
}

/** Some keys over and over, some once; small values and large ones; some pieces go. */
function drawChanges(chance: Prng): PieceChange[] {
  return Array.from({ length: 1 + chance.below(60) }, () => {
    const key = `${chance.pick(['a', 'b', '~a', '~b'])}/${chance.below(chance.pick([5, 400]))}`;
    const bytes = chance.pick([0, 3, 40, 9_000]);
    return { key, value: chance.chance(0.2) ? undefined : Buffer.alloc(bytes, String(chance.below(10))) };
  });
}

function after(state: State, changes: readonly PieceChange[]): State {
  const next = new Map(state);
  for (const { key, value } of changes) {
    if (value) next.set(key, Buffer.from(value).toString());
    else next.delete(key);
  }
  return new Map([...next].sort(([a], [b]) => (a < b ? -1 : 1)));
}

// Goal: whenever the power goes, the state is that of one checkpoint, whole, and not of an older one than was promised.
// Method: checkpoints by chance beside a map; a crash state taken before every operation on the disk is opened.
it.each(seeds(12))('keeps one whole checkpoint through every crash (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const disk = new MemoryDisk();
  let store = await open(disk);
  let promised = { position: 0, pieces: new Map() as State };
  for (let round = 1; round <= 25; round += 1) {
    const changes = drawChanges(chance);
    const next = { position: round, pieces: after(promised.pieces, changes) };
    const crashes: MemoryDisk[] = [];
    disk.watcher = () => {
      if (chance.chance(0.3)) crashes.push(disk.crash(chance, {}, true));
    };
    await store.write(round as LogPosition, 1 as Epoch, changes);
    disk.watcher = undefined;
    for (const crashed of crashes) {
      const found = stateOf(await open(crashed));
      expect(found).toEqual(found.position === round ? next : promised);
    }
    promised = next;
    expect(stateOf(store)).toEqual(promised);
    expect(stateOf(await open(disk.crash(chance, {}, true)))).toEqual(promised);
    const key = `~a/${chance.below(400)}`;
    expect(store.piece(key) && Buffer.from(store.piece(key) ?? []).toString()).toBe(promised.pieces.get(key));
    if (chance.chance(0.2)) {
      await store.close();
      store = await open(disk);
    }
  }
  expect((await disk.list('state')).length).toBeLessThan(10);
});

// Goal: no damage is taken for state. Method: every kind of damage to every file, by chance.
it.each(seeds(12))('is refused when damaged, and says which file (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const disk = new MemoryDisk();
  const store = await open(disk);
  for (let round = 1; round <= 8; round += 1) await store.write(round as LogPosition, 1 as Epoch, drawChanges(chance));
  const whole = stateOf(store);
  for (let i = 0; i < 40; i += 1) {
    const damaged = disk.settled();
    const names = await damaged.list('state');
    const name = chance.pick(names.filter((one) => !manifests.includes(one)));
    if (chance.chance(0.3)) for (const copy of manifests) await harm(damaged, `state/${copy}`, chance);
    else await harm(damaged, `state/${name}`, chance);
    await expect(open(damaged)).rejects.toMatchObject({
      code: 'CORRUPT_RECORD',
      message: expect.stringContaining('/memory/state/') as string,
    });
    const others = names.filter((other) => other !== name && !manifests.includes(other));
    expect(await damaged.list('state')).toEqual(expect.arrayContaining(others));
  }
  expect(stateOf(await open(disk.settled()))).toEqual(whole);
});

const manifests = ['manifest', 'manifest.copy'];

it.each(seeds(12))('loses nothing while one copy of its manifest can be read (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const disk = new MemoryDisk();
  const store = await open(disk);
  for (let round = 1; round <= 8; round += 1) await store.write(round as LogPosition, 1 as Epoch, drawChanges(chance));
  const whole = stateOf(store);
  for (let i = 0; i < 20; i += 1) {
    const damaged = disk.settled();
    await harm(damaged, `state/${chance.pick(manifests)}`, chance);
    const missing = (await damaged.list('state')).filter((name) => manifests.includes(name)).length === 1;
    const told: string[] = [];
    const opened = await DiskCheckpointStore.open(damaged, 'state', 'log', new ManualClock(), (what) =>
      told.push(what),
    );
    expect(stateOf(opened)).toEqual(whole);
    expect(told).toHaveLength(missing ? 0 : 1);
    await opened.close();
    expect(damaged.peek('state/manifest')).toEqual(damaged.peek('state/manifest.copy'));
  }
});

it('keeps no older copy of the manifest when the disk was full for it', async () => {
  const disk = new MemoryDisk();
  const full = Object.assign(new Error('no room'), { code: 'ENOSPC' });
  let isFull = false;
  const faulty = faultyDisk(disk, (kind, path) => (isFull && kind === 'write' && /copy/.test(path) ? full : undefined));
  const store = await open(faulty);
  await store.write(1 as LogPosition, 1 as Epoch, [{ key: 'a', value: Buffer.from('one') }]);
  isFull = true;
  await store.write(2 as LogPosition, 1 as Epoch, [{ key: 'a', value: Buffer.from('two') }]);
  expect(await disk.list('state')).not.toContain('manifest.copy');
  expect(stateOf(await open(disk.settled())).position).toBe(2);
  isFull = false;
  await store.write(3 as LogPosition, 1 as Epoch, [{ key: 'a', value: Buffer.from('three') }]);
  await disk.unlink('state/manifest');
  expect(stateOf(await open(disk.settled())).position).toBe(3);
});

it('needs no file that is gone where the disk was full just when the manifest was in its place', async () => {
  const disk = new MemoryDisk();
  const full = Object.assign(new Error('no room'), { code: 'ENOSPC' });
  let moment: 'before' | 'armed' | 'renamed' | 'over' = 'before';
  const faulty = faultyDisk(disk, (kind, path) => {
    if (moment === 'armed' && kind === 'rename' && path === 'state/manifest.tmp') moment = 'renamed';
    if (moment !== 'renamed' || kind !== 'syncFolder') return undefined;
    moment = 'over';
    return full;
  });
  const store = await open(faulty);
  await store.write(1 as LogPosition, 1 as Epoch, [{ key: 'a', value: Buffer.from('one') }]);
  const before = await disk.list('state');
  moment = 'armed';
  const two = 'two'.repeat(1_000); // So much that the file of the first one is taken in.
  await store.write(2 as LogPosition, 1 as Epoch, [{ key: 'a', value: Buffer.from(two) }]);
  expect([moment, (await disk.list('state')).length]).toEqual(['over', before.length]);
  for (const manifest of manifests) {
    const damaged = disk.settled();
    await damaged.unlink(`state/${manifest}`);
    expect(stateOf(await open(damaged))).toEqual({ position: 2, pieces: new Map([['a', two]]) });
  }
});

async function harm(disk: MemoryDisk, path: string, chance: Prng): Promise<void> {
  const bytes = disk.peek(path);
  if (bytes.byteLength === 0) return disk.unlink(path);
  const file = await disk.open(path);
  switch (chance.below(4)) {
    case 0: {
      const at = chance.below(bytes.byteLength);
      bytes[at] = (bytes[at] as number) ^ (1 << chance.below(8));
      return;
    }
    case 1:
      return file.truncate(chance.below(bytes.byteLength));
    case 2: {
      const from = chance.below(bytes.byteLength);
      const old = Buffer.from(bytes);
      bytes.fill(0, from, Math.min(bytes.byteLength, from + 4096));
      if (bytes.equals(old)) bytes.fill(1, from, from + 1);
      return;
    }
    default:
      return disk.unlink(path);
  }
}

it('is not taken for the state of another log', async () => {
  const disk = new MemoryDisk();
  const store = await open(disk, 'one');
  await store.write(7 as LogPosition, 1 as Epoch, []);
  await expect(open(disk, 'other')).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
});

it('tells of damage that comes while it is open', async () => {
  const disk = new MemoryDisk();
  const store = await open(disk);
  await store.write(7 as LogPosition, 1 as Epoch, [{ key: '~a/1', value: Buffer.from('far') }]);
  const name = (await disk.list('state')).find((found) => found.endsWith('.pieces'));
  disk.peek(`state/${name}`).fill(0);
  expect(() => store.piece('~a/1')).toThrow('CORRUPT_RECORD');
  expect(() => [...(store.load()?.coldPieces ?? [])]).toThrow('CORRUPT_RECORD');
  // A file that is twice as large as what is newer is not taken in.
  const change = { key: '~a/2', value: Buffer.alloc(100) };
  await expect(store.write(8 as LogPosition, 1 as Epoch, [change])).rejects.toThrow(
    /CORRUPT_RECORD.*state\/\S+\.pieces is damaged/,
  );
});

it('copies a piece a few times at most, and keeps few files', async () => {
  const disk = new MemoryDisk();
  const store = await open(disk);
  let written = 0;
  const rounds = 300;
  const bytes = 2_000;
  const before = disk.usedBytes();
  disk.watcher = ({ kind }) => (written += kind === 'make' ? 1 : 0);
  let most = 0;
  for (let round = 1; round <= rounds; round += 1) {
    await store.write(round as LogPosition, 1 as Epoch, [{ key: `~a/${round}`, value: Buffer.alloc(bytes, round) }]);
    most = Math.max(most, (await disk.list('state')).length);
  }
  expect(most).toBeLessThanOrEqual(12);
  expect(disk.usedBytes() - before).toBeLessThan(rounds * bytes * 1.2);
  expect(written).toBe(rounds * 3); // One of pieces and both copies of the manifest each.
});

it('waits for room on a full disk, and loses nothing', async () => {
  const disk = new MemoryDisk();
  const clock = new ManualClock();
  const store = await open(disk, 'log', clock);
  await store.write(1 as LogPosition, 1 as Epoch, [{ key: 'a/1', value: Buffer.from('one') }]);
  disk.capacityBytes = disk.usedBytes() + 1_000;
  let done = false;
  const writing = store.write(2 as LogPosition, 1 as Epoch, [{ key: 'a/2', value: Buffer.alloc(5_000, 'x') }]);
  void writing.then(() => (done = true));
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect([done, stateOf(store).position]).toEqual([false, 1]);
  disk.capacityBytes = Infinity;
  clock.advance(1_000);
  await writing;
  expect(stateOf(await open(disk.settled()))).toMatchObject({
    position: 2,
    pieces: new Map([
      ['a/1', 'one'],
      ['a/2', 'x'.repeat(5_000)],
    ]),
  });
});

it('ends on a full disk where the broker is stopping', async () => {
  const disk = new MemoryDisk();
  const store = await open(disk);
  disk.capacityBytes = 10;
  store.beginClose();
  await expect(
    store.write(1 as LogPosition, 1 as Epoch, [{ key: 'a', value: Buffer.alloc(99) }]),
  ).rejects.toMatchObject({
    code: 'STORAGE_FULL',
  });
});

// Goal: a damaged checkpoint ends in the right state or in a refusal that says what to do. Method: a store with messages
// and state, damaged by chance; opened with a log that is whole, and with one whose head retention has deleted.
describe('a store whose checkpoint is damaged', () => {
  const ack = RecordKind.ack;

  async function filled(rounds: number): Promise<OpenedStore & { disk: MemoryDisk }> {
    const opened = await openStore({ disk: new MemoryDisk(), checkpoints: 'on the disk' });
    const { store } = opened;
    for (let round = 0; round < rounds; round += 1) {
      for (let i = 0; i < 12; i += 1)
        send(store, { topic: 1, queue: i % 3, id: `m${round}-${i}`, timestampMs: 1_000 * round, bodyBytes: 300 });
      store.append(ack, 1_000 * round, Uint8Array.of(round % 5, 1));
      await committed(store);
      await store.checkpoint();
    }
    return opened as OpenedStore & { disk: MemoryDisk };
  }

  async function harmState(disk: MemoryDisk, chance: Prng): Promise<void> {
    const names = (await disk.list('data/state')).filter((name) => !manifests.includes(name));
    if (chance.chance(0.5)) {
      for (const name of manifests) await harm(disk, `data/state/${name}`, chance);
      return;
    }
    for (let i = 1 + chance.below(2); i > 0; i -= 1) {
      const name = chance.pick(names);
      if ((await disk.list('data/state')).includes(name)) await harm(disk, `data/state/${name}`, chance);
    }
  }

  it.each(seeds(8))('makes it again from a log that is whole (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const { store, disk, view } = await filled(6);
    const sums = [...view.sums].sort();
    await store.stop();
    await harmState(disk, chance);
    const again = await openStore({ disk, checkpoints: 'on the disk' });
    expect([...again.view.sums].sort()).toEqual(sums);
    expect(await idsOf(again.store, 1, 0)).toHaveLength(24);
    expect(again.troubles).toHaveLength(1);
    await again.store.stop();
    const third = await openStore({ disk, checkpoints: 'on the disk' });
    expect([[...third.view.sums].sort(), third.troubles]).toEqual([sums, []]);
    await third.store.stop();
  });

  it.each(seeds(8))('refuses to start where the head of the log is gone (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const { store, disk } = await filled(6);
    await store.idle();
    await store.retention.run(4_000 + 10_000, () => ({ ms: 10_000 }));
    await store.stop();
    expect((await disk.list('data/log')).some((name) => /^0+\.log$/.test(name))).toBe(false);
    await harmState(disk, chance);
    const names = await disk.list('data/state');
    await expect(openStore({ disk, checkpoints: 'on the disk' })).rejects.toMatchObject({
      code: 'DATA_FOLDER',
      message: expect.stringMatching(/is damaged: .*is not all there.*Bring back/s) as string,
    });
    expect(await disk.list('data/state')).toEqual(names);
  });

  it('stops when a cold piece can not be read', async () => {
    const { store, disk, view, failures } = await openStore({
      disk: new MemoryDisk(),
      checkpoints: 'on the disk',
      limits: smallLimits,
    });
    view.cold.push({ key: 'far', value: Buffer.from('away'), cold: true });
    store.append(ack, 1, Uint8Array.of(1, 1));
    await store.checkpoint();
    store.append(ack, 1, Uint8Array.of(1, 1));
    await store.checkpoint();
    for (const name of await disk.list('data/state')) {
      if (name.endsWith('.pieces')) (disk as MemoryDisk).peek(`data/state/${name}`).fill(0xff);
    }
    expect(() => store.coldPiece(view, 'far')).toThrow('CORRUPT_RECORD');
    expect(failures.map(({ code }) => code)).toEqual(['CORRUPT_RECORD']);
    await store.stop();
  });
});
