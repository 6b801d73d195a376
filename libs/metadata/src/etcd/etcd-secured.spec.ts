// Goal: an etcd that wants certificates and users is spoken to, also when the user's token has ended, and says in words
// why not. Method: a real etcd, an authority of the test's own, a user that may touch its own root only.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Etcd3, Range } from 'etcd3';
import { generate } from 'selfsigned';

import { systemClock, type Clock } from '@cometmq/shared';

import { etcdAddressOf, etcdRule } from '../settings.js';
import { EtcdProcess, listen, until, withEtcd } from '../testing.js';
import { EtcdStore, type EtcdStoreOptions } from './etcd-store.js';

const none = {
  etcdCaFile: '',
  etcdCertFile: '',
  etcdKeyFile: '',
  etcdUser: '',
  etcdPassword: '',
  etcdRootPasswordFile: '',
};
const put = (key: string, value: string) => ({ compare: [], puts: [{ key, value }] });

/** An authority, a server's and a client's certificate by it, as files. */
async function certify(
  folder: string,
): Promise<{ ca: string; cert: (name: string) => string; key: (name: string) => string }> {
  const ec = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;
  const ca = await generate([{ name: 'commonName', value: 'an authority' }], {
    ...ec,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true },
    ],
  });
  const file = (name: string): string => join(folder, name);
  writeFileSync(file('ca.pem'), ca.cert);
  for (const name of ['server', 'client']) {
    const made = await generate([{ name: 'commonName', value: name }], {
      ...ec,
      ca: { key: ca.private, cert: ca.cert },
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'keyUsage', digitalSignature: true },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
      ],
    });
    writeFileSync(file(`${name}.pem`), made.cert);
    writeFileSync(file(`${name}.key`), made.private);
  }
  return { ca: file('ca.pem'), cert: (name) => file(`${name}.pem`), key: (name) => file(`${name}.key`) };
}

