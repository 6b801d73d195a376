/**
 * Goal: every official client's way to sign is taken, nothing else is, and who guesses learns nothing and slows nobody. Method:
 * headers as each client writes them, on a clock that is told.
 */
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { Authenticator } from './authenticator.js';
import { CompiledPolicies } from './decision.js';
import { IdentityBook } from './identity-book.js';
import { Principal } from './principal.js';
import { Secret } from './secrets.js';
import { officialSignature, ownSignature, remotingSignature } from './signatures.js';
import { FakeIdentities } from './testing.js';
import { BearerTokens } from './tokens.js';

const nowMs = Date.UTC(2026, 10, 29, 20, 0, 0);
const minute = 60_000;

async function opened(options: { ageMsMax?: number; localTimes?: boolean } = {}) {
  const clock = new ManualClock(nowMs);
  const identities = new FakeIdentities();
  const unopened: string[] = [];
  const book = new IdentityBook({
    source: identities,
    box: identities.box,
    clock,
    unopened: (_user, error) => unopened.push(error.reason),
  });
  await book.start();
  await Promise.resolve();
  identities.user('ann', 'ann-secret');
  const checked = new Authenticator({ book, clock, ageMsMax: 15 * minute, localTimes: true, ...options });
  const authenticator = { principalOf: (one: Request) => checked.principalOf(one, one.path, one.body) };
  return { clock, identities, book, authenticator, unopened };
}

interface Request {
  readonly path: string;
  readonly headers: Map<string, string>;
  readonly peer: string;
  readonly body: Uint8Array;
}

interface Said {
  readonly authorization?: string;
  readonly dateTime?: string;
  readonly peer?: string;
  readonly body?: Uint8Array;
}
const call = ({ authorization, dateTime, peer = '10.0.0.1:99', body = Buffer.alloc(0) }: Said): Request => {
  const headers = new Map<string, string>();
  if (authorization !== undefined) headers.set('authorization', authorization);
  if (dateTime !== undefined) headers.set('x-mq-date-time', dateTime);
  return { path: '/s/M', headers, peer, body };
};
const signed = (dateTime: string, secret = 'ann-secret', credential = 'ann', peer?: string): Request => {
  const signature = officialSignature(new Secret(secret), dateTime);
  const authorization = `MQv2-HMAC-SHA1 Credential=${credential}, SignedHeaders=x-mq-date-time, Signature=${signature}`;
  return call({ authorization, dateTime, ...(peer !== undefined && { peer }) });
};
const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'OK';
  } catch (caught) {
    return MqError.from(caught).code;
  }
};
const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (caught) {
    return MqError.from(caught).reason;
  }
  return '';
};

