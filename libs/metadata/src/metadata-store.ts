import type { Component } from '@cometmq/shared';

/**
 * What the system asks of a key-value store, in etcd's terms: one number, the revision, counts all changes; a transaction
 * compares what was read and then writes all or nothing; a watch tells every change in order; a key may hang on a lease
 * and goes with it. Three adapters keep one contract (`testing/contract.ts`): etcd, a folder on disk, memory.
 *
 * Faults of all methods: MqError UNAVAILABLE when the store can't be reached (a read changes nothing; of a commit the
 * message says whether its outcome is known), DISK_FAILED when its disk has failed.
 */
export interface MetadataStore extends Component {
  /** The key now. Sees every change that was answered to anybody before this call. */
  get(key: string): Promise<KeyValue | undefined>;
  /** All keys that start with `prefix`, ordered by key, as they are together at one revision. Sees what `get` sees. */
  range(prefix: string): Promise<Range>;
  /**
   * Compares, then writes all or nothing, once: an answer that gets lost on the way is asked for again, not repeated.
   * @throws MqError NOT_FOUND when a lease named by a put is gone.
   */
  commit(transaction: Transaction): Promise<Committed>;
  /**
   * Tells every change below `prefix`, in order, none left out and none twice, until the returned function is called.
   * First comes the whole (`snapshot`), or with `after` only what came after that revision. The whole comes again when
   * the store no longer knows the changes that were missed. `listener` is never called from inside `watch`; while the
   * store is away it hears nothing and the watch goes on by itself.
   */
  watch(prefix: string, listener: (update: StoreUpdate) => void, after?: number): () => void;
  /** A lease that ends `ttlMs` after its last renewal; the store may grant more (etcd: whole seconds, at least 2). */
  grantLease(ttlMs: number): Promise<Lease>;
  /** Renews. Undefined: the lease is gone, and the keys on it too. */
  keepLease(id: LeaseId): Promise<Lease | undefined>;
  /** Ends the lease and deletes its keys. One that is gone already is no error. */
  revokeLease(id: LeaseId): Promise<void>;
}

export type LeaseId = string;

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** The revision that made the key. */
  readonly createRevision: number;
  /** The revision that last wrote it. */
  readonly modRevision: number;
  readonly lease?: LeaseId | undefined;
}

export interface Range {
  readonly revision: number;
  readonly pairs: readonly KeyValue[];
  /** Of the store that says so, which an emptied one has not: etcd's cluster id. Undefined: it has none. */
  readonly storeId?: string | undefined;
}

/** No key may be written twice in one transaction, and at most 127 compared or written. A key that is deleted need not exist. */
export interface Transaction {
  readonly compare: readonly Compare[];
  readonly puts?: readonly Put[];
  readonly deletes?: readonly string[];
}

/** Holds while the key was last written at `modRevision` (0: while it doesn't exist), or while it has this value. */
export type Compare =
  { readonly key: string; readonly modRevision: number } | { readonly key: string; readonly value: string };

export interface Put {
  readonly key: string;
  readonly value: string;
  /** Absent: on no lease, whatever the key hung on before. */
  readonly lease?: LeaseId | undefined;
}

export interface Committed {
  /** False: a comparison failed, and nothing was written. */
  readonly applied: boolean;
  /** Applied: the revision of this change. Else some revision by which the comparison had failed. */
  readonly revision: number;
}

export interface Lease {
  readonly id: LeaseId;
  readonly ttlMs: number;
  /**
   * Monotonic time until which the lease surely holds: reckoned from when the request was sent, as the store may have
   * counted from then, not from when the answer came.
   */
  readonly deadlineMs: number;
}

export type StoreUpdate =
  | { readonly kind: 'snapshot'; readonly revision: number; readonly pairs: readonly KeyValue[] }
  /** All that one revision changed below the prefix. */
  | { readonly kind: 'changes'; readonly revision: number; readonly changes: readonly Change[] };

export interface Change {
  readonly key: string;
  /** Undefined: deleted. */
  readonly pair: KeyValue | undefined;
}