withEtcd('an etcd that is secured', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-certified-'));
  let etcd: EtcdProcess;
  let raw: Etcd3;
  let files: Awaited<ReturnType<typeof certify>>;
  const stores: EtcdStore[] = [];

  beforeAll(async () => {
    files = await certify(folder);
    const tls = { caFile: files.ca, certFile: files.cert('server'), keyFile: files.key('server') };
    etcd = await EtcdProcess.begin({ tls, tokenSeconds: 1 });
    const credentials = {
      rootCertificate: readFileSync(files.ca),
      certChain: readFileSync(files.cert('client')),
      privateKey: readFileSync(files.key('client')),
    };
    raw = new Etcd3({ hosts: etcd.endpoint, credentials });
    await raw.role('root').create();
    await raw.user('root').create('secret');
    await raw.user('root').addRole('root');
    const role = raw.role('ours');
    await role.create();
    await role.grant({ permission: 'Readwrite', range: Range.prefix('/ours/') });
    await raw.user('comet').create('pass word');
    await raw.user('comet').addRole('ours');
    await raw.auth.authEnable();
    raw.close();
    raw = new Etcd3({ hosts: etcd.endpoint, credentials, auth: { username: 'root', password: 'secret' } });
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.stop();
  });
  afterAll(async () => {
    raw.close();
    await etcd.end();
    rmSync(folder, { recursive: true, force: true });
  });

  function storeWith(
    change: Partial<typeof none>,
    root = '/ours/',
    said: string[] = [],
    more: Partial<EtcdStoreOptions> = {},
  ): EtcdStore {
    const config = {
      ...none,
      etcdEndpoints: [etcd.endpoint],
      etcdCaFile: files.ca,
      etcdCertFile: files.cert('client'),
      etcdKeyFile: files.key('client'),
      etcdUser: 'comet',
      etcdPassword: 'pass word',
      ...change,
    };
    expect(etcdRule(config)).toBe(true);
    const address = etcdAddressOf(config, (path) => readFileSync(path, 'utf8'));
    const store = new EtcdStore({
      ...address,
      root,
      clock: systemClock,
      patienceMs: 1_500,
      say: (line) => said.push(line),
      ...more,
    });
    stores.push(store);
    return store;
  }

  it('is read, written, watched and leased from, below the root that the user may touch', async () => {
    const store = storeWith({});
    const heard = listen(store, '');
    const lease = await store.grantLease(10_000);
    expect((await store.commit({ compare: [], puts: [{ key: 'a', value: '1', lease: lease.id }] })).applied).toBe(true);
    expect((await store.keepLease(lease.id))?.id).toBe(lease.id);
    await until('the change', () => heard.folded().get('a') === '1');
    heard.stop();
    await expect(storeWith({}, '/others/').commit(put('a', '1'))).rejects.toMatchObject({
      code: 'CONFIG',
      reason: expect.stringMatching(/refuses us: .*permission denied.*user, password/i) as string,
    });
  });

  it('goes on when the user’s token has ended', async () => {
    const store = storeWith({});
    const heard = listen(store, '');
    await store.commit(put('b', '1'));
    await until('the change', () => heard.folded().get('b') === '1');
    await etcd.kill(); // Its tokens are in memory only.
    await etcd.start();
    await until('a change can be made again', () =>
      store.commit(put('b', '2')).then(
        ({ applied }) => applied,
        () => false,
      ),
    );
    await until('it is told', () => heard.folded().get('b') === '2');
    expect((await store.keepLease((await store.grantLease(10_000)).id))?.ttlMs).toBeGreaterThan(0);
    heard.stop();
  });

  it('is watched again after that by who does nothing else', async () => {
    const store = storeWith({});
    const heard = listen(store, '');
    await until('the snapshot', () => heard.updates.length === 1);
    await etcd.kill();
    await etcd.start();
    await raw.put('/ours/c').value('1');
    await until('the change', () => heard.folded().get('c') === '1');
    heard.stop();
  });

  it('is reached with renewed certificates, and by another authority, without a restart of ours', async () => {
    // Files are looked at every ten seconds, or here as often as it takes.
    const hasty: Clock = Object.create(systemClock, {
      after: { value: (ms: number, act: () => void) => systemClock.after(ms === 10_000 ? 50 : ms, act) },
    }) as Clock;
    const told: string[] = [];
    const store = storeWith({}, '/ours/', [], { clock: hasty, tell: (level, said) => told.push(`${level}: ${said}`) });
    await store.start();
    const heard = listen(store, '');
    await store.commit(put('d', '1'));
    await until('the change', () => heard.folded().get('d') === '1');

    writeFileSync(files.cert('client'), 'no certificate');
    await until('what is wrong', () => told.length >= 1);
    expect(told[0]).toMatch(/^error: .*the one before stays/);
    expect((await store.commit(put('d', '2'))).applied).toBe(true);

    files = await certify(folder);
    await until('the renewed ones', () => told.some((line) => line.startsWith('info')));
    await etcd.kill();
    await etcd.start();
    await until('a change can be made again', () =>
      store.commit(put('d', '3')).then(
        ({ applied }) => applied,
        () => false,
      ),
    );
    await until('it is told', () => heard.folded().get('d') === '3');
    heard.stop();
  });

  it.each([
    ['a wrong password', { etcdPassword: 'wrong' }, 'CONFIG', /authentication failed/],
    ['no certificate of the right authority', { etcdCertFile: '', etcdKeyFile: '' }, 'UNAVAILABLE', /does not answer/],
    ['an authority that it does not know', { etcdCaFile: '' }, 'UNAVAILABLE', /does not answer/],
  ])('says so where there is %s', async (_what, change, code, word) => {
    await expect(storeWith(change).get('a')).rejects.toMatchObject({
      code,
      reason: expect.stringMatching(word) as string,
    });
  });
});

describe('settings of etcd', () => {
  const at = (...etcdEndpoints: string[]) => ({ ...none, etcdEndpoints });
  it.each([
    ['plain', at('http://a:1', 'http://b:1'), true],
    ['secure, with the authorities of Node.js', at('https://a:1'), true],
    ['mixed', at('http://a:1', 'https://b:1'), /all http or all https/],
    ['certificates for plain text', { ...at('http://a:1'), etcdCaFile: 'ca' }, /https/],
    ['a certificate without its key', { ...at('https://a:1'), etcdCertFile: 'c' }, /etcdKeyFile: go together/],
    ['the password of root without a certificate', { ...at('https://a:1'), etcdRootPasswordFile: 'f' }, /etcdCertFile/],
    ['a user without a password', { ...at('http://a:1'), etcdUser: 'u' }, /etcdPassword: go together/],
  ])('%s', (_what, config, wanted) => {
    if (wanted instanceof RegExp) expect(etcdRule(config)).toMatch(wanted);
    else expect(etcdRule(config)).toBe(true);
  });
});
