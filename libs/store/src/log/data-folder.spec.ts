import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { readWhole, replaceFile } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import { faultyDisk } from '../disk/faulty-disk.js';
import { MemoryDisk } from '../disk/memory-disk.js';
import { checksum } from './checksum.js';
import { DataFolder } from './data-folder.js';

async function refusal(disk: MemoryDisk, name = 'broker-a'): Promise<string> {
  try {
    await DataFolder.open(disk, 'data', name);
    return 'opened';
  } catch (caught) {
    return MqError.from(caught).message;
  }
}

async function putIdentity(disk: MemoryDisk, line: string): Promise<void> {
  const sum = checksum(Buffer.from(line)).toString(16).padStart(8, '0');
  await disk.makeFolder('data');
  await replaceFile(disk, 'data/identity', [Buffer.from(`${line}\n${sum}\n`)]);
}

describe('a data folder', () => {
  it('keeps its incarnation and salt for ever; an empty one is a new one', async () => {
    const disk = new MemoryDisk();
    const made = await DataFolder.open(disk, 'data', 'broker-a');
    await made.release();
    const again = await DataFolder.open(disk, 'data', 'broker-a');
    expect([again.incarnation, again.salt]).toEqual([made.incarnation, made.salt]);
    expect(again.salt).toBeGreaterThan(0);
    const other = await DataFolder.open(disk, 'other', 'broker-a');
    expect(other.incarnation).not.toBe(made.incarnation);
  });

  it('of a format that was never released is refused', async () => {
    const disk = new MemoryDisk();
    await putIdentity(disk, JSON.stringify({ format: 1, brokerName: 'broker-a', incarnation: 'x' }));
    expect(await refusal(disk)).toMatch(/DATA_FOLDER.*before the first release/);
  });

  it('is held by one at a time', async () => {
    const disk = new MemoryDisk();
    const held = await DataFolder.open(disk, 'data', 'broker-a');
    expect(await refusal(disk)).toMatch(/DATA_FOLDER.*in use/);
    await held.release();
    expect(await refusal(disk)).toBe('opened');
  });

  it('of another broker is refused, and left unlocked', async () => {
    const disk = new MemoryDisk();
    await (await DataFolder.open(disk, 'data', 'broker-a')).release();
    expect(await refusal(disk, 'broker-b')).toMatch(/DATA_FOLDER.*"broker-a".*"broker-b"/);
    expect(await refusal(disk)).toBe('opened');
  });

  it('of a newer format is refused', async () => {
    const disk = new MemoryDisk();
    await putIdentity(disk, JSON.stringify({ format: 3, brokerName: 'broker-a', incarnation: 'x', salt: 1 }));
    expect(await refusal(disk)).toMatch(/DATA_FOLDER.*newer release/);
  });

  const copies = ['data/identity', 'data/identity.copy'];

  it.each(copies)('with any one byte of %s changed goes on from the other copy, and tells', async (path) => {
    const disk = new MemoryDisk();
    const made = await DataFolder.open(disk, 'data', 'broker-a');
    await made.noteBegun();
    await made.release();
    const bytes = disk.peek(path);
    for (let at = 0; at < bytes.byteLength - 1; at += 1) {
      const damaged = disk.settled();
      damaged.peek(path).writeUInt8(bytes.readUInt8(at) ^ 1, at);
      await expectMended(damaged, made.salt, [path]);
    }
    const missing = disk.settled();
    await missing.unlink(path);
    await expectMended(missing, made.salt, []);
    const unreadable = disk.settled();
    const disks = faultyDisk(unreadable, (kind, file) =>
      kind === 'read' && file === path ? new Error('EIO') : undefined,
    );
    await expectMended(disks, made.salt, [path]);
  });

  async function expectMended(disk: Disk, salt: number, damaged: string[]): Promise<void> {
    const told: string[] = [];
    const found = await DataFolder.open(disk, 'data', 'broker-a', (what) => told.push(what));
    expect([found.salt, found.begun]).toEqual([salt, true]);
    expect(told).toEqual(damaged.map((path) => expect.stringContaining(`${path} is damaged`) as string));
    await found.release();
    const [first, second] = await Promise.all(copies.map((path) => readWhole(disk, path).catch(() => undefined)));
    if (first && second) expect(first).toEqual(second);
  }

  it('is refused when both copies of its identity are damaged, and nothing is changed', async () => {
    const disk = new MemoryDisk();
    await (await DataFolder.open(disk, 'data', 'broker-a')).release();
    for (const path of copies) disk.peek(path).writeUInt8(0, 20);
    expect(await refusal(disk)).toMatch(/DATA_FOLDER.*damaged/);
    expect(await refusal(disk)).toMatch(/DATA_FOLDER.*damaged/);
    await disk.unlink('data/identity.copy');
    await putIdentity(disk, '{"format":"one"}');
    expect(await refusal(disk)).toMatch(/DATA_FOLDER.*damaged/);
  });

  it('of another broker is not written to, where one copy is damaged', async () => {
    const disk = new MemoryDisk();
    await (await DataFolder.open(disk, 'data', 'broker-a')).release();
    disk.peek('data/identity').fill(0);
    expect(await refusal(disk, 'broker-b')).toMatch(/DATA_FOLDER.*"broker-a".*"broker-b"/);
    expect(disk.peek('data/identity').every((byte) => byte === 0)).toBe(true);
  });

  // Goal: whenever the power goes, the identity is the older or the newer one. Method: a crash before every operation.
  it.each(seeds(8))('is whole through every crash while its identity changes (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const disk = new MemoryDisk();
    const made = await DataFolder.open(disk, 'data', 'broker-a');
    const crashes: MemoryDisk[] = [];
    disk.watcher = () => void crashes.push(disk.crash(chance, {}, true));
    await made.noteBegun();
    disk.watcher = undefined;
    crashes.push(disk.crash(chance, {}, true));
    const begun: boolean[] = [];
    for (const crashed of crashes) {
      const found = await DataFolder.open(crashed, 'data', 'broker-a');
      expect(found.salt).toBe(made.salt);
      begun.push(found.begun);
    }
    expect([begun[0], begun.at(-1)]).toEqual([false, true]);
  });

  // Goal: what two ask for at a time, neither takes from the other. Method: all that is noted in it, at once.
  it('keeps every change of those that are asked for at the same time', async () => {
    const disk = new MemoryDisk();
    const made = await DataFolder.open(disk, 'data', 'broker-a');
    await Promise.all([made.takeSalt(7), made.noteNoted(), made.takeSalt(7), made.noteBegun()]);
    await made.release();
    const { salt, noted, begun } = await DataFolder.open(disk, 'data', 'broker-a');
    expect({ salt, noted, begun }).toEqual({ salt: 7, noted: true, begun: true });
  });

  it('that holds files but no identity is not taken over', async () => {
    const disk = new MemoryDisk();
    await disk.makeFolder('data');
    await disk.makeFolder('data/lost+found');
    await (await disk.open('data/precious.doc', { create: true })).close();
    expect(await refusal(disk)).toMatch(/DATA_FOLDER.*precious.doc/);
    await disk.unlink('data/precious.doc');
    expect(await refusal(disk)).toBe('opened');
  });
});
