import { epoch, logPosition } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import type { DiskFile, OpenOptions } from '../disk/disk.js';
import { MemoryDisk } from '../disk/memory-disk.js';
import type { DurableMark } from './commit-log.js';
import { playCrashStory } from './crash-story.js';
import { durably, numbered, openLog, readAll, salt, smallLimits } from './log-harness.js';
import { RecordBlock } from './record.js';
import type { RecordDraft } from './record.js';
import { segmentName } from './segment.js';

// Goal: an acknowledgement is a promise. Method: cut the power before every operation of a scripted run.
describe('the power is cut', () => {
  it.each(seeds(4))('and every acknowledged record is there, in order, nothing invented (seed %i)', async (seed) => {
    const figures = await playCrashStory({
      seed,
      newDisk: () => new MemoryDisk(),
      records: 150,
      cutsPerMoment: 2,
      tried: 1,
    });
    expect(figures.broken).toEqual([]);
    expect(figures.cuts).toBeGreaterThan(200);
    expect(figures.cutsWhileOpening).toBeGreaterThan(100);
  });

  // The test of the test: a disk that lies shows as broken promises.
  it('is noticed when a sync of the log does nothing', async () => {
    class Lying extends MemoryDisk {
      override async open(path: string, options?: OpenOptions): Promise<DiskFile> {
        const file = await super.open(path, options);
        file.writeDurably = (chunks, at) => file.write(chunks, at);
        return file;
      }
    }
    const figures = await playCrashStory({
      seed: 1,
      newDisk: () => new Lying(),
      records: 60,
      cutsPerMoment: 2,
      tried: 1,
    });
    expect(figures.broken.some((what) => what.includes('acknowledged'))).toBe(true);
  });

  it('is noticed when a new segment is not synced into its folder', async () => {
    class Lying extends MemoryDisk {
      private made = 0;
      override syncFolder(folder: string): Promise<void> {
        this.made += 1;
        return this.made > 3 ? Promise.resolve() : super.syncFolder(folder);
      }
    }
    const figures = await playCrashStory({
      seed: 2,
      newDisk: () => new Lying(),
      records: 150,
      cutsPerMoment: 2,
      tried: 1,
    });
    expect(figures.broken.some((what) => what.includes('acknowledged') || what.includes('gone'))).toBe(true);
  });

  it('costs nothing that the process had written when only the process is killed', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk, undefined, { aheadBytes: 0 });
    for (let n = 0; n < 40; n += 1) await durably(log, numbered(n, 300));
    let killed = disk;
    disk.watcher = ({ kind }) => {
      if (kind === 'sync' && killed === disk) killed = disk.kill(); // Written, but not synced.
    };
    log.append(numbered(40, 300));
    await new Promise<void>((resolve) => log.whenDurable(log.appendEnd, resolve, () => resolve()));
    expect(killed).not.toBe(disk);
    const again = await openLog(killed, undefined, { aheadBytes: 0 }); // Making zeros would sync the rest too.
    const found = (await readAll(again.log)).map(({ n }) => n);
    expect(found).toHaveLength(41);
    // What was found counts as durable, so it must be: also if it had never been synced.
    const after = await openLog(killed.crash(new Prng(1), { survives: 0 }));
    expect((await readAll(after.log)).map(({ n }) => n)).toEqual(found);
  });
});

interface Written {
  readonly disk: MemoryDisk;
  readonly records: { readonly position: number; readonly size: number }[];
  readonly mark: DurableMark;
  readonly lastFirst: number;
}

/** A log of many batches, closed; `mark` stands in the middle of the last segment. */
async function written(count = 100): Promise<Written> {
  const disk = new MemoryDisk();
  const { log } = await openLog(disk);
  log.setEpoch(epoch(3));
  const records: { position: number; size: number }[] = [];
  for (let n = 0; n < count; n += 1) records.push(await durably(log, numbered(n, 300)));
  await log.close();
  const lastFirst = log.segments().at(-1)?.first ?? 0;
  const inLast = records.filter(({ position }) => position >= lastFirst);
  const middle = inLast[Math.floor(inLast.length / 2)];
  if (!middle || inLast.length < 6) throw new Error('a last segment of some records');
  return { disk, records, mark: { position: logPosition(middle.position), epoch: epoch(3) }, lastFirst };
}

async function opening(disk: MemoryDisk, mark?: DurableMark): Promise<string> {
  try {
    await openLog(disk, mark);
    return 'opened';
  } catch (caught) {
    return MqError.from(caught).message;
  }
}

/** Every file of the disk, to see that nothing was changed. */
async function everything(disk: MemoryDisk): Promise<string> {
  const names = await disk.list('log');
  return names.map((name) => `${name}:${disk.peek(`log/${name}`).toString('latin1')}`).join('\n');
}

