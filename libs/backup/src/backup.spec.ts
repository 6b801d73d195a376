/** A backup is whole or is none; what a bucket holds is not sent again; what a backup needs never goes. */
import { MqError, Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import { type BackupSource, runBackup } from './backup-run.js';
import { Catalogue, deletionGraceMs } from './catalogue.js';
import { backupIdOf, type Manifest } from './manifest.js';
import { MemoryObjectStore } from './testing/memory-object-store.js';

const hour = 3_600_000;
const brokerSet = 'broker-0';

interface Folder {
  readonly [name: string]: { readonly bytes: Buffer; readonly version?: string };
}

function sourceOf(folder: Folder, lastMs = 0, onRead: (name: string) => void = () => undefined): BackupSource {
  const point = { release: '1', member: 'a/1', epoch: 1, position: 0, end: 0, lastMs, topics: 0, groups: 0 };
  const files = Object.entries(folder).map(([name, { bytes, version }]) => ({
    name,
    bytes: bytes.byteLength,
    version,
  }));
  return {
    point,
    facts: { some: 'facts' },
    files,
    read: async function* ({ name }) {
      await Promise.resolve();
      onRead(name);
      const bytes = folder[name]?.bytes ?? Buffer.alloc(0);
      for (let at = 0; at < bytes.byteLength; at += 100) yield bytes.subarray(at, at + 100);
    },
  };
}

const sealed = (text: string): Folder[string] => ({ bytes: Buffer.alloc(500, text), version: 'log 7' });
const open = (text: string): Folder[string] => ({ bytes: Buffer.alloc(300, text) });

async function code(act: Promise<unknown>): Promise<string> {
  return act.then(
    () => 'done',
    (caught: unknown) => MqError.from(caught).code,
  );
}

function world() {
  const clock = new ManualClock();
  const store = new MemoryObjectStore(clock);
  const catalogue = new Catalogue(store, brokerSet);
  const run = (source: BackupSource): Promise<Manifest> =>
    runBackup(source, { store, clock, brokerSet, id: backupIdOf(clock.wallMs()), bytesPerSecond: Infinity });
  const contents = async (manifest: Manifest): Promise<Record<string, string>> => {
    const found: Record<string, string> = {};
    for (const file of manifest.files) {
      const pieces: Uint8Array[] = [];
      for await (const piece of catalogue.read(file)) pieces.push(piece);
      found[file.name] = Buffer.concat(pieces).toString();
    }
    return found;
  };
  return { clock, store, catalogue, run, contents };
}

const textsOf = (folder: Folder): Record<string, string> =>
  Object.fromEntries(Object.entries(folder).map(([name, { bytes }]) => [name, bytes.toString()]));

describe('a backup', () => {
  it('sends what the bucket does not hold, and reads no sealed segment twice', async () => {
    const { clock, store, run, catalogue, contents } = world();
    const first: Folder = {
      'log/0.log': sealed('a'),
      'log/5.log': open('b'),
      'state/1.pieces': { bytes: Buffer.alloc(0) },
    };
    const one = await run(sourceOf(first));
    expect([one.bytes, one.newBytes]).toEqual([800, 800]);
    clock.advance(hour);
    const second: Folder = { 'log/0.log': sealed('a'), 'log/5.log': sealed('b'), 'log/10.log': open('c') };
    const read: string[] = [];
    const two = await run(sourceOf(second, 0, (name) => read.push(name)));
    expect([two.bytes, two.newBytes, read.includes('log/0.log')]).toEqual([1_300, 800, false]);
    expect(store.bytesPut).toBeGreaterThanOrEqual(1_600);
    expect(await catalogue.ids()).toEqual([one.id, two.id]);
    expect(await contents(await catalogue.manifest(one.id))).toEqual(textsOf(first));
    expect(await contents(await catalogue.newest())).toEqual(textsOf(second));
    expect(await catalogue.verify(two)).toEqual([]);
  });

  it('does not take a file for another one of the same name, size and age', async () => {
    const { clock, run, contents } = world();
    await run(sourceOf({ 'log/0.compacted': { bytes: Buffer.alloc(400, 'a'), version: 'me/1' } }));
    clock.advance(hour);
    const other = { 'log/0.compacted': { bytes: Buffer.alloc(400, 'b'), version: 'another/1' } };
    expect(await contents(await run(sourceOf(other)))).toEqual(textsOf(other));
  });

  // Goal: a run that ends anywhere leaves the backups before it as they were, and is none itself. Method: by chance the
  // bucket fails at one operation, before or after it was done; then another run, and all of all backups is looked at.
  it.each(seeds(40))(
    'that is broken off anywhere is none, and the next one uses what it left (seed %i)',
    async (seed) => {
      const chance = new Prng(seed);
      const { clock, store, run, catalogue, contents } = world();
      const wanted = new Map<string, Folder>();
      let folder: Folder = { 'log/0.log': sealed('a') };
      for (let i = 0; i < 6; i += 1) {
        folder = { ...folder, [`log/${i + 1}.log`]: sealed(`s${i}`), 'log/open.log': open(`o${i}`) };
        clock.advance(chance.below(40) * hour);
        let left = chance.below(12);
        store.fault = (kind, _key, when) => {
          if (kind === 'list') return undefined;
          left -= 1;
          return left === 0 ? new MqError('UNAVAILABLE', `${kind} failed ${when}`) : undefined;
        };
        const id = backupIdOf(clock.wallMs());
        const done = await code(run(sourceOf(folder)));
        if (done === 'done')
          await catalogue.sweep({ backupKeepMs: 20 * hour, backupKeepMin: 1 }, clock.wallMs()).catch(() => undefined);
        store.fault = () => undefined;
        if ((await catalogue.ids()).includes(id)) wanted.set(id, folder);
        else expect(done).not.toBe('done');
        for (const each of await catalogue.ids()) {
          const manifest = await catalogue.manifest(each);
          expect(await contents(manifest)).toEqual(textsOf(wanted.get(each) as Folder));
        }
        clock.advance(1_000);
      }
    },
  );

  it('of files that change while they are read is none', async () => {
    const { run, catalogue } = world();
    let reads = 0;
    const folder: Folder = { 'log/0.log': open('a') };
    const source = sourceOf(folder, 0, () => {
      reads += 1;
      if (reads === 2) folder['log/0.log']?.bytes.fill('z');
    });
    expect(await code(run(source))).toBe('CORRUPT_RECORD');
    expect(await catalogue.ids()).toEqual([]);
  });

  it('whose files went meanwhile is none', async () => {
    const { store, run, catalogue } = world();
    store.fault = (kind, key, when) => {
      if (kind === 'put' && when === 'after' && key.includes('log/1.log')) {
        for (const each of store.objects.keys()) if (each.includes('log/0.log')) store.objects.delete(each);
      }
      return undefined;
    };
    expect(await code(run(sourceOf({ 'log/0.log': sealed('a'), 'log/1.log': open('b') })))).toBe('CONFLICT');
    expect(await catalogue.ids()).toEqual([]);
  });

  it('of another cluster, or of one that was restored elsewhere since, is not mixed with those that are there', async () => {
    const { clock, run, catalogue } = world();
    const of = (id: string, generation: number): BackupSource => {
      const source = sourceOf({ 'log/0.log': sealed(id) });
      return { ...source, point: { ...source.point, cluster: { id, generation } } };
    };
    const codes: string[] = [];
    const sources = [of('one', 1), of('two', 9), of('one', 2), of('one', 1)];
    for (const source of sources) {
      codes.push(await code(run(source)));
      clock.advance(hour);
    }
    expect(codes).toEqual(['done', 'CONFLICT', 'done', 'CONFLICT']);
    expect(await catalogue.ids()).toHaveLength(2);
  });

  it('says what of it is missing or damaged', async () => {
    const { store, run, catalogue } = world();
    const manifest = await run(sourceOf({ 'log/0.log': sealed('a'), 'log/1.log': open('b'), 'log/2.log': open('c') }));
    const [first = '', second = ''] = manifest.files.map(({ key }) => key ?? '');
    store.objects.delete(first);
    store.objects.get(second)?.bytes.write('x', 10);
    const problems = await catalogue.verify(manifest);
    expect(problems).toEqual([expect.stringContaining('log/0.log'), expect.stringContaining('its bytes are others')]);
    store.objects.get(`${brokerSet}/backups/${manifest.id}`)?.bytes.write('x', 20);
    expect(await code(catalogue.manifest(manifest.id))).toBe('CORRUPT_RECORD');
  });
});

describe('old backups', () => {
  it('go by age, but for the newest; their files a day later, and only those that nobody needs', async () => {
    const { clock, store, run, catalogue, contents } = world();
    const keep = { backupKeepMs: 2 * hour, backupKeepMin: 2 };
    const first = await run(sourceOf({ 'log/0.log': sealed('a'), 'log/1.log': open('b') }));
    clock.advance(hour);
    const second = await run(sourceOf({ 'log/0.log': sealed('a'), 'log/1.log': sealed('b') }));
    clock.advance(5 * hour);
    expect((await catalogue.sweep(keep, clock.wallMs())).backups).toEqual([]);
    const folder = { 'log/1.log': sealed('b'), 'log/2.log': open('c') };
    const third = await run(sourceOf(folder));
    const before = store.objects.size;
    expect(await catalogue.sweep(keep, clock.wallMs())).toEqual({ backups: [first.id], objects: 0 });
    expect(store.objects.size).toBe(before); // A manifest less, a deletion more.
    clock.advance(deletionGraceMs + 1);
    expect(await catalogue.sweep(keep, clock.wallMs())).toEqual({ backups: [], objects: 1 }); // The open segment.
    expect(await catalogue.ids()).toEqual([second.id, third.id]);
    expect(await contents(third)).toEqual(textsOf(folder));
    expect(await catalogue.verify(second)).toEqual([]);
  });

  it('are kept where the clock of who sweeps is a month ahead', async () => {
    const { clock, store, run, catalogue } = world();
    const keep = { backupKeepMs: 2 * hour, backupKeepMin: 1 };
    const ids: string[] = [];
    for (const text of ['a', 'b', 'c']) {
      ids.push((await run(sourceOf({ 'log/0.log': open(text) }))).id);
      clock.advance(hour / 2);
    }
    const monthMs = 30 * 24 * hour;
    expect(await catalogue.sweep(keep, clock.wallMs() + monthMs)).toEqual({ backups: [], objects: 0 });
    expect(await catalogue.sweep(keep, clock.wallMs() + 2 * monthMs)).toEqual({ backups: [], objects: 0 });
    expect(await catalogue.ids()).toEqual(ids);
    const { size } = store.objects;
    clock.advance(3 * hour); // Now they are old.
    expect((await catalogue.sweep(keep, clock.wallMs())).backups.toSorted()).toEqual(ids.slice(0, 2));
    expect(store.objects.size).toBe(size - 1); // Two manifests less, a deletion more.
  });

  it('leave no object to a later backup that may go at any time', async () => {
    const { clock, run, catalogue, contents } = world();
    const keep = { backupKeepMs: hour, backupKeepMin: 1 };
    await run(sourceOf({ 'log/0.log': open('a') }));
    clock.advance(2 * hour);
    await run(sourceOf({ 'log/0.log': open('b') }));
    await catalogue.sweep(keep, clock.wallMs()); // "a" is written down.
    clock.advance(hour / 2);
    const again = { 'log/0.log': open('a') };
    const third = await run(sourceOf(again));
    clock.advance(deletionGraceMs + 1);
    await catalogue.sweep({ backupKeepMs: 100 * hour, backupKeepMin: 5 }, clock.wallMs());
    expect(await contents(third)).toEqual(textsOf(again));
  });
});

describe('a moment', () => {
  it('is reached from the newest backup that holds nothing later, and the one after it', async () => {
    const { clock, run, catalogue } = world();
    const ids: string[] = [];
    const startMs = clock.wallMs();
    for (let i = 0; i < 3; i += 1) {
      ids.push((await run(sourceOf({ 'log/0.log': open(`${i}`) }, clock.wallMs()))).id);
      clock.advance(hour);
    }
    const found = async (ms: number): Promise<(string | undefined)[]> => {
      const { base, next } = await catalogue.around(ms);
      return [base.id, next?.id];
    };
    expect(await found(startMs)).toEqual([ids[0], ids[1]]);
    expect(await found(startMs + hour - 1)).toEqual([ids[0], ids[1]]);
    expect(await found(startMs + 2 * hour)).toEqual([ids[2], undefined]);
    expect(await code(catalogue.around(startMs - 1))).toBe('NOT_FOUND');
    expect(await code(catalogue.around(startMs + 2 * hour + 1))).toBe('NOT_FOUND');
  });
});
