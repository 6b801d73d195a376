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
    return tokens.issue(principal, lifeMs).token;
  };
  const nameOf = (token: string): string => {
    try {
      return tokens.principalOf(token).name;
    } catch (caught) {
      return MqError.from(caught).reason;
    }
  };
  return { clock, identities, book, issue, nameOf };
}

it('ends with its time', async () => {
  const { clock, issue, nameOf } = await opened();
  const token = issue();
  expect(nameOf(token)).toBe('ann');
  clock.advance(60_001);
  expect(nameOf(token)).toContain('has ended');
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
  const foreign = principal ? other.issue(principal, 60_000).token : '';
  for (const token of [`comet1.${forged}.${mac}`, `comet1.${text}.`, '', 'comet1', foreign, 'x'.repeat(5_000)]) {
    expect(nameOf(token)).toContain('not of this cluster');
  }
});