describe('the end of a log', () => {
  /** One record a batch, of which the last is not proved by any behind it. */
  async function ended(noteMs: number): Promise<{ disk: MemoryDisk; last: { position: number; size: number } }> {
    const disk = new MemoryDisk();
    const { log, clock } = await openLog(disk);
    let last = { position: 0, size: 0 };
    for (let n = 0; n < 5; n += 1) last = await durably(log, numbered(n, 300));
    clock.advance(noteMs);
    await new Promise((resolve) => setImmediate(resolve));
    return { disk: disk.kill(), last };
  }

  it('that was synced is not cut off when it is damaged: the start is refused, with a way to go on', async () => {
    const { disk, last } = await ended(100);
    const file = disk.peek(`log/${segmentName(0)}`);
    file.writeUInt8(file.readUInt8(last.position + 100) ^ 1, last.position + 100);
    const said = await opening(disk);
    expect(said).toContain('CORRUPT_RECORD');
    expect(said).toContain(`position ${last.position} `);
    expect(said).toContain('delete /memory/log/durable');
    await disk.unlink('log/durable');
    const { log, cuts } = await openLog(disk);
    expect(log.durableEnd).toBe(last.position);
    expect(cuts).toEqual([{ from: last.position, bytes: last.size, found: 'wrong checksum' }]);
  });

  it('that may never have been synced is cut off, and told of', async () => {
    const { disk, last } = await ended(0);
    const file = disk.peek(`log/${segmentName(0)}`);
    file.fill(0, last.position, last.position + 64);
    const { log, cuts } = await openLog(disk);
    expect(log.durableEnd).toBe(last.position);
    expect(cuts).toMatchObject([{ from: last.position, found: 'no record' }]);
    expect(cuts[0]?.bytes).toBeGreaterThan(200);
  });

  it('is told of when the whole log is gone', async () => {
    const { disk } = await ended(100);
    await disk.unlink(`log/${segmentName(0)}`);
    expect(await opening(disk)).toContain('is gone');
  });

  it('may be cut off when that is meant: a log that was truncated opens again', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk);
    log.commitsWhenDurable = false;
    const { position } = await durably(log, numbered(0));
    await log.truncate(position);
    expect(await opening(disk.settled())).toBe('opened');
    await log.close();
    expect(await opening(disk)).toBe('opened');
  });
});

