// Goal: a start that fails says why in words, and gives the folder back, wherever it fails. Method: each operation of the disk
// fails, one after another, at the start of a store that has a log to fold; then another one starts on what is there.
import { MiB, RecordKind } from '@cometmq/model';
import type { Epoch } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';

import { faultyDisk } from './disk/faulty-disk.js';
import { systemError } from './disk/memory-disk.js';
import type { MemoryDisk } from './disk/memory-disk.js';
import { buildStore, committed, idsOf, openStore, send } from './store-harness.js';

async function written(): Promise<MemoryDisk> {
  const { store, disk } = await openStore({ checkpoints: 'on the disk' });
  await store.beginEpoch(1 as Epoch, 0);
  for (let i = 0; i < 20; i += 1) {
    send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1_000 + i, bodyBytes: 500 });
    if (i === 10) {
      await committed(store);
      await store.checkpoint();
    }
  }
  await committed(store);
  await store.idle();
  return (disk as MemoryDisk).kill();
}

it.each(['EIO', 'ENOSPC'])(
  'a start that fails says why, and gives the folder back (%s)',
  async (code) => {
    const codes = new Set<string>();
    let place = 0;
    for (let isOver = false; !isOver; place += 1) {
      const disk = (await written()).settled();
      let count = 0;
      let left = true;
      const faulty = faultyDisk(disk, (operation, path) => {
        if (!left || operation === 'close' || operation === 'lock' || path.includes('lock')) return undefined;
        if (code === 'ENOSPC' && ['read', 'size', 'list'].includes(operation)) return undefined;
        count += 1;
        return count > place ? systemError(code, 'planted') : undefined;
      });
      const { store } = buildStore({ disk: faulty, checkpoints: 'on the disk' });
      const failed = await store.start().then(
        () => undefined,
        (caught: unknown) => caught,
      );
      isOver = failed === undefined && count <= place;
      left = false;
      if (failed === undefined) await store.stop();
      else {
        expect(failed).toBeInstanceOf(MqError);
        codes.add((failed as MqError).code);
      }
      const again = await openStore({ disk, checkpoints: 'on the disk' });
      expect(await idsOf(again.store, 1, 0)).toHaveLength(20);
      await again.store.stop();
    }
    expect(place).toBeGreaterThan(20);
    expect([...codes]).toContain(code === 'EIO' ? 'DISK_FAILED' : 'STORAGE_FULL');
    expect([...codes]).not.toContain('INTERNAL');
  },
  60_000,
);

// Goal: time goes on behind the newest record. Method: the power goes right after a segment was begun, when a checkpoint knows all
// that stands before it, so that nobody has to read any of it.
it('knows how late it was where nothing stands in the newest segment yet', async () => {
  const { store, disk } = await openStore({ checkpoints: 'on the disk' });
  const memory = disk as MemoryDisk;
  await store.beginEpoch(1 as Epoch, 0);
  const chance = new Prng(1);
  let left: MemoryDisk | undefined;
  let lastMs = 0;
  for (let i = 0; !left; i += 1) {
    await committed(store);
    await store.checkpoint();
    lastMs = store.lastTimestampMs;
    memory.watcher = ({ kind, path }) => {
      if (kind === 'sync folder' && path === 'data/log') left ??= memory.crash(chance, { survives: 1 }, true);
    };
    send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1_000 + i, bodyBytes: 1_500 });
    await committed(store);
    memory.watcher = undefined;
  }
  await store.stop();
  const again = await openStore({ checkpoints: 'on the disk', disk: left });
  expect(again.store.lastTimestampMs).toBe(lastMs);
  await again.store.stop();
});

it('takes none of several records where one of them is too large', async () => {
  const { store } = await openStore({});
  const before = store.appendEnd;
  const records = [1, 64 * MiB].map((size) => ({ kind: RecordKind.ack, payload: new Uint8Array(size) }));
  expect(() => store.appendAll(records, 1_000)).toThrow('MESSAGE_TOO_LARGE');
  expect(store.appendEnd).toBe(before);
  await store.stop();
});
