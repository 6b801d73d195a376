import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { RecordKind } from '@cometmq/model';
import type { Epoch, LogPosition, TopicId } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import { FileDisk } from '../disk/file-disk.js';
import { MemoryDisk } from '../disk/memory-disk.js';
import { committed, idsOf, openStore, send } from '../store-harness.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { DiskCheckpointStore } from './disk-checkpoint-store.js';
import { MemoryCheckpointStore } from './memory-checkpoint-store.js';

const at = (value: number): LogPosition => value as LogPosition;
const epoch = (value: number): Epoch => value as Epoch;

function piecesOf(store: CheckpointStore): [number | undefined, number | undefined, [string, string][]] {
  const found = store.load();
  const pieces = [...(found?.pieces ?? [])].map(([key, value]): [string, string] => [
    key,
    Buffer.from(value).toString(),
  ]);
  return [found?.position, found?.epoch, pieces.sort()];
}

describe.each(['files', 'memory'] as const)('checkpoint store in %s', (kind) => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'cometmq-checkpoint-'))));
  afterEach(() => rmSync(folder, { recursive: true }));
  const memory = new MemoryCheckpointStore();
  const open = async (): Promise<CheckpointStore> =>
    kind === 'files' ? DiskCheckpointStore.open(new FileDisk(folder), 'state', 'log', new ManualClock()) : memory;

  it('keeps pieces, position and epoch over a restart', async () => {
    let store = await open();
    expect(store.load()).toBeUndefined();
    const a = Buffer.from('one');
    await store.write(at(2 ** 40 + 5), epoch(3), [
      { key: 'x/a', value: a },
      { key: 'x/b', value: Buffer.from('two') },
      { key: 'y/', value: Buffer.alloc(0) },
    ]);
    a.fill(0); // Whose bytes those were is no longer the store's matter.
    await store.write(at(2 ** 40 + 9), epoch(4), [
      { key: 'x/b', value: undefined },
      { key: 'x/never', value: undefined },
      { key: 'z/c', value: Buffer.alloc(100_000, 'c') },
    ]);
    const wanted = [
      2 ** 40 + 9,
      4,
      [
        ['x/a', 'one'],
        ['y/', ''],
        ['z/c', 'c'.repeat(100_000)],
      ],
    ];
    expect(piecesOf(store)).toEqual(wanted);
    await store.close();
    store = await open();
    expect(piecesOf(store)).toEqual(wanted);
    await store.close();
  });

  it('gives cold pieces one by one, and apart from the others', async () => {
    const store = await open();
    await store.write(at(2 ** 40 + 10), epoch(4), [
      { key: '~x/a', value: Buffer.from('cold') },
      { key: '~x/b', value: Buffer.from('gone') },
      { key: 'x/b', value: Buffer.from('warm') },
    ]);
    await store.write(at(2 ** 40 + 11), epoch(4), [{ key: '~x/b', value: undefined }]);
    const found = store.load();
    expect([...(found?.pieces ?? [])].map(([key]) => key)).not.toContain('~x/a');
    expect([...(found?.coldPieces ?? [])].map(([key, value]) => [key, Buffer.from(value).toString()])).toEqual([
      ['~x/a', 'cold'],
    ]);
    expect(Buffer.from(store.piece('~x/a') ?? []).toString()).toBe('cold');
    expect(store.piece('~x/b')).toBeUndefined();
    await store.close();
  });

  it('takes many pieces at once, and grows', async () => {
    const store = await open();
    const changes = Array.from({ length: 20_000 }, (_, i) => ({ key: `many/${i}`, value: Buffer.alloc(200, `${i}`) }));
    await store.write(at(2 ** 41), epoch(5), changes);
    expect(piecesOf(store)[2].filter(([key]) => key.startsWith('many/'))).toHaveLength(20_000);
    await store.close();
  });
});

