/**
 * Goal: whatever is read through blocks is what stands in the log, and neighbours cost one read. Method: logs of records
 * of all sizes on a disk whose reads are counted.
 */
import { logPosition } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';

import type { Disk, DiskFile } from '../disk/disk.js';
import { MemoryDisk } from '../disk/memory-disk.js';
import type { Appended, CommitLog } from './commit-log.js';
import { durably, numbered, openLog } from './log-harness.js';
import { seeds } from '@cometmq/shared/testing';

const KiB = 1024;
const limits = {
  segmentBytes: 2_048 * KiB,
  recordBytesMax: 512 * KiB,
  batchBytesMax: 512 * KiB,
  pendingBytesMax: 1_024 * KiB,
};

/** A disk that counts reads of the log's segments, and their bytes. */
class CountingDisk extends MemoryDisk {
  reads = 0;
  readBytes = 0;

  override async open(...args: Parameters<Disk['open']>): Promise<DiskFile> {
    const file = await super.open(...args);
    const read = file.read.bind(file);
    file.read = (into, at) => {
      this.reads += 1;
      this.readBytes += into.byteLength;
      return read(into, at);
    };
    return file;
  }
}

async function filled(
  count: number,
  bytesOf: (n: number) => number,
  blockCacheBytes: number,
): Promise<{ disk: CountingDisk; log: CommitLog; all: Appended[] }> {
  const disk = new CountingDisk();
  const { log } = await openLog(disk, undefined, { ...limits, blockCacheBytes });
  const all: Appended[] = [];
  for (let n = 0; n < count;) {
    const batch: Promise<Appended>[] = [];
    for (let bytes = 0; bytes < 256 * KiB && n < count; n += 1) {
      const draft = numbered(n, bytesOf(n));
      batch.push(durably(log, draft));
      bytes += draft.payload.reduce((sum, { byteLength }) => sum + byteLength, 0);
    }
    all.push(...(await Promise.all(batch)));
  }
  disk.reads = disk.readBytes = 0;
  return { disk, log, all };
}

function numberIn(record: Awaited<ReturnType<CommitLog['readAll']>>[number] | undefined): number {
  if (!record || record instanceof MqError) throw record ?? new Error('no record');
  return Buffer.from(record.payload).readUInt32LE(0);
}

describe('reading what is no longer in memory', () => {
  it('takes one read for many neighbours, whichever of them are asked for', async () => {
    const { disk, log, all } = await filled(1_600, () => 1_000, 2_048 * KiB);
    const old = all.slice(0, 1_200);
    for (let queue = 0; queue < 8; queue += 1) {
      for (let from = queue; from < old.length; from += 8 * 32) {
        const batch = old.filter((_, n) => n >= from && n < from + 8 * 32 && n % 8 === queue);
        const found = await log.readAll(batch);
        expect(found.map(numberIn)).toEqual(batch.map((each) => old.indexOf(each)));
      }
    }
    // 1.2 MiB are six blocks; those where two batches meet may come twice.
    expect(disk.reads).toBeLessThanOrEqual(12);
    await log.close();
  });

  it('reads no whole blocks for messages that lie far apart', async () => {
    const { disk, log, all } = await filled(3_000, () => 1_000, 512 * KiB);
    const apart = all.filter((_, n) => n % 300 === 0 && n < 2_700);
    expect((await log.readAll(apart)).map(numberIn)).toEqual(apart.map((each) => all.indexOf(each)));
    expect(disk.reads).toBe(apart.length);
    expect(disk.readBytes).toBeLessThan(apart.length * 2 * KiB);
    await log.close();
  });

  it.each(seeds(8))(
    'finds the very records, whatever their sizes and however little is kept (seed %i)',
    async (seed) => {
      const chance = new Prng(seed);
      const { log, all } = await filled(
        200,
        () => 8 + (chance.below(10) === 0 ? chance.below(400 * KiB) : chance.below(9_000)),
        chance.below(3) * 300 * KiB,
      );
      for (let i = 0; i < 40; i += 1) {
        const from = chance.below(all.length);
        const batch = all.slice(from, from + 1 + chance.below(32)).filter(() => chance.below(3) > 0);
        const polls = [log.readAll(batch), log.readAll([...batch].reverse())];
        const [one = [], two = []] = await Promise.all(polls);
        expect(one.map(numberIn)).toEqual(batch.map((each) => all.indexOf(each)));
        expect([...two].reverse().map(numberIn)).toEqual(one.map(numberIn));
      }
      await log.close();
    },
  );

  it('says which record is damaged, and reads its neighbours', async () => {
    const { disk, log, all } = await filled(1_600, () => 1_000, 1_024 * KiB);
    const [first, second, third] = all;
    if (!first || !second || !third) throw new Error('three records');
    disk.peek('log/0000000000000000.log').writeUInt8(0xff, second.position + 100);
    const found = await log.readAll([first, second, third, { position: logPosition(7), size: 100 }]);
    expect(found.map((each) => (each instanceof MqError ? each.code : numberIn(each)))).toEqual([
      0,
      'CORRUPT_RECORD',
      2,
      'CORRUPT_RECORD',
    ]);
    await log.close();
  });
});
