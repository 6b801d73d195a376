/** What copies of a log stand on: bytes out, bytes in, the end cut off, and a commit position that is said from outside. */
import { epoch, type EpochStart, logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { MemoryDisk } from '../disk/memory-disk.js';
import type { CommitLog } from './commit-log.js';
import { EpochTable } from './epoch-table.js';
import { durably, numbered, openLog, randomBytes, readAll, salt, smallLimits } from './log-harness.js';
import type { told } from './log-harness.js';
import { RecordBlock } from './record.js';

type Told = ReturnType<typeof told>;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const allDurable = (log: CommitLog): Promise<void> =>
  new Promise((fulfil, reject) => log.whenDurable(log.appendEnd, fulfil, reject));

/** All that the log holds, byte for byte. */
async function bytesOf(log: CommitLog): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (let from = log.first; from < log.durableEnd;) {
    const piece = await log.readBytes(from, 10_000);
    if (!piece) throw new Error(`no bytes at ${from}`);
    pieces.push(Uint8Array.from(piece));
    from = logPosition(from + piece.byteLength);
  }
  return Buffer.concat(pieces);
}

/** Appends some numbered records, of the next epoch now and then. */
function appendSome(log: CommitLog, chance: Prng, from: number, count: number, sent: Told[]): void {
  for (let n = from; n < from + count; n += 1) {
    if (chance.chance(0.05)) log.setEpoch(epoch(log.epoch + 1 + chance.below(2)));
    const draft = numbered(n, randomBytes(chance));
    const { position } = log.append(draft);
    sent.push({ n, position, payload: Buffer.concat(draft.payload).toString('latin1') });
  }
}

