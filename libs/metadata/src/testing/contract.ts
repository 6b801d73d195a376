import type { Change, MetadataStore, StoreUpdate } from '../metadata-store.js';
import { until } from './until.js';

/** A store, or several doors to one, that is ready and empty. */
export interface OpenedStore {
  readonly store: MetadataStore;
  /** Lets time pass for leases. */
  pass(ms: number): Promise<void>;
  /** Stores no longer know changes this old. Undefined: this one never forgets so early. */
  forgetHistory?: (() => Promise<void>) | undefined;
  close(): Promise<void>;
}

/** etcd takes 128 operations, one of which is the store's own. */
const transactionKeysMax = 127;

/** What every adapter of `MetadataStore` promises. One text, run against each of them. */
export function metadataStoreContract(name: string, open: () => Promise<OpenedStore>): void {
  describe(`metadata store contract: ${name}`, () => {
    let opened: OpenedStore;
    let store: MetadataStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(() => opened.close());

    const put = async (key: string, value: string): Promise<number> => {
      const { revision } = await store.commit({ compare: [], puts: [{ key, value }] });
      return revision;
    };

    it('finds nothing where nothing is', async () => {
      expect(await store.get('a')).toBeUndefined();
      expect((await store.range('')).pairs).toEqual([]);
    });

    it('keeps what was put, with the revisions that made and last wrote it', async () => {
      const made = await put('a', 'one');
      const written = await put('a', 'two');
      expect(written).toBeGreaterThan(made);
      expect(await store.get('a')).toEqual({ key: 'a', value: 'two', createRevision: made, modRevision: written });
    });

    it('starts a key anew that was deleted', async () => {
      const first = await put('a', 'one');
      await store.commit({ compare: [], deletes: ['a'] });
      expect(await store.get('a')).toBeUndefined();
      const second = await put('a', 'two');
      expect(second).toBeGreaterThan(first + 1);
      expect(await store.get('a')).toMatchObject({ createRevision: second });
    });

    it('takes any text as a value', async () => {
      const value = '{"a":"ü \u0000 \u{1f600}"}';
      await put('a', value);
      expect((await store.get('a'))?.value).toBe(value);
    });

    it('gives a range in the order of keys, and nothing that only resembles the prefix', async () => {
      await store.commit({
        compare: [],
        puts: ['t/b', 't/a', 't', 'u', 't/%|_-Z'].map((key) => ({ key, value: key })),
      });
      const { pairs, revision } = await store.range('t/');
      expect(pairs.map((pair) => pair.key)).toEqual(['t/%|_-Z', 't/a', 't/b']);
      expect(revision).toBeGreaterThanOrEqual(pairs[0]?.modRevision ?? Infinity);
    });

    it('writes all of a transaction at one revision', async () => {
      await put('old', '0');
      const { applied, revision } = await store.commit({
        compare: [],
        puts: [
          { key: 'a', value: '1' },
          { key: 'b', value: '2' },
        ],
        deletes: ['old', 'never-was'],
      });
      expect(applied).toBe(true);
      const { pairs } = await store.range('');
      expect(pairs.map((pair) => [pair.key, pair.modRevision])).toEqual([
        ['a', revision],
        ['b', revision],
      ]);
    });

    it('writes nothing when one of several comparisons fails', async () => {
      const atA = await put('a', '1');
      const atB = await put('b', '1');
      const outcome = await store.commit({
        compare: [
          { key: 'a', modRevision: atA },
          { key: 'b', modRevision: atB - 1 },
        ],
        puts: [{ key: 'a', value: '2' }],
        deletes: ['b'],
      });
      expect(outcome.applied).toBe(false);
      expect((await store.range('')).pairs.map((pair) => pair.value)).toEqual(['1', '1']);
    });

    it('compares and writes 127 keys in one transaction, all or nothing', async () => {
      const keys = Array.from({ length: transactionKeysMax }, (_, i) => `k/${i}`);
      const make = (some: readonly string[]) => ({
        compare: some.map((key) => ({ key, modRevision: 0 })),
        puts: some.map((key) => ({ key, value: key })),
      });
      const { applied, revision } = await store.commit(make(keys));
      expect(applied).toBe(true);
      const { pairs } = await store.range('k/');
      expect(new Map(pairs.map((pair) => [pair.value, pair.modRevision]))).toEqual(
        new Map(keys.map((key) => [key, revision])),
      );
      const others = keys.slice(1).map((key) => `other/${key}`);
      expect((await store.commit(make([...others, keys[0] ?? '']))).applied).toBe(false);
      expect((await store.range('other/')).pairs).toEqual([]);
    });

    it('compares absence', async () => {
      const create = { compare: [{ key: 'a', modRevision: 0 }], puts: [{ key: 'a', value: '1' }] };
      expect((await store.commit(create)).applied).toBe(true);
      expect((await store.commit(create)).applied).toBe(false);
    });

    it('compares a value, whenever it was written', async () => {
      const write = (value: string) => store.commit({ compare: [{ key: 'a', value }], puts: [{ key: 'b', value }] });
      expect((await write('')).applied).toBe(false); // An absent key has no value, not even an empty one.
      await put('a', 'ü');
      await put('a', 'ü');
      expect((await write('u')).applied).toBe(false);
      expect((await write('ü')).applied).toBe(true);
      expect((await store.get('b'))?.value).toBe('ü');
    });

    it('lets one of many win who compare the same', async () => {
      const at = await put('a', '0');
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          store.commit({ compare: [{ key: 'a', modRevision: at }], puts: [{ key: 'a', value: `won by ${i}` }] }),
        ),
      );
      const winners = outcomes.flatMap((one, i) => (one.applied ? [`won by ${i}`] : []));
      expect(winners).toHaveLength(1);
      expect((await store.get('a'))?.value).toBe(winners[0]);
    });

    it('refuses a transaction that writes a key twice', async () => {
      const twice = async (): Promise<unknown> =>
        store.commit({ compare: [], puts: [{ key: 'a', value: '1' }], deletes: ['a'] });
      await expect(twice()).rejects.toThrow('once');
    });

    describe('watch', () => {
      it('tells the whole first, then every change in order, each once', async () => {
        await put('t/a', '1');
        await put('u', '1');
        const heard = listen(store, 't/');
        await until('the snapshot', () => heard.updates.length > 0);
        await put('t/b', '2');
        await put('u', '2');
        await store.commit({ compare: [], puts: [{ key: 't/a', value: '3' }], deletes: ['t/b'] });
        await put('t/c', '4');
        await until('the last change', () => heard.text().endsWith('t/c=4'));
        heard.stop();
        expect(heard.text()).toBe('[t/a=1] t/b=2 t/a=3,-t/b t/c=4');
        expect(heard.revisions()).toEqual([...heard.revisions()].sort((a, b) => a - b));
      });

      it('is never called from inside watch', async () => {
        let inside = true;
        const calledInside: boolean[] = [];
        const stop = store.watch('', () => calledInside.push(inside));
        inside = false;
        await until('the snapshot', () => calledInside.length > 0);
        stop();
        expect(calledInside).toEqual([false]);
      });

      it('goes on behind a revision without telling the whole', async () => {
        const before = await put('t/a', '1');
        await put('t/b', '2');
        await put('u', '2');
        await put('t/c', '3');
        const heard = listen(store, 't/', before);
        await until('both changes', () => heard.text().endsWith('t/c=3'));
        await put('t/d', '4');
        await until('one more', () => heard.text().endsWith('t/d=4'));
        heard.stop();
        expect(heard.text()).toBe('t/b=2 t/c=3 t/d=4');
      });

      it('says nothing any more once stopped', async () => {
        const heard = listen(store, '');
        const other = listen(store, '');
        await until('the snapshots', () => heard.updates.length > 0 && other.updates.length > 0);
        heard.stop();
        await put('a', '1');
        await until('the other hears it', () => other.text().endsWith('a=1'));
        other.stop();
        expect(heard.updates).toHaveLength(1);
      });

      it('misses nothing that many writers write', async () => {
        const heard = listen(store, 't/');
        await Promise.all(
          Array.from({ length: 10 }, async (_, writer) => {
            for (let i = 0; i < 10; i += 1) await put(`t/${writer}`, String(i));
          }),
        );
        const last = await put('t/end', 'x');
        await until('the end', () => heard.revisions().at(-1) === last);
        heard.stop();
        expect(heard.folded()).toEqual(new Map((await store.range('t/')).pairs.map((pair) => [pair.key, pair.value])));
        const changes = heard.updates.filter((update) => update.kind === 'changes');
        expect(new Set(changes.map((update) => update.revision)).size).toBe(changes.length);
      });

      it('tells the whole when what was missed is forgotten', async () => {
        const before = await put('a', '1');
        await put('a', '2');
        await put('b', '1');
        if (!opened.forgetHistory) return;
        await opened.forgetHistory();
        const heard = listen(store, '', before - 1);
        await until('something', () => heard.updates.length > 0);
        await put('c', '1');
        await until('the change', () => heard.text().endsWith('c=1'));
        heard.stop();
        expect(heard.updates[0]?.kind).toBe('snapshot');
        expect(heard.folded().get('a')).toBe('2');
      });
    });

    describe('leases', () => {
      const ttlMs = 2_000;

      it('take their keys with them when they run out, and the watch tells it', async () => {
        const lease = await store.grantLease(ttlMs);
        expect(lease.ttlMs).toBeGreaterThanOrEqual(ttlMs);
        await store.commit({
          compare: [],
          puts: [
            { key: 'p/a', value: '1', lease: lease.id },
            { key: 'p/b', value: '1', lease: lease.id },
            { key: 'p/c', value: '1' },
          ],
        });
        expect((await store.get('p/a'))?.lease).toBe(lease.id);
        const heard = listen(store, 'p/');
        await until('the snapshot', () => heard.updates.length > 0);
        await opened.pass(lease.ttlMs + 1);
        await until('the end of the lease', () => heard.folded().size === 1);
        heard.stop();
        expect([...heard.folded().keys()]).toEqual(['p/c']);
        expect(await store.get('p/a')).toBeUndefined();
        expect(await store.keepLease(lease.id)).toBeUndefined();
      });

      it('hold while they are renewed', async () => {
        const lease = await store.grantLease(ttlMs);
        await store.commit({ compare: [], puts: [{ key: 'p', value: '1', lease: lease.id }] });
        for (let i = 0; i < 4; i += 1) {
          await opened.pass(lease.ttlMs * 0.6);
          expect((await store.keepLease(lease.id))?.id).toBe(lease.id);
        }
        expect(await store.get('p')).toBeDefined();
      });

      it('say until when they hold, reckoned from before the question', async () => {
        const first = await store.grantLease(ttlMs);
        await opened.pass(200);
        const later = await store.keepLease(first.id);
        expect(later?.deadlineMs).toBeGreaterThanOrEqual(first.deadlineMs + 200);
      });

      it('end at once when revoked, and revoking again is no error', async () => {
        const lease = await store.grantLease(60_000);
        await store.commit({ compare: [], puts: [{ key: 'p', value: '1', lease: lease.id }] });
        await store.revokeLease(lease.id);
        expect(await store.get('p')).toBeUndefined();
        await store.revokeLease(lease.id);
        expect(await store.keepLease(lease.id)).toBeUndefined();
      });

      it('let go of a key that is put again without them, or on another', async () => {
        const lease = await store.grantLease(60_000);
        const other = await store.grantLease(60_000);
        const keys = ['p/a', 'p/b'];
        await store.commit({ compare: [], puts: keys.map((key) => ({ key, value: '1', lease: lease.id })) });
        await store.commit({
          compare: [],
          puts: [
            { key: 'p/a', value: '2' },
            { key: 'p/b', value: '2', lease: other.id },
          ],
        });
        await store.revokeLease(lease.id);
        expect((await store.range('p/')).pairs.map((pair) => pair.lease)).toEqual([undefined, other.id]);
      });

      it('that have ended take no keys', async () => {
        const lease = await store.grantLease(60_000);
        await store.revokeLease(lease.id);
        const late = store.commit({ compare: [], puts: [{ key: 'p', value: '1', lease: lease.id }] });
        await expect(late).rejects.toMatchObject({ code: 'NOT_FOUND' });
        expect(await store.get('p')).toBeUndefined();
      });

      it('are never given the same name', async () => {
        const first = await store.grantLease(60_000);
        await store.revokeLease(first.id);
        expect((await store.grantLease(60_000)).id).not.toBe(first.id);
      });
    });

    it('refuses all once stopped', async () => {
      await store.stop();
      await expect(store.get('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(store.commit({ compare: [], puts: [{ key: 'a', value: '1' }] })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      });
    });
  });
}

