import { mkdtempSync, readFileSync, rmSync, writeFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { MqError, Prng, systemClock } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import { CrashingFiles, listen, metadataStoreContract, until } from '../testing.js';
import { EmbeddedStore } from './embedded-store.js';
import type { MetadataFiles } from './files.js';
import { NodeFiles } from './node-files.js';

const folders: string[] = [];
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-metadata-'));
  folders.push(folder);
  return folder;
}
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function opened(files: MetadataFiles, journalBytesMin = 1_000_000, said: string[] = []): Promise<EmbeddedStore> {
  const store = new EmbeddedStore(files, systemClock, { journalBytesMin, say: (line) => said.push(line) });
  await store.start();
  return store;
}

const put = (key: string, value: string): { compare: []; puts: { key: string; value: string }[] } => ({
  compare: [],
  puts: [{ key, value }],
});

metadataStoreContract('embedded', async () => {
  const clock = new ManualClock();
  const folder = newFolder();
  const store = new EmbeddedStore(new NodeFiles(folder), clock);
  await store.start();
  return { store, pass: async (ms) => clock.advance(ms), close: () => store.stop() };
});

describe('EmbeddedStore on a real folder', () => {
  it('finds again what it was given, revisions and leases too', async () => {
    const folder = newFolder();
    const first = await opened(new NodeFiles(folder));
    const lease = await first.grantLease(60_000);
    await first.commit(put('a', '1'));
    await first.commit({ compare: [], puts: [{ key: 'b', value: '2', lease: lease.id }] });
    const before = await first.range('');
    await first.stop();

    const second = await opened(new NodeFiles(folder));
    expect(await second.range('')).toEqual(before);
    expect((await second.keepLease(lease.id))?.id).toBe(lease.id);
    expect((await second.grantLease(1_000)).id).not.toBe(lease.id);
    await second.stop();
  });

  it('starts the leases anew after a restart, and ends them when nobody comes', async () => {
    const folder = newFolder();
    const first = await opened(new NodeFiles(folder));
    const lease = await first.grantLease(3_000);
    await first.commit({ compare: [], puts: [{ key: 'p', value: '1', lease: lease.id }] });
    await first.stop();

    const clock = new ManualClock();
    const second = new EmbeddedStore(new NodeFiles(folder), clock);
    await second.start();
    clock.advance(2_900);
    expect(await second.get('p')).toBeDefined();
    clock.advance(200);
    await until('the lease has ended', async () => (await second.get('p')) === undefined);
    await second.stop();
  });

  it('replaces its journal by snapshots, and the folder stays small', async () => {
    const folder = newFolder();
    const store = await opened(new NodeFiles(folder), 2_000);
    for (let i = 0; i < 500; i += 1) await store.commit(put('a', String(i)));
    await store.stop();
    const files = readdirSync(folder);
    expect(files).toHaveLength(4);
    const bytes = files.reduce((sum, file) => sum + readFileSync(join(folder, file)).length, 0);
    expect(bytes).toBeLessThan(4_000);
    const again = await opened(new NodeFiles(folder));
    expect(await again.get('a')).toMatchObject({ value: '499', createRevision: 2, modRevision: 501 });
    await again.stop();
  });

  it('cuts off a torn tail, and says so', async () => {
    const folder = newFolder();
    const store = await opened(new NodeFiles(folder));
    await store.commit(put('a', '1'));
    await store.stop();
    const journal = join(folder, 'journal-1');
    const clean = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))] as const);
    const whole = readFileSync(journal);
    for (const tail of ['\u0001', 'x'.repeat(100), '\0'.repeat(4096)]) {
      writeFileSync(journal, Buffer.concat([whole, Buffer.from(tail)]));
      const said: string[] = [];
      const again = await opened(new NodeFiles(folder), undefined, said);
      expect(said).toEqual([expect.stringContaining(`the last ${tail.length} bytes, from byte ${whole.length} on`)]);
      expect((await again.get('a'))?.value).toBe('1');
      await again.commit(put('b', '2'));
      await again.stop();
      const third = await opened(new NodeFiles(folder));
      expect((await third.get('b'))?.value).toBe('2');
      await third.stop();
      for (const [name, bytes] of clean) writeFileSync(join(folder, name), bytes);
    }
  });

  it('refuses damage and says where, whichever byte it is', async () => {
    const folder = newFolder();
    const store = await opened(new NodeFiles(folder));
    await store.commit(put('a', '1'));
    await store.commit(put('b', '2'));
    await store.stop();
    const journal = join(folder, 'journal-1');
    const whole = readFileSync(journal);
    for (let at = 0; at < whole.length; at += 1) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 0x40;
      writeFileSync(journal, damaged);
      await expect(opened(new NodeFiles(folder))).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
    }
    expect(whole.length).toBeGreaterThan(100);
  });

  it.each(['stopped', 'killed'])('refuses a journal that is shorter than it was once synced: %s', async (how) => {
    const folder = newFolder();
    const store = await opened(new NodeFiles(folder));
    for (const key of ['a', 'b', 'c']) await store.commit(put(key, '1'));
    if (how === 'stopped') await store.stop();
    const journal = join(folder, 'journal-1');
    const whole = readFileSync(journal);
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(journal, whole.subarray(0, length));
      await expect(opened(new NodeFiles(folder))).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
    }
    await store.stop();
  });

  it('takes marks that are behind, damaged or gone for no proof', async () => {
    const folder = newFolder();
    const store = await opened(new NodeFiles(folder));
    await store.commit(put('a', '1'));
    const marks = (): (readonly [string, Buffer])[] =>
      ['synced-0', 'synced-1'].map((name) => [join(folder, name), readFileSync(join(folder, name))]);
    const behind = marks();
    await store.commit(put('b', '2'));
    await store.commit(put('c', '3'));
    await store.stop();
    const half = marks().map(([file, bytes]) => [file, bytes.subarray(0, 9)] as const);
    for (const some of [behind, half, half.map(([file]) => [file, Buffer.alloc(0)] as const)]) {
      for (const [file, bytes] of some) writeFileSync(file, bytes);
      const again = await opened(new NodeFiles(folder));
      expect((await again.range('')).pairs).toHaveLength(3);
      await again.stop();
    }
  });

  it.each(['snapshot', 'journal-1'])('refuses a folder whose %s is gone or damaged', async (file) => {
    const folder = newFolder();
    const store = await opened(new NodeFiles(folder));
    await store.commit(put('a', '1'));
    await store.stop();
    const bytes = readFileSync(join(folder, file));
    rmSync(join(folder, file));
    await expect(opened(new NodeFiles(folder))).rejects.toThrow(file);
    writeFileSync(join(folder, file), bytes.subarray(0, 12));
    await expect(opened(new NodeFiles(folder))).rejects.toThrow(file);
  });

  it('says what is wrong with the folder in words', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'occupied'), '');
    const error: unknown = await opened(new NodeFiles(join(folder, 'occupied'))).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(MqError);
    expect((error as MqError).code).toBe('DISK_FAILED');
    expect((error as MqError).reason).toContain('occupied');
  });

  it('syncs once for all that waits', async () => {
    const files = new CrashingFiles();
    const store = await opened(files);
    await store.commit(put('warm', 'up'));
    const before = files.operations;
    await Promise.all(Array.from({ length: 100 }, (_, i) => store.commit(put(`k${i}`, 'v'))));
    expect(files.operations - before).toBeLessThanOrEqual(4);
    await store.stop();
  });
});

