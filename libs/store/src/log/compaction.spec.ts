import { epoch, logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { yieldToLoop } from '../yield-to-loop.js';
import { faultyDisk } from '../disk/faulty-disk.js';
import { MemoryDisk, systemError } from '../disk/memory-disk.js';
import type { CommitLog } from './commit-log.js';
import { PositionTable } from './compacted-file.js';
import { durably, numbered, openLog, randomBytes, readAll, told } from './log-harness.js';
import { compactedName, segmentName } from './segment.js';

interface Stored {
  readonly n: number;
  readonly position: LogPosition;
  readonly size: number;
}

async function fill(log: CommitLog, chance: Prng, count: number, from = 0): Promise<Stored[]> {
  const all: Stored[] = [];
  for (let n = from; n < from + count; n += 1) {
    const { position, size } = await durably(log, numbered(n, randomBytes(chance)));
    all.push({ n, position, size });
  }
  return all;
}

/** Compacts a segment to what is in `wanted`; says whether it was done. */
async function compact(
  log: CommitLog,
  first: number,
  wanted: ReadonlySet<number>,
  bytesMax = Infinity,
): Promise<boolean> {
  const keep = ({ position }: { position: number }): boolean => wanted.has(position);
  const prepared = await log.prepareCompaction(logPosition(first), keep, bytesMax);
  if (prepared) await log.replace(prepared);
  return prepared !== undefined;
}

function segmentOf(log: CommitLog, position: number): number {
  return log.segments().findLast(({ first }) => first <= position)?.first ?? -1;
}

async function expectKept(log: CommitLog, kept: readonly Stored[], gone: readonly Stored[]): Promise<void> {
  expect((await readAll(log)).map(({ n, position }) => [n, position])).toEqual(
    kept.map(({ n, position }) => [n, position]),
  );
  for (const { n, position, size } of kept) {
    expect(told(await log.read(position, size)).n).toBe(n);
    expect(log.holds(position)).toBe(true);
  }
  for (const { position, size } of gone) {
    if (log.recordInMemory(position, size)) continue; // What is still in memory does no harm.
    await expect(log.read(position, size)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(log.holds(position)).toBe(false);
  }
}

it.each(seeds(20))('a position table says what a map would (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const places = new Map<number, number>();
  const words: number[] = [];
  const first = 1000;
  let position = first + chance.below(3) * 10;
  let place = 64;
  for (let run = chance.below(20); run > 0; run -= 1) {
    words.push(position - first, place);
    for (let i = 1 + chance.below(4); i > 0; i -= 1) {
      places.set(position, place);
      position += 10;
      place += 10;
    }
    position += 10 * (1 + chance.below(4));
  }
  const table = new PositionTable({ first: logPosition(first), tableAt: place }, Uint32Array.from(words));
  for (let at = first; at < position + 20; at += 10) {
    expect(table.placeOf(at)).toBe(places.get(at) ?? -1);
    expect(table.placeFrom(at)).toBe([...places].find(([held]) => held >= at)?.[1] ?? place);
  }
});

describe('a compacted segment', () => {
  it.each(seeds(10))('has what lives where it was, also after restarts and a second time (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const disk = new MemoryDisk();
    let { log } = await openLog(disk);
    const all = await fill(log, chance, 150);
    let kept = all;
    for (let round = 0; round < 3; round += 1) {
      const sealed = log.segments().filter(({ sealed }) => sealed);
      expect(sealed.length).toBeGreaterThan(3);
      for (const { first, end, fileBytes } of sealed) {
        if (chance.chance(0.3)) continue;
        const living = new Set(kept.filter(() => chance.chance(0.4)).map(({ position }) => position as number));
        expect(await compact(log, first, living)).toBe(true);
        kept = kept.filter(({ position }) => position < first || position >= end || living.has(position));
        const after = log.segments().find((segment) => segment.first === first);
        expect(after).toMatchObject({ first, end, sealed: true });
        expect(after?.fileBytes).toBeLessThanOrEqual(fileBytes + 200);
      }
      const gone = all.filter((one) => !kept.includes(one));
      await expectKept(log, kept, gone);
      const mark = chance.chance(0.5)
        ? { position: log.segments().at(-1)?.first ?? log.first, epoch: epoch(0) }
        : undefined;
      const before = log.segments();
      if (chance.chance(0.5)) {
        await log.close();
        ({ log } = await openLog(disk, mark));
        const times = (segments: typeof before) =>
          segments.map(({ first, end, firstTimestampMs }) => [first, end, firstTimestampMs]);
        expect(times(log.segments())).toEqual(times(before));
        await expectKept(log, kept, gone);
      }
      // A scan may begin anywhere.
      const from = chance.pick(all);
      const seen = (await readAll(log, from.position)).map(({ n }) => n);
      expect(seen).toEqual(kept.filter(({ position }) => position >= from.position).map(({ n }) => n));
    }
    expect((await fill(log, chance, 3, 900)).length).toBe(3);
    await log.close();
  });

  it('is not made when it would be too large, and leaves nothing behind', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk);
    const all = await fill(log, new Prng(1), 60);
    const wanted = new Set(all.map(({ position }) => position as number));
    expect(await compact(log, 0, wanted, 2000)).toBe(false);
    expect((await disk.list('log')).filter((name) => name.includes('compacted'))).toEqual([]);
    await expectKept(log, all, []);
    await log.close();
  });

  it('may be discarded', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk);
    const all = await fill(log, new Prng(1), 60);
    const prepared = await log.prepareCompaction(logPosition(0), () => false, 1e9);
    if (!prepared) throw new Error('prepared');
    expect(log.holds(logPosition(0))).toBe(false);
    await log.discard(prepared);
    expect(log.holds(logPosition(0))).toBe(true);
    await expectKept(log, all, []);
    expect((await disk.list('log')).filter((name) => name.includes('compacted'))).toEqual([]);
    await log.close();
  });

  it('lets those read on who were reading the old file', async () => {
    const base = new MemoryDisk();
    let hold: Promise<undefined> | undefined;
    const disk = faultyDisk(base, (operation) => (operation === 'read' ? hold : undefined));
    const { log } = await openLog(disk, undefined, { tailCacheBytes: 4096 });
    const all = await fill(log, new Prng(1), 60);
    const [first, second] = all;
    if (!first || !second) throw new Error('two records');
    let letGo = (): void => undefined;
    const gate = new Promise<undefined>((resolve) => (letGo = () => resolve(undefined)));
    const prepared = await log.prepareCompaction(logPosition(0), ({ position }) => position === second.position, 1e9);
    if (!prepared) throw new Error('prepared');
    hold = gate;
    const reading = [first, second].map(({ position, size }) => log.read(position, size));
    await log.replace(prepared);
    hold = undefined;
    letGo();
    expect((await Promise.all(reading)).map((record) => told(record).n)).toEqual([0, 1]);
    await expect(log.read(first.position, first.size)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(told(await log.read(second.position, second.size)).n).toBe(1);
    await log.close();
  });

  it('is not copied from what is damaged', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk, undefined, { tailCacheBytes: 4096 });
    const all = await fill(log, new Prng(1), 60);
    const [, second] = all;
    disk.peek(`log/${segmentName(0)}`).writeUInt8(0xff, (second?.position ?? 0) + 50);
    await expect(log.prepareCompaction(logPosition(0), () => true, 1e9)).rejects.toMatchObject({
      code: 'CORRUPT_RECORD',
    });
    expect((await disk.list('log')).filter((name) => name.includes('compacted'))).toEqual([]);
    // Damage that is left out anyway is no matter.
    expect(await compact(log, 0, new Set([0]))).toBe(true);
  });

  it('says so when its head, its table or a record is damaged', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk);
    const all = await fill(log, new Prng(3), 100);
    const wanted = new Set(all.filter(({ n }) => n % 3 === 0).map(({ position }) => position as number));
    await compact(log, 0, wanted);
    await log.close();
    const name = `log/${compactedName(0)}`;
    const whole = disk.peek(name).byteLength;
    const reading = async (damaged: MemoryDisk): Promise<string> => {
      try {
        const opened = await openLog(damaged);
        await readAll(opened.log);
        return 'read';
      } catch (caught) {
        return MqError.from(caught).code;
      }
    };
    expect(await reading(disk.settled())).toBe('read');
    for (let at = 0; at < whole; at += 7) {
      const damaged = disk.settled();
      damaged.peek(name).writeUInt8(damaged.peek(name).readUInt8(at) ^ 16, at);
      expect(await reading(damaged)).toBe('CORRUPT_RECORD');
    }
    const last = disk.settled();
    const firsts = log.segments().map(({ first }) => first);
    for (const first of firsts.slice(1)) await last.unlink(`log/${segmentName(first)}`);
    expect(await reading(last)).toBe('CORRUPT_RECORD');
  });

  it('leaves the old one whole when the disk is full', async () => {
    const disk = new MemoryDisk({ capacityBytes: 1e6 });
    const none = { aheadBytes: 0, reserveBytes: 0, compactionReserveBytes: 0 };
    const { log, failures } = await openLog(disk, undefined, none);
    const all = await fill(log, new Prng(1), 60);
    disk.capacityBytes = disk.usedBytes() + 500;
    const wanted = new Set(all.slice(0, 10).map(({ position }) => position as number));
    await expect(compact(log, 0, wanted)).rejects.toMatchObject({ code: 'ENOSPC' });
    await expectKept(log, all, []);
    expect((await disk.list('log')).filter((name) => name.includes('compacted'))).toEqual([]);
    expect(failures).toEqual([]);
  });

  it('finds room on a full disk, and makes more', async () => {
    const disk = new MemoryDisk({ capacityBytes: 1e6 });
    const { log, clock, failures } = await openLog(disk, undefined, { aheadBytes: 0, reserveBytes: 0 });
    const all = await fill(log, new Prng(1), 60);
    const reserved = async (): Promise<boolean> => (await disk.list('log')).includes('reserve-compaction');
    expect(await reserved()).toBe(true);
    disk.capacityBytes = disk.usedBytes();
    const inFirst = all.filter(({ position }) => segmentOf(log, position) === 0);
    const kept = inFirst.slice(0, 3);
    expect(await compact(log, 0, new Set(kept.map(({ position }) => position as number)))).toBe(true);
    expect([log.full, await reserved()]).toEqual([true, false]);
    await expectKept(log, [...kept, ...all.slice(inFirst.length)], inFirst.slice(3));
    for (let i = 0; i < 100 && log.full; i += 1) {
      clock.advance(500);
      await yieldToLoop();
    }
    expect([log.full, await reserved()]).toEqual([false, true]);
    expect(failures).toEqual([]);
    await log.close();
  });

  it('is the end of the log when nobody knows which of the two it is', async () => {
    const base = new MemoryDisk();
    let broken = false;
    const disk = faultyDisk(base, (operation) =>
      broken && operation === 'syncFolder' ? systemError('EIO', 'i/o error') : undefined,
    );
    const { log, failures } = await openLog(disk);
    await fill(log, new Prng(1), 60);
    broken = true;
    await expect(compact(log, 0, new Set([0]))).rejects.toThrow('i/o error');
    expect(failures.map(({ code }) => code)).toEqual(['DISK_FAILED']);
  });

  // Goal: whenever the power goes, the old or the new one is there, whole. Method: cut it before every operation.
  it.each(seeds(6))('is there or is not, whenever the power goes (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const disk = new MemoryDisk();
    const { log } = await openLog(disk);
    const all = await fill(log, chance, 80);
    const first = log.segments()[1]?.first ?? -1;
    const inSegment = ({ position }: Stored): boolean => segmentOf(log, position) === first;
    const living = new Set(all.filter(() => chance.chance(0.3)).map(({ position }) => position as number));
    const fewer = new Set([...living].filter(() => chance.chance(0.5)));
    const left: MemoryDisk[] = [];
    disk.watcher = () => {
      for (let i = 0; i < 4; i += 1) left.push(disk.crash(chance, {}, true));
    };
    await compact(log, first, living);
    await compact(log, first, fewer);
    disk.watcher = undefined;
    const states = [all, all.filter((one) => !inSegment(one) || living.has(one.position))];
    states.push(all.filter((one) => !inSegment(one) || fewer.has(one.position)));
    const wanted = states.map((state) => JSON.stringify(state.map(({ n, position }) => [n, position])));
    const seen = new Set<number>();
    for (const after of left) {
      const again = await openLog(after);
      const found = JSON.stringify((await readAll(again.log)).map(({ n, position }) => [n, position]));
      expect(wanted).toContain(found);
      seen.add(wanted.indexOf(found));
      expect((await after.list('log')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
      await again.log.close();
    }
    expect([...seen].sort()).toEqual([0, 1, 2]);
  });
});