describe('the signature of the official clients', () => {
  it.each([
    ['Java', '20261129T200000Z', 'ann', 'upper'],
    ['Java in Shanghai', '20261130T040000Z', 'ann', 'upper'],
    ['Python in California', '20261129T120000Z', 'ann', 'lower'],
    ['Go', '20261129T200000Z', 'ann//Rocketmq', 'lower'],
    ['C++', '20261129T200000Z', 'ann/cn-hangzhou/RocketMQ', 'upper'],
    ['Rust', '2026-11-29T20:00:00.123456789+00:00', 'ann', 'lower'],
    ['Rust elsewhere', '2026-11-30T04:00:00+08:00', 'ann', 'lower'],
  ])('is taken as %s writes it', async (_client, dateTime, credential, letters) => {
    const { authenticator } = await opened();
    const signature = officialSignature(new Secret('ann-secret'), dateTime);
    const hex = letters === 'upper' ? signature.toUpperCase() : signature;
    const authorization = `MQv2-HMAC-SHA1 Credential=${credential}, SignedHeaders=x-mq-date-time, Signature=${hex}`;
    expect(authenticator.principalOf(call({ authorization, dateTime })).name).toBe('ann');
    expect(authenticator.principalOf(call({ authorization, dateTime })).name).toBe('ann');
  });

  it.each([
    ['none', call({})],
    ['an empty credential, as of Python', call({ authorization: 'MQv2-HMAC-SHA1 Credential=, Signature=00' })],
    ['no time', call({ authorization: signed('20261129T200000Z').headers.get('authorization') ?? '' })],
    [
      'another time',
      call({
        authorization: signed('20261129T200000Z').headers.get('authorization') ?? '',
        dateTime: '20261129T200001Z',
      }),
    ],
    ['another secret', signed('20261129T200000Z', 'bob-secret')],
    ['another user', signed('20261129T200000Z', 'ann-secret', 'bob')],
    ['no words', call({ authorization: 'x', dateTime: '20261129T200000Z' })],
    ['no hex', call({ authorization: 'A Credential=ann, Signature=zz', dateTime: '20261129T200000Z' })],
    ['a huge one', call({ authorization: `A ${'x'.repeat(2000)}`, dateTime: '20261129T200000Z' })],
  ])('is refused when it is %s', async (_what, wrong) => {
    const { authenticator } = await opened();
    expect(codeOf(() => authenticator.principalOf(wrong))).toBe('UNAUTHORIZED');
  });

  it('of a user that does not exist is refused in the same words as a wrong one', async () => {
    const { authenticator } = await opened();
    const unknown = reasonOf(() => authenticator.principalOf(signed('20261129T200000Z', 'x', 'nobody')));
    expect(unknown).toBe(reasonOf(() => authenticator.principalOf(signed('20261129T200000Z', 'x'))));
    expect(unknown).not.toBe('');
  });

  it('ends with its time, also when it was taken before', async () => {
    const { authenticator, clock } = await opened();
    const one = signed('2026-11-29T20:00:00Z');
    expect(codeOf(() => authenticator.principalOf(one))).toBe('OK');
    clock.jumpWall(14 * minute);
    expect(codeOf(() => authenticator.principalOf(one))).toBe('OK');
    clock.jumpWall(2 * minute);
    expect(reasonOf(() => authenticator.principalOf(one))).toContain('signed for 960 s before');
  });

  it('without a zone is good for as long as it may be local somewhere, or not where that is set', async () => {
    const { authenticator } = await opened();
    expect(codeOf(() => authenticator.principalOf(signed('20261128T200000Z')))).toBe('UNAUTHORIZED');
    expect(codeOf(() => authenticator.principalOf(signed('20261130T103000Z')))).toBe('UNAUTHORIZED');
    expect(codeOf(() => authenticator.principalOf(signed('20261129T080000Z')))).toBe('OK');
    const strict = await opened({ localTimes: false });
    expect(codeOf(() => strict.authenticator.principalOf(signed('20261129T080000Z')))).toBe('UNAUTHORIZED');
    const careless = await opened({ ageMsMax: 0 });
    expect(codeOf(() => careless.authenticator.principalOf(signed('whatever')))).toBe('OK');
  });
});

describe('a change of the user', () => {
  it('ends what was known of its signatures', async () => {
    const { authenticator, identities } = await opened();
    const one = signed('20261129T200000Z');
    const before = authenticator.principalOf(one);
    identities.allow('ann');
    expect(before.current).toBe(false);
    expect(authenticator.principalOf(one)).not.toBe(before);
    identities.user('ann', 'ann-secret', { enabled: false });
    expect(codeOf(() => authenticator.principalOf(one))).toBe('UNAUTHORIZED');
    identities.user('ann', 'ann-secret', { enabled: true });
    expect(codeOf(() => authenticator.principalOf(one))).toBe('OK');
    identities.user('ann', 'another-secret', { secretVersion: 2 });
    expect(codeOf(() => authenticator.principalOf(one))).toBe('UNAUTHORIZED');
    identities.delete('ann');
    expect(codeOf(() => authenticator.principalOf(signed('20261129T200000Z', 'another-secret')))).toBe('UNAUTHORIZED');
  });

  it('sealed under a key that this process lacks keeps the door shut for that user alone, and is told once', async () => {
    const { authenticator, identities, unopened } = await opened();
    const other = new FakeIdentities().user('ann', 'ann-secret');
    identities.user('bob', 'bob-secret');
    identities.users.set('ann', other);
    identities.user('carl', 'c-secret');
    const { secret } = other;
    Object.assign(identities, { box: { seal: () => secret } });
    identities.user('ann', 'ann-secret');
    expect(codeOf(() => authenticator.principalOf(signed('20261129T200000Z')))).toBe('UNAUTHORIZED');
    expect(codeOf(() => authenticator.principalOf(signed('20261129T200000Z')))).toBe('UNAUTHORIZED');
    expect(codeOf(() => authenticator.principalOf(signed('20261129T200000Z', 'bob-secret', 'bob')))).toBe('OK');
    expect(unopened).toHaveLength(1);
  });
});