// Goal: what was answered is there after a power cut at any moment, and what is there is a state that was once true.
// Method: a script that also makes snapshots runs until operation n of the disk, the power goes, the folder is opened again.
describe('EmbeddedStore and the power', () => {
  interface Model {
    /** Contents after each commit, and how many of them were answered. */
    readonly states: readonly string[];
    answered: number;
  }

  async function script(files: CrashingFiles, seed: number): Promise<Model> {
    const chance = new Prng(seed);
    const state = new Map<string, string>();
    const states = [JSON.stringify([])];
    const model: Model = { states, answered: 0 };
    try {
      const store = await opened(files, 300);
      for (let i = 1; i <= 25; i += 1) {
        const key = `k${chance.below(5)}`;
        const gone = chance.chance(0.2) && state.has(key);
        if (gone) state.delete(key);
        else state.set(key, `${i}:${'x'.repeat(chance.below(60))}`);
        states.push(JSON.stringify([...state].sort()));
        await store.commit(gone ? { compare: [], deletes: [key] } : put(key, state.get(key) ?? ''));
        model.answered = i;
      }
    } catch {
      // The power is out.
    }
    return model;
  }

  async function contents(store: EmbeddedStore): Promise<string> {
    const { pairs } = await store.range('');
    return JSON.stringify(pairs.map((pair) => [pair.key, pair.value]));
  }

  it.each(seeds(6))('keeps every answered change, wherever it is cut (seed %i)', async (seed) => {
    const whole = new CrashingFiles();
    await script(whole, seed);
    expect(whole.operations).toBeGreaterThan(60);
    for (let cut = 1; cut <= whole.operations; cut += 1) {
      const files = new CrashingFiles(cut);
      const model = await script(files, seed);
      const chance = new Prng(seed * 1_000 + cut);
      for (let i = 0; i < 4; i += 1) {
        const store = await opened(files.afterCrash(chance), 300);
        const found = model.states.lastIndexOf(await contents(store));
        expect({ cut, found: found >= model.answered }).toEqual({ cut, found: true });
        await store.commit(put('k0', 'after'));
        expect((await store.get('k0'))?.value).toBe('after');
        await store.stop();
      }
    }
  });

  it.each(seeds(3))('survives a second cut while it opens (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    for (let round = 0; round < 60; round += 1) {
      const files = new CrashingFiles(1 + chance.below(100));
      const model = await script(files, seed);
      let left = files.afterCrash(chance);
      for (let again = 0; again < 3; again += 1) {
        left.cutAt = 1 + chance.below(8);
        await opened(left, 300).catch(() => undefined);
        left = left.afterCrash(chance);
      }
      const store = await opened(left, 300);
      const found = model.states.lastIndexOf(await contents(store));
      expect(found).toBeGreaterThanOrEqual(model.answered);
      await store.stop();
    }
  });

  it('answers nothing any more after a failed write, and tells no watch of it', async () => {
    const files = new CrashingFiles();
    const store = await opened(files);
    await store.commit(put('a', '1'));
    const heard = listen(store, '');
    await until('the snapshot', () => heard.updates.length === 1);
    files.cutAt = files.operations + 1;
    await expect(store.commit(put('a', '2'))).rejects.toThrow();
    await expect(store.commit(put('a', '3'))).rejects.toThrow();
    await expect(store.get('a')).rejects.toThrow();
    expect(heard.text()).toBe('[a=1]');
    await store.stop();
  });
});
