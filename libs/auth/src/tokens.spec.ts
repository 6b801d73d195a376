// Goal: a token says who somebody is until its time, its user or its secret ends; and nobody else can make one.
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { IdentityBook } from './identity-book.js';
import { FakeIdentities } from './testing.js';
import { BearerTokens } from './tokens.js';

async function opened() {
  const clock = new ManualClock();
  const identities = new FakeIdentities();
  const book = new IdentityBook({ source: identities, box: identities.box, clock });
  await book.start();
  await Promise.resolve();
  identities.user('ann', 'ann-secret');
  const tokens = new BearerTokens(identities.box, book, clock, identities);
  const issue = (lifeMs = 60_000): string => {
    const principal = book.principal('ann');
    if (!principal) throw new Error('ann is there');
    return tokens.issue('bearer', principal, lifeMs).token;
  };
  const nameOf = (token: string): string => {
    try {
      return tokens.read('bearer', token).principal.name;
    } catch (caught) {
      return MqError.from(caught).reason;
    }
  };
  return { clock, identities, book, tokens, issue, nameOf };
}

it('ends with its time', async () => {
  const { clock, issue, nameOf } = await opened();
  const token = issue();
  expect(nameOf(token)).toBe('ann');
  clock.advance(60_001);
  expect(nameOf(token)).toContain('has ended');
});

it('that was ended early is good in no process, also in one that comes later', async () => {
  const { clock, identities, book, tokens, issue, nameOf } = await opened();
  const others = async (): Promise<BearerTokens> => {
    const copy = new IdentityBook({ source: identities, box: identities.box, clock });
    await copy.start();
    await Promise.resolve();
    return new BearerTokens(identities.box, copy, clock, identities);
  };
  const before = await others();
  const [ended, good] = [issue(), issue()];
  const rechecks: string[] = [];
  book.onChange(() => rechecks.push(nameOf(ended)));
  await tokens.revoke(tokens.read('bearer', ended));
  expect(rechecks).toEqual([expect.stringContaining('has ended')]);
  for (const each of [tokens, before, await others()]) {
    expect(() => each.read('bearer', ended)).toThrow(/has ended/);
    expect(each.read('bearer', good).principal.name).toBe('ann');
  }
});

it('is ended here at once where nobody can be told, and everywhere once somebody can; so many at the most', async () => {
  const { clock, identities, book } = await opened();
  const tokens = new BearerTokens(identities.box, book, clock, identities, 3);
  const ann = book.principal('ann')!;
  const [first, ...others] = Array.from({ length: 4 }, () => tokens.issue('bearer', ann, 600_000).token);
  const read = (token: string | undefined) => tokens.read('bearer', token ?? '');
  identities.revocationFault = new MqError('UNAVAILABLE', 'away');
  for (const token of [first, ...others.slice(0, 2)]) {
    await expect(tokens.revoke(read(token))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(() => read(token)).toThrow(/has ended/);
  }
  await expect(tokens.revoke(read(others[2]))).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
  expect(read(others[2]).principal.name).toBe('ann');
  const pass = async (): Promise<void> => {
    clock.advance(5_000);
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  await pass();
  expect(identities.revoked.size).toBe(0);
  identities.revocationFault = undefined;
  for (let times = 0; times < 3; times += 1) await pass();
  expect(identities.revoked.size).toBe(3);
  await tokens.revoke(read(others[2])); // There is room again.
  expect(identities.revoked.size).toBe(4);
});

it('others hear of thousands that were ended while nobody could be told, as soon as somebody can', async () => {
  const { clock, identities, book } = await opened();
  const tokens = new BearerTokens(identities.box, book, clock, identities);
  const ann = book.principal('ann')!;
  identities.revocationFault = new MqError('UNAVAILABLE', 'away');
  const ended = Array.from({ length: 1_000 }, () => tokens.issue('bearer', ann, 600_000).token);
  await Promise.allSettled(ended.map((token) => tokens.revoke(tokens.read('bearer', token))));
  identities.revocationFault = undefined;
  clock.advance(5_000);
  for (let turn = 0; turn < 1_000 && identities.revoked.size < ended.length; turn += 1) {
    await Promise.resolve();
    clock.advance(0);
  }
  expect(identities.revoked.size).toBe(1_000);
});

it('ends with its secret, and with its user', async () => {
  const { identities, issue, nameOf } = await opened();
  const token = issue();
  identities.user('ann', 'ann-secret', { enabled: false });
  expect(nameOf(token)).toContain('has ended with its user');
  identities.user('ann', 'ann-secret', { enabled: true, secretVersion: 2 });
  expect(nameOf(token)).toContain('has ended with its user');
  expect(nameOf(issue())).toBe('ann');
  identities.delete('ann');
  expect(nameOf(token)).toContain('has ended with its user');
});

it('is none of a later user of the same name', async () => {
  const { identities, issue, nameOf } = await opened();
  const token = issue();
  identities.delete('ann');
  identities.user('ann', 'ann-secret', { kind: 'super', createdMs: 7 });
  expect(nameOf(token)).toContain('has ended with its user');
  expect(nameOf(issue())).toBe('ann');
});

it('is known by its keys alone', async () => {
  const { issue, nameOf, book } = await opened();
  const [, text = '', mac = ''] = issue().split('.');
  const payload = JSON.parse(Buffer.from(text, 'base64url').toString()) as object;
  const forged = Buffer.from(JSON.stringify({ ...payload, user: 'admin' })).toString('base64url');
  const elsewhere = new FakeIdentities();
  const other = new BearerTokens(elsewhere.box, book, new ManualClock(), elsewhere);
  const principal = book.principal('ann');
  const foreign = principal ? other.issue('bearer', principal, 60_000).token : '';
  for (const token of [`comet1.${forged}.${mac}`, `comet1.${text}.`, '', 'comet1', foreign, 'x'.repeat(5_000)]) {
    expect(nameOf(token)).toContain('not of this cluster');
  }
});

it('of a browser is prolonged until its end, is no bearer token, and ends when it is revoked', async () => {
  const { clock, book, tokens, nameOf } = await opened();
  const principal = book.principal('ann');
  if (!principal) throw new Error('ann is there');
  const first = tokens.begin(principal, 60_000, 100_000);
  expect(nameOf(first.token)).toContain('not of this cluster');
  clock.advance(50_000);
  const second = tokens.issue('session', principal, 60_000, tokens.read('session', first.token));
  expect(second.id).toBe(first.id);
  expect(second.untilMs - first.untilMs).toBe(40_000); // Not beyond its end.
  expect(tokens.isCsrfOf(first.id, tokens.csrfOf(second.id))).toBe(true);
  expect(['', 'x', tokens.csrfOf('other')].map((said) => tokens.isCsrfOf(first.id, said))).toEqual([
    false,
    false,
    false,
  ]);
  await tokens.revoke(tokens.read('session', second.token));
  expect(() => tokens.read('session', second.token)).toThrow('has ended');
});
