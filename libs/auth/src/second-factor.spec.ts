// Goal: who has a second factor logs in with a code of it, each once, and nobody by guessing. Method: the real parts over users that
// are told as the name service tells them, on a clock by hand; two processes share the users.
import { ManualClock } from '@cometmq/shared/testing';

import { Authenticator } from './authenticator.js';
import { IdentityBook } from './identity-book.js';
import { SecondFactor, type Enrolment } from './second-factor.js';
import { SecretBox } from './secrets.js';
import { codeOf, FakeIdentities } from './testing.js';
import { changedUser } from './users.js';

const period = 30_000;
let clock: ManualClock;
let identities: FakeIdentities;
let one: SecondFactor;
let other: SecondFactor;
const ada = { user: 'ada', secret: 'ada-secret' };

async function processOf(requiredOfSuper = false): Promise<SecondFactor> {
  const box = SecretBox.of(identities.keyFile);
  const book = new IdentityBook({ source: identities, box, clock });
  await book.start();
  const authenticator = new Authenticator({ book, clock, ageMsMax: 900_000, localTimes: false });
  const update = identities.updateUser.bind(identities);
  return new SecondFactor({ book, box, clock, authenticator, update, requiredOfSuper });
}

beforeEach(async () => {
  clock = new ManualClock();
  identities = new FakeIdentities();
  identities.user('root', 'root-secret', { kind: 'super' });
  identities.user('ada', 'ada-secret');
  one = await processOf();
  other = await processOf();
});

const codeNow = ({ key }: Enrolment, steps = 0): string => codeOf(key, clock.wallMs() + steps * period);

/** Set up, with the code of this moment taken. */
async function enrolled(by = one): Promise<{ readonly begun: Enrolment; readonly codes: readonly string[] }> {
  const begun = await by.begin(ada, 'CometMQ', 'a:1');
  const codes = await by.finish({ ...ada, code: codeNow(begun) }, begun.pending, 'a:1');
  clock.advance(period);
  return { begun, codes };
}
const refused = (why: string): unknown =>
  expect.objectContaining({ code: 'UNAUTHORIZED', reason: expect.stringContaining(why) as unknown });

it('is not asked for before it is set up, and then each time', async () => {
  await expect(one.login(ada, 'a:1')).resolves.toMatchObject({ name: 'ada' });
  const begun = await one.begin(ada, 'CometMQ', 'a:1');
  expect(begun.uri).toMatch(/^otpauth:\/\/totp\/CometMQ:ada\?issuer=CometMQ&secret=[A-Z2-7]{32}&/);
  await expect(one.login(ada, 'a:1')).resolves.toMatchObject({ name: 'ada' });
  expect(await one.finish({ ...ada, code: codeNow(begun) }, begun.pending, 'a:1')).toHaveLength(10);
  clock.advance(period);
  for (const by of [one, other]) await expect(by.login(ada, 'a:1')).rejects.toEqual(refused('has a second factor'));
  await expect(one.login({ ...ada, code: codeNow(begun) }, 'a:1')).resolves.toMatchObject({ name: 'ada' });
  // What is kept of it is no key, and no code.
  expect(JSON.stringify([...identities.users.values()])).not.toContain(begun.key);
});

