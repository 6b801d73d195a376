import { MiB, epoch, logPosition, RecordKind } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { faultyDisk } from '../disk/faulty-disk.js';
import { MemoryDisk, systemError } from '../disk/memory-disk.js';
import { durably, numbered, openLog, randomBytes, readAll, smallLimits } from './log-harness.js';
import type { RecordDraft } from './record.js';
import { segmentName } from './segment.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !holds(); i += 1) await turn();
  expect(holds()).toBe(true);
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (caught) {
    return MqError.from(caught).code;
  }
  return 'none';
}

// Goal: a decision for many at once is never refused for its size. Method: records larger than a message, and than a segment.
it.each([5000, 20_000])('what the broker itself decides may be larger than a message (%i bytes)', async (bytes) => {
  const disk = new MemoryDisk();
  const { log, failures } = await openLog(disk);
  for (let n = 1; n < 12; n += 1) await durably(log, numbered(n, n % 3 === 0 ? bytes : 300));
  const wanted = await readAll(log);
  expect(wanted.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  await log.close();
  const again = await openLog(disk);
  expect(await readAll(again.log)).toEqual(wanted);
  expect([...failures, ...again.cuts]).toEqual([]);
  await again.log.close();
});

describe('the commit log', () => {
  it.each(seeds(10))('gives back what was appended, in order, across segments and restarts (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const disk = new MemoryDisk();
    const sent: number[] = [];
    for (let life = 0; life < 3; life += 1) {
      const { log, failures } = await openLog(disk);
      expect((await readAll(log)).map(({ n }) => n)).toEqual(sent);
      for (let i = 0; i < 60; i += 1) {
        sent.push(sent.length);
        const draft = numbered(sent.length - 1, randomBytes(chance));
        if (chance.chance(0.3)) await durably(log, draft);
        else log.append(draft);
      }
      await log.close();
      expect(failures).toEqual([]);
    }
    const { log } = await openLog(disk);
    expect((await readAll(log)).map(({ n }) => n)).toEqual(sent);
    expect(log.segments().length).toBeGreaterThan(2);
    for (const segment of log.segments()) {
      expect(segment.fileBytes).toBeLessThanOrEqual(smallLimits.segmentBytes);
      expect(segment.lastTimestampMs).toBeGreaterThanOrEqual(segment.firstTimestampMs);
    }
  });

  it('puts the appends of one turn in one batch, and gathers the next while it is written', async () => {
    const { log, synced } = await openLog(new MemoryDisk());
    const batches: [number, number][] = [];
    log.onDurable((from, end) => batches.push([from, end]));
    for (let i = 0; i < 5; i += 1) log.append(numbered(i));
    const middle = log.appendEnd;
    await turn();
    log.append(numbered(5));
    await until(() => log.durableEnd === log.appendEnd);
    expect(batches[0]).toEqual([0, middle]);
    expect(batches).toHaveLength(2);
    expect(synced).toEqual([3, 1]); // 0 and 3 are acknowledgements.
  });

  it('calls waiters in order once, and at once what is durable already', async () => {
    const { log } = await openLog(new MemoryDisk());
    const called: number[] = [];
    const ends = [0, 1, 2].map((n) => {
      const { position, size } = log.append(numbered(n));
      return logPosition(position + size);
    });
    for (const i of [2, 0, 1]) log.whenDurable(ends[i] ?? logPosition(0), () => called.push(i));
    expect(called).toEqual([]);
    await until(() => called.length === 3);
    expect(called).toEqual([0, 1, 2]);
    log.whenDurable(log.durableEnd, () => called.push(9));
    expect(called).toEqual([0, 1, 2, 9]);
  });

  it('lets hooks append right before a batch is cut, and cuts one for them when asked', async () => {
    const { log } = await openLog(new MemoryDisk());
    let held = 3;
    log.beforeBatch(() => {
      while (held > 0) log.append(numbered((held -= 1)));
    });
    log.requestBatch();
    await until(() => log.durableEnd > 0);
    expect(log.durableEnd).toBe(log.appendEnd);
    const before = log.durableEnd;
    held = 1;
    log.append(numbered(7));
    await until(() => log.durableEnd > before);
    expect((await readAll(log)).map(({ n }) => n)).toEqual([2, 1, 0, 7, 0]);
    log.requestBatch(); // Nothing to write: nothing happens.
    await turn();
    await log.close();
  });

  it('reads one record from memory or from disk, the same', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk, undefined, { blockCacheBytes: 0 });
    const all: { position: number; size: number }[] = [];
    for (let i = 0; i < 200; i += 1) all.push(await durably(log, numbered(i, 300)));
    let cached = 0;
    for (const [n, { position, size }] of all.entries()) {
      const memory = log.recordInMemory(logPosition(position), size);
      if (memory) cached += 1;
      const read = await log.read(logPosition(position), size);
      expect(Buffer.from(read.payload).readUInt32LE(0)).toBe(n);
      if (memory) expect(memory).toEqual(read);
    }
    expect(cached).toBeGreaterThan(10);
    expect(cached).toBeLessThan(100);
    await expect(log.read(log.appendEnd, 100)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('says CORRUPT_RECORD for a record that went bad, and for a wrong position', async () => {
    const disk = new MemoryDisk();
    const { log } = await openLog(disk);
    const all: { position: number; size: number }[] = [];
    for (let i = 0; i < 200; i += 1) all.push(await durably(log, numbered(i, 300)));
    const [, second] = all;
    if (!second) throw new Error('two records');
    await expect(log.read(logPosition(second.position + 1), second.size)).rejects.toMatchObject({
      code: 'CORRUPT_RECORD',
    });
    disk.peek(`log/${segmentName(0)}`).writeUInt8(0xff, second.position + 100);
    await expect(log.read(logPosition(second.position), second.size)).rejects.toMatchObject({
      code: 'CORRUPT_RECORD',
      message: expect.stringContaining(`position ${second.position}`) as string,
    });
  });

  it.each([1, 8, 39])('reads nothing of a place of %s bytes, which no record can have', async (size) => {
    const { log } = await openLog(new MemoryDisk());
    const { position } = await durably(log, numbered(0, 300));
    expect(await log.readAll([{ position, size }])).toMatchObject([{ code: 'NOT_FOUND' }]);
  });

  it('writes its epoch and the commit position it knows into every record', async () => {
    const { log } = await openLog(new MemoryDisk());
    await durably(log, numbered(0));
    log.setEpoch(epoch(4));
    const known = log.durableEnd;
    const { position, size } = await durably(log, numbered(1));
    const record = await log.read(position, size);
    expect(record).toMatchObject({ epoch: 4, commitKnown: known });
  });

  it('refuses what is too large, and more than may wait', async () => {
    const { log } = await openLog(new MemoryDisk());
    expect(codeOf(() => log.append(numbered(1, 5000)))).toBe('MESSAGE_TOO_LARGE');
    // Another broker set had taken it: there is nobody to refuse it to.
    expect(codeOf(() => log.append({ ...numbered(1, 5000), kind: RecordKind.transferred }))).toBe('none');
    const fill = (reserved: boolean): string => {
      let code = 'none';
      for (let i = 0; i < 1000 && code === 'none'; i += 1) code = codeOf(() => log.append(numbered(i, 1000, reserved)));
      return code;
    };
    expect(fill(false)).toBe('TOO_MANY_REQUESTS');
    const full = log.appendEnd;
    expect(fill(true)).toBe('TOO_MANY_REQUESTS');
    expect(log.appendEnd).toBeGreaterThan(full);
    await until(() => log.durableEnd === log.appendEnd);
    expect(codeOf(() => log.append(numbered(1)))).toBe('none');
  });

  it('takes a decision of any size where nothing waits, as one record or as many', async () => {
    const { log } = await openLog(new MemoryDisk(), undefined, { pendingBytesMax: 1_024 });
    const decision = (): RecordDraft => numbered(3, 3_000, true);
    await durably(log, decision());
    log.append(numbered(1, 40));
    expect([codeOf(() => log.append(decision())), codeOf(() => log.checkRoom(9_120))]).toEqual([
      'TOO_MANY_REQUESTS',
      'TOO_MANY_REQUESTS',
    ]);
    await until(() => log.commitEnd === log.appendEnd);
    const from = log.appendEnd;
    const { size } = await durably(log, decision());
    expect(log.appendEnd).toBe(from + size);
    log.checkRoom(3 * size);
    for (let i = 0; i < 3; i += 1) expect(codeOf(() => log.append(decision()))).toBe('none');
    expect(codeOf(() => log.append(numbered(3, 40, true)))).toBe('TOO_MANY_REQUESTS');
    await until(() => log.commitEnd === log.appendEnd);
    expect(log.appendEnd).toBe(from + 4 * size);
  });

  it('deletes a sealed segment and goes on; scans pass over the hole', async () => {
    const disk = new MemoryDisk();
    const { log, sealed } = await openLog(disk);
    for (let i = 0; i < 200; i += 1) await durably(log, numbered(i, 300));
    expect(sealed.length).toBeGreaterThan(4);
    const [first, second, third] = sealed;
    if (!first || !second || !third) throw new Error('three sealed segments');
    expect(first).toMatchObject({ first: 0, end: second.first, sealed: true, fileBytes: second.first });
    await log.unlink(first.first);
    await log.unlink(third.first);
    const left = (await readAll(log)).map(({ position }) => position);
    expect(left[0]).toBe(second.first);
    expect(left.some((position) => position >= third.first && position < third.end)).toBe(false);
    await expect(log.read(first.first, 100)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await log.close();
    const again = await openLog(disk);
    expect((await readAll(again.log)).map(({ position }) => position)).toEqual(left);
  });

  it.each(['sync', 'write', 'truncate', 'rename', 'syncFolder'] as const)(
    'acknowledges nothing after a failed %s',
    async (failing) => {
      const base = new MemoryDisk();
      let broken = false;
      const disk = faultyDisk(base, (operation) => {
        if (!broken || operation !== failing) return undefined;
        broken = false; // The kernel tells once and then says all is well: we must not believe it.
        return systemError('EIO', 'i/o error');
      });
      const { log, failures } = await openLog(disk, undefined, { aheadBytes: 0 });
      await durably(log, numbered(0));
      broken = true;
      let acked = 0;
      const errors: string[] = [];
      for (let i = 1; i < 200 && failures.length === 0; i += 1) {
        const { position, size } = log.append(numbered(i, 300));
        log.whenDurable(
          logPosition(position + size),
          () => (acked += 1),
          (error) => errors.push(error.code),
        );
        await turn();
      }
      await until(() => failures.length > 0);
      const before = acked;
      expect(broken).toBe(false);
      expect(codeOf(() => log.append(numbered(1)))).toBe('DISK_FAILED');
      log.whenDurable(
        log.appendEnd,
        () => (acked += 1),
        (error) => errors.push(error.code),
      );
      for (let i = 0; i < 10; i += 1) await turn();
      expect(acked).toBe(before);
      expect(errors.length).toBeGreaterThan(0);
      expect(new Set(errors)).toEqual(new Set(['DISK_FAILED']));
      expect(failures.map(({ code }) => code)).toEqual(['DISK_FAILED']);
      await log.close();
      // All that was acknowledged had been synced.
      const found = await readAll((await openLog(base.crash(new Prng(1), { survives: 0 }))).log);
      expect(found.length).toBeGreaterThan(before);
    },
  );
});

describe('a full disk', () => {
  it('refuses new messages, takes reserved records, and recovers when space comes back', async () => {
    const disk = new MemoryDisk({ capacityBytes: 60 * 1024 });
    const { log, clock, failures } = await openLog(disk);
    const acked: number[] = [];
    const send = (n: number, reserved: boolean): string =>
      codeOf(() => {
        const { position, size } = log.append(numbered(n, 300, reserved));
        log.whenDurable(logPosition(position + size), () => acked.push(n));
      });
    const sent: number[] = [];
    let n = 0;
    let code = 'none';
    while (code === 'none' && n < 1000) {
      code = send(n, false);
      if (code === 'none') sent.push(n);
      n += 1;
      await turn();
    }
    expect(code).toBe('STORAGE_FULL');
    expect(log.full).toBe(true);
    // More of them than fits what was made ahead: they live on the reserve.
    const reserve = async (): Promise<boolean> => (await disk.list('log')).includes('reserve');
    for (let i = 0; i < 100 && (i < 20 || (await reserve())); i += 1) {
      expect(send(n, true)).toBe('none');
      sent.push((n += 1) - 1);
      clock.advance(50);
      await turn();
    }
    expect(await reserve()).toBe(false);
    await until(() => {
      clock.advance(100);
      return acked.length === sent.length;
    });
    expect(acked).toEqual(sent);
    expect(send(n, false)).toBe('STORAGE_FULL');

    for (const segment of log.segments().slice(0, 4)) await log.unlink(segment.first);
    await until(() => {
      clock.advance(500);
      return !log.full;
    });
    expect(send(n, false)).toBe('none');
    sent.push(n);
    await until(() => acked.length === sent.length);
    expect(disk.peek('log/reserve').byteLength).toBe(smallLimits.reserveBytes);
    expect(failures).toEqual([]);
    await log.close();
    const found = (await readAll((await openLog(disk)).log)).map((record) => record.n);
    expect(found).toEqual(sent.slice(-found.length));
    expect(found.length).toBeGreaterThan(20);
  });

  it('keeps what it has taken while there is no space at all, and writes it when there is', async () => {
    const disk = new MemoryDisk({ capacityBytes: 1 * MiB });
    const { log, clock, failures } = await openLog(disk, undefined, { aheadBytes: 0, reserveBytes: 0 });
    await durably(log, numbered(0));
    disk.capacityBytes = disk.usedBytes() + 500;
    const acked: number[] = [];
    for (let n = 1; n < 6; n += 1) {
      const { position, size } = log.append(numbered(n, 300));
      log.whenDurable(logPosition(position + size), () => acked.push(n));
    }
    await until(() => log.full);
    for (let i = 0; i < 5; i += 1) {
      clock.advance(100);
      await turn();
    }
    expect(acked).toEqual([]);
    disk.capacityBytes = 1 * MiB;
    await until(() => {
      clock.advance(100);
      return acked.length === 5;
    });
    expect(failures).toEqual([]);
    expect((await readAll(log)).map(({ n }) => n)).toEqual([0, 1, 2, 3, 4, 5]);
    await log.close();
  });

  it('does not keep a broker from stopping', async () => {
    const disk = new MemoryDisk({ capacityBytes: 1 * MiB });
    const { log, failures } = await openLog(disk, undefined, { aheadBytes: 0, reserveBytes: 0 });
    await durably(log, numbered(0));
    disk.capacityBytes = disk.usedBytes();
    const errors: string[] = [];
    log.append(numbered(1, 300));
    log.whenDurable(
      log.appendEnd,
      () => errors.push('acknowledged'),
      (error) => errors.push(error.code),
    );
    await log.close();
    expect(errors).toEqual(['STORAGE_FULL']);
    expect(failures).toEqual([]);
    disk.capacityBytes = 1 * MiB;
    expect((await readAll((await openLog(disk)).log)).map(({ n }) => n)).toEqual([0]);
  });

  it('counts as full before the last byte, so that others find room too', async () => {
    const disk = new MemoryDisk({ capacityBytes: 1 * MiB });
    const { log } = await openLog(disk, undefined, { freeBytesMin: 2 * MiB });
    await until(() => log.full);
    expect(codeOf(() => log.append(numbered(0)))).toBe('STORAGE_FULL');
    expect(codeOf(() => log.append(numbered(0, 40, true)))).toBe('none');
  });
});
