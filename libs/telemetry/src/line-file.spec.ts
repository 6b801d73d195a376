// Goal: lines stand in the order they were given, and the last ones are found again. Method: a real file.
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { LineFile } from './line-file.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'cometmq-lines-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('keeps lines in their order, for its owner alone, and gives back whole ones', async () => {
  const path = join(folder, 'audit.jsonl');
  const file = new LineFile(path);
  expect(file.tail(100)).toEqual([]);
  await Promise.all(Array.from({ length: 50 }, (_, i) => file.append(`line ${i}`)));
  expect(file.tail(10_000)).toEqual(Array.from({ length: 50 }, (_, i) => `line ${i}`));
  expect(file.tail(20)).toEqual(['line 48', 'line 49']);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it('says that a line was not written, and goes on once the next one can be', async () => {
  const file = new LineFile(join(folder, 'logs/audit.jsonl'));
  rmSync(join(folder, 'logs'), { recursive: true });
  await expect(file.append('x')).rejects.toThrow('ENOENT');
  await expect(file.append('y')).rejects.toThrow('ENOENT');
  mkdirSync(join(folder, 'logs'));
  await file.append('z');
  expect(file.tail(100)).toEqual(['z']);
});

it('begins a line of its own behind one that was cut off, in a crash or while it runs', async () => {
  const path = join(folder, 'audit.jsonl');
  writeFileSync(path, 'one\ncut o');
  const file = new LineFile(path);
  await file.append('two');
  expect(file.tail(100)).toEqual(['one', 'cut o', 'two']);
  // The disk is full in the middle of a line: the next one can be written again.
  rmSync(path);
  mkdirSync(path);
  await expect(file.append('three')).rejects.toThrow('EISDIR');
  rmSync(path, { recursive: true });
  writeFileSync(path, 'one\nthr');
  await file.append('four');
  expect(file.tail(100)).toEqual(['one', 'thr', 'four']);
});

it('says at once what it can not be: a folder, a name below a file', () => {
  new LineFile(join(folder, 'audit.jsonl'));
  for (const path of [folder, join(folder, 'audit.jsonl/more')]) {
    expect(() => new LineFile(path)).toThrow('[CONFIG]');
    expect(() => new LineFile(path)).toThrow(path);
  }
});

it('is short of room once it is long enough and what is before it is needed yet, and full at twice that', async () => {
  const file = new LineFile(join(folder, 'audit.jsonl'), { bytesMax: 100 });
  file.mayRoll = () => false;
  const line = 'x'.repeat(59);
  await file.append(line);
  expect(file.isShort).toBe(false);
  await file.append(line);
  expect(file.isShort).toBe(true);
  await file.append(line);
  await file.append(line);
  await expect(file.append(line)).rejects.toThrow('STORAGE_FULL');
  file.mayRoll = () => true;
  expect(file.isShort).toBe(false);
  await file.append('after');
  expect(file.tail(1_000)).toEqual(['after']);
});
