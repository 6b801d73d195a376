import type { BrokerSet, ConsumerGroup, Topic } from '@cometmq/model';
import type { DirectoryUpdate } from '@cometmq/client';
import type { Change, KeyValue, StoreUpdate } from '@cometmq/metadata';
import { assert, MqError, type Clock } from '@cometmq/shared';

import {
  brokerSetOf,
  keys,
  recordOf,
  type GroupRecord,
  type PresenceRecord,
  type SetRecord,
  type TopicRecord,
} from './keys.js';

type Listener = (update: DirectoryUpdate) => void;

interface Waiter {
  readonly revision: number;
  readonly done: () => void;
}

/**
 * The metadata as this instance knows it, kept by the store's watch: what is asked of the name service is answered from
 * here, and each change is passed on in the words of the directory, in order. It may be behind the store, never ahead.
 */
export class DirectoryCopy {
  private revision = 0;
  private topics = new Map<string, Topic>();
  private groups = new Map<string, ConsumerGroup>();
  private sets = new Map<string, SetRecord>();
  private presences = new Map<string, PresenceRecord>();
  private clusterId: string | undefined;
  private secret: Uint8Array | undefined;
  private readonly listeners = new Set<Listener>();
  private waiters: Waiter[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly unreadable: (key: string) => void,
  ) {}

  /** True once there is a whole directory to show. */
  get ready(): boolean {
    return this.clusterId !== undefined && this.secret !== undefined;
  }

  topic(name: string): Topic | undefined {
    return this.topics.get(name);
  }

  group(name: string): ConsumerGroup | undefined {
    return this.groups.get(name);
  }

  brokerSet(name: string): BrokerSet | undefined {
    const set = this.sets.get(name);
    return set && brokerSetOf(set, this.presences.get(name));
  }

  listen(listener: Listener): () => void {
    // The whole goes out in a moment, as it is then; what happens from then on follows it.
    let told = false;
    const begin = (): void => {
      if (told || stopped || !this.ready) return;
      told = true;
      this.listeners.add(listener);
      listener(this.snapshot());
    };
    let stopped = false;
    if (this.ready) queueMicrotask(begin);
    else this.waiters.push({ revision: 0, done: begin });
    return () => {
      stopped = true;
      this.listeners.delete(listener);
    };
  }

  /** Waits until the copy has come as far as `revision`. @throws MqError UNAVAILABLE after `msMax` */
  reached(revision: number, msMax: number): Promise<void> {
    if (this.ready && this.revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter = {
        revision,
        done: () => {
          timer.cancel();
          resolve();
        },
      };
      const timer = this.clock.after(msMax, () => {
        this.waiters = this.waiters.filter((other) => other !== waiter);
        reject(new MqError('UNAVAILABLE', 'the name service does not hear of changes of the metadata now; try again'));
      });
      this.waiters.push(waiter);
    });
  }

  apply(update: StoreUpdate): void {
    if (update.kind === 'snapshot') this.replace(update.revision, update.pairs);
    else this.change(update.revision, update.changes);
    if (this.ready) this.wake();
  }

  private snapshot(): DirectoryUpdate {
    assert(this.clusterId !== undefined && this.secret !== undefined, 'a directory is shown when it is whole');
    return {
      kind: 'snapshot',
      revision: this.revision,
      clusterId: this.clusterId,
      secret: this.secret,
      topics: [...this.topics.values()],
      groups: [...this.groups.values()],
      brokers: [...this.sets.values()].map((set) => brokerSetOf(set, this.presences.get(set.name))),
    };
  }

  private replace(revision: number, pairs: readonly KeyValue[]): void {
    this.topics = new Map();
    this.groups = new Map();
    this.sets = new Map();
    this.presences = new Map();
    this.revision = revision;
    for (const pair of pairs) this.take({ key: pair.key, pair }, () => undefined);
    if (this.ready) this.tell(this.snapshot());
  }

  private change(revision: number, changes: readonly Change[]): void {
    this.revision = revision;
    const updates: DirectoryUpdate[] = [];
    const setsTouched = new Set<string>();
    const before = new Map<string, BrokerSet | undefined>();
    for (const { key } of changes) {
      const name = setNameIn(key);
      if (name !== undefined && !before.has(name)) before.set(name, this.brokerSet(name));
    }
    for (const change of changes) {
      const name = setNameIn(change.key);
      if (name !== undefined) setsTouched.add(name);
      this.take(change, (update) => updates.push(update));
    }
    for (const name of setsTouched) {
      const broker = this.brokerSet(name);
      const gone = before.get(name);
      if (broker) updates.push({ kind: 'broker', revision, broker });
      else if (gone) updates.push({ kind: 'brokerDeleted', revision, broker: gone });
    }
    if (!this.ready) return;
    for (const update of updates) this.tell(update);
  }

  /** Takes one key in. Sets are told by the caller: two keys make one. */
  private take({ key, pair }: Change, tell: (update: DirectoryUpdate) => void): void {
    const { revision } = this;
    if (key.startsWith(keys.topics)) {
      const was = fold(this.topics, key.slice(keys.topics.length), this.read<TopicRecord>(pair));
      const topic = this.topics.get(key.slice(keys.topics.length));
      if (topic) tell({ kind: 'topic', revision, topic });
      else if (was) tell({ kind: 'topicDeleted', revision, topic: was });
    } else if (key.startsWith(keys.groups)) {
      const was = fold(this.groups, key.slice(keys.groups.length), this.read<GroupRecord>(pair));
      const group = this.groups.get(key.slice(keys.groups.length));
      if (group) tell({ kind: 'group', revision, group });
      else if (was) tell({ kind: 'groupDeleted', revision, group: was });
    } else if (key.startsWith(keys.sets)) {
      fold(this.sets, key.slice(keys.sets.length), this.read<SetRecord>(pair));
    } else if (key.startsWith(keys.presences)) {
      fold(this.presences, key.slice(keys.presences.length), this.read<PresenceRecord>(pair));
    } else if (key === keys.clusterId && pair) {
      this.clusterId = pair.value;
    } else if (key === keys.secret && pair) {
      this.secret = Buffer.from(pair.value, 'base64');
    }
  }

  private read<T>(pair: KeyValue | undefined): T | undefined {
    const record = recordOf<T>(pair);
    if (pair && !record) this.unreadable(pair.key);
    return record;
  }

  private tell(update: DirectoryUpdate): void {
    for (const listener of [...this.listeners]) listener(update);
  }

  private wake(): void {
    const due = this.waiters.filter((waiter) => waiter.revision <= this.revision);
    if (due.length === 0) return;
    this.waiters = this.waiters.filter((waiter) => waiter.revision > this.revision);
    for (const { done } of due) done();
  }
}

/** @returns what was there before. */
function fold<T>(map: Map<string, T>, name: string, record: T | undefined): T | undefined {
  const was = map.get(name);
  if (record) map.set(name, record);
  else map.delete(name);
  return was;
}

function setNameIn(key: string): string | undefined {
  if (key.startsWith(keys.sets)) return key.slice(keys.sets.length);
  if (key.startsWith(keys.presences)) return key.slice(keys.presences.length);
  return undefined;
}
