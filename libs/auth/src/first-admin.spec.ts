/**
 * Goal: whoever is told the first admin's secret may use it. Method: starts with a name service that tells at once, late, and
 * not at all, on a clock that is told.
 */
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { FirstAdmin, credentialsIn } from './first-admin.js';
import { IdentityBook } from './identity-book.js';
import { Secret, SecretBox } from './secrets.js';
import { FakeIdentities } from './testing.js';

const startWaitMs = 5_000;

async function starting(late: Promise<void>, identities = new FakeIdentities(), given = 'a-secret-of-sixteen') {
  const clock = new ManualClock(0);
  const source = {
    watch(listener: Parameters<FakeIdentities['watch']>[0]) {
      let unwatch = (): void => undefined;
      void late.then(() => (unwatch = identities.watch(listener)));
      return () => unwatch();
    },
  };
  const book = new IdentityBook({ source, box: identities.box, clock });
  await book.start();
  const credentials = credentialsIn(`admin ${given}`);
  const failed: string[] = [];
  const options = { credentials, identities, book, box: identities.box, clock, startWaitMs };
  const admin = new FirstAdmin({ ...options, failed: ({ reason }) => failed.push(reason) });
  let resolved = false;
  const started = admin.start().then(() => (resolved = true));
  return { clock, book, admin, identities, failed, started, isStarted: () => resolved };
}

it.each(['createUser', 'updateUser'] as const)('is tried on where it can not be made for now: %s', async (asked) => {
  const { clock, identities, started, book, failed } = await starting(Promise.resolve());
  const right = identities[asked].bind(identities) as (...given: unknown[]) => Promise<never>;
  if (asked === 'updateUser') identities.user('admin', 'a-secret-of-before', { kind: 'super' });
  let fails = 5;
  identities[asked] = async (...given: unknown[]) => {
    fails -= 1;
    if (fails >= 3) throw new MqError('FORBIDDEN', 'there are too many users');
    if (fails >= 1) throw new MqError('NOT_FOUND', 'it was deleted just now');
    return right(...given);
  };
  await started; // Whoever waits for the start is not held up by what only a person can mend.
  expect(book.secretOf('admin')?.reveal()).not.toBe('a-secret-of-sixteen');
  while (book.secretOf('admin')?.reveal() !== 'a-secret-of-sixteen') {
    clock.advance(1_000);
    await Promise.resolve();
  }
  expect(failed).toEqual(['there are too many users', 'it was deleted just now']);
});

it('is let in when the start is over', async () => {
  const { started, book, failed } = await starting(Promise.resolve());
  await started;
  expect(book.secretOf('admin')?.reveal()).toBe('a-secret-of-sixteen');
  expect(book.principal('admin')?.user?.kind).toBe('super');
  expect(failed).toEqual([]);
});

it('is marked as soon as a name service keeps that, so that what is changed then stays', async () => {
  const identities = new FakeIdentities();
  identities.user('admin', 'the-secret-of-before', { kind: 'normal' });
  const { updateUser } = identities;
  identities.updateUser = async (name, { adminFile: _, ...change }) => updateUser.call(identities, name, change); // An older one.
  const { clock, started, book } = await starting(Promise.resolve(), identities);
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  clock.advance(startWaitMs);
  await started;
  expect(book.principal('admin')?.isSuper).toBe(true);
  expect(identities.users.get('admin')).not.toHaveProperty('adminFile');
  identities.user('admin', 'given-by-the-admin', { secretVersion: 7 });
  for (let turn = 0; turn < 50; turn += 1) {
    clock.advance(1_000);
    for (let step = 0; step < 20; step += 1) await Promise.resolve();
  }
  expect(book.secretOf('admin')?.reveal()).toBe('given-by-the-admin');
  identities.updateUser = updateUser;
  while (identities.users.get('admin')?.adminFile === undefined) {
    clock.advance(1_000);
    await Promise.resolve();
  }
  expect(book.secretOf('admin')?.reveal()).toBe('given-by-the-admin');
});

