import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readWhole, replaceFile } from './disk.js';
import type { Disk } from './disk.js';
import { FileDisk } from './file-disk.js';
import { FolderLock } from './folder-lock.js';
import { MemoryDisk } from './memory-disk.js';
import { DataFolder } from '../log/data-folder.js';
import { durably, numbered, openLog, readAll } from '../log/log-harness.js';

let root = '';
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'cometmq-disk-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

// Goal: the double is like the real one. Method: one contract, both adapters.
describe.each([
  ['files', (): Disk => new FileDisk(root)],
  ['memory', (): Disk => new MemoryDisk()],
])('a disk of %s', (_name, make) => {
  it('writes, reads and cuts files', async () => {
    const disk = make();
    await disk.makeFolder('a/b');
    await expect(disk.open('a/b/file')).rejects.toMatchObject({ code: 'ENOENT' });
    const file = await disk.open('a/b/file', { create: true });
    await file.write([Buffer.from('one'), Buffer.alloc(0), Buffer.from('two')], 3);
    await file.sync();
    expect(await file.size()).toBe(9);
    const into = Buffer.alloc(20, 1);
    expect(await file.read(into, 0)).toBe(9);
    expect(into.toString('latin1', 0, 9)).toBe('\0\0\0onetwo');
    expect(await file.read(into, 9)).toBe(0);
    await file.truncate(4);
    await file.truncate(6);
    expect(await file.read(into, 0)).toBe(6);
    expect(into.toString('latin1', 0, 6)).toBe('\0\0\0o\0\0');
    await file.close();
    await file.close();
    expect(await disk.list('a')).toEqual(['b']);
    expect(await disk.list('a/b')).toEqual(['file']);
    expect(await disk.list('nothing')).toEqual([]);
  });

  it('takes more chunks than one call of the system does', async () => {
    const disk = make();
    const file = await disk.open('many', { create: true });
    const chunks = Array.from({ length: 2500 }, (_, i) => Buffer.from([i & 255]));
    await file.write(chunks, 0);
    await file.close();
    expect(await readWhole(disk, 'many')).toEqual(Buffer.concat(chunks));
  });

  it('renames over what is there, and unlinks what is not', async () => {
    const disk = make();
    await replaceFile(disk, 'x', [Buffer.from('1')]);
    await replaceFile(disk, 'x', [Buffer.from('2'), Buffer.from('3')]);
    expect((await readWhole(disk, 'x'))?.toString()).toBe('23');
    expect(await disk.list('')).toEqual(['x']);
    await disk.unlink('x');
    await disk.unlink('x');
    expect(await readWhole(disk, 'x')).toBeUndefined();
    expect(await disk.freeBytes('')).toBeGreaterThan(0);
  });

  it('gives a lock to one holder at a time', async () => {
    const disk = make();
    const held = await disk.lock('lock');
    expect(held).toBeDefined();
    expect(await disk.lock('lock')).toBeUndefined();
    await held?.release();
    const next = await disk.lock('lock');
    expect(next).toBeDefined();
    await next?.release();
  });

  it('carries a log through a restart', async () => {
    const disk = make();
    const { log, failures } = await openLog(disk);
    for (let n = 0; n < 100; n += 1) {
      if (n % 10 === 0) await durably(log, numbered(n, 500));
      else log.append(numbered(n, 500));
    }
    await log.close();
    expect(failures).toEqual([]);
    const again = await openLog(disk);
    expect((await readAll(again.log)).map(({ n }) => n)).toEqual(Array.from({ length: 100 }, (_, n) => n));
    await again.log.close();
  });
});

// Goal: a folder two want at once is there for both. Method: many makers of one new path, each a system call apart.
it('makes a folder for all who ask at once', async () => {
  for (const round of [1, 2, 3, 4, 5]) {
    const makers = Array.from({ length: 8 }, () => new FileDisk(join(root, `at-once-${String(round)}`)));
    const made = await Promise.allSettled(makers.map((disk) => disk.makeFolder('one/two/three')));
    expect(made.filter(({ status }) => status === 'rejected')).toEqual([]);
  }
});

it('lets nobody but the owner read what it makes', async () => {
  const disk = new FileDisk(root);
  await disk.makeFolder('a/b');
  await replaceFile(disk, 'a/b/file', [Buffer.from('secret')]);
  await (await disk.lock('a/lock'))?.release();
  const modeOf = (path: string): string => (statSync(join(root, path)).mode & 0o777).toString(8);
  expect(['a', 'a/b', 'a/b/file', 'a/lock'].map(modeOf)).toEqual(['700', '700', '600', '600']);
});

// Goal: a wrong --data-dir is told by its name and the reason. Method: places where no folder can be made.
it.each([
  ['a file', (): string => join(root, 'file')],
  ['below a file', (): string => join(root, 'file', 'data')],
  ['in /proc, where nothing can be made', (): string => '/proc/cometmq/data'],
])('says which folder can not be used: %s', async (_name, place) => {
  writeFileSync(join(root, 'file'), '');
  const refused = { code: 'DATA_FOLDER', message: expect.stringContaining(`${place()}/metadata can't be used: E`) };
  await expect(new FolderLock(new FileDisk(place()), 'metadata').start()).rejects.toMatchObject(refused);
  await expect(DataFolder.open(new FileDisk(place()), 'metadata', 'broker-a')).rejects.toMatchObject(refused);
});

describe('a data folder on the real disk', () => {
  // The other process holds the lock as ours does: through the same package, on the same file.
  async function otherHolder(): Promise<ChildProcess> {
    const script = `
      const { tryLock } = require('fs-native-extensions');
      const fd = require('fs').openSync(process.argv[1], 'a+');
      console.log(tryLock(fd) ? 'held' : 'refused');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['-e', script, join(root, 'data', 'lock')], {
      cwd: join(__dirname, '..'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    expect(line.toString().trim()).toBe('held');
    return child;
  }

  it('is refused while another process holds it, and free when that one is killed', async () => {
    const disk = new FileDisk(root);
    await (await DataFolder.open(disk, 'data', 'broker-a')).release();
    const child = await otherHolder();
    await expect(DataFolder.open(disk, 'data', 'broker-a')).rejects.toMatchObject({ code: 'DATA_FOLDER' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const taken = await DataFolder.open(disk, 'data', 'broker-a');
    await taken.release();
  });
});