describe('the store’s checkpoints', () => {
  it('are never ahead of what is committed', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const letSync: (() => void)[] = [];
    const disk = new MemoryDisk();
    let held = false;
    const slow = holdSyncs(disk, () => (held ? new Promise<void>((resolve) => letSync.push(resolve)) : undefined));
    const { store } = await openStore({ disk: slow, checkpoints });
    send(store, { topic: 1, queue: 0, id: 'a', timestampMs: 1 });
    await committed(store);
    held = true;
    const { end } = send(store, { topic: 1, queue: 0, id: 'b', timestampMs: 1 });
    const done = store.checkpoint();
    for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(letSync.length).toBeGreaterThan(0);
    expect(checkpoints.written).toBe(0);
    held = false;
    for (const go of letSync) go();
    await done;
    expect(checkpoints.position).toBe(end);
    await store.stop();
  });

  it('close by bytes and by time', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, clock } = await openStore({ checkpoints, limits: { checkpointBytes: 2000, checkpointMs: 5000 } });
    for (let i = 0; i < 10; i += 1) send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1, bodyBytes: 200 });
    await committed(store);
    await store.checkpoint();
    expect(checkpoints.written).toBeGreaterThanOrEqual(1);
    const before = checkpoints.written;
    send(store, { topic: 1, queue: 0, id: 'last', timestampMs: 1 });
    await committed(store);
    expect(checkpoints.written).toBe(before);
    clock.advance(5000);
    await committed(store);
    expect([checkpoints.written, checkpoints.position]).toEqual([before + 1, store.commitEnd]);
    clock.advance(50_000); // Nothing new: nothing to write.
    expect(checkpoints.written).toBe(before + 1);
    await store.stop();
  });

  it('give a cold piece while it is on its way to the disk, and after', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, view } = await openStore({ checkpoints });
    const coldText = (key: string): string => Buffer.from(store.coldPiece(view, key) ?? []).toString();
    checkpoints.auto = false;
    view.cold.push({ key: 'far', value: Buffer.from('away'), cold: true });
    store.append(RecordKind.ack, 1, Uint8Array.of(1, 1));
    const done = store.checkpoint();
    await committed(store);
    expect([checkpoints.isWriting, coldText('far')]).toEqual([true, 'away']);
    checkpoints.settle();
    await done;
    expect(coldText('far')).toBe('away');
    checkpoints.auto = true;
    view.cold.push({ key: 'far', value: undefined, cold: true });
    store.append(RecordKind.ack, 1, Uint8Array.of(1, 1));
    expect((await store.snapshot()).pieces.has('~tally/far')).toBe(false);
    expect(store.coldPiece(view, 'far')).toBeUndefined();
    await store.stop();
  });

  it.each([
    ['DISK_FAILED', new Error('no space')],
    ['CORRUPT_RECORD', new MqError('CORRUPT_RECORD', 'an older file is damaged')],
  ])('that fail are the end: nothing is trusted any more (%s)', async (code, failure) => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, failures } = await openStore({ checkpoints });
    checkpoints.auto = false;
    send(store, { topic: 1, queue: 0, id: 'a', timestampMs: 1 });
    void store.checkpoint();
    await committed(store);
    checkpoints.settle(failure);
    for (let turns = 0; turns < 5; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(failures.map(({ code }) => code)).toEqual([code]);
    await store.stop();
  });

  // Goal: a crash at any step of a checkpoint loses nothing. Method: cut the power before, while and after a checkpoint
  // is written, with appends going on; compare with what the log kept.
  it.each(seeds(20))('survive a crash at every step (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const checkpoints = new MemoryCheckpointStore();
    let disk = new MemoryDisk();
    const done: { end: number; slot: number; amount: number }[] = [];
    for (let round = 0; round < 6; round += 1) {
      const { store, view } = await openStore({ disk, checkpoints });
      const kept = done.filter(({ end }) => end <= store.appendEnd);
      const sums = new Map<string, number>();
      for (const { slot, amount } of kept) sums.set(String(slot), (sums.get(String(slot)) ?? 0) + amount);
      expect([...view.sums].sort()).toEqual([...sums].sort());
      expect(await idsOf(store, 1, 0)).toHaveLength(kept.length);
      done.splice(0, done.length, ...kept);
      const appendSome = (): void => {
        for (let i = chance.below(20); i > 0; i -= 1) {
          const [slot, amount] = [chance.below(4), 1 + chance.below(50)];
          send(store, { topic: 1, queue: 0, id: 'm', timestampMs: 1 });
          const { end } = store.append(RecordKind.ack, 1, Uint8Array.of(slot, amount));
          done.push({ end, slot, amount });
        }
      };
      checkpoints.auto = false;
      appendSome();
      const where = chance.below(4);
      if (where > 0) void store.checkpoint();
      appendSome();
      if (where > 1) await committed(store);
      appendSome();
      if (where > 2) checkpoints.settle();
      const promised = store.commitEnd;
      disk = disk.crash(chance);
      checkpoints.crash();
      checkpoints.auto = true;
      const stored = checkpoints.position ?? 0;
      expect(stored).toBeLessThanOrEqual(promised);
      // A message and its acknowledgement record are two records: only one may have survived.
      const { store: looked } = await openStore({ disk, checkpoints });
      const whole = done.filter(({ end }) => end <= looked.appendEnd).length;
      const { next } = looked.bounds(1 as TopicId, 0 as never);
      if (next > whole) {
        const { end } = looked.append(RecordKind.ack, 1, Uint8Array.of(9, 0));
        done.splice(whole, done.length, { end, slot: 9, amount: 0 });
      }
      await committed(looked);
      expect(looked.appendEnd).toBeGreaterThanOrEqual(promised);
      await looked.stop();
    }
  });

  it('are on a real disk, and a store opens from them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cometmq-store-'));
    try {
      for (let round = 1; round <= 3; round += 1) {
        const { store, view } = await openStore({ disk: new FileDisk(folder), checkpoints: 'on the disk' });
        expect(view.sums.get('1') ?? 0).toBe((round - 1) * 7);
        store.append(RecordKind.ack, 1, Uint8Array.of(1, 7));
        for (let i = 0; i < 60; i += 1)
          send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1, bodyBytes: 100 });
        await committed(store);
        const snapshot = await store.snapshot();
        expect(Buffer.from(snapshot.pieces.get('tally/1') ?? []).toString()).toBe(String(round * 7));
        expect(snapshot.position).toBe(store.appendEnd);
        expect(await idsOf(store, 1, 0)).toHaveLength(60 * round);
        await store.stop();
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** A disk whose syncs of the log wait for what `hold` gives. */
function holdSyncs(disk: MemoryDisk, hold: () => Promise<void> | undefined): MemoryDisk {
  return new Proxy(disk, {
    get(target, name) {
      if (name !== 'open') {
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      }
      return async (...args: Parameters<MemoryDisk['open']>) => {
        const file = await target.open(...args);
        const sync = file.sync.bind(file);
        file.sync = async () => {
          await hold();
          await sync();
        };
        return file;
      };
    },
  });
}
