import type { IDuplexStream, ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from 'etcd3';

import { MqError, type Clock, type Timer } from '@cometmq/shared';

import type { Lease, LeaseId } from '../metadata-store.js';
import type { EtcdClient } from './etcd-client.js';

type KeepAliveStream = IDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

interface Asked {
  readonly sentMs: number;
  readonly timer: Timer;
  readonly resolve: (lease: Lease | undefined) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Leases in etcd, by its bare lease calls. etcd3's own Lease judges by the wall clock, and tells of a lost lease only
 * after twice its time; here each renewal is asked for by the holder, and its deadline counts from when it was sent.
 * All renewals share one stream; when it breaks, those under way fail and the next one opens another.
 */
export class LeaseKeeper {
  private stream: Promise<KeepAliveStream> | undefined;
  /** Renewals under way by lease, oldest first: etcd answers those of one lease in order. */
  private readonly asked = new Map<LeaseId, Asked[]>();

  constructor(
    private readonly client: EtcdClient,
    private readonly clock: Clock,
    private readonly keepMsMax = 2_000,
  ) {}

  async grant(ttlMs: number): Promise<Lease> {
    const sentMs = this.clock.monotonicMs();
    const { ID, TTL } = await this.client.leaseClient.leaseGrant({ TTL: Math.ceil(ttlMs / 1000) });
    return leaseFrom(ID, TTL, sentMs);
  }

  async revoke(id: LeaseId): Promise<void> {
    try {
      await this.client.leaseClient.leaseRevoke({ ID: id });
    } catch (caught) {
      if (!isLeaseGone(caught)) throw caught;
    }
  }

  async keep(id: LeaseId): Promise<Lease | undefined> {
    const stream = await (this.stream ??= this.open());
    return new Promise((resolve, reject) => {
      const sentMs = this.clock.monotonicMs();
      const timer = this.clock.after(this.keepMsMax, () => {
        this.broken(stream, new MqError('UNAVAILABLE', `a lease's renewal took more than ${this.keepMsMax} ms`));
      });
      this.asked.set(id, [...(this.asked.get(id) ?? []), { sentMs, timer, resolve, reject }]);
      stream.write({ ID: id });
    });
  }

  close(): void {
    const closing = this.stream;
    this.stream = undefined;
    closing?.then((stream) => stream.cancel()).catch(() => undefined);
    this.failAll(new MqError('UNAVAILABLE', 'the metadata store is stopped'));
  }

  private open(): Promise<KeepAliveStream> {
    const opening = this.client.leaseClient.leaseKeepAlive().then((stream) => {
      stream.on('data', (answer) => this.answered(answer));
      stream.on('error', (error) => this.broken(stream, error));
      stream.on('end', () => this.broken(stream, new MqError('UNAVAILABLE', 'etcd ended the stream of renewals')));
      return stream;
    });
    opening.catch(() => {
      if (this.stream === opening) this.stream = undefined;
    });
    return opening;
  }

  private answered({ ID, TTL }: ILeaseKeepAliveResponse): void {
    const waiting = this.asked.get(ID) ?? [];
    const first = waiting.shift();
    if (waiting.length === 0) this.asked.delete(ID);
    first?.timer.cancel();
    first?.resolve(Number(TTL) > 0 ? leaseFrom(ID, TTL, first.sentMs) : undefined);
  }

  private broken(stream: KeepAliveStream, error: Error): void {
    const current = this.stream;
    current
      ?.then((open) => {
        if (open === stream && this.stream === current) {
          this.stream = undefined;
          stream.cancel();
          this.failAll(error);
        }
      })
      .catch(() => undefined); // Another one is being opened: who asked for it is told.
  }

  private failAll(error: Error): void {
    const all = [...this.asked.values()].flat();
    this.asked.clear();
    for (const { timer, reject } of all) {
      timer.cancel();
      reject(error);
    }
  }
}

export function isLeaseGone(caught: unknown): boolean {
  return caught instanceof Error && caught.message.includes('requested lease not found');
}

function leaseFrom(id: LeaseId, ttlSeconds: string, sentMs: number): Lease {
  const ttlMs = Number(ttlSeconds) * 1000;
  return { id, ttlMs, deadlineMs: sentMs + ttlMs };
}