describe('a log that is opened', () => {
  it('refuses a flipped bit anywhere below the mark, names the place, and changes nothing', async () => {
    const { disk, records, mark, lastFirst } = await written();
    const chance = new Prng(1);
    const file = `log/${segmentName(lastFirst)}`;
    for (let at = 0; at < mark.position - lastFirst; at += 1) {
      const damaged = disk.settled();
      const bytes = damaged.peek(file);
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << chance.below(8)), at);
      const before = await everything(damaged);
      const said = await opening(damaged, mark);
      const hit = records.find(({ position, size }) => lastFirst + at >= position && lastFirst + at < position + size);
      expect(said).toContain('CORRUPT_RECORD');
      expect(said).toContain(`position ${hit?.position ?? -1} `);
      expect(await everything(damaged)).toBe(before);
    }
  });

  it('refuses a flipped bit in any sealed segment that it checks', async () => {
    const { disk, records } = await written();
    for (let at = 7; at < smallLimits.segmentBytes - 400; at += 97) {
      const damaged = disk.settled();
      const bytes = damaged.peek(`log/${segmentName(0)}`);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
      const hit = records.find(({ position, size }) => at >= position && at < position + size);
      expect(await opening(damaged)).toContain(`position ${hit?.position ?? -1} `);
    }
  });

  it('takes a bad record for damage when a later one proves it was committed, though no mark says so', async () => {
    const { disk, records, lastFirst } = await written();
    const inLast = records.filter(({ position }) => position >= lastFirst);
    // All but the last record are proved: the next batch knew their commit.
    for (const { position } of inLast.slice(0, -1)) {
      const damaged = disk.settled();
      damaged.peek(`log/${segmentName(lastFirst)}`).fill(0, position - lastFirst, position - lastFirst + 64);
      const said = await opening(damaged);
      expect(said).toContain('CORRUPT_RECORD');
      expect(said).toContain(`position ${position} `);
    }
  });

  it('cuts a torn batch: valid bytes behind a hole prove nothing when they are of the same batch', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk);
    await durably(log, numbered(0));
    const end = log.durableEnd;
    const batch = [1, 2, 3, 4, 5].map((n) => log.append(numbered(n, 100)));
    await new Promise<void>((resolve) => log.whenDurable(log.appendEnd, resolve));
    const [first] = batch;
    const torn = disk.settled();
    torn.peek(`log/${segmentName(0)}`).fill(0, end, end + (first?.size ?? 0));
    const again = await openLog(torn);
    expect((await readAll(again.log)).map(({ n }) => n)).toEqual([0]);
    expect(again.log.durableEnd).toBe(end);
    // What stood behind the hole is gone for good.
    expect(
      torn
        .peek(`log/${segmentName(0)}`)
        .subarray(end)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  // Goal: no client can make a broker refuse to start. Method: a message whose body is a record, right for its place and
  // of a later commit, but for the salt that its writer can't know; torn off in front of that record.
  it('takes nothing in a message for proof', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk);
    await durably(log, numbered(0));
    const bad = log.durableEnd;
    for (const guess of [0, 1, salt]) {
      const body = new RecordBlock(Buffer.alloc(200));
      const inner = bad + 64 + 8;
      body.put(0, { kind: 2, timestampMs: 1, payload: [Buffer.alloc(20)] }, 84, 0, inner);
      body.finish(0, inner, guess);
      const forged = new RecordBlock(Buffer.alloc(1000));
      const queue = numbered(1).queue;
      forged.put(0, { kind: 2, timestampMs: 1, payload: [Buffer.alloc(8), body.bytes], queue }, 272, 0, bad);
      forged.finish(0, bad, salt);
      const torn = disk.settled();
      const file = torn.peek(`log/${segmentName(0)}`);
      forged.bytes.copy(file, bad, 0, 272);
      file.fill(0, bad, bad + 64); // The message's own header never reached the disk.
      expect(await opening(torn)).toMatch(guess === salt ? 'CORRUPT_RECORD' : 'opened');
    }
  });

  it('refuses a log that ends below the mark, is gone, or has another record where the mark stands', async () => {
    const { disk, records, mark, lastFirst } = await written();
    const cut = disk.settled();
    const file = await cut.open(`log/${segmentName(lastFirst)}`);
    await file.truncate(mark.position - lastFirst - 10);
    expect(await opening(cut, mark)).toContain('CORRUPT_RECORD');

    const lost = disk.settled();
    await lost.unlink(`log/${segmentName(lastFirst)}`);
    expect(await opening(lost, mark)).toContain('CORRUPT_RECORD');

    const gone = disk.settled();
    for (const name of await gone.list('log')) await gone.unlink(`log/${name}`);
    expect(await opening(gone, mark)).toContain('is gone');

    const beside = { ...mark, position: logPosition(mark.position + 1) };
    expect(await opening(disk.settled(), beside)).toContain('CORRUPT_RECORD');
    expect(await opening(disk.settled(), mark)).toBe('opened');
    const end = records.at(-1);
    const atEnd = { ...mark, position: logPosition((end?.position ?? 0) + (end?.size ?? 0)) };
    expect(await opening(disk.settled(), atEnd)).toBe('opened');
  });

  it.each([
    ['of a lower epoch', 2, 0],
    ['of another place', 3, 8],
  ])('ends before a leftover %s', async (_what, leftoverEpoch, misplaced) => {
    const { disk, records, lastFirst, mark } = await written();
    const last = records.at(-1);
    if (!last) throw new Error('a record');
    const end = last.position + last.size;
    await put(disk, lastFirst, end, numbered(7), leftoverEpoch, end + misplaced);
    const { log } = await openLog(disk, mark);
    expect(log.durableEnd).toBe(end);
    expect(
      disk
        .peek(`log/${segmentName(lastFirst)}`)
        .subarray(end - lastFirst)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect(await readAll(log)).toHaveLength(records.length);
  });

  it('takes up the epoch of the last record, or of the mark', async () => {
    const { disk, mark } = await written();
    expect((await openLog(disk.settled())).log.epoch).toBe(3);
    expect((await openLog(disk.settled(), { ...mark, epoch: epoch(3) })).log.epoch).toBe(3);
  });

  it('refuses a record of a newer version and says what to do', async () => {
    const { disk, records, lastFirst } = await written();
    const last = records.at(-1);
    if (!last) throw new Error('a record');
    const at = last.position - lastFirst;
    const block = new RecordBlock(disk.peek(`log/${segmentName(lastFirst)}`));
    block.bytes.writeUInt8(2, at + 2);
    block.bytes.writeUInt32LE(0, at + 8);
    block.finish(at, block.commitKnownAt(at), salt);
    expect(await opening(disk)).toMatch(/DATA_FOLDER.*newer/);
  });

  it.each(seeds(30))('survives any bytes where its files should be (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const { disk, mark } = await written(60);
    const names = (await disk.list('log')).filter((name) => name.endsWith('.log'));
    for (let i = chance.below(4); i >= 0; i -= 1) {
      const bytes = disk.peek(`log/${chance.pick(names)}`);
      const from = chance.below(bytes.byteLength);
      for (let at = from; at < Math.min(bytes.byteLength, from + chance.below(2000)); at += 1) {
        bytes.writeUInt8(chance.below(256), at);
      }
    }
    const said = await opening(disk, chance.chance(0.5) ? mark : undefined);
    expect(said === 'opened' || said.includes('CORRUPT_RECORD') || said.includes('DATA_FOLDER')).toBe(true);
  });
});

async function put(
  disk: MemoryDisk,
  first: number,
  position: number,
  draft: RecordDraft,
  epochOf: number,
  says: number,
): Promise<void> {
  const block = new RecordBlock(Buffer.alloc(1000));
  const size = 40 + (draft.queue ? 24 : 0) + draft.payload.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  block.put(0, draft, size, epochOf, says);
  block.finish(0, says, salt);
  const file = await disk.open(`log/${segmentName(first)}`);
  await file.write([block.bytes.subarray(0, size)], position - first);
}
