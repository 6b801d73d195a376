import { changedUser, checkedPolicies, newUser, userName, usersMax } from '@cometmq/auth';
import type { IdentityService } from '@cometmq/client';
import type { Compare, MetadataStore, StoreUpdate } from '@cometmq/metadata';
import type { IdentityUpdate, User, UserChange, UserDraft, UserPolicies } from '@cometmq/model';
import { MqError, type Clock, type Component } from '@cometmq/shared';

import { keys, recordOf } from './keys.js';

type Listener = (update: IdentityUpdate) => void;

export interface IdentityRegistryOptions {
  readonly store: MetadataStore;
  readonly clock: Clock;
  /** Whose metadata it is: compared with each change. @throws MqError UNAVAILABLE */
  readonly clusterId: () => string;
  /** A key holds no record; what was there before counts. */
  readonly unreadable: (key: string) => void;
}

const conflictsMax = 50;

/** What is kept below `identities/`: a folder each, its records by name, and what is told of them. */
interface Kind<T> {
  readonly folder: string;
  readonly records: Map<string, T>;
  readonly put: (record: T, revision: number) => IdentityUpdate;
  readonly deleted: (name: string, revision: number) => IdentityUpdate;
}

/**
 * Users and policies in the metadata store, on a path that no watcher of the directory is told of. Each change decides on
 * what it reads, writes by comparing just that, and decides anew when another came first. Serves its watchers from a copy
 * that follows the store. Knows no secret: they come sealed and stay so.
 */
export class IdentityRegistry implements IdentityService, Component {
  readonly name = 'identities';
  private readonly users: Kind<User> = {
    folder: keys.users,
    records: new Map(),
    put: (user, revision) => ({ kind: 'user', revision, user }),
    deleted: (name, revision) => ({ kind: 'userDeleted', revision, name }),
  };
  private readonly policies: Kind<UserPolicies> = {
    folder: keys.policies,
    records: new Map(),
    put: (policies, revision) => ({ kind: 'policies', revision, policies }),
    deleted: (user, revision) => ({ kind: 'policiesDeleted', revision, user }),
  };
  private readonly kinds = [this.users, this.policies] as readonly Kind<unknown>[];
  private readonly listeners = new Set<Listener>();
  private revision: number | undefined;
  private unwatch: (() => void) | undefined;

  constructor(private readonly options: IdentityRegistryOptions) {}

  start(): Promise<void> {
    this.unwatch = this.options.store.watch(keys.identities, (update) => this.apply(update));
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.unwatch?.();
    return Promise.resolve();
  }

  watch(listener: Listener): () => void {
    let stopped = false;
    queueMicrotask(() => {
      if (stopped) return;
      this.listeners.add(listener);
      if (this.revision !== undefined) listener(this.snapshot(this.revision));
    });
    return () => {
      stopped = true;
      this.listeners.delete(listener);
    };
  }

  async createUser(draft: UserDraft): Promise<User> {
    const user = newUser(draft, this.options.clock.wallMs());
    if (this.users.records.size >= usersMax) {
      throw new MqError('FORBIDDEN', `there are ${usersMax} users, as many as may be: delete whom nobody needs`);
    }
    const isMade = await this.commit({ compare: [{ key: keys.user(user.name), modRevision: 0 }], put: user });
    if (!isMade) throw new MqError('ALREADY_EXISTS', `user ${user.name} exists already`);
    return user;
  }

  async updateUser(given: string, change: UserChange): Promise<User> {
    const name = userName(given);
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const { user, modRevision } = await this.found(name);
      const changed = changedUser(user, change);
      if (await this.commit({ compare: [{ key: keys.user(name), modRevision }], put: changed })) return changed;
    }
    throw new MqError('CONFLICT', 'others change the same user all the time; try again');
  }

  async deleteUser(given: string): Promise<void> {
    const name = userName(given);
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const { modRevision } = await this.found(name);
      const deletes = [keys.user(name), keys.policiesOf(name)];
      if (await this.commit({ compare: [{ key: keys.user(name), modRevision }], deletes })) return;
    }
    throw new MqError('CONFLICT', 'others change the same user all the time; try again');
  }

  async setPolicies(given: UserPolicies): Promise<void> {
    const policies = checkedPolicies({ ...given, user: userName(given.user) });
    const key = keys.policiesOf(policies.user);
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const { modRevision } = await this.found(policies.user);
      const compare = [{ key: keys.user(policies.user), modRevision }];
      const isNone = policies.entries.length === 0;
      if (
        await this.commit({
          compare,
          ...(isNone ? { deletes: [key] } : { puts: [{ key, value: JSON.stringify(policies) }] }),
        })
      ) {
        return;
      }
    }
    throw new MqError('CONFLICT', 'others change the same user all the time; try again');
  }

  private async found(name: string): Promise<{ readonly user: User; readonly modRevision: number }> {
    const pair = await this.options.store.get(keys.user(name));
    const user = recordOf<User>(pair);
    if (!pair || !user) throw new MqError('NOT_FOUND', `there is no user ${name}`);
    return { user, modRevision: pair.modRevision };
  }

  /** False: what was compared is not so any more. */
  private async commit(write: {
    readonly compare: readonly Compare[];
    readonly put?: User;
    readonly puts?: readonly { readonly key: string; readonly value: string }[];
    readonly deletes?: readonly string[];
  }): Promise<boolean> {
    const { store, clusterId } = this.options;
    const { put, puts = [], deletes = [] } = write;
    const { applied } = await store.commit({
      compare: [...write.compare, { key: keys.clusterId, value: clusterId() }],
      puts: put ? [...puts, { key: keys.user(put.name), value: JSON.stringify(put) }] : puts,
      deletes,
    });
    return applied;
  }

  private snapshot(revision: number): IdentityUpdate {
    return {
      kind: 'snapshot',
      revision,
      users: [...this.users.records.values()],
      policies: [...this.policies.records.values()],
    };
  }

  private apply(update: StoreUpdate): void {
    const { revision } = update;
    this.revision = revision;
    if (update.kind === 'snapshot') {
      for (const { records } of this.kinds) records.clear();
      for (const pair of update.pairs) this.take(pair.key, pair.value, revision);
      this.tell(this.snapshot(revision));
      return;
    }
    for (const { key, pair } of update.changes) {
      const told = this.take(key, pair?.value, revision);
      if (told) this.tell(told);
    }
  }

  private take(key: string, value: string | undefined, revision: number): IdentityUpdate | undefined {
    const kind = this.kinds.find(({ folder }) => key.startsWith(folder));
    if (!kind) return undefined;
    const name = key.slice(kind.folder.length);
    if (value === undefined) return kind.records.delete(name) ? kind.deleted(name, revision) : undefined;
    const record = recordOf<object>({ key, value, createRevision: revision, modRevision: revision });
    if (!record) {
      this.options.unreadable(key);
      return undefined;
    }
    kind.records.set(name, record);
    return kind.put(record, revision);
  }

  private tell(update: IdentityUpdate): void {
    for (const listener of [...this.listeners]) listener(update);
  }
}
