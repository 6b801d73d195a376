// Goal: who guesses secrets waits longer and longer, and keeps nobody out who has the right one. Method: the real parts over users told
// as the name service tells them, on a clock by hand.
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { networkOf } from './address.js';
import { Authenticator } from './authenticator.js';
import { IdentityBook } from './identity-book.js';
import { SecondFactor } from './second-factor.js';
import { FakeIdentities } from './testing.js';

const minute = 60_000;
let clock: ManualClock;
let secondFactor: SecondFactor;

beforeEach(async () => {
  clock = new ManualClock();
  const identities = new FakeIdentities();
  for (const name of ['ann', 'bob']) identities.user(name, `${name}-secret`);
  const { box } = identities;
  const book = new IdentityBook({ source: identities, box, clock });
  await book.start();
  const authenticator = new Authenticator({ book, clock, ageMsMax: 15 * minute, localTimes: true });
  const update = identities.updateUser.bind(identities);
  secondFactor = new SecondFactor({ book, box, clock, authenticator, update, requiredOfSuper: false });
});

/** OK, wrong, or how many seconds to wait. */
async function login(user: string, secret: string, from: string): Promise<string> {
  try {
    await secondFactor.login({ user, secret }, from);
    return 'OK';
  } catch (caught) {
    const { code, reason } = MqError.from(caught);
    if (code !== 'TOO_MANY_REQUESTS') return 'wrong';
    return /try again in (\d+ s)$/.exec(reason)?.[1] ?? reason;
  }
}
const right = (from: string, user = 'ann'): Promise<string> => login(user, `${user}-secret`, from);
const guess = (from: string, user = 'ann'): Promise<string> => login(user, 'guess', from);

it('five wrong ones are free, and then each doubles the wait, up to a minute', async () => {
  for (let i = 0; i < 5; i += 1) expect(await guess('10.0.0.9')).toBe('wrong');
  const waits: string[] = [];
  for (let i = 0; i < 7; i += 1) {
    const wait = await right('10.0.0.9');
    waits.push(wait);
    clock.advance(Number.parseInt(wait, 10) * 1_000 - 1);
    expect(await right('10.0.0.9')).toBe('1 s');
    clock.advance(1);
    expect(await guess('10.0.0.9')).toBe('wrong');
  }
  expect(waits).toEqual(['12 s', '24 s', '48 s', '60 s', '60 s', '60 s', '60 s']);
});

it('the right one gets in after the wait, whoever asks meanwhile, and ends it', async () => {
  for (let i = 0; i < 5; i += 1) await guess('10.0.0.9');
  for (let i = 0; i < 100; i += 1) expect(await guess('10.0.0.9')).toBe('12 s');
  expect(await right('10.0.0.7')).toBe('OK'); // Elsewhere the user is as welcome as ever.
  expect(await right('10.0.0.9', 'bob')).toBe('OK');
  clock.advance(12_000);
  expect(await right('10.0.0.9')).toBe('OK');
  for (let i = 0; i < 4; i += 1) expect(await guess('10.0.0.9')).toBe('wrong');
  expect(await right('10.0.0.9')).toBe('OK');
});

it('slips of many at one address keep nobody there out, and do not add up over hours', async () => {
  for (let hours = 0; hours < 60; hours += 1) {
    expect(await guess('10.0.0.9', `user-${hours}`)).toBe('wrong');
    for (let i = 0; i < 4; i += 1) expect(await guess('10.0.0.9')).toBe('wrong');
    expect(await right('10.0.0.9', 'bob')).toBe('OK');
    clock.advance(3_600_000);
  }
  for (let second = 0; second < 600; second += 1) {
    expect(await guess('10.0.0.9', `more-${second}`)).toBe('wrong');
    clock.advance(1_000);
  }
  expect(await right('10.0.0.9')).toBe('OK');
});

it('a wrong login in the name of a known user does not take its connections what they are trusted with', async () => {
  expect(await right('10.0.0.9', 'bob')).toBe('OK');
  for (let i = 0; i < 300; i += 1) await guess('10.0.0.9', `user-${i}`);
  expect(await guess('10.0.0.9', 'bob')).toBe('wrong');
  expect(await right('10.0.0.9', 'bob')).toBe('OK');
});

it('all of a /64 are one, as who has one address of it has them all', async () => {
  for (let i = 0; i < 5; i += 1) expect(await guess(`2001:db8:1:2::${i}`)).toBe('wrong');
  expect(await guess('2001:db8:1:2:ffff::1')).toBe('12 s');
  expect(await guess('2001:db8:1:3::1')).toBe('wrong');
});

it.each([
  ['10.0.0.9:1234', '10.0.0.9'],
  ['::ffff:10.0.0.9', '10.0.0.9'],
  ['[::ffff:10.0.0.9]:1', '10.0.0.9'],
  ['[2001:db8::1]:80', '20010db800000000::/64'],
  ['2001:DB8:0:0:5::1', '20010db800000000::/64'],
  ['fe80::1%eth0', 'fe80000000000000::/64'],
  ['local', 'local'],
])('%s counts as %s', (peer, network) => {
  expect(networkOf(peer)).toBe(network);
});