describe('a copy of a log', () => {
  // Goal: same bytes, same log. Method: a copy takes batches as they are cut, or reads what it missed, by chance; the
  // members have segments of different sizes, and the copy is opened again in between.
  it.each(seeds(10))('is the same, byte for byte, however it got them (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const { log } = await openLog(new MemoryDisk());
    const disk = new MemoryDisk();
    const limits = { segmentBytes: smallLimits.segmentBytes + 4096 };
    let copy = (await openLog(disk, undefined, limits)).log;
    let listens = true;
    log.onCut(() => {
      if (!listens) return;
      const cut = log.peekCut(copy.appendEnd, 1 + chance.below(9000));
      for (const piece of cut?.pieces ?? []) copy.appendBytes(piece);
    });
    const sent: Told[] = [];
    for (let round = 0; round < 30; round += 1) {
      appendSome(log, chance, sent.length, chance.below(8), sent);
      if (chance.chance(0.7)) await allDurable(log);
      listens = chance.chance(0.6);
      if (chance.chance(0.3)) {
        await allDurable(log);
        while (copy.appendEnd < log.durableEnd) {
          copy.appendBytes((await log.readBytes(copy.appendEnd, 1 + chance.below(9000))) as Uint8Array);
        }
      }
      if (chance.chance(0.1)) {
        await copy.close();
        copy = (await openLog(disk, undefined, limits)).log;
      }
    }
    listens = false;
    await allDurable(log);
    while (copy.appendEnd < log.durableEnd) copy.appendBytes((await log.readBytes(copy.appendEnd, 5000)) as Uint8Array);
    await allDurable(copy);
    expect(await readAll(copy)).toEqual(sent);
    expect((await bytesOf(copy)).equals(await bytesOf(log))).toBe(true);
    expect(copy.epochs.all).toEqual(log.epochs.all);
    expect(copy.epoch).toBe(log.epochs.last);
    await copy.close();
    const again = (await openLog(disk, undefined, limits)).log;
    expect(await readAll(again)).toEqual(sent);
    expect(again.epochs.all).toEqual(log.epochs.all);
  });

  it('takes nothing of what is not whole, not its own, or does not go on where it ends', async () => {
    const { log } = await openLog(new MemoryDisk());
    log.setEpoch(epoch(2));
    for (let n = 0; n < 5; n += 1) await durably(log, numbered(n, 100));
    const bytes = await bytesOf(log);
    const second = new RecordBlock(bytes).sizeAt(0);
    const refused = async (given: Uint8Array, epochMin = 0): Promise<number> => {
      const copy = (await openLog(new MemoryDisk())).log;
      copy.setEpoch(epoch(epochMin));
      expect(() => copy.appendBytes(given)).toThrow('CORRUPT_RECORD');
      expect(copy.appendEnd).toBe(0);
      return copy.receivedDamaged;
    };
    for (let at = bytes.length - 1; at >= 0; at -= 7) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
      const damaged = await refused(flipped);
      if (at === bytes.length - 1) expect(damaged).toBe(1); // Of a body's byte only the checksum tells.
    }
    for (const end of [10, second - 1, second + 1, bytes.length - 1]) await refused(bytes.subarray(0, end));
    expect(await refused(bytes.subarray(second))).toBe(0);
    expect(await refused(bytes, 3)).toBe(0);
  });

  it('gives what is in memory and has set out for the disk, whole records, one at the least', async () => {
    const { log } = await openLog(new MemoryDisk());
    const ends = new Set<number>();
    for (let n = 0; n < 40; n += 1) {
      const { position, size } = await durably(log, numbered(n, 300));
      ends.add(position + size);
    }
    const bytes = await bytesOf(log);
    const end = log.durableEnd;
    for (const bytesMax of [1, 700, 5_000, 1e9]) {
      for (let from = logPosition(0); from < end;) {
        const cut = log.peekCut(from, bytesMax)!;
        expect(Buffer.concat(cut.pieces).equals(bytes.subarray(from, cut.end))).toBe(true);
        expect(ends).toContain(cut.end);
        expect(cut.end - from <= bytesMax || log.peekCut(from, cut.end - from - 1)!.end === cut.end).toBe(true);
        from = cut.end;
      }
    }
    expect(log.peekCut(end, 1e9)).toBeUndefined();
    expect(log.peekCut(logPosition(5), 1e9)).toBeUndefined(); // No record begins there.
    log.append(numbered(40, 300));
    expect(log.peekCut(end, 1e9)).toBeUndefined(); // Its checksum is not set yet.
  });

  // Goal: shipping makes no garbage. Method: the memory that is looked at while far more goes by than is kept.
  it('uses memory again that was only looked at', async () => {
    const { log } = await openLog(new MemoryDisk());
    const memory = new Set<ArrayBufferLike>();
    for (let n = 0; n < 600; n += 1) {
      const { position } = await durably(log, numbered(n, 1_000));
      for (const { buffer } of log.peekCut(position, 1e9)!.pieces) memory.add(buffer);
    }
    expect(log.durableEnd).toBeGreaterThan(30 * smallLimits.tailCacheBytes);
    expect(memory.size * (smallLimits.tailCacheBytes / 4)).toBeLessThan(3 * smallLimits.tailCacheBytes);
  });

  it('reads whole records of one segment at a time, one at the least, and none at the end', async () => {
    const { log, sealed } = await openLog(new MemoryDisk());
    for (let n = 0; n < 100; n += 1) await durably(log, numbered(n, 300));
    const first = (await log.readBytes(log.first, 1))!;
    expect(first.byteLength).toBe(new RecordBlock(first).sizeAt(0));
    expect((await log.readBytes(log.first, 1e9))!.byteLength).toBe(sealed[0]?.end);
    expect(await log.readBytes(log.durableEnd, 100)).toHaveLength(0);
    await log.unlink(log.first);
    expect(await log.readBytes(logPosition(0), 100)).toBeUndefined();
  });
});

