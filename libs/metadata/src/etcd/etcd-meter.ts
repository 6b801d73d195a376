import type { Clock } from '@cometmq/shared';

import type { Lease, LeaseId } from '../metadata-store.js';

export type EtcdOperation = 'range' | 'txn' | 'lease_grant' | 'lease_keep' | 'lease_revoke';

/** Told of each request to etcd that has ended. */
export type OnEtcdRequest = (operation: EtcdOperation, answered: boolean, tookMs: number) => void;

/** How long requests take, and how long the leases last that are being kept. */
export class EtcdMeter {
  private readonly kept = new Map<LeaseId, Lease & { readonly askedMs: number }>();

  constructor(
    private readonly clock: Clock,
    private readonly told: OnEtcdRequest,
  ) {}

  async time<T>(operation: EtcdOperation, ask: () => Promise<T>): Promise<T> {
    const startMs = this.clock.monotonicMs();
    let answered = false;
    try {
      const answer = await ask();
      answered = true;
      return answer;
    } finally {
      this.told(operation, answered, this.clock.monotonicMs() - startMs);
    }
  }

  /** Somebody asks for a renewal. */
  asks(id: LeaseId): void {
    const known = this.kept.get(id);
    if (known) this.kept.set(id, { ...known, askedMs: this.clock.monotonicMs() });
  }

  /** Undefined: it is gone. */
  renewed(id: LeaseId, lease: Lease | undefined): void {
    if (lease) this.kept.set(id, { ...lease, askedMs: this.clock.monotonicMs() });
    else this.kept.delete(id);
  }

  /** Of the lease that ends first, of those that somebody still renews; undefined: there are none. */
  get leaseRemainingMs(): number | undefined {
    const nowMs = this.clock.monotonicMs();
    let least: number | undefined;
    for (const [id, { askedMs, ttlMs, deadlineMs }] of this.kept) {
      if (nowMs - askedMs > ttlMs) this.kept.delete(id);
      else least = Math.min(least ?? Infinity, Math.max(0, deadlineMs - nowMs));
    }
    return least;
  }
}