it('takes each code once, in all processes together', async () => {
  const { begun } = await enrolled();
  const code = codeNow(begun);
  await expect(other.login({ ...ada, code }, 'b:1')).resolves.toBeDefined();
  for (const by of [one, other])
    await expect(by.login({ ...ada, code }, 'a:1')).rejects.toEqual(refused('used before'));
  // At the same time, before either has heard of the other.
  clock.advance(period);
  const again = { ...ada, code: codeNow(begun) };
  const both = await Promise.allSettled([one.login(again, 'c:1'), other.login(again, 'd:1')]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  // One for a step before a taken one is not taken either.
  await expect(one.login({ ...ada, code: codeNow(begun, -1) }, 'e:1')).rejects.toEqual(refused('used before'));
});

it('takes no code twice where a process does not know yet that another one took it', async () => {
  const { codes } = await enrolled();
  const user = identities.users.get('ada');
  const { lastStep = 0, recovery = [] } = user?.totp ?? {};
  if (!user) throw new Error('ada is there');
  const take = (step: number) => changedUser(user, { secondFactor: { kind: 'taken', step } });
  const used = expect.objectContaining({ code: 'CONFLICT' }) as Error;
  for (const step of [lastStep - 1, lastStep]) expect(() => take(step)).toThrow(used);
  expect(take(lastStep + 1).totp?.lastStep).toBe(lastStep + 1);
  const recover = { secondFactor: { kind: 'recovered', digest: recovery[0] ?? '' } } as const;
  const after = changedUser(user, recover);
  expect(after.totp?.recovery).toEqual(recovery.slice(1));
  expect(codes).toHaveLength(recovery.length);
  expect(() => changedUser(after, recover)).toThrow(used);
});

it('takes codes of a clock that is a step off, and of none that is further off', async () => {
  const { begun } = await enrolled();
  clock.advance(10 * period);
  for (const steps of [-2, 2, 100]) {
    await expect(one.login({ ...ada, code: codeNow(begun, steps) }, 'a:1')).rejects.toEqual(refused('wrong'));
  }
  await expect(one.login({ ...ada, code: codeNow(begun, -1) }, 'a:1')).resolves.toBeDefined();
  await expect(one.login({ ...ada, code: codeNow(begun, 1) }, 'a:1')).resolves.toBeDefined();
});

it('a recovery code logs in once, however it is written', async () => {
  const { codes } = await enrolled();
  const [first = '', second = ''] = codes;
  expect(new Set(codes).size).toBe(10);
  expect(first).toMatch(/^([a-z2-9]{4}-){3}[a-z2-9]{4}$/);
  await expect(
    one.login({ ...ada, code: ` ${first.toUpperCase().replaceAll('-', ' ')}` }, 'a:1'),
  ).resolves.toBeDefined();
  for (const by of [one, other])
    await expect(by.login({ ...ada, code: first }, 'a:1')).rejects.toEqual(refused('wrong'));
  await expect(other.login({ ...ada, code: second }, 'a:1')).resolves.toBeDefined();
});

it('guesses are stopped by user, wherever they come from, and only of who knows the secret', async () => {
  const { begun } = await enrolled();
  const right = codeNow(begun, 1);
  const guess = (i: number): Promise<unknown> => one.login({ ...ada, code: '000000' }, `10.0.0.${i}:1`);
  for (let i = 0; i < 10; i += 1) await expect(guess(i)).rejects.toEqual(refused('wrong'));
  clock.advance(period);
  await expect(one.login({ ...ada, code: right }, 'z:1')).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
  clock.advance(300_000);
  await expect(one.login({ ...ada, code: codeNow(begun) }, 'z:1')).resolves.toBeDefined();
  // Without the secret nobody gets so far as to lock the user out.
  for (let i = 0; i < 20; i += 1) {
    await one.login({ user: 'ada', secret: 'wrong', code: '000000' }, `10.1.0.${i}:1`).catch(() => undefined);
  }
  clock.advance(period);
  await expect(one.login({ ...ada, code: codeNow(begun) }, 'z:1')).resolves.toBeDefined();
});

it('is set up by who has the secret, with a key that was begun by it lately, and no other in its place unseen', async () => {
  const before = await one.begin(ada, 'CometMQ', 'a:1');
  const { begun } = await enrolled();
  // Somebody who knows the secret alone, and had begun before.
  await expect(one.finish({ ...ada, code: codeNow(before) }, before.pending, 'a:1')).rejects.toMatchObject({
    code: 'CONFLICT',
  });
  await expect(one.begin(ada, 'CometMQ', 'a:1')).rejects.toEqual(refused('has a second factor'));
  identities.user('bob', 'bob-secret');
  const bob = { user: 'bob', secret: 'bob-secret' };
  await expect(one.finish({ ...bob, code: codeNow(begun) }, begun.pending, 'a:1')).rejects.toEqual(refused('began no'));
  for (const pending of ['', '.', 'x.y', `${begun.pending}x`]) {
    await expect(one.finish({ ...bob, code: '123456' }, pending, 'a:1')).rejects.toEqual(refused('began no'));
  }
  const late = await one.begin(bob, 'CometMQ', 'a:1');
  clock.advance(11 * 60_000);
  await expect(one.finish({ ...bob, code: codeNow(late) }, late.pending, 'a:1')).rejects.toEqual(refused('began no'));
  // With a code of the old one another app takes its place.
  const next = await one.begin({ ...ada, code: codeNow(begun) }, 'CometMQ', 'a:1');
  await one.finish({ ...ada, code: codeNow(next) }, next.pending, 'a:1');
  clock.advance(period);
  await expect(one.login({ ...ada, code: codeNow(begun) }, 'a:1')).rejects.toEqual(refused('wrong'));
  await expect(one.login({ ...ada, code: codeNow(next) }, 'a:1')).resolves.toBeDefined();
});

it('ends by who has a code of it; where super users need one, theirs does not', async () => {
  const { begun } = await enrolled();
  await expect(one.end(ada, 'a:1')).rejects.toEqual(refused('has a second factor'));
  await one.end({ ...ada, code: codeNow(begun) }, 'a:1');
  await expect(other.login(ada, 'a:1')).resolves.toBeDefined();

  const strict = await processOf(true);
  const root = { user: 'root', secret: 'root-secret' };
  await expect(strict.login(root, 'a:1')).rejects.toEqual(refused('needs a second factor'));
  await expect(strict.login(ada, 'a:1')).resolves.toBeDefined();
  const set = await strict.begin(root, 'CometMQ', 'a:1');
  await strict.finish({ ...root, code: codeNow(set) }, set.pending, 'a:1');
  clock.advance(period);
  await expect(strict.login({ ...root, code: codeNow(set) }, 'a:1')).resolves.toMatchObject({ isSuper: true });
  clock.advance(period);
  await expect(strict.end({ ...root, code: codeNow(set) }, 'a:1')).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

it('is told when the name service keeps nothing of it: codes would be taken again and again', async () => {
  const { begun } = await enrolled();
  const update = identities.updateUser.bind(identities);
  identities.updateUser = async (name) => update(name, {}); // As one of an older release.
  const old = await processOf();
  await expect(old.login({ ...ada, code: codeNow(begun) }, 'a:1')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const bob = { user: 'root', secret: 'root-secret' };
  const next = await old.begin(bob, 'CometMQ', 'a:1');
  const finished = old.finish({ ...bob, code: codeNow(next) }, next.pending, 'a:1');
  await expect(finished).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
