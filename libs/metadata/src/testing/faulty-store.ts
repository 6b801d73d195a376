import { MqError } from '@cometmq/shared';

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

/**
 * A store that can be out of reach. Meanwhile calls fail with UNAVAILABLE and watches hear nothing; what they missed is
 * told in order when it is back. Several may stand before one store.
 */
export class FaultyStore implements MetadataStore {
  readonly name = 'faulty metadata';
  /** The next commit is made, but its caller is told UNAVAILABLE. */
  loseNextAnswer = false;
  /** Told of each time that somebody meets what is wrong. */
  onMet: (what: 'away' | 'answer lost' | 'not heard') => void = () => undefined;
  private away = false;
  private deaf = false;
  private held: PromiseWithResolvers<void> | undefined;
  private readonly watches = new Set<() => void>();
  private readonly turns = new Set<() => void>();

  constructor(private store: MetadataStore) {}

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  leave(): void {
    this.away = true;
  }

  /** It says nothing of what it holds, until `letReads`. */
  holdReads(): void {
    this.held = Promise.withResolvers();
  }

  letReads(): void {
    this.held?.resolve();
    this.held = undefined;
  }

  /** Calls go through, but watches hear nothing until it is back. */
  stopHearing(): void {
    this.deaf = true;
  }

  comeBack(): void {
    this.away = this.deaf = false;
    for (const goOn of this.watches) goOn();
  }

  /** Another store stands where this one stood: emptied, restored, or another cluster's. Watches are told the whole of it. */
  becomes(store: MetadataStore): void {
    this.store = store;
    for (const turn of this.turns) turn();
  }

  async get(key: string): Promise<KeyValue | undefined> {
    await this.held?.promise;
    return this.reach(() => this.store.get(key));
  }
  range(prefix: string): Promise<Range> {
    return this.reach(() => this.store.range(prefix));
  }
  commit(transaction: Transaction): Promise<Committed> {
    return this.reach(async () => {
      const outcome = await this.store.commit(transaction);
      if (!this.loseNextAnswer) return outcome;
      this.loseNextAnswer = false;
      this.onMet('answer lost');
      throw new MqError('UNAVAILABLE', 'whether the change was made is not known');
    });
  }
  grantLease(ttlMs: number): Promise<Lease> {
    return this.reach(() => this.store.grantLease(ttlMs));
  }
  keepLease(id: LeaseId): Promise<Lease | undefined> {
    return this.reach(() => this.store.keepLease(id));
  }
  revokeLease(id: LeaseId): Promise<void> {
    return this.reach(() => this.store.revokeLease(id));
  }

  watch(prefix: string, listener: (update: StoreUpdate) => void, after?: number): () => void {
    let missed: StoreUpdate[] = [];
    const goOn = (): void => {
      const updates = missed;
      missed = [];
      for (const update of updates) listener(update);
    };
    const hear = (update: StoreUpdate): void => {
      if (!this.away && !this.deaf) {
        listener(update);
        return;
      }
      this.onMet('not heard');
      missed.push(update);
    };
    let stop = this.store.watch(prefix, hear, after);
    const turn = (): void => {
      stop();
      stop = this.store.watch(prefix, hear);
    };
    this.watches.add(goOn);
    this.turns.add(turn);
    return () => {
      stop();
      this.watches.delete(goOn);
      this.turns.delete(turn);
    };
  }

  private reach<T>(act: () => Promise<T>): Promise<T> {
    if (!this.away) return act();
    this.onMet('away');
    return Promise.reject(new MqError('UNAVAILABLE', 'etcd does not answer'));
  }
}
