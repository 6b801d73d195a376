import { memberId, type Epoch } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import { standsStill, type KnownSet, type MemberClaim } from '../set-registry.js';
import { MemorySetRegistry } from './memory-set-registry.js';
import { setRegistryContract } from './set-registry-contract.js';

setRegistryContract('double in memory', () => {
  const clock = new ManualClock();
  const registry = new MemorySetRegistry(clock);
  return Promise.resolve({
    registry,
    other: registry,
    pass: async (ms) => clock.advance(ms),
    close: () => Promise.resolve(),
  });
});

const member = memberId('a/1');
const claim: MemberClaim = { brokerSet: 'broker-0', member, address: 'a:1', bootId: 'boot', leaseMs: 3_000 };
const wanted = { revision: 0, rule: { members: [member], quorum: 1 }, reason: 'start' } as const;

describe('the double’s faults', () => {
  it('lose an answer of what was done', async () => {
    const registry = new MemorySetRegistry(new ManualClock());
    registry.answersLost = 1;
    const asked = registry.acquireLeadership(claim, { ...wanted, epoch: 1 as Epoch });
    await expect(asked).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await registry.acquireLeadership(claim, { ...wanted, epoch: 1 as Epoch })).toMatchObject({ epoch: 1 });
    registry.away = true;
    await expect(registry.readSet('broker-0')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('a member that reads other metadata than it knows', () => {
  const registry = new MemorySetRegistry(new ManualClock());
  const reading = async () => registry.readSet('broker-0');
  let known: KnownSet;
  beforeAll(async () => {
    const state = await registry.acquireLeadership(claim, { ...wanted, epoch: 1 as Epoch });
    const backup = registry.backup();
    const revision = state?.revision ?? 0;
    const next = await registry.acquireLeadership(claim, { ...wanted, revision, epoch: 2 as Epoch });
    known = { storeId: 'store-1', generation: 1, revision: next?.revision ?? 0, epoch: 2 as Epoch };
    expect(standsStill(known, await reading())).toBeUndefined();
    registry.setBackTo(backup);
  });

  it('stands still where it was set back', async () => {
    expect(standsStill(known, await reading())).toContain('older state');
    expect(standsStill(undefined, await reading())).toBeUndefined();
  });

  it('stands still under an empty one, and under another', async () => {
    registry.becomesEmpty('store-2');
    expect(standsStill(known, await reading())).toContain('does not know');
    await registry.acquireLeadership(claim, { ...wanted, epoch: 3 as Epoch });
    expect(standsStill(known, await reading())).toContain('store-2');
  });

  it('goes on once its knowledge was brought there', async () => {
    registry.metadata = { ...registry.metadata, generation: 2 };
    expect(standsStill(known, await reading())).toBeUndefined();
    expect(standsStill({ ...known, epoch: 3 as Epoch }, await reading())).toContain('store-2');
  });
});
