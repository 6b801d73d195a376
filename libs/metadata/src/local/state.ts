import { assert, unreachable } from '@cometmq/shared';

import type { Change, KeyValue, LeaseId, Range, Transaction } from '../metadata-store.js';
import { SortedKeys } from './sorted-keys.js';

/**
 * A key-value store as a fold over entries: same entries, same state, on every machine. Whether a transaction may be
 * applied is asked first (`holds`), then it becomes an entry, and an entry can't fail. No clock in here: when a lease
 * ends is decided outside, and that it ended is an entry.
 */
export type Entry =
  | { readonly kind: 'commit'; readonly puts: readonly EntryPut[]; readonly deletes: readonly string[] }
  | { readonly kind: 'grant'; readonly lease: LeaseId; readonly ttlMs: number }
  /** Revoked or run out: the keys on it go. */
  | { readonly kind: 'release'; readonly lease: LeaseId };

export interface EntryPut {
  readonly key: string;
  readonly value: string;
  readonly lease?: LeaseId | undefined;
}

/** The whole state as plain data, for a snapshot on disk. */
export interface Frozen {
  readonly revision: number;
  readonly leasesGranted: number;
  readonly pairs: readonly KeyValue[];
  readonly leases: readonly { readonly id: LeaseId; readonly ttlMs: number }[];
}

interface LeaseState {
  readonly ttlMs: number;
  readonly keys: Set<string>;
}

export interface RevisionChanges {
  readonly revision: number;
  readonly changes: readonly Change[];
}

export class KeyValueState {
  private readonly pairs = new Map<string, KeyValue>();
  private readonly keys: SortedKeys;
  private readonly leases = new Map<LeaseId, LeaseState>();
  /** The changes of the latest revisions, oldest first: what a watch can be told that was away for a while. */
  private readonly history: RevisionChanges[] = [];
  /** Changes up to this revision are forgotten. */
  private forgotten: number;
  private revisionNow: number;
  private granted: number;

  constructor(
    from?: Frozen,
    private readonly historyMax = 10_000,
  ) {
    this.revisionNow = from?.revision ?? 1; // Key revision 0 means "absent", so the first change is number 2, as in etcd.
    this.granted = from?.leasesGranted ?? 0;
    this.forgotten = this.revisionNow;
    for (const { id, ttlMs } of from?.leases ?? []) this.leases.set(id, { ttlMs, keys: new Set() });
    for (const pair of from?.pairs ?? []) {
      this.pairs.set(pair.key, pair);
      if (pair.lease !== undefined) this.lease(pair.lease).keys.add(pair.key);
    }
    this.keys = new SortedKeys(this.pairs.keys());
  }

  get revision(): number {
    return this.revisionNow;
  }

  get(key: string): KeyValue | undefined {
    return this.pairs.get(key);
  }

  range(prefix: string): Range {
    const pairs: KeyValue[] = [];
    for (const key of this.keys.below(prefix)) {
      const pair = this.pairs.get(key);
      if (pair) pairs.push(pair);
    }
    return { revision: this.revisionNow, pairs };
  }

  holds(transaction: Transaction): boolean {
    return transaction.compare.every((compare) => {
      const pair = this.pairs.get(compare.key);
      return 'value' in compare ? pair?.value === compare.value : (pair?.modRevision ?? 0) === compare.modRevision;
    });
  }

  leaseTtlMs(id: LeaseId): number | undefined {
    return this.leases.get(id)?.ttlMs;
  }

  leaseIds(): LeaseId[] {
    return [...this.leases.keys()];
  }

  /** The name that the next lease will have. Never given twice. */
  nextLease(): LeaseId {
    return String(this.granted + 1);
  }

  /** What changed after `revision`, oldest first; undefined when that is no longer known. */
  changesAfter(revision: number): RevisionChanges[] | undefined {
    if (revision < this.forgotten || revision > this.revisionNow) return undefined;
    return this.history.filter((one) => one.revision > revision);
  }

  /** @returns what it changed; undefined when it changed no key. */
  apply(entry: Entry): RevisionChanges | undefined {
    switch (entry.kind) {
      case 'commit':
        return this.write(entry.puts, entry.deletes);
      case 'grant':
        this.granted += 1;
        this.leases.set(entry.lease, { ttlMs: entry.ttlMs, keys: new Set() });
        return undefined;
      case 'release': {
        const keys = [...this.lease(entry.lease).keys];
        const changed = this.write([], keys);
        this.leases.delete(entry.lease);
        return changed;
      }
      default:
        return unreachable(entry);
    }
  }

  freeze(): Frozen {
    return {
      revision: this.revisionNow,
      leasesGranted: this.granted,
      pairs: [...this.pairs.values()],
      leases: [...this.leases].map(([id, { ttlMs }]) => ({ id, ttlMs })),
    };
  }

  private write(puts: readonly EntryPut[], deletes: readonly string[]): RevisionChanges | undefined {
    const present = deletes.filter((key) => this.pairs.has(key));
    if (puts.length === 0 && present.length === 0) return undefined;
    this.revisionNow += 1;
    const changes: Change[] = [];
    for (const put of puts) changes.push({ key: put.key, pair: this.put(put) });
    for (const key of present) {
      this.detach(key);
      this.pairs.delete(key);
      this.keys.delete(key);
      changes.push({ key, pair: undefined });
    }
    const all = { revision: this.revisionNow, changes };
    this.remember(all);
    return all;
  }

  private put({ key, value, lease }: EntryPut): KeyValue {
    const before = this.pairs.get(key);
    if (!before) this.keys.add(key);
    const createRevision = before?.createRevision ?? this.revisionNow;
    this.detach(key);
    const pair = { key, value, createRevision, modRevision: this.revisionNow, ...(lease !== undefined && { lease }) };
    if (lease !== undefined) this.lease(lease).keys.add(key);
    this.pairs.set(key, pair);
    return pair;
  }

  private detach(key: string): void {
    const lease = this.pairs.get(key)?.lease;
    if (lease !== undefined) this.lease(lease).keys.delete(key);
  }

  private lease(id: LeaseId): LeaseState {
    const found = this.leases.get(id);
    assert(found !== undefined, 'an entry names a lease that exists');
    return found;
  }

  private remember(changes: RevisionChanges): void {
    this.history.push(changes);
    if (this.history.length <= this.historyMax * 2) return;
    const dropped = this.history.splice(0, this.history.length - this.historyMax);
    this.forgotten = dropped.at(-1)?.revision ?? this.forgotten;
  }
}
