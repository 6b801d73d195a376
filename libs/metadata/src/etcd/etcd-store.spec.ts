import { Etcd3 } from 'etcd3';

import { Prng, sleep, systemClock } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { CutLine, EtcdProcess, freePort, listen, metadataStoreContract, until, withEtcd } from '../testing.js';
import { EtcdStore } from './etcd-store.js';

// On the build machine etcd must be there; elsewhere these tests are left out with it.

const put = (key: string, value: string): { compare: []; puts: { key: string; value: string }[] } => ({
  compare: [],
  puts: [{ key, value }],
});

withEtcd('etcd', () => {
  let etcd: EtcdProcess;
  let raw: Etcd3;
  let roots = 0;
  const root = (): string => `/cometmq/test-${(roots += 1)}/`;
  const storeAt = (port: number, at = root(), say?: (line: string) => void): EtcdStore =>
    new EtcdStore({ endpoints: [`http://127.0.0.1:${port}`], root: at, clock: systemClock, patienceMs: 1_500, say });

  beforeAll(async () => {
    etcd = await EtcdProcess.begin();
    raw = new Etcd3({ hosts: etcd.endpoint });
  });
  afterAll(async () => {
    raw.close();
    await etcd.end();
  });

  metadataStoreContract('etcd', async () => {
    const store = storeAt(etcd.clientPort);
    await store.start();
    return {
      store,
      pass: (ms) => sleep(systemClock, ms),
      forgetHistory: async () => {
        const { header } = await raw.kv.range({ key: Buffer.from('x') });
        await raw.kv.compact({ revision: header.revision });
      },
      close: () => store.stop(),
    };
  });

  it('keeps two houses in one etcd apart', async () => {
    const [one, other] = [storeAt(etcd.clientPort, '/cometmq/a/'), storeAt(etcd.clientPort, '/cometmq/b/')];
    await one.commit(put('x', '1'));
    await other.commit(put('x', '2'));
    expect((await one.range('')).pairs.map((pair) => pair.value)).toEqual(['1']);
    expect((await raw.get('/cometmq/b/x').string()) ?? '').toBe('2');
    await Promise.all([one.stop(), other.stop()]);
  });

  it('tells how long requests took, and how long the lease lasts that is renewed', async () => {
    const told: string[] = [];
    const onRequest = (operation: string, answered: boolean, tookMs: number): void => {
      expect(tookMs).toBeGreaterThanOrEqual(0);
      told.push(`${operation} ${answered}`);
    };
    const options = { endpoints: [etcd.endpoint], root: root(), clock: systemClock, onRequest };
    const store = new EtcdStore(options);
    await store.range('');
    expect(store.leaseRemainingMs).toBeUndefined();
    const { id } = await store.grantLease(10_000);
    expect((await store.keepLease(id))?.ttlMs).toBe(10_000);
    expect(store.leaseRemainingMs).toBeGreaterThan(0);
    expect(store.leaseRemainingMs).toBeLessThanOrEqual(10_000);
    await store.commit(put('a', '1'));
    await store.revokeLease(id);
    expect(store.leaseRemainingMs).toBeUndefined();
    // The second grant is that of the transaction's own key.
    const operations = ['range', 'lease_grant', 'lease_keep', 'lease_grant', 'txn', 'lease_revoke'];
    expect(told).toEqual(operations.map((operation) => `${operation} true`));
    await store.stop();
  });

  it('asks the other endpoint when one is dead', async () => {
    const endpoints = [`http://127.0.0.1:${await freePort()}`, etcd.endpoint];
    const store = new EtcdStore({ endpoints, root: root(), clock: systemClock });
    const heard = listen(store, '');
    for (let i = 0; i < 10; i += 1) {
      // Of a transaction that met the dead endpoint the living one says that it was not made.
      await until('the change is made', () =>
        store.commit(put('a', String(i))).then(
          () => true,
          () => false,
        ),
      );
    }
    await until('the watch', () => heard.folded().get('a') === '9');
    heard.stop();
    await store.stop();
  });

  // Goal: a member whose machine is gone, and that says nothing at all, holds up a few requests and not every other one. Method: two
  // ways to one etcd, of which the one that all went by lies dead from now on. The other one was away a moment before, so that
  // both are asked until that is forgotten.
  it('asks one that says nothing any more last, and gives up the watches there', async () => {
    const [dead, living] = [await CutLine.to(etcd.clientPort), await CutLine.to(etcd.clientPort)];
    const failed: string[] = [];
    const onRequest = (operation: string, answered: boolean): void => void (answered || failed.push(operation));
    const endpoints = [dead, living].map(({ port }) => `http://127.0.0.1:${port}`);
    const at = root();
    const store = new EtcdStore({ endpoints, root: at, clock: systemClock, onRequest, patienceMs: 20_000 });
    try {
      living.open = false;
      const heard = listen(store, '');
      const isThere = (): boolean => heard.folded().get('a') === '0';
      await until('all is there', () => store.commit(put('a', '0')).then(isThere, () => false));
      living.open = true;
      dead.loseRequests = dead.loseAnswers = true;
      failed.length = 0;
      for (let i = 0; i < 60; i += 1) await store.get('a');
      // By another one, which the watch has to hear of.
      await raw.put(`${at}a`).value('1');
      await until('the watch goes on', () => heard.folded().get('a') === '1');
      heard.stop();
      expect(failed.length).toBeLessThan(12); // By turns it would be some 60.
    } finally {
      await store.stop();
      await Promise.all([dead.end(), living.end()]);
    }
  });

  describe('on a bad line', () => {
    let line: CutLine;
    let store: EtcdStore;
    let at: string;
    beforeEach(async () => {
      line = await CutLine.to(etcd.clientPort);
      at = root();
      store = storeAt(line.port, at);
      await store.commit(put('warm', 'up'));
    });
    afterEach(async () => {
      await store.stop();
      await line.end();
    });

    it('finds out that a transaction was made whose answer was lost', async () => {
      line.loseAnswers = true;
      const outcome = store.commit({ compare: [{ key: 'a', modRevision: 0 }], puts: [{ key: 'a', value: '1' }] });
      await until('etcd has it', async () => (await raw.get(`${at}a`).string()) === '1');
      line.loseAnswers = false;
      line.cut();
      const { applied, revision } = await outcome;
      expect(applied).toBe(true);
      expect((await store.get('a'))?.modRevision).toBe(revision);
    });

    it('makes sure that a transaction which never arrived is not made later', async () => {
      line.loseRequests = true;
      const outcome = store.commit(put('a', '1')).catch((error: unknown) => error);
      await sleep(systemClock, 100);
      line.loseRequests = false;
      line.cut();
      const error = await outcome;
      expect(error).toMatchObject({ code: 'UNAVAILABLE' });
      expect(String(error)).toContain('not made');
      expect(await store.get('a')).toBeUndefined();
    });

    it('shows nobody the keys of transactions under way', async () => {
      const heard = listen(store, '');
      await until('the snapshot', () => heard.updates.length > 0);
      await store.commit(put('a', '1'));
      await until('the change', () => heard.folded().has('a'));
      heard.stop();
      expect([...heard.folded().keys()]).toEqual(['warm', 'a']);
      const all = await raw.getAll().prefix(`${at}tx/`).keys();
      expect(all.length).toBeGreaterThan(0);
    });

    // Goal: a watch misses nothing and repeats nothing, wherever its connection breaks, so also between the answer to its
    // creation and the changes before it. Method: break it after some number of bytes from etcd, while others write.
    it.each(seeds(8))('misses nothing on a connection that breaks all the time (seed %i)', async (seed) => {
      const chance = new Prng(seed);
      const writer = storeAt(etcd.clientPort, at);
      const first = await writer.commit(put('k0', 'start'));
      const heard = listen(store, 'k', first.revision);
      const expected: string[] = [];
      for (let i = 0; i < 60; i += 1) {
        if (chance.chance(0.3)) {
          line.answerBytesMax = chance.below(400);
          if (chance.chance(0.5)) line.cut();
        }
        await writer.commit(put(`k${i % 7}`, `v${i}`));
        expected.push(`k${i % 7}=v${i}`);
        if (chance.chance(0.3)) await sleep(systemClock, chance.below(20));
        if (chance.chance(0.3)) line.answerBytesMax = Infinity;
      }
      line.answerBytesMax = Infinity;
      await until('the last change', () => heard.text().endsWith('v59'));
      heard.stop();
      await writer.stop();
      expect(heard.text()).toBe(expected.join(' '));
    });

    it('tells the whole again when etcd has forgotten what was missed', async () => {
      const writer = storeAt(etcd.clientPort, at);
      const heard = listen(store, '');
      await until('the snapshot', () => heard.updates.length === 1);
      line.open = false;
      line.cut();
      await writer.commit(put('a', '1'));
      const { revision } = await writer.commit({ compare: [], deletes: ['warm'] });
      await raw.kv.compact({ revision });
      line.open = true;
      await until('the whole', () => heard.updates.length > 1);
      await writer.commit(put('b', '1'));
      await until('the change', () => heard.folded().has('b'));
      heard.stop();
      await writer.stop();
      expect(heard.updates.map((update) => update.kind)).toEqual(['snapshot', 'snapshot', 'changes']);
      expect(heard.folded()).toEqual(
        new Map([
          ['a', '1'],
          ['b', '1'],
        ]),
      );
    });

    it('tells the whole again when another etcd answers, though it has come further', async () => {
      const other = await EtcdProcess.begin();
      const writer = storeAt(other.clientPort, at);
      await store.commit(put('a', '1'));
      const heard = listen(store, '');
      await until('the snapshot', () => heard.updates.length === 1);
      let revision = 0;
      while (revision < heard.updates[0]!.revision + 5) ({ revision } = await writer.commit(put('b', '1')));
      line.targetPort = other.clientPort;
      line.cut();
      await until('the whole', () => heard.updates.length > 1);
      heard.stop();
      expect(heard.updates.map((update) => update.kind)).toEqual(['snapshot', 'snapshot']);
      expect(heard.folded()).toEqual(new Map([['b', '1']]));
      await writer.stop();
      await other.end();
    });

    it('renews a lease again after the line was cut', async () => {
      const lease = await store.grantLease(10_000);
      expect(await store.keepLease(lease.id)).toBeDefined();
      line.cut();
      const later = await store.keepLease(lease.id);
      expect(later?.deadlineMs).toBeGreaterThan(lease.deadlineMs);
    });

    it('reckons the deadline of a lease from the request, however late the answer', async () => {
      const lease = await store.grantLease(10_000);
      await store.keepLease(lease.id); // The stream is there.
      line.answerDelayMs = 400;
      const sentMs = systemClock.monotonicMs();
      const kept = await store.keepLease(lease.id);
      expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(sentMs + 390);
      expect(kept?.deadlineMs).toBeGreaterThanOrEqual(sentMs + 10_000);
      expect(kept?.deadlineMs).toBeLessThan(sentMs + 10_000 + 300);
    });

    it('says in one line that etcd is away, and in one that it is back', async () => {
      const said: string[] = [];
      const other = storeAt(line.port, at, (text) => said.push(text));
      const heard = listen(other, '');
      await until('the snapshot', () => heard.updates.length === 1);
      line.open = false;
      line.cut();
      const refused = await other.commit(put('a', '1')).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'UNAVAILABLE' });
      await expect(other.get('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      expect(said).toHaveLength(1);
      expect(said[0]).toContain(`http://127.0.0.1:${line.port} does not answer`);
      expect(said[0]).not.toContain('\n');
      line.open = true;
      await until('etcd is back', () => said.length === 2);
      await other.commit(put('a', '2'));
      await until('the change', () => heard.folded().get('a') === '2');
      heard.stop();
      await other.stop();
      expect(said).toHaveLength(2);
    });
  });

  it('goes on after etcd was killed and started again, and its leases too', async () => {
    const own = await EtcdProcess.begin();
    const store = storeAt(own.clientPort);
    const heard = listen(store, '');
    const lease = await store.grantLease(5_000);
    await store.commit({ compare: [], puts: [{ key: 'p', value: '1', lease: lease.id }] });
    await until('the change', () => heard.folded().has('p'));
    await own.kill();
    await expect(store.get('p')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await own.start();
    expect((await store.keepLease(lease.id))?.id).toBe(lease.id);
    await store.commit(put('a', '1'));
    await until('the change', () => heard.folded().has('a'));
    heard.stop();
    expect(heard.updates.map((update) => update.kind)).toEqual(['snapshot', 'changes', 'changes']);
    await store.stop();
    await own.end();
  });

  const started: EtcdProcess[] = [];
  afterEach(async () => {
    for (const process of started.splice(0)) await process.end();
  });

  // Goal: what one endpoint says that was set back is never taken for what etcd says. Method: two endpoints, the second one a
  // copy of the first one's data from before the last changes; reads and transactions by chance at either.
  it('does not believe an endpoint that is older than what was answered before', async () => {
    const own = await EtcdProcess.begin();
    const writer = storeAt(own.clientPort, '/cometmq/old/');
    await writer.commit(put('a', '0'));
    await own.kill();
    const older = await own.copy();
    started.push(own, older);
    await Promise.all([own.start(), older.start()]);
    for (let i = 1; i <= 20; i += 1) await writer.commit(put('a', String(i)));
    const endpoints = [own.endpoint, older.endpoint];
    const store = new EtcdStore({ endpoints, root: '/cometmq/old/', clock: systemClock });
    await until('the newer one was heard', async () => (await store.get('a'))?.value === '20');
    for (let i = 0; i < 12; i += 1) {
      expect((await store.get('a'))?.value).toBe('20');
      expect((await store.range('')).pairs).toMatchObject([{ value: '20' }]);
    }
    // It is lost where the older one has it: said to be not made, or made by the newer one.
    let last = '20';
    for (let i = 21; i <= 30; i += 1) {
      const made = await store.commit(put('a', String(i))).catch((error: unknown) => error);
      if (!(made instanceof Error)) last = String(i);
      expect((await writer.get('a'))?.value).toBe(last);
    }
    await Promise.all([store.stop(), writer.stop()]);
  });

  describe('of three members', () => {
    let three: EtcdProcess[];
    beforeAll(async () => {
      three = await EtcdProcess.cluster(3);
    });
    afterAll(async () => {
      for (const etcd of three) etcd.signal('SIGCONT');
      await Promise.all(three.map((etcd) => etcd.end()));
    });
    const storeOf = (members: readonly EtcdProcess[]): EtcdStore =>
      new EtcdStore({
        endpoints: members.map(({ endpoint }) => endpoint),
        root: '/cometmq/three/',
        clock: systemClock,
        patienceMs: 12_000,
      });

    it.each([0, 1, 2])(
      'goes on while one hangs (member %i), by the others',
      async (at) => {
        const store = storeOf(three);
        const lease = await store.grantLease(30_000);
        await store.commit(put('a', `before ${at}`));
        three[at]?.signal('SIGSTOP');
        let made = 0;
        while (made < 3) {
          const done = await store.commit(put('a', `${at} ${made}`)).catch(() => undefined);
          if (done) made += 1;
          expect(await store.keepLease(lease.id)).toBeDefined();
        }
        expect((await store.get('a'))?.value).toBe(`${at} 2`);
        three[at]?.signal('SIGCONT');
        await store.stop();
      },
      60_000,
    );

    it('is told nothing by one that is cut off, rather than something old', async () => {
      const [one, other, third] = three as [EtcdProcess, EtcdProcess, EtcdProcess];
      const store = storeOf(three);
      await store.commit(put('a', 'old'));
      const alone = new EtcdStore({
        ...{ endpoints: [third.endpoint], root: '/cometmq/three/', clock: systemClock, patienceMs: 500 },
      });
      expect((await alone.get('a'))?.value).toBe('old');
      one.signal('SIGSTOP');
      other.signal('SIGSTOP');
      await expect(alone.get('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(alone.commit(put('a', 'lost'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      one.signal('SIGCONT');
      other.signal('SIGCONT');
      await until('they agree again', async () =>
        alone.get('a').then(
          (found) => found !== undefined,
          () => false,
        ),
      );
      await Promise.all([store.stop(), alone.stop()]);
    }, 60_000);
  });
});
