/**
 * Goal: every line is passed on, in order, whatever becomes of the file and of the process that reads it; what was passed on is
 * passed on again only where its place was not kept. Method: a real file, written and renamed by chance, by readers that end by chance.
 */
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { LineFile } from './line-file.js';
import { LineCursor } from './line-file-cursor.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cometmq-cursor-'));
  path = join(folder, 'audit.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Read {
  readonly id: string;
  readonly text: string;
}
async function all(cursor: LineCursor, keep = true): Promise<Read[]> {
  const found: Read[] = [];
  for (let batch = await cursor.next(); batch; batch = await cursor.next()) {
    found.push(...batch.lines);
    if (!keep) break;
    await batch.done();
  }
  return found;
}
const texts = (lines: readonly Read[]): string[] => lines.map(({ text }) => text);

it.each(seeds(10))('passes on each line in order, over renames and restarts (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const file = new LineFile(path, { bytesMax: 300 });
  let cursor = new LineCursor(path, 64);
  file.mayRoll = () => cursor.mayRoll;
  const written: string[] = [];
  const read: Read[] = [];
  for (let step = 0; step < 120; step += 1) {
    const what = chance.next();
    if (what < 0.6) {
      const line = `line ${step} ${'x'.repeat(Math.floor(chance.next() * 20))}`;
      await file.append(line).then(
        () => written.push(line),
        () => undefined, // Full: nothing was written.
      );
    } else if (what < 0.8) {
      const batch = await cursor.next();
      read.push(...(batch?.lines ?? []));
      await batch?.done();
    } else if (what < 0.9) {
      read.push(...((await cursor.next())?.lines ?? [])); // It ends before this is kept.
      cursor = new LineCursor(path, 64);
    } else cursor = new LineCursor(path, 64);
  }
  read.push(...(await all(cursor)));
  const once = [...new Map(read.map((line) => [line.id, line])).values()];
  expect(texts(once)).toEqual(written);
});

it('reads what is left of a file that somebody renamed, then the new one', async () => {
  writeFileSync(path, 'a\nb\n');
  const cursor = new LineCursor(path, 3);
  const batch = await cursor.next();
  await batch?.done();
  renameSync(path, `${path}.2026-11-30`);
  writeFileSync(path, 'c\n');
  expect(texts(await all(new LineCursor(path)))).toEqual(['b', 'c']);
  expect(await new LineCursor(path).next()).toBeUndefined();
});

it('begins anew with a file that was emptied, and with one whose place is lost', async () => {
  writeFileSync(path, 'a\n');
  const cursor = new LineCursor(path);
  expect(texts(await all(cursor))).toEqual(['a']);
  truncateSync(path);
  appendFileSync(path, 'b\n');
  expect(texts(await all(cursor))).toEqual(['b']);
  for (const wrong of ['', '{}', '{"head":1,"position":2}']) {
    writeFileSync(`${path}.cursor`, wrong);
    expect(texts(await all(new LineCursor(path), false))).toEqual(['b']);
  }
});

it('waits for the end of a line, and passes over what is too long to be one', async () => {
  const cursor = new LineCursor(path, 16);
  expect(await cursor.next()).toBeUndefined(); // There is no file yet.
  writeFileSync(path, 'a\nhalf');
  expect(texts(await all(cursor))).toEqual(['a']);
  expect(await cursor.next()).toBeUndefined();
  appendFileSync(path, ` and half\n${'x'.repeat(3 * 1024 * 1024)}\nb\n`);
  const after = texts(await all(cursor));
  expect([after[0], after.at(-1)]).toEqual(['half and half', 'b']);
});

it('lets no file be replaced before its lines were passed on, and then refuses more', async () => {
  const file = new LineFile(path, { bytesMax: 10 });
  const cursor = new LineCursor(path);
  file.mayRoll = () => cursor.mayRoll;
  await file.append('0123456789');
  await file.append('next'); // Goes to a new file.
  await file.append('01234567890123');
  await expect(file.append('full')).rejects.toThrow('[STORAGE_FULL]');
  expect(texts(await all(cursor))).toEqual(['0123456789', 'next', '01234567890123']);
  await file.append('again');
  expect(readFileSync(path, 'utf8')).toBe('again\n');
});
