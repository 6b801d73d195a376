import { MqError } from '@cometmq/shared';

import { replaceFile } from '../disk/disk.js';
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

  it('with any one byte of its identity changed is refused', async () => {
    const disk = new MemoryDisk();
    await (await DataFolder.open(disk, 'data', 'broker-a')).release();
    const bytes = disk.peek('data/identity');
    for (let at = 0; at < bytes.byteLength - 1; at += 1) {
      const damaged = disk.settled();
      damaged.peek('data/identity').writeUInt8(bytes.readUInt8(at) ^ 1, at);
      expect(await refusal(damaged)).toMatch(/DATA_FOLDER.*damaged/);
    }
    await putIdentity(disk, '{"format":"one"}');
    expect(await refusal(disk)).toMatch(/DATA_FOLDER.*damaged/);
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
