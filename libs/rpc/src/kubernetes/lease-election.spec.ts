// Goal: never two at once, and always one in the end. Method: processes with clocks of their own that never agree, and one Lease.
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { FakeKubernetesServer } from '../testing/fake-kubernetes-server.js';
import { fieldOf } from './kubernetes-api.js';
import { LeaseElection } from './lease-election.js';

describe('a lease', () => {
  const leases = '/apis/coordination.k8s.io/v1/namespaces/mq/leases';
  const clocks = [new ManualClock(), new ManualClock()];
  let kubernetes: FakeKubernetesServer;
  let one: LeaseElection;
  let two: LeaseElection;

  beforeEach(async () => {
    kubernetes = await FakeKubernetesServer.start([leases]);
    kubernetes.do('POST', leases, { metadata: { name: 'lease' } });
    [one, two] = clocks.map(
      (clock, i) =>
        new LeaseElection({
          ...{ kubernetes: kubernetes.api(), name: 'lease', identity: `pod-${i}`, clock, leaseMs: 15_000 },
        }),
    ) as [LeaseElection, LeaseElection];
  });
  afterEach(() => kubernetes.stop());
  const advance = (ms: number): void => clocks.forEach((clock) => clock.advance(ms));
  const leads = (): boolean[] => [one.leads, two.leads];
  const spec = (): unknown => kubernetes.object(leases, 'lease')?.['spec'];

  it('is held by one, renewed, and taken by another one only after it has not changed for so long', async () => {
    await one.look();
    await two.look();
    expect(leads()).toEqual([true, false]);
    expect(spec()).toMatchObject({ holderIdentity: 'pod-0', leaseDurationSeconds: 15, leaseTransitions: 1 });
    for (let turn = 0; turn < 4; turn += 1) {
      advance(5_000);
      await one.look();
      await two.look();
      expect(leads()).toEqual([true, false]);
    }
    advance(14_999);
    await two.look();
    expect(leads()).toEqual([false, false]); // Who held it acts no more, long before.
    advance(1);
    await two.look();
    expect(leads()).toEqual([false, true]);
    await one.look();
    expect(leads()).toEqual([false, true]);
    expect(fieldOf(spec(), 'leaseTransitions')).toBe(2);
  });

  it('is taken by one of two that ask at once', async () => {
    await Promise.all([one.look(), two.look()]);
    expect(leads().filter(Boolean)).toHaveLength(1);
  });

  it('that is given back is taken at once', async () => {
    await one.look();
    await one.release();
    await two.look();
    expect(leads()).toEqual([false, true]);
    await one.release(); // It has none any more, and gives back none.
    expect(fieldOf(spec(), 'holderIdentity')).toBe('pod-1');
  });

  it('ends by itself where it can not be renewed', async () => {
    await one.look();
    kubernetes.refuse = { path: /./, method: 'PATCH', status: 500 };
    advance(9_999);
    await expect(one.look()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(one.leads).toBe(true);
    advance(1);
    expect(one.leads).toBe(false);
  });

  it('that is not there is an error', async () => {
    kubernetes.do('DELETE', `${leases}/lease`);
    await expect(one.look()).rejects.toEqual(new MqError('NOT_FOUND', 'there is no Lease lease'));
  });
});