describe('who fails too often', () => {
  it('is not checked any more for a while, and nobody else notices', async () => {
    const { authenticator, clock } = await opened();
    const right = signed('20261129T200000Z', 'ann-secret', 'ann', '10.0.0.9:1');
    expect(codeOf(() => authenticator.principalOf(right))).toBe('OK');
    const codes = new Map<string, number>();
    for (let i = 0; i < 10_000; i += 1) {
      const code = codeOf(() =>
        authenticator.principalOf(signed('20261129T200000Z', `guess-${i}`, 'ann', '10.0.0.9:1')),
      );
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect(Object.fromEntries(codes)).toEqual({ UNAUTHORIZED: 20, TOO_MANY_REQUESTS: 9_980 });
    // Who is known goes on from there; so does everybody from elsewhere, with the same name.
    expect(codeOf(() => authenticator.principalOf(right))).toBe('OK');
    expect(codeOf(() => authenticator.principalOf(signed('20261129T200001Z', 'ann-secret', 'ann', '10.0.0.8:1')))).toBe(
      'OK',
    );
    const fresh = signed('20261129T200002Z', 'ann-secret', 'ann', '10.0.0.9:1');
    expect(codeOf(() => authenticator.principalOf(fresh))).toBe('TOO_MANY_REQUESTS');
    clock.advance(3_000);
    expect(codeOf(() => authenticator.principalOf(fresh))).toBe('OK');
  });

  it('with many names is stopped by its address', async () => {
    const { authenticator } = await opened();
    let tooMany = 0;
    for (let i = 0; i < 1_000; i += 1) {
      const guess = signed('20261129T200000Z', 'guess', `user-${i}`, '10.0.0.9:1');
      if (codeOf(() => authenticator.principalOf(guess)) === 'TOO_MANY_REQUESTS') tooMany += 1;
    }
    expect(tooMany).toBe(800);
  });

  // Behind a gateway all have one address, and an official client has a new signature each second.
  it.each([
    ['other names', (i: number) => `user-${i}`],
    ['the same name', () => 'ann'],
  ])('with %s stops no client of its address that goes on signing', async (_what, nameOf) => {
    const { authenticator, clock } = await opened();
    const codesOf = (peer: string, second: number): string =>
      codeOf(() => authenticator.principalOf(signed(`20261129T2000${second}Z`, 'ann-secret', 'ann', peer)));
    expect(codesOf('10.0.0.9:1', 10)).toBe('OK');
    expect(codesOf('10.0.0.9:3', 10)).toBe('OK'); // With the same header, which is known by now.
    for (let second = 11; second < 20; second += 1) {
      let guessed = 0;
      for (let i = 0; i < 1_000; i += 1) {
        const guess = signed('20261129T200000Z', `guess-${i}`, nameOf(i), '10.0.0.9:2');
        if (codeOf(() => authenticator.principalOf(guess)) === 'UNAUTHORIZED') guessed += 1;
      }
      expect(guessed).toBeLessThanOrEqual(second === 11 ? 200 : 20);
      expect(codesOf(second % 2 === 0 ? '10.0.0.9:1' : '10.0.0.9:3', second)).toBe('OK');
      expect(codesOf('10.0.0.9:1', second)).toBe('OK');
      clock.advance(1_000);
    }
  });

  it('with other names stops no user of its address who was let in lately, on a new connection', async () => {
    const { authenticator } = await opened();
    const from = (peer: string, second: number): string =>
      codeOf(() => authenticator.principalOf(signed(`20261129T2000${second}Z`, 'ann-secret', 'ann', peer)));
    expect(from('10.0.0.9:1', 10)).toBe('OK');
    for (let i = 0; i < 1_000; i += 1) {
      codeOf(() => authenticator.principalOf(signed('20261129T200000Z', 'guess', `user-${i}`, '10.0.0.9:2')));
    }
    expect(from('10.0.0.9:3', 11)).toBe('OK');
    expect(from('10.0.0.7:1', 12)).toBe('OK');
  });
});

describe('before users are known', () => {
  it('nobody is let in, nobody is told to be wrong, and it is told why it waits', () => {
    const clock = new ManualClock(nowMs);
    const identities = new FakeIdentities();
    identities.user('ann', 'ann-secret');
    let tell: Parameters<FakeIdentities['watch']>[0] = () => undefined;
    const source = {
      watch: (listener: typeof tell) => {
        tell = listener;
        return () => undefined;
      },
    };
    const waited: number[] = [];
    const book = new IdentityBook({ source, box: identities.box, clock, late: (ms) => void waited.push(ms) });
    const checked = new Authenticator({ book, clock, ageMsMax: 15 * minute, localTimes: true });
    const tokens = new BearerTokens(identities.box, book, clock, identities);
    const one = signed('20261129T200000Z');
    const ways = [
      () => checked.principalOf(one, one.path, one.body),
      () => checked.login('ann', 'ann-secret', '10.0.0.1'),
      () => tokens.read('bearer', token),
    ];
    const ann = new Principal('ann', false, identities.users.get('ann'), new CompiledPolicies([]));
    const { token } = tokens.issue('bearer', ann, minute);
    void book.start();
    for (let i = 0; i < 1_000; i += 1) expect(ways.map(codeOf)).toEqual(['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE']);
    expect(book.unready()).toContain('users are not known yet');
    clock.advance(25_000);
    expect(waited).toEqual([10_000, 20_000]);
    const source1 = { clusterId: 'fake', generation: 1, replaced: [] };
    const rest = { source: source1, policies: [], revoked: [] };
    tell({ kind: 'snapshot', revision: 1, users: [...identities.users.values()], ...rest });
    expect(book.unready()).toBeUndefined();
    expect(ways.map(codeOf)).toEqual(['OK', 'OK', 'OK']);
    clock.advance(60_000);
    expect(waited).toEqual([10_000, 20_000, 0]);
  });
});

describe('our own signature', () => {
  const own = (nonce: string, body: string, over: { path?: string; body?: string } = {}): Request => {
    const dateTime = '2026-11-29T20:00:00Z';
    const request = { path: '/s/M', dateTime, nonce, body: Buffer.from(body) };
    const signature = ownSignature(new Secret('ann-secret'), request);
    const authorization = `COMET-HMAC-SHA256 Credential=ann, Nonce=${nonce}, Signature=${signature}`;
    return { ...call({ authorization, dateTime, body: Buffer.from(over.body ?? body) }), path: over.path ?? '/s/M' };
  };

  it('is for one request, once', async () => {
    const { authenticator } = await opened();
    const one = own('0123456789abcdef', 'hello');
    expect(codeOf(() => authenticator.principalOf(one))).toBe('OK');
    expect(reasonOf(() => authenticator.principalOf(one))).toContain('used once');
    expect(codeOf(() => authenticator.principalOf(own('0123456789abcde1', 'hello', { body: 'other' })))).toBe(
      'UNAUTHORIZED',
    );
    expect(codeOf(() => authenticator.principalOf(own('0123456789abcde2', 'hello', { path: '/s/N' })))).toBe(
      'UNAUTHORIZED',
    );
    expect(codeOf(() => authenticator.principalOf(own('short', 'hello')))).toBe('UNAUTHORIZED');
    // Who knows no secret uses up no nonce.
    expect(codeOf(() => authenticator.principalOf(own('0123456789abcde1', 'hello')))).toBe('OK');
  });
});

it('signs remoting commands as RocketMQ does', () => {
  const fields = new Map([
    ['topic', 'TopicTest'],
    ['AccessKey', 'RocketMQ'],
    ['Signature', 'not this'],
  ]);
  expect(remotingSignature(new Secret('12345678'), fields, Buffer.from('body'))).toBe('RSnjDEmC7TZWy3Cb7kjIryomJgA=');
});