export interface Heard {
  readonly updates: readonly StoreUpdate[];
  stop(): void;
  /** The updates in short: `[a=1,b=2] a=3,-b` is a snapshot and one revision that put a and deleted b. */
  text(): string;
  revisions(): number[];
  /** What the listener must believe the store holds. */
  folded(): Map<string, string>;
}

export function listen(store: MetadataStore, prefix: string, after?: number): Heard {
  const updates: StoreUpdate[] = [];
  const stop = store.watch(prefix, (update) => updates.push(update), after);
  return {
    updates,
    stop,
    text: () => updates.map(short).join(' '),
    revisions: () => updates.map((update) => update.revision),
    folded: () => fold(updates),
  };
}

function fold(updates: readonly StoreUpdate[]): Map<string, string> {
  let all = new Map<string, string>();
  for (const update of updates) {
    if (update.kind === 'snapshot') all = new Map(update.pairs.map((pair) => [pair.key, pair.value]));
    else {
      for (const { key, pair } of update.changes) {
        if (pair) all.set(key, pair.value);
        else all.delete(key);
      }
    }
  }
  return all;
}

function short(update: StoreUpdate): string {
  if (update.kind === 'snapshot') return `[${update.pairs.map((pair) => `${pair.key}=${pair.value}`).join(',')}]`;
  const one = ({ key, pair }: Change): string => (pair ? `${key}=${pair.value}` : `-${key}`);
  return [...update.changes]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(one)
    .sort(deletesLast)
    .join(',');
}

function deletesLast(a: string, b: string): number {
  return Number(a.startsWith('-')) - Number(b.startsWith('-'));
}
