/**
 * Goal: an etcd that is ours alone lets in nobody but root and the name servers, and those to their own keys only; and so it is
 * again after a restart, with an etcd that has lost everything, and with one that was restored. Method: a real etcd that wants
 * certificates of an authority of the test's own.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { certifiedBy, newAuthority, type Certified } from '@cometmq/rpc/authority';
import { systemClock } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { EtcdProcess, until, withEtcd } from '../testing.js';
import { EtcdClient, type EtcdAddress } from './etcd-client.js';
import { EtcdUsers } from './etcd-users.js';

const root = '/cometmq/main/';

it('says once for each reason why it can not look after the users, whatever it is', async () => {
  const clock = new ManualClock();
  const told: string[] = [];
  let missing = '/certificates/key.pem';
  const users = new EtcdUsers({
    address: () => ({ endpoints: [], tls: { key: readFileSync(missing) } }),
    ...{ root, password: () => '', clock },
    tell: (level, _line, facts) => told.push(`${level} ${JSON.stringify(facts)}`),
  });
  await users.start();
  clock.advance(1_000);
  await new Promise(setImmediate);
  expect(told).toEqual([expect.stringMatching(/^error .*ENOENT.*\/certificates\/key.pem/)]);
  missing = '/certificates/another.pem';
  clock.advance(1_000);
  await new Promise(setImmediate);
  expect(told).toHaveLength(2);
  await users.stop();
});

withEtcd('users of an etcd of our own', () => {
  let folder: string;
  let authority: Certified;
  let etcd: EtcdProcess;
  let password: string;
  let told: string[];
  const begun: EtcdUsers[] = [];
  const clients: EtcdClient[] = [];

  beforeAll(async () => (authority = await newAuthority('ours', Date.now())));
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cometmq-etcd-users-'));
    password = 'root’s password';
    told = [];
    await certify('etcd', 'namesrv.cometmq.internal', 'broker.cometmq.internal', 'root', '');
    etcd = await begin();
  });
  afterEach(async () => {
    for (const users of begun.splice(0)) await users.stop();
    for (const client of clients.splice(0)) client.close();
    await etcd.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const file = (name: string): string => join(folder, `${name}.pem`);
  async function certify(...names: string[]): Promise<void> {
    writeFileSync(file('ca'), authority.certPem);
    for (const name of names) {
      const wanted = { names: [name, 'localhost'], addresses: ['127.0.0.1'], wallMs: Date.now() };
      const made = await certifiedBy(authority, wanted);
      writeFileSync(file(name), made.certPem);
      writeFileSync(file(`${name}.key`), made.keyPem);
    }
  }
  function begin(): Promise<EtcdProcess> {
    return EtcdProcess.begin({ tls: { caFile: file('ca'), certFile: file('etcd'), keyFile: file('etcd.key') } });
  }
  function addressOf(name: string): EtcdAddress {
    const tls = {
      ca: readFileSync(file('ca')),
      cert: readFileSync(file(name)),
      key: readFileSync(file(`${name}.key`)),
    };
    return { endpoints: [etcd.endpoint], tls };
  }
  async function users(as = 'namesrv.cometmq.internal'): Promise<EtcdUsers> {
    const made = new EtcdUsers({
      ...{ address: () => addressOf(as), root, password: () => `${password}\n`, clock: systemClock },
      tell: (level, line, facts) => told.push(`${level}: ${line} ${JSON.stringify(facts)}`),
    });
    begun.push(made);
    await made.start();
    return made;
  }
  function client(name: string, user?: EtcdAddress['user']): EtcdClient {
    const made = new EtcdClient({ ...addressOf(name), ...(user && { user }) }, systemClock);
    clients.push(made);
    return made;
  }
  const outcome = (asked: Promise<unknown>): Promise<string> =>
    asked.then(
      () => 'done',
      (caught: unknown) => (caught instanceof Error ? caught.message : String(caught)),
    );
  /** What somebody may: read and write ours, and what is not ours. */
  async function rights(name: string, user?: EtcdAddress['user']): Promise<string[]> {
    const etcd3 = client(name, user);
    const all: string[] = [];
    for (const key of [`${root}topics/a`, '/cometmq/other/topics/a']) {
      all.push(await outcome(etcd3.get(key).string()), await outcome(etcd3.put(key).value('1').exec()));
    }
    return all;
  }
  const denied = expect.stringMatching(/permission denied|user name is empty|authentication failed/i) as string;
  async function isClosed(): Promise<void> {
    const own = ['done', 'done', denied, denied];
    expect(await rights('namesrv.cometmq.internal')).toEqual(own);
    const none = [denied, denied, denied, denied];
    // A certificate of the authority is not enough, whatever name it says; nor is a guess.
    for (const name of ['broker.cometmq.internal', '']) expect(await rights(name)).toEqual(none);
    expect(await rights('etcd', { name: 'root', password: 'a guess' })).toEqual(none);
    expect(await outcome(client('namesrv.cometmq.internal').auth.authDisable())).toEqual(denied);
    const every = ['done', 'done', 'done', 'done'];
    expect(await rights('etcd', { name: 'root', password })).toEqual(every);
  }

  it('are there after the start, though several name servers begin at once, and stay over restarts of etcd', async () => {
    expect((await rights('broker.cometmq.internal'))[0]).toBe('done');
    await Promise.all([users(), users(), users()]);
    await until('etcd asks', async () => (await rights('broker.cometmq.internal'))[0] !== 'done');
    await isClosed();
    expect(told.filter((line) => line.startsWith('error'))).toEqual([]);
    await etcd.kill();
    await etcd.start();
    await isClosed();
    const before = told.length;
    await users(); // Everything is as it should be.
    expect(told).toHaveLength(before);
  });

  it('are there again in an etcd that has lost everything, without a restart of ours', async () => {
    const { endpoint } = etcd;
    await users();
    await isClosed();
    await etcd.lose();
    await etcd.start();
    expect(etcd.endpoint).toBe(endpoint);
    await until('etcd asks again', async () => (await rights('broker.cometmq.internal'))[0] !== 'done', 60_000);
    await isClosed();
  });

  it('keep the password of root that they have, and say so where another one is given', async () => {
    await users();
    const right = password;
    await client('etcd', { name: 'root', password: right }).user('namesrv.cometmq.internal').delete();
    password = 'another one';
    await users();
    expect(told.at(-1)).toMatch(/^error: .*refuses us: .*authentication failed/);
    password = right;
    await until(
      'the user is there again',
      async () => (await rights('namesrv.cometmq.internal'))[0] === 'done',
      60_000,
    );
    await isClosed();
  });

  it('have the common name of a certificate of one’s own, whatever it is, also in the place of another one', async () => {
    await users();
    const own = 'mq-namesrv.example.org';
    await certify(own);
    await users(own);
    expect(told.filter((line) => line.startsWith('error'))).toEqual([]);
    expect(await rights(own)).toEqual(['done', 'done', denied, denied]);
    await isClosed();
    await client('etcd', { name: 'root', password }).user('namesrv.cometmq.internal').delete();
    expect(await rights('namesrv.cometmq.internal')).toEqual([denied, denied, denied, denied]);
    expect(await rights(own)).toEqual(['done', 'done', denied, denied]);
  });

  it.each(['', 'root'])('are not made for a certificate whose common name is "%s"', async (name) => {
    await users(name);
    expect(told.at(-1)).toContain('common name');
    expect((await rights('broker.cometmq.internal'))[0]).toBe('done');
  });
});