describe('a log whose end is cut off', () => {
  // Goal: what stays is what stood there before, and it goes on from there. Method: cut by chance above what is
  // committed; a twin that never had the rest says what is right.
  it.each(seeds(20))('is as if the rest had never been (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const disk = new MemoryDisk();
    const { log, failures } = await openLog(disk);
    log.commitsWhenDurable = false;
    let sent: Told[] = [];
    for (let round = 0; round < 12; round += 1) {
      appendSome(log, chance, 1000 * round, 1 + chance.below(30), sent);
      if (chance.chance(0.7)) await allDurable(log);
      else if (chance.chance(0.5)) await turn();
      if (chance.chance(0.5)) log.advanceCommit(logPosition(chance.pick(sent).position));
      const told: string[] = [];
      const { commitEnd, appendEnd } = log;
      const ends = [...sent.map(({ position }) => position), appendEnd].filter((end) => end >= commitEnd);
      const to = chance.pick(ends) as LogPosition;
      for (const end of ends) {
        log.whenDurable(
          end as LogPosition,
          () => undefined,
          ({ code }) => told.push(`durable ${end} ${code}`),
        );
        log.whenCommitted(
          end as LogPosition,
          () => told.push(`committed ${end}`),
          ({ code }) => told.push(`committed ${end} ${code}`),
        );
      }
      await log.truncate(to);
      expect(told.filter((what) => what.startsWith('committed')).length).toBeLessThanOrEqual(ends.length);
      for (const end of ends) expect(told.includes(`committed ${end} NOT_LEADER`)).toBe(end > to);
      sent = sent.filter(({ position }) => position < to);
      expect(log.appendEnd).toBe(to);
      await allDurable(log);
      expect(log.durableEnd).toBe(to);
      expect(await readAll(log)).toEqual(sent);
      const table = new EpochTable();
      await log.scan(log.first, (record) => table.note(record.epoch, record.position));
      expect(log.epochs.all).toEqual(table.all);
      expect(log.epoch).toBe(table.last);
      for (const { n, position } of sent.slice(-5)) {
        const size = (sent.find((next) => next.position > position)?.position ?? to) - position;
        expect((await log.read(position as LogPosition, size)).payload.subarray(0, 2)).toEqual(
          Buffer.from([n & 255, (n >> 8) & 255]),
        );
      }
      if (chance.chance(0.2)) {
        const left = (await openLog(disk.crash(chance, {}, true))).log;
        expect(await readAll(left)).toEqual(sent); // Nothing of what was cut off comes back.
      }
    }
    expect(failures).toEqual([]);
    await log.close();
    expect(await readAll((await openLog(disk)).log)).toEqual(sent);
  });

  it('has all of what stays, and nothing new before the rest is gone, whenever the power goes', async () => {
    const chance = new Prng(7);
    const disk = new MemoryDisk();
    const { log } = await openLog(disk);
    log.commitsWhenDurable = false;
    const sent: Told[] = [];
    appendSome(log, chance, 0, 120, sent);
    await allDurable(log);
    const to = sent[20]!.position as LogPosition;
    const stays = sent.slice(0, 20);
    const checks: Promise<void>[] = [];
    const check = async (left: MemoryDisk): Promise<void> => {
      const found = await readAll((await openLog(left)).log);
      expect(found.slice(0, 20)).toEqual(stays);
      expect(found).toEqual(sent.slice(0, found.length));
    };
    disk.watcher = () => {
      for (let cut = 0; cut < 4; cut += 1) checks.push(check(disk.crash(chance, {}, true)));
    };
    await log.truncate(to);
    disk.watcher = undefined;
    expect(checks.length).toBeGreaterThan(40);
    await Promise.all(checks);
  });

  it('never loses what is committed', async () => {
    const { log } = await openLog(new MemoryDisk());
    const { position } = await durably(log, numbered(0));
    await expect(log.truncate(position)).rejects.toThrow('what is committed stays');
  });

  it('takes nothing while it is being cut', async () => {
    const { log } = await openLog(new MemoryDisk());
    log.commitsWhenDurable = false;
    await durably(log, numbered(0));
    const cutting = log.truncate(logPosition(0));
    expect(() => log.append(numbered(1))).toThrow(MqError);
    await cutting;
    await durably(log, numbered(2));
    expect((await readAll(log)).map(({ n }) => n)).toEqual([2]);
  });
});

