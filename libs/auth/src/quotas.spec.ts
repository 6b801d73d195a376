// Goal: a quota costs memory for those who use it now, however many users come and go.
import { anyone, Principal } from './principal.js';
import { CompiledPolicies } from './decision.js';
import { Quotas } from './quotas.js';

const quota = { requestsPerSecond: 2 };
const userOf = (name: string): Principal =>
  new Principal(name, false, { name, quota } as never, new CompiledPolicies([]));
const kept = (quotas: Quotas): number => (quotas as unknown as { used: Map<string, unknown> }).used.size;

it('forgets who has not asked for a while, and nobody who has used something up', () => {
  const quotas = new Quotas(10);
  const busy = userOf('busy');
  quotas.take(busy, 2, 0, 0);
  for (let i = 0; i < 100; i += 1) quotas.take(userOf(`user-${i}`), 1, 0, i * 1_000);
  expect(kept(quotas)).toBeLessThanOrEqual(11);
  quotas.take(busy, 2, 0, 100_000);
  for (let i = 0; i < 20; i += 1) quotas.take(userOf(`other-${i}`), 1, 0, 100_000);
  expect(() => quotas.take(busy, 1, 0, 100_000)).toThrow(/TOO_MANY_REQUESTS/);
  expect(() => quotas.take(anyone, 1, 0, 100_000)).not.toThrow();
});
