// Goal: what is sealed anew, or changed by who knows the secret, is never made from what was there before. Method: two processes over
// one metadata, one of which hears of changes only when it is told to.
import type { IdentityUpdate } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import { Authenticator } from './authenticator.js';
import { IdentityBook, type IdentitySource } from './identity-book.js';
import { resealed, type Resealing } from './resealing.js';
import { SecondFactor } from './second-factor.js';
import { Secret, SecretBox } from './secrets.js';
import { codeOf, FakeIdentities } from './testing.js';

/** What it tells waits until it is let through. */
class LaggingSource implements IdentitySource {
  isHeld = false;
  private readonly held: (() => void)[] = [];

  constructor(private readonly source: IdentitySource) {}

  watch(listener: (update: IdentityUpdate) => void): () => void {
    return this.source.watch((update) => (this.isHeld ? this.held.push(() => listener(update)) : listener(update)));
  }

  hear(): void {
    this.isHeld = false;
    for (const tell of this.held.splice(0)) tell();
  }
}

interface Process extends Resealing {
  readonly heard: LaggingSource;
  readonly authenticator: Authenticator;
}

let clock: ManualClock;
let identities: FakeIdentities;
/** Knows all at once. */
let quick: Process;
/** Has the new key file, and lags. */
let slow: Process;
const ada = { user: 'ada', secret: 'ada-secret' };
const newKeys = (): string => SecretBox.newFile('k2') + identities.keyFile;

async function processOf(keyFile: string): Promise<Process> {
  const box = SecretBox.of(keyFile);
  const heard = new LaggingSource(identities);
  const book = new IdentityBook({ source: heard, box, clock });
  await book.start();
  const authenticator = new Authenticator({ book, clock, ageMsMax: 900_000, localTimes: false });
  const update = identities.updateUser.bind(identities);
  const secondFactor = new SecondFactor({ book, box, clock, authenticator, update, requiredOfSuper: false });
  return { book, box, secondFactor, update, waitMs: 1_000, heard, authenticator };
}

beforeEach(async () => {
  clock = new ManualClock();
  identities = new FakeIdentities();
  identities.user('root', 'root-secret', { kind: 'super' });
  identities.user('ada', 'ada-secret');
  const keys = newKeys();
  quick = await processOf(keys);
  slow = await processOf(keys);
});

async function enrol(by: Process, code?: string): Promise<string> {
  const begun = await by.secondFactor.begin({ ...ada, code }, 'CometMQ', 'a:1');
  await by.secondFactor.finish({ ...ada, code: codeOf(begun.key, clock.wallMs()) }, begun.pending, 'a:1');
  clock.advance(30_000);
  return begun.key;
}
/** Once the other process has been told, as it is when somebody's change was in its way. */
async function afterHearing<T>(asked: Promise<T>): Promise<T> {
  for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
  slow.heard.hear();
  return asked;
}
const stored = () => identities.users.get('ada');

it('seals secret and second factor under the newest key, and both do as before', async () => {
  const key = await enrol(quick);
  const done = await resealed('ada', {}, slow);
  expect([done.secret.keyId, done.totp?.secret.keyId]).toEqual(['k2', 'k2']);
  expect(done.secretVersion).toBe(1);
  const login = { ...ada, code: codeOf(key, clock.wallMs()) };
  await expect(quick.secondFactor.login(login, 'a:1')).resolves.toMatchObject({ name: 'ada' });
});

it('a secret that was changed while it was sealed anew stays the new one', async () => {
  slow.heard.isHeld = true;
  const secret = identities.box.seal(new Secret('newer-secret'), 'ada');
  await identities.updateUser('ada', { secret });
  await afterHearing(resealed('ada', { enabled: true }, slow));
  expect(stored()).toMatchObject({ secretVersion: 2, secret: { keyId: 'k2' } });
  for (const { authenticator } of [quick, slow]) {
    expect(authenticator.login('ada', 'newer-secret', 'a:1').name).toBe('ada');
    expect(() => authenticator.login('ada', 'ada-secret', 'a:1')).toThrow('is wrong');
  }
});

it('a second factor that was changed while it was sealed anew stays the new one', async () => {
  const first = await enrol(quick);
  slow.heard.isHeld = true;
  const second = await enrol(quick, codeOf(first, clock.wallMs()));
  await afterHearing(resealed('ada', {}, slow));
  expect(stored()?.totp?.secret.keyId).toBe('k2');
  const login = (key: string) => quick.secondFactor.login({ ...ada, code: codeOf(key, clock.wallMs()) }, 'a:1');
  await expect(login(first)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  await expect(login(second)).resolves.toMatchObject({ name: 'ada' });
});

it('one that was taken away does not come back', async () => {
  await enrol(quick);
  slow.heard.isHeld = true;
  await identities.updateUser('ada', { secondFactor: { kind: 'none' } });
  await afterHearing(resealed('ada', {}, slow));
  expect(stored()).toMatchObject({ secret: { keyId: 'k2' } });
  expect(stored()?.totp).toBeUndefined();
});

it('gives up with CONFLICT where it never hears of what is in its way, and changes nothing', async () => {
  slow.heard.isHeld = true;
  identities.user('ada', 'newer-secret');
  const { secret } = stored() ?? {};
  const asked = expect(resealed('ada', {}, slow)).rejects.toMatchObject({ code: 'CONFLICT' });
  for (let tries = 0; tries < 3; tries += 1) {
    for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
    clock.advance(1_000);
  }
  await asked;
  expect(stored()?.secret).toEqual(secret);
});

it('who knows only the secret before sets up no second factor by a process that has not heard of the new one', async () => {
  const begun = await slow.secondFactor.begin(ada, 'CometMQ', 'a:1');
  slow.heard.isHeld = true;
  identities.user('ada', 'newer-secret');
  const code = codeOf(begun.key, clock.wallMs());
  const finished = slow.secondFactor.finish({ ...ada, code }, begun.pending, 'a:1');
  await expect(finished).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(stored()?.totp).toBeUndefined();
});

it('says so where a name service of an earlier release leaves the second factor under the old key', async () => {
  await enrol(await processOf(identities.keyFile));
  const update: Resealing['update'] = (name, { secondFactor: _unknown, ...change }) =>
    identities.updateUser(name, change);
  await expect(resealed('ada', {}, { ...slow, update })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect((await resealed('ada', {}, slow)).totp?.secret.keyId).toBe('k2');
});