describe('a commit position that is said from outside', () => {
  it('is what waiters and listeners wait for, never beyond what is durable here, and stands in the headers', async () => {
    const { log } = await openLog(new MemoryDisk());
    log.commitsWhenDurable = false;
    const heard: string[] = [];
    log.onDurable((_from, end) => heard.push(`durable ${end}`));
    log.onCommitted((from, end) => heard.push(`committed ${from} to ${end}`));
    const a = await durably(log, numbered(0));
    const b = await durably(log, numbered(1));
    const [aEnd, bEnd] = [a, b].map(({ position, size }) => logPosition(position + size)) as [LogPosition, LogPosition];
    log.whenCommitted(bEnd, () => heard.push('b'));
    log.whenCommitted(aEnd, () => heard.push('a'));
    expect([log.durableEnd, log.commitEnd]).toEqual([bEnd, 0]);
    log.advanceCommit(aEnd);
    expect(log.commitEnd).toBe(aEnd);
    const beyond = logPosition(bEnd + 1000);
    log.advanceCommit(beyond);
    log.advanceCommit(aEnd); // Never back.
    expect(log.commitEnd).toBe(bEnd);
    expect(heard).toEqual([
      `durable ${aEnd}`,
      `durable ${bEnd}`,
      `committed 0 to ${aEnd}`,
      'a',
      `committed ${aEnd} to ${bEnd}`,
      'b',
    ]);
    const c = await durably(log, numbered(2));
    expect(log.commitEnd).toBe(c.position + c.size); // What was said counts as soon as it is durable.
    expect((await log.read(c.position, c.size)).commitKnown).toBe(bEnd);
  });

  it('moves with what is durable once the log is alone again', async () => {
    const { log } = await openLog(new MemoryDisk());
    log.commitsWhenDurable = false;
    await durably(log, numbered(0));
    expect(log.commitEnd).toBe(0);
    log.commitsWhenDurable = true;
    expect(log.commitEnd).toBe(log.durableEnd);
    await durably(log, numbered(1));
    expect(log.commitEnd).toBe(log.durableEnd);
  });

  it('bounds what may wait: a log whose copies stand still takes no more than that', async () => {
    const { log } = await openLog(new MemoryDisk());
    log.commitsWhenDurable = false;
    let refused = '';
    for (let n = 0; n < 1000 && refused === ''; n += 1) {
      try {
        log.append(numbered(n, 1000));
      } catch (caught) {
        refused = MqError.from(caught).code;
      }
      await turn();
    }
    expect(refused).toBe('TOO_MANY_REQUESTS');
    log.advanceCommit(log.appendEnd);
    await durably(log, numbered(1, 1000));
  });
});

describe('the table of epochs', () => {
  it('says where two logs part', () => {
    const ours = new EpochTable();
    const starts = [
      [1, 0],
      [3, 100],
      [4, 250],
    ] as const;
    for (const [number, at] of starts) ours.note(epoch(number), logPosition(at));
    ours.note(epoch(4), logPosition(300));
    expect(ours.all.map(({ epoch: number, start }) => [number, start])).toEqual(starts);
    expect([0, 99, 100, 249, 250, 1000].map((at) => ours.at(logPosition(at)))).toEqual([1, 1, 3, 3, 4, 4]);
    const end = logPosition(400);
    expect(ours.endOf(epoch(3), end)).toBe(250);
    expect(ours.endOf(epoch(2), end)).toBe(100);
    const rows = (...list: [number, number][]): EpochStart[] =>
      list.map(([number, start]) => ({ epoch: epoch(number), start: logPosition(start) }));
    const common = (theirs: EpochStart[], theirEnd: number): number =>
      ours.commonEnd(end, theirs, logPosition(theirEnd));
    expect(common(rows([1, 0], [3, 100], [5, 180]), 900)).toBe(180);
    expect(common(rows([1, 0], [3, 100]), 120)).toBe(120);
    expect(common(rows([1, 0], [3, 100], [4, 250]), 900)).toBe(400);
    expect(common(rows([1, 0], [3, 90], [4, 250]), 900)).toBe(400); // Nobody writes an epoch twice: the last decides.
    expect(common(rows([1, 0], [2, 70]), 900)).toBe(70);
    expect(common(rows([2, 0]), 900)).toBe(0);
    ours.cut(logPosition(180));
    expect(ours.last).toBe(3);
    expect(ours.endOf(epoch(3), logPosition(180))).toBe(180);
  });
});

it('checksums go with the salt: bytes of another log are not taken', async () => {
  const { log } = await openLog(new MemoryDisk());
  const block = new RecordBlock(Buffer.alloc(200));
  block.put(0, numbered(0), 80, 1, 0);
  const size = block.finish(0, 0, salt + 1);
  expect(() => log.appendBytes(block.bytes.subarray(0, size))).toThrow('CORRUPT_RECORD');
});
