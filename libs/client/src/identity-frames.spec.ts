// Goal: what is said of users arrives as it was said, to the last field. Method: through the bytes and back, with everything set, and
// with nothing.
import { internal } from '@cometmq/proto';
import type { SecondFactorChange, User, UserChange } from '@cometmq/model';

import {
  userChangeFromWire,
  userChangeToWire,
  userDraftFromWire,
  userDraftToWire,
  userFromWire,
  userToWire,
} from './identity-frames.js';

const secret = { keyId: 'k1', box: 'sealed' };
const totp = { secret, recovery: ['aa', 'bb'], lastStep: 17, enrolledMs: 5 };
const factors: readonly SecondFactorChange[] = [
  { kind: 'set', totp, replaces: 4 },
  { kind: 'taken', step: 18 },
  { kind: 'recovered', digest: 'aa' },
  { kind: 'resealed', secret, replaces: 'what it was opened from' },
  { kind: 'none' },
];
const changes: readonly UserChange[] = [
  ...factors.map((secondFactor) => ({ resealed: false, secondFactor })),
  {
    ...{ kind: 'super', enabled: false, secret, resealed: true, secretWas: 'what it was opened from' },
    ...{ quota: { requestsPerSecond: 1, bytesPerSecond: 2 }, adminFile: 'digest' },
  },
  { resealed: false, token: { kind: 'removed', id: 'one' } },
  { resealed: false, token: { kind: 'added', token: { id: 'a', name: 'ci', createdMs: 1, untilMs: 2, scope: [] } } },
  { resealed: false },
];

it.each(changes)('a change: %j', (change) => {
  const bytes = internal.UserChange.encode(userChangeToWire('ann', change)).finish();
  expect(JSON.parse(JSON.stringify(userChangeFromWire(internal.UserChange.decode(bytes))))).toEqual(change);
});

const user: User = { name: 'ann', kind: 'normal', enabled: true, secret, secretVersion: 3, createdMs: 9 };
const tokens = [{ id: 'a', name: 'ci', createdMs: 1, untilMs: 2 }];
it.each([user, { ...user, totp, tokens, adminFile: 'digest', quota: { requestsPerSecond: 1 } }])(
  'a user: %j',
  (one) => {
    const bytes = internal.User.encode(userToWire(one)).finish();
    expect(JSON.parse(JSON.stringify(userFromWire(internal.User.decode(bytes))))).toEqual(one);
    const { createdMs: _, secretVersion: _version, totp: _totp, tokens: _tokens, ...draft } = one;
    const drafted = internal.UserDraft.decode(internal.UserDraft.encode(userDraftToWire(draft)).finish());
    expect(JSON.parse(JSON.stringify(userDraftFromWire(drafted)))).toEqual(draft);
  },
);
