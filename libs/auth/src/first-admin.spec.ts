/**
 * Goal: whoever is told the first admin's secret may use it. Method: starts with a name service that tells at once, late, and
 * not at all, on a clock that is told.
 */
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { FirstAdmin, credentialsIn } from './first-admin.js';
import { IdentityBook } from './identity-book.js';
import { FakeIdentities } from './testing.js';

const startWaitMs = 5_000;

async function starting(late: Promise<void>) {
  const clock = new ManualClock(0);
  const identities = new FakeIdentities();
  const source = {
    watch(listener: Parameters<FakeIdentities['watch']>[0]) {
      let unwatch = (): void => undefined;
      void late.then(() => (unwatch = identities.watch(listener)));
      return () => unwatch();
    },
  };
  const book = new IdentityBook({ source, box: identities.box, clock });
  await book.start();
  const credentials = credentialsIn('admin a-secret-of-sixteen');
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
