/** A backup's files fill an empty folder, wholly or up to a moment, and nothing but an empty one. */
import type { Epoch } from '@cometmq/model';
import { RecordKind } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { MemoryDisk } from '../disk/memory-disk.js';
import { committed, idsOf, openStore, send } from '../store-harness.js';
import type { OpenedStore } from '../store-harness.js';
import { folderHolds, joinSnapshots, restoreFolder } from './restoring.js';
import type { SnapshotFacts, SnapshotFile } from './snapshot-format.js';

const onDisk = { checkpoints: 'on the disk', follows: true } as const;
const keyOf = ({ folder, name, bytes }: SnapshotFile): string => `${folder}/${name} ${bytes}`;

/** What a bucket would hold: files of all backups, by name and size. */
type Bucket = Map<string, Buffer>;

async function backup({ store }: OpenedStore, bucket: Bucket): Promise<SnapshotFacts> {
  const pinned = await store.snapshots.pin();
  try {
    for (const file of pinned.facts.files) {
      const pieces: Uint8Array[] = [];
      for await (const piece of pinned.read(file)) pieces.push(piece);
      bucket.set(keyOf(file), Buffer.concat(pieces));
    }
    return pinned.facts;
  } finally {
    await pinned.release();
  }
}

function readFrom(bucket: Bucket): (file: SnapshotFile) => AsyncGenerator<Uint8Array> {
  return async function* (file) {
    await Promise.resolve();
    yield bucket.get(keyOf(file)) ?? Buffer.alloc(0);
  };
}

/** Messages and acknowledgements, each a millisecond after the one before, over several segments. */
async function write({ store }: OpenedStore, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i += 1) {
    send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1000 + i, bodyBytes: 600 });
    store.append(RecordKind.ack, 1000 + i, Uint8Array.of(1, 1));
  }
  await committed(store);
}

async function world(): Promise<{ opened: OpenedStore; bucket: Bucket; first: SnapshotFacts; second: SnapshotFacts }> {
  const opened = await openStore({ ...onDisk, clock: new ManualClock() });
  await opened.store.replication.lead();
  opened.store.replication.commitsWhenDurable = true;
  await opened.store.beginEpoch(1 as Epoch, 0);
  const bucket: Bucket = new Map();
  await write(opened, 0, 20);
  const first = await backup(opened, bucket);
  await write(opened, 20, 60);
  const second = await backup(opened, bucket);
  return { opened, bucket, first, second };
}

async function reopened(disk: MemoryDisk): Promise<{ ids: string[]; acks: number | undefined; opened: OpenedStore }> {
  const opened = await openStore({ ...onDisk, disk });
  await opened.store.replication.lead();
  opened.store.replication.commitsWhenDurable = true;
  await opened.store.beginEpoch(2 as Epoch, 3000);
  await committed(opened.store);
  return { ids: await idsOf(opened.store, 1, 0), acks: opened.view.sums.get('1'), opened };
}

const place = (disk: MemoryDisk) => ({ disk, folder: 'data', brokerName: 'b1' });
const messages = (count: number): string[] => Array.from({ length: count }, (_, i) => `m${i}`);

async function reasonOf(act: Promise<unknown>): Promise<string> {
  return act.then(
    () => 'done',
    (caught: unknown) => `${MqError.from(caught).code} ${MqError.from(caught).reason}`,
  );
}

describe('a folder that is restored', () => {
  it('holds what the backup does, remembers which, goes on, and is another member', async () => {
    const { opened, bucket, second } = await world();
    const disk = new MemoryDisk();
    await restoreFolder(place(disk), { name: 'second', facts: second, read: readFrom(bucket) });
    expect(await folderHolds(place(disk))).toEqual({ log: true, restoredFrom: 'second' });
    const again = await reopened(disk);
    expect([again.ids, again.acks]).toEqual([messages(60), 60]);
    expect(again.opened.store.incarnation).not.toBe(opened.store.incarnation);
    await write(again.opened, 60, 61);
    expect((await idsOf(again.opened.store, 1, 0)).at(-1)).toBe('m60');
    expect([again.opened.failures, again.opened.troubles]).toEqual([[], []]);
    await again.opened.store.stop();
    const refused = restoreFolder(place(disk), { name: 'first', facts: second, read: readFrom(bucket) });
    expect(await reasonOf(refused)).toContain('DATA_FOLDER');
    await opened.store.stop();
  });

  it.each([0, 1, 2, 3, 7, 15, 39].map((behind) => [behind]))(
    'up to a moment holds nothing later, and all state of then (%i messages behind the first backup)',
    async (behind) => {
      const { opened, bucket, first, second } = await world();
      const disk = new MemoryDisk();
      const untilMs = 1000 + 20 + behind - 1;
      const facts = joinSnapshots(first, [second]);
      await restoreFolder(place(disk), { name: 'then', facts, untilMs, read: readFrom(bucket) });
      const again = await reopened(disk);
      expect([again.ids, again.acks]).toEqual([messages(20 + behind), 20 + behind]);
      await write(again.opened, 100, 101);
      expect(await idsOf(again.opened.store, 1, 0)).toEqual([...messages(20 + behind), 'm100']);
      expect([again.opened.failures, again.opened.troubles]).toEqual([[], []]);
      await again.opened.store.stop();
      await opened.store.stop();
    },
  );

  it('is left empty by a file that fails, and by a log that lacks what stands between', async () => {
    const { opened, bucket, first, second } = await world();
    const disk = new MemoryDisk();
    const log = second.files.filter(({ folder }) => folder === 'log');
    const two = log.at(-2) as SnapshotFile;
    const lacking = restoreFolder(place(disk), {
      ...{ name: 'second', facts: second },
      read: async function* (file) {
        if (file === two) throw new MqError('NOT_FOUND', `${file.name} is not there`);
        yield* readFrom(bucket)(file);
      },
    });
    expect(await reasonOf(lacking)).toContain(`NOT_FOUND ${two.name}`);
    expect(await folderHolds(place(disk))).toEqual({ log: false, restoredFrom: undefined });
    const hole = { ...second, files: second.files.filter((file) => file !== two) };
    expect(await reasonOf(Promise.resolve().then(() => joinSnapshots(first, [hole])))).toContain('NOT_FOUND');
    await restoreFolder(place(disk), { name: 'second', facts: second, read: readFrom(bucket) });
    expect((await reopened(disk)).ids).toEqual(messages(60));
    await opened.store.stop();
  });
});