it('that was made by an older name service is marked as soon as one keeps that', async () => {
  const identities = new FakeIdentities();
  const { createUser, updateUser } = identities;
  identities.createUser = async ({ adminFile: _, ...draft }) => createUser.call(identities, draft);
  identities.updateUser = async (name, { adminFile: _, ...change }) => updateUser.call(identities, name, change);
  const { clock, started, admin } = await starting(Promise.resolve(), identities);
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  clock.advance(startWaitMs);
  await started;
  identities.user('admin', 'given-by-the-admin', { secretVersion: 7 });
  Object.assign(identities, { createUser, updateUser });
  for (let turn = 0; turn < 50; turn += 1) {
    clock.advance(1_000);
    for (let step = 0; step < 20; step += 1) await Promise.resolve();
  }
  expect(identities.users.get('admin')).toHaveProperty('adminFile');
  await admin.stop();
  const next = await starting(Promise.resolve(), identities);
  await next.started;
  expect(next.book.secretOf('admin')?.reveal()).toBe('given-by-the-admin');
});

it('is not made anew once it was deleted, while there is another super user', async () => {
  const identities = new FakeIdentities();
  identities.user('root', 'the-secret-of-root', { kind: 'super' });
  await (
    await starting(Promise.resolve(), identities)
  ).started;
  expect([...identities.users.keys()]).toEqual(['root']);
  identities.user('root', 'the-secret-of-root', { enabled: false });
  await (
    await starting(Promise.resolve(), identities)
  ).started;
  expect([...identities.users.keys()]).toEqual(['root', 'admin']);
});

it('waits for users that are told late', async () => {
  let tell = (): void => undefined;
  const { started, book, isStarted } = await starting(new Promise((resolve) => (tell = resolve)));
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  expect(isStarted()).toBe(false);
  tell();
  await started;
  expect(book.secretOf('admin')?.reveal()).toBe('a-secret-of-sixteen');
});

it('does not hold up the start for ever where nobody tells of users', async () => {
  const { clock, started, admin, isStarted } = await starting(new Promise(() => undefined));
  clock.advance(startWaitMs - 1);
  expect(isStarted()).toBe(false);
  clock.advance(1);
  await started;
  await admin.stop();
});

describe('a secret that the file said before', () => {
  const secretOf = ({ users, box }: FakeIdentities): string | undefined => {
    const user = users.get('admin');
    return user && box.open(user.secret, 'admin').reveal();
  };
  const startedWith = async (identities: FakeIdentities, given?: string): Promise<void> => {
    await (
      await starting(Promise.resolve(), identities, given)
    ).started;
  };

  it('does not come back at the next start where the user was given another one, and takes no second factor away', async () => {
    const identities = new FakeIdentities();
    await startedWith(identities);
    identities.user('admin', 'the-own-secret');
    const totp = { secret: identities.box.seal(new Secret('key'), 'x'), recovery: [], lastStep: 0, enrolledMs: 1 };
    await identities.updateUser('admin', { secondFactor: { kind: 'set', totp, replaces: 0 } });
    await startedWith(identities);
    expect(secretOf(identities)).toBe('the-own-secret');
    expect(identities.users.get('admin')?.totp).toEqual(totp);

    await startedWith(identities, 'another-one-of-the-file');
    expect(secretOf(identities)).toBe('another-one-of-the-file');
    expect(identities.users.get('admin')?.totp).toBeUndefined();
  });

  it('is known under a newer key of the key file, and then without the older one', async () => {
    const old = new FakeIdentities();
    await startedWith(old);
    const rotated = new FakeIdentities(SecretBox.newFile('k2') + old.keyFile);
    rotated.users.set('admin', old.users.get('admin') ?? fail('the admin is there'));
    rotated.user('admin', 'the-own-secret');
    await startedWith(rotated);
    const newest = new FakeIdentities(rotated.keyFile.split('\n')[0]);
    newest.users.set('admin', rotated.users.get('admin') ?? fail('the admin is there'));
    await startedWith(newest);
    expect(secretOf(newest)).toBe('the-own-secret');
  });

  it('is given once to who was made by an older release', async () => {
    const identities = new FakeIdentities();
    identities.user('admin', 'a-secret-of-sixteen', { kind: 'super' });
    await startedWith(identities);
    expect(identities.users.get('admin')).toMatchObject({ secretVersion: 1, adminFile: expect.any(String) as string });
    identities.user('admin', 'the-own-secret');
    await startedWith(identities);
    expect(secretOf(identities)).toBe('the-own-secret');
  });
});

function fail(why: string): never {
  throw new Error(why);
}
