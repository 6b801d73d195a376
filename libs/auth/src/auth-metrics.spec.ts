// Goal: who is not let in is counted, by why. Method: each is tried once at the parts that let in, then their figures.
import { ManualClock } from '@cometmq/shared/testing';
import { silentLogger } from '@cometmq/telemetry';

import { authSamples } from './auth-metrics.js';
import { gateOf } from './gate.js';
import { FakeIdentities } from './testing.js';

const headers = (pairs: Readonly<Record<string, string>> = {}) => new Map(Object.entries(pairs));

it('counts who gives nothing, what is wrong, and tokens that are none', async () => {
  const clock = new ManualClock();
  const identities = new FakeIdentities();
  const gate = gateOf({
    config: { signatureAgeMsMax: 900_000, signatureLocalTimes: true } as Parameters<typeof gateOf>[0]['config'],
    files: { keys: identities.keyFile, admin: undefined },
    ...{ identities, clock, log: silentLogger },
  });
  for (const part of gate.parts) await part.start();
  await Promise.resolve();
  identities.user('ann', 'ann-secret');
  const call = (given: ReturnType<typeof headers>) => () =>
    gate.access.principalOf({ headers: given, peer: '10.0.0.1:9' }, '/s/M', Buffer.alloc(0));
  const authorization = 'MQv2-HMAC-SHA1 Credential=ann, SignedHeaders=x-mq-date-time, Signature=00';

  expect(call(headers())).toThrow('give the client an access key');
  expect(call(headers({ authorization, 'x-mq-date-time': '20261129T200000Z' }))).toThrow('is wrong');
  expect(() => gate.users?.authenticator.login('ann', 'guessed', '10.0.0.1')).toThrow('is wrong');
  expect(() => gate.users?.tokens.readBearer('of.another.cluster')).toThrow('not of this cluster');

  const found = [...authSamples(gate.users)].map(({ labels, value }) => [labels['reason'], value]);
  expect(Object.fromEntries(found)).toEqual({ missing: 1, wrong: 2, time: 0, too_many: 0, token: 1 });
  expect([...authSamples(undefined)]).toEqual([]); // Where there are no users everybody is let in.
  for (const part of gate.parts) await part.stop();
});
