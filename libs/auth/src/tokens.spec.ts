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
  const tokens = new BearerTokens(identities.box, book, clock);
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

it('that was ended early stays so, and no more are remembered than may be', async () => {
  const { clock, identities, book } = await opened();
  const tokens = new BearerTokens(identities.box, book, clock, 3);
  const ann = book.principal('ann')!;
  const [first, ...others] = Array.from({ length: 4 }, () => tokens.issue('bearer', ann, 60_000).token);
  const read = (token: string | undefined) => tokens.read('bearer', token ?? '');
  tokens.revoke(read(first));
  for (const token of others.slice(0, 2)) tokens.revoke(read(token));
  expect(() => tokens.revoke(read(others[2]))).toThrow(/TOO_MANY_REQUESTS/);
  expect(() => read(first)).toThrow(/has ended/);
  clock.advance(60_001);
  const later = tokens.issue('bearer', ann, 60_000).token;
  tokens.revoke(read(later)); // Those that have ended by themselves are forgotten.
  expect(() => read(later)).toThrow(/has ended/);
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

it('is known by its keys alone', async () => {
  const { issue, nameOf, book } = await opened();
  const [, text = '', mac = ''] = issue().split('.');
  const payload = JSON.parse(Buffer.from(text, 'base64url').toString()) as object;
  const forged = Buffer.from(JSON.stringify({ ...payload, user: 'admin' })).toString('base64url');
  const elsewhere = new FakeIdentities();
  const other = new BearerTokens(elsewhere.box, book, new ManualClock());
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
  tokens.revoke(tokens.read('session', second.token));
  expect(() => tokens.read('session', second.token)).toThrow('has ended');
});
