import { assert, MqError, type Clock, type Timer } from '@cometmq/shared';

import type {
  Committed,
  KeyValue,
  Lease,
  LeaseId,
  MetadataStore,
  Range,
  StoreUpdate,
  Transaction,
} from '../metadata-store.js';
import { KeyValueState, type Entry, type Frozen, type RevisionChanges } from './state.js';

/** Where a local store's entries are kept. What `append` resolved for survives a crash. */
export interface Journal {
  /** What was kept, opened once before all else: the last snapshot, and the entries since. */
  open(): Promise<{ readonly snapshot: Frozen | undefined; readonly entries: readonly Entry[] }>;
  append(entries: readonly Entry[]): Promise<void>;
  /** True: enough entries have gathered that a snapshot of the state should replace them. */
  readonly snapshotDue: boolean;
  snapshot(state: Frozen): Promise<void>;
  close(): Promise<void>;
}

/** What is asked of the store, in two steps: `decide` in its turn, `answer` once the journal has what was decided. */
interface Operation {
  decide(): Entry | undefined;
  answer(): void;
  fail(error: MqError): void;
}

interface Watch {
  readonly prefix: string;
  readonly listener: (update: StoreUpdate) => void;
  active: boolean;
}

/**
 * A metadata store in this process. Operations are decided one after another against all that was decided before;
 * whatever gathered while the journal was writing is written with one sync. Nobody, reader or watch, is told of a
 * change before the journal has it; after a failed write nothing is answered any more.
 *
 * Leases run on the monotonic clock. After a restart each has its full time again, since nobody knows how long the
 * process was gone.
 */
export class LocalStore implements MetadataStore {
  private state = new KeyValueState();
  private readonly watches = new Set<Watch>();
  private readonly leaseEndsMs = new Map<LeaseId, number>();
  private leaseTimer: Timer | undefined;
  private waiting: Operation[] = [];
  private working: Promise<void> | undefined;
  private phase: 'new' | 'open' | 'stopped' = 'new';
  private broken: MqError | undefined;

  constructor(
    readonly name: string,
    private readonly journal: Journal,
    private readonly clock: Clock,
  ) {}

  async start(): Promise<void> {
    assert(this.phase === 'new', 'a store is started once');
    const { snapshot, entries } = await this.journal.open();
    this.state = new KeyValueState(snapshot);
    for (const entry of entries) this.state.apply(entry);
    const nowMs = this.clock.monotonicMs();
    for (const id of this.state.leaseIds()) this.leaseEndsMs.set(id, nowMs + (this.state.leaseTtlMs(id) ?? 0));
    this.phase = 'open';
    this.armLeaseTimer();
  }

  async stop(): Promise<void> {
    const wasOpen = this.phase === 'open';
    this.phase = 'stopped';
    this.leaseTimer?.cancel();
    for (const watch of this.watches) watch.active = false;
    this.watches.clear();
    await this.working;
    if (wasOpen) await this.journal.close();
  }

  get(key: string): Promise<KeyValue | undefined> {
    return this.read(() => this.state.get(key));
  }

  range(prefix: string): Promise<Range> {
    return this.read(() => this.state.range(prefix));
  }

  commit(transaction: Transaction): Promise<Committed> {
    const puts = transaction.puts ?? [];
    const deletes = transaction.deletes ?? [];
    assertWrittenOnce([...puts.map((put) => put.key), ...deletes]);
    return this.write((decided) => {
      if (!this.state.holds(transaction)) return decided({ applied: false, revision: this.state.revision });
      for (const { lease } of puts) {
        if (lease !== undefined && this.state.leaseTtlMs(lease) === undefined) throw leaseGone(lease);
      }
      const entry = { kind: 'commit', puts, deletes } as const;
      const changes = this.fold(entry);
      decided({ applied: true, revision: this.state.revision }, changes);
      return changes && entry;
    });
  }

  watch(prefix: string, listener: (update: StoreUpdate) => void, after?: number): () => void {
    const watch: Watch = { prefix, listener, active: true };
    let first: StoreUpdate[] = [];
    this.enqueue({
      decide: () => {
        const missed = after === undefined ? undefined : this.state.changesAfter(after);
        if (missed) first = missed.map((one) => below(prefix, one)).filter((update) => update !== undefined);
        else first = [{ kind: 'snapshot', ...this.state.range(prefix) }];
        return undefined;
      },
      answer: () => {
        if (!watch.active) return;
        this.watches.add(watch);
        for (const update of first) if (watch.active) listener(update);
      },
      fail: () => undefined, // A store that has failed tells nothing any more.
    });
    return () => {
      watch.active = false;
      this.watches.delete(watch);
    };
  }

  grantLease(ttlMs: number): Promise<Lease> {
    const sentMs = this.clock.monotonicMs();
    return this.write<Lease>((decided) => {
      const id = this.state.nextLease();
      const entry = { kind: 'grant', lease: id, ttlMs } as const;
      this.fold(entry);
      this.leaseEndsMs.set(id, this.clock.monotonicMs() + ttlMs);
      this.armLeaseTimer();
      decided({ id, ttlMs, deadlineMs: sentMs + ttlMs });
      return entry;
    });
  }

