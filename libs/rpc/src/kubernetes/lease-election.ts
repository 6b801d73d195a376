/**
 * One of several equal processes acts, by a Lease of Kubernetes: who holds it renews it; who does not looks on and takes it once
 * nothing of it has changed for as long as it is good for, by the own clock. Nobody compares clocks of two machines.
 *
 * Whoever leads has asked for it so short a time ago that nobody else can have taken it yet: `leads` ends by itself.
 */
import { MqError, type Clock } from '@cometmq/shared';

import { fieldOf, type KubernetesApi, type KubernetesObject } from './kubernetes-api.js';

export interface LeaseElectionOptions {
  readonly kubernetes: KubernetesApi;
  /** Of the Lease, which is there already. */
  readonly name: string;
  /** Who this process is; no two have the same. */
  readonly identity: string;
  readonly clock: Clock;
  /** For how long the lease is good without being renewed. */
  readonly leaseMs: number;
}

export class LeaseElection {
  private readonly path: string;
  private leadsUntilMs = -Infinity;
  private seen = '';
  private seenAtMs = 0;

  constructor(private readonly options: LeaseElectionOptions) {
    const { kubernetes, name } = options;
    this.path = `/apis/coordination.k8s.io/v1/namespaces/${kubernetes.namespace}/leases/${name}`;
  }

  get leads(): boolean {
    return this.options.clock.monotonicMs() < this.leadsUntilMs;
  }

  /** Renews the lease, or takes it where nobody else holds it. @throws MqError where it can't be read or written */
  async look(): Promise<void> {
    const { kubernetes, name, identity, clock, leaseMs } = this.options;
    const askedMs = clock.monotonicMs();
    const lease = await kubernetes.get(this.path);
    if (!lease) throw new MqError('NOT_FOUND', `there is no Lease ${name}`);
    const spec = specOf(lease);
    const is = `${spec.holder} ${spec.renewed}`;
    if (is !== this.seen) [this.seen, this.seenAtMs] = [is, clock.monotonicMs()];
    const isMine = spec.holder === identity;
    if (!isMine && spec.holder !== '' && clock.monotonicMs() - this.seenAtMs < spec.goodMs) {
      this.leadsUntilMs = -Infinity; // Somebody took it while this process stood still.
      return;
    }
    const now = new Date(clock.wallMs()).toISOString().replace('Z', '000Z'); // Microseconds, as its type says.
    const taken = !isMine && { acquireTime: now, leaseTransitions: spec.transitions + 1 };
    try {
      await kubernetes.patch(this.path, {
        metadata: { resourceVersion: fieldOf(lease, 'metadata', 'resourceVersion') },
        spec: { holderIdentity: identity, renewTime: now, leaseDurationSeconds: Math.ceil(leaseMs / 1_000), ...taken },
      });
    } catch (caught) {
      if (MqError.from(caught).code !== 'CONFLICT') throw caught;
      return; // Somebody else was faster; the next look shows who.
    }
    // Others count from when they see the renewal, which is later than this. The rest is for what is under way.
    this.leadsUntilMs = askedMs + leaseMs * (2 / 3);
  }

  /** Somebody else may take it at once. */
  async release(): Promise<void> {
    if (!this.leads) return;
    this.leadsUntilMs = -Infinity;
    const { kubernetes, identity } = this.options;
    const lease = await kubernetes.get(this.path);
    if (!lease || specOf(lease).holder !== identity) return;
    const resourceVersion = fieldOf(lease, 'metadata', 'resourceVersion');
    await kubernetes.patch(this.path, { metadata: { resourceVersion }, spec: { holderIdentity: '' } });
  }
}

function specOf(lease: KubernetesObject): { holder: string; renewed: string; goodMs: number; transitions: number } {
  const field = (name: string): unknown => fieldOf(lease, 'spec', name);
  const [holder, renewed] = ['holderIdentity', 'renewTime'].map((name) => {
    const value = field(name);
    return typeof value === 'string' ? value : '';
  });
  const seconds = Number(field('leaseDurationSeconds'));
  const transitions = Number(field('leaseTransitions'));
  return {
    ...{ holder: holder ?? '', renewed: renewed ?? '' },
    goodMs: seconds > 0 ? seconds * 1_000 : 15_000,
    transitions: Number.isSafeInteger(transitions) ? transitions : 0,
  };
}
