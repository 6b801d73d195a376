import { RecordKind } from '@cometmq/model';
import type { Epoch, LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { type MemoryDisk } from '../disk/memory-disk.js';
import { CommitLog } from '../log/commit-log.js';
import { DataFolder } from '../log/data-folder.js';
import type { LogRecord } from '../log/record.js';
import { committed, openStore, smallLimits } from '../store-harness.js';
import { encodeFeatureLevel, FeatureLevel } from './feature-level.js';

const unknownKind = 200 as RecordKind;

/** A folder whose log ends with a record that a newer release wrote. */
async function writtenByNewer(kind: RecordKind, payload: Uint8Array): Promise<MemoryDisk> {
  const { store, disk } = await openStore({ checkpoints: 'on the disk' });
  await store.beginEpoch(1 as Epoch, 1);
  store.append(RecordKind.ack, 1, Uint8Array.of(1, 1));
  await committed(store);
  await store.stop();
  const folder = await DataFolder.open(disk, 'data', 'b1');
  const log = new CommitLog(disk, 'data/log', smallLimits, new ManualClock(), {
    onFailed: (error) => {
      throw error;
    },
    onSealed: () => undefined,
  });
  await log.open(undefined, folder.salt);
  log.append({ kind, timestampMs: 2, payload: [payload] });
  await log.close();
  await folder.release();
  return disk as MemoryDisk;
}

async function reason(act: Promise<unknown>): Promise<string> {
  return act.then(
    () => 'taken',
    (caught: unknown) => MqError.from(caught).message,
  );
}

function raised(level: number): LogRecord {
  return { kind: RecordKind.featureLevel, position: 77, payload: encodeFeatureLevel(level) } as unknown as LogRecord;
}

describe('the feature level', () => {
  it('says which kinds may be written: rises by a record, never falls, and is in the checkpoint', () => {
    const levelOf = (kind: RecordKind): number => (kind === RecordKind.ack ? 3 : 1);
    const view = new FeatureLevel(3, levelOf);
    view.check(RecordKind.delivery);
    expect(() => view.check(RecordKind.ack)).toThrow(/UNSUPPORTED.*feature level 3.*at level 1/);
    expect(view.takeChanges()).toEqual([]);
    view.fold(raised(3));
    view.fold(raised(2));
    view.check(RecordKind.ack);
    const [piece] = view.takeChanges();
    const again = new FeatureLevel(3, levelOf);
    again.load(piece?.key ?? '', piece?.value ?? new Uint8Array(0));
    expect(again.level).toBe(3);
    expect(() => new FeatureLevel(2).load(piece?.key ?? '', piece?.value ?? new Uint8Array(0))).toThrow(
      /DATA_FOLDER.*checkpoint is of feature level 3.*start the newer release/,
    );
    again.clear();
    expect(again.level).toBe(1);
  });

  it('is raised by the store, and found again', async () => {
    const { store, disk } = await openStore({ checkpoints: 'on the disk' });
    await store.beginEpoch(1 as Epoch, 1);
    store.raiseFeatureLevel(1, 1);
    expect(() => store.raiseFeatureLevel(2, 1)).toThrow('up to what this release knows');
    await committed(store);
    await store.stop();
    const again = await openStore({ disk, checkpoints: 'on the disk' });
    expect(again.store.featureLevel).toBe(1);
    await again.store.stop();
  });

  it.each([
    [
      'a kind that this release does not know',
      unknownKind,
      new Uint8Array(3),
      /DATA_FOLDER.*of kind 200.*feature level 1/,
    ],
    ['a higher level', RecordKind.featureLevel, encodeFeatureLevel(2), /DATA_FOLDER.*raised to 2.*feature level 1/],
  ])(
    'of a log with %s: refuses to go on, says why, and leaves everything as it is',
    async (_what, kind, payload, why) => {
      const disk = await writtenByNewer(kind, payload);
      const newest = (await disk.list('data/log')).findLast((name) => name.endsWith('.log')) as string;
      const before = Buffer.from(disk.peek(`data/log/${newest}`));
      expect(await reason(openStore({ disk: disk.settled(), checkpoints: 'on the disk' }))).toMatch(why);
      expect(await reason(openStore({ disk: disk.settled(), checkpoints: 'on the disk' }))).toMatch(
        /start the newer release/,
      );
      expect(disk.peek(`data/log/${newest}`).equals(before)).toBe(true);
    },
  );

  it('of a follower: bytes that it can not fold are kept, and it says why it ends', async () => {
    const disk = await writtenByNewer(unknownKind, new Uint8Array(3));
    const folder = await DataFolder.open(disk, 'data', 'b1');
    const log = new CommitLog(disk, 'data/log', smallLimits, new ManualClock(), {
      onFailed: () => undefined,
      onSealed: () => undefined,
    });
    await log.open(undefined, folder.salt);
    const bytes = await log.readBytes(0 as LogPosition, 10_000);
    const follower = await openStore({ checkpoints: 'on the disk', follows: true });
    await follower.store.takeSalt(folder.salt);
    const end = follower.store.replication.append(bytes ?? new Uint8Array(0));
    await new Promise<void>((resolve, reject) => follower.store.replication.whenDurable(end, resolve, reject));
    follower.store.replication.advanceCommit(end);
    for (let turns = 0; follower.failures.length === 0 && turns < 1000; turns += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(follower.failures.map(({ message }) => message)).toEqual([
      expect.stringMatching(/DATA_FOLDER.*of kind 200/),
    ]);
    expect(follower.store.replication.durableEnd).toBe(end);
    expect(follower.store.foldedEnd).toBeLessThan(end);
    await log.close();
    await follower.store.stop();
  });
});