  keepLease(id: LeaseId): Promise<Lease | undefined> {
    const sentMs = this.clock.monotonicMs();
    return this.read(() => {
      const ttlMs = this.state.leaseTtlMs(id);
      if (ttlMs === undefined) return undefined;
      this.leaseEndsMs.set(id, this.clock.monotonicMs() + ttlMs); // The timer finds out when it fires.
      return { id, ttlMs, deadlineMs: sentMs + ttlMs };
    });
  }

  revokeLease(id: LeaseId): Promise<void> {
    return this.release(id, () => true);
  }

  private release(id: LeaseId, still: () => boolean): Promise<void> {
    return this.write<void>((decided) => {
      if (this.state.leaseTtlMs(id) === undefined || !still()) return decided(undefined);
      const entry = { kind: 'release', lease: id } as const;
      decided(undefined, this.fold(entry));
      this.leaseEndsMs.delete(id);
      return entry;
    });
  }

  private armLeaseTimer(): void {
    this.leaseTimer?.cancel();
    this.leaseTimer = undefined;
    if (this.phase !== 'open' || this.leaseEndsMs.size === 0) return;
    const nextMs = Math.min(...this.leaseEndsMs.values());
    this.leaseTimer = this.clock.after(nextMs - this.clock.monotonicMs(), () => this.endLeases());
  }

  private endLeases(): void {
    const over = (id: LeaseId): boolean => (this.leaseEndsMs.get(id) ?? 0) <= this.clock.monotonicMs();
    const ends = [...this.leaseEndsMs.keys()].filter(over).map((id) => this.release(id, () => over(id)));
    // A disk that failed has been told to whoever wrote; a lease that can't be ended has nobody to tell.
    void Promise.allSettled(ends).then(() => {
      if (!this.broken) this.armLeaseTimer();
    });
  }

  private fold(entry: Entry): RevisionChanges | undefined {
    return this.state.apply(entry);
  }

  private read<T>(look: () => T): Promise<T> {
    return this.write((decided) => decided(look()));
  }

  /** `decide` says what the answer will be, what changed, and what the journal must keep. */
  private write<T>(
    decide: (decided: (answer: T, changes?: RevisionChanges) => undefined) => Entry | undefined,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let answer: () => void = () => reject(new MqError('INTERNAL', 'the metadata store left a call undecided'));
      this.enqueue({
        decide: () =>
          decide((value, changes) => {
            answer = () => {
              if (changes) this.tell(changes);
              resolve(value);
            };
            return undefined;
          }),
        answer: () => answer(),
        fail: reject,
      });
    });
  }

  private enqueue(operation: Operation): void {
    if (this.phase !== 'open') {
      operation.fail(new MqError('UNAVAILABLE', `the metadata store (${this.name}) is ${this.phase}`));
      return;
    }
    this.waiting.push(operation);
    this.working ??= this.work();
  }

  private async work(): Promise<void> {
    await Promise.resolve(); // Nothing is answered from inside the call that asked, and what comes together goes together.
    while (this.waiting.length > 0) {
      const batch = this.waiting;
      this.waiting = [];
      await this.perform(batch);
    }
    this.working = undefined;
  }

  private async perform(batch: readonly Operation[]): Promise<void> {
    const entries: Entry[] = [];
    const decided: Operation[] = [];
    for (const operation of batch) {
      try {
        if (this.broken) throw this.broken;
        const entry = operation.decide();
        if (entry) entries.push(entry);
        decided.push(operation);
      } catch (caught) {
        operation.fail(MqError.from(caught));
      }
    }
    try {
      if (entries.length > 0) await this.journal.append(entries);
    } catch (caught) {
      this.broken = MqError.from(caught);
      for (const operation of decided) operation.fail(this.broken);
      return;
    }
    for (const operation of decided) operation.answer();
    await this.maybeSnapshot();
  }

  private async maybeSnapshot(): Promise<void> {
    if (!this.journal.snapshotDue) return;
    try {
      await this.journal.snapshot(this.state.freeze());
    } catch (caught) {
      this.broken = MqError.from(caught);
    }
  }

  private tell(changes: RevisionChanges): void {
    for (const watch of [...this.watches]) {
      const update = below(watch.prefix, changes);
      if (update && watch.active) watch.listener(update);
    }
  }
}

function below(prefix: string, { revision, changes }: RevisionChanges): StoreUpdate | undefined {
  const mine = changes.filter((change) => change.key.startsWith(prefix));
  return mine.length === 0 ? undefined : { kind: 'changes', revision, changes: mine };
}

export function assertWrittenOnce(keys: readonly string[]): void {
  assert(new Set(keys).size === keys.length, 'a transaction writes each key once');
}

export function leaseGone(id: LeaseId): MqError {
  return new MqError('NOT_FOUND', `lease ${id} has ended`);
}
