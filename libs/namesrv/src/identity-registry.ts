import {
  changedUser,
  checkedPolicies,
  newUser,
  revokedToken,
  revokedTokensMax,
  samePolicies,
  userName,
  usersMax,
} from '@cometmq/auth';
import type { Asker, IdentityService } from '@cometmq/client';
import type { Compare, MetadataStore, StoreUpdate } from '@cometmq/metadata';
import { followsMetadata } from '@cometmq/model';
import type {
  IdentitySource,
  IdentityUpdate,
  PolicyEntry,
  RevokedToken,
  User,
  UserChange,
  UserDraft,
  UserPolicies,
} from '@cometmq/model';
import { MqError, throwAssertion, type Clock, type Component, type Timer } from '@cometmq/shared';

import { identityIn, type Identity } from './cluster.js';
import { nobodyWaits } from './decision.js';
import { keys, recordOf } from './keys.js';

type Listener = (update: IdentityUpdate) => void;

export interface IdentityRegistryOptions {
  readonly store: MetadataStore;
  readonly clock: Clock;
  /** Whose metadata it is: compared with each change. @throws MqError UNAVAILABLE */
  readonly clusterId: () => string;
  readonly usersMax?: number;
  /** A key holds no record; what was there before counts. */
  readonly unreadable: (key: string) => void;
  /** The store shows less than before: it was emptied, replaced or set back, and what was known goes on to be used. */
  readonly refused?: ((reason: string) => void) | undefined;
}

const conflictsMax = 50;
/** How long a new user waits for what others have made before. */
const settleMsMax = 5_000;
/** Revocations whose tokens have ended are deleted so long after it, as clocks differ; so many with each new one. */
const revokedKeptMs = 3_600_000;
const forgottenAtOnce = 32;
/** Until it is asked again whose metadata the store holds. */
const againMs = 1_000;

/** The whole of a store, which is not known yet to be the one that stands behind what is told. */
interface Shown {
  revision: number;
  readonly pairs: Map<string, string>;
}

/** What is kept below `identities/`: a folder each, its records by name, and what is told of them. */
interface Kind<T> {
  readonly folder: string;
  readonly records: Map<string, T>;
  readonly put: (record: T, revision: number) => IdentityUpdate;
  /** Undefined: nobody has to be told. */
  readonly deleted: (name: string, revision: number) => IdentityUpdate | undefined;
}

interface Write {
  readonly compare: readonly Compare[];
  readonly put?: User;
  readonly puts?: readonly { readonly key: string; readonly value: string }[];
  readonly deletes?: readonly string[];
}

interface UsersMade {
  readonly users: number;
}

const noSource: IdentitySource = { clusterId: '', generation: 0, replaced: [] };

/**
 * Users and policies in the metadata store, on a path that no watcher of the directory is told of. Each change decides on
 * what it reads, writes by comparing just that, and decides anew when another came first. Serves its watchers from a copy
 * that follows the store; the whole of another store, or of an older state of this one, is not taken for deletions: until it
 * says that it is brought back, what was known goes on to be used. Knows no secret: they come sealed and stay so.
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
  private readonly revoked: Kind<RevokedToken> = {
    folder: keys.revoked,
    records: new Map(),
    put: (token, revision) => ({ kind: 'tokenRevoked', revision, token }),
    deleted: () => undefined, // It has ended by itself long ago.
  };
  private readonly kinds = [this.users, this.policies, this.revoked] as readonly Kind<unknown>[];
  private readonly listeners = new Set<Listener>();
  private revision: number | undefined;
  private source = noSource;
  private shown: Shown | undefined;
  private timer: Timer | undefined;
  private refusal = '';
  private stopped = false;
  private unwatch: (() => void) | undefined;
  /** New users are made one after the other: each counts those before it. */
  private making: Promise<unknown> = Promise.resolve();
  private readonly settling = new Set<() => void>();

  constructor(private readonly options: IdentityRegistryOptions) {}

  start(): Promise<void> {
    const { store } = this.options;
    const unwatches = [
      store.watch(keys.identities, (update) => this.apply(update)),
      store.watch(keys.cluster, () => this.lookWhose()), // A cluster that is brought back becomes another one here.
    ];
    this.unwatch = () => unwatches.forEach((unwatch) => unwatch());
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
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

  async createUser(draft: UserDraft, asker?: Asker): Promise<User> {
    const user = newUser(draft, this.options.clock.wallMs());
    const made = this.making.then(() => this.makeUser(user, asker));
    this.making = made.catch(() => undefined); // Told to who asked.
    await made;
    return user;
  }

  private async makeUser(user: User, asker: Asker | undefined): Promise<void> {
    const { store } = this.options;
    const key = keys.user(user.name);
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const [counter, found] = await Promise.all([store.get(keys.usersMade), store.get(key)]);
      if (found) throw new MqError('ALREADY_EXISTS', `user ${user.name} exists already`);
      // What other name servers have made counts, too.
      await this.reached(counter?.modRevision ?? 0);
      const { usersMax: most = usersMax } = this.options;
      if (this.users.records.size >= most) {
        throw new MqError('FORBIDDEN', `there are ${most} users, as many as may be: delete whom nobody needs`);
      }
      const value = JSON.stringify({ users: (recordOf<UsersMade>(counter)?.users ?? 0) + 1 });
      const compare = [
        { key, modRevision: 0 },
        { key: keys.usersMade, modRevision: counter?.modRevision ?? 0 },
      ];
      if (await this.commit({ compare, put: user, puts: [{ key: keys.usersMade, value }] }, asker)) return;
    }
    throw new MqError('CONFLICT', 'others make users all the time; try again');
  }

  /** Resolves once what is known here has come so far. @throws MqError UNAVAILABLE */
  private async reached(revision: number): Promise<void> {
    const isThere = (): boolean => this.revision !== undefined && this.revision >= revision;
    if (isThere()) return;
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (!isThere()) return;
        timer.cancel();
        this.settling.delete(look);
        resolve();
      };
      const timer = this.options.clock.after(settleMsMax, () => {
        this.settling.delete(look);
        reject(
          new MqError('UNAVAILABLE', 'this name server does not know yet which users others have made; try again'),
        );
      });
      this.settling.add(look);
    });
  }

  async updateUser(given: string, change: UserChange, asker?: Asker): Promise<User> {
    const name = userName(given);
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const { user, modRevision } = await this.found(name);
      const changed = changedUser(user, change);
      const others = isAdmin(user) && !isAdmin(changed) ? [await this.anotherAdmin(name)] : [];
      const compare = [{ key: keys.user(name), modRevision }, ...others];
      if (await this.commit({ compare, put: changed }, asker)) return changed;
    }
    throw new MqError('CONFLICT', 'others change the same user all the time; try again');
  }

  async deleteUser(given: string, asker?: Asker): Promise<void> {
    const name = userName(given);
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const { user, modRevision } = await this.found(name);
      const others = isAdmin(user) ? [await this.anotherAdmin(name)] : [];
      const deletes = [keys.user(name), keys.policiesOf(name)];
      const compare = [{ key: keys.user(name), modRevision }, ...others];
      if (await this.commit({ compare, deletes }, asker)) return;
    }
    throw new MqError('CONFLICT', 'others change the same user all the time; try again');
  }

  async setPolicies(given: UserPolicies, before?: readonly PolicyEntry[], asker?: Asker): Promise<void> {
    const policies = checkedPolicies({ ...given, user: userName(given.user) });
    const key = keys.policiesOf(policies.user);
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const { modRevision } = await this.found(policies.user);
      const compare = [{ key: keys.user(policies.user), modRevision }];
      if (before) {
        const pair = await this.options.store.get(key);
        if (!samePolicies(recordOf<UserPolicies>(pair)?.entries ?? [], before)) {
          throw new MqError(
            'CONFLICT',
            `somebody else has changed the policies of ${policies.user} meanwhile; try again`,
          );
        }
        compare.push({ key, modRevision: pair?.modRevision ?? 0 });
      }
      const isNone = policies.entries.length === 0;
      const change = isNone ? { deletes: [key] } : { puts: [{ key, value: JSON.stringify(policies) }] };
      if (await this.commit({ compare, ...change }, asker)) return;
    }
    throw new MqError('CONFLICT', 'others change the same user all the time; try again');
  }

  async revokeToken(given: RevokedToken): Promise<void> {
    const token = revokedToken(given);
    const endedMs = this.options.clock.wallMs() - revokedKeptMs;
    const { records } = this.revoked;
    const deletes: string[] = [];
    for (const { id, untilMs } of records.values()) {
      if (deletes.length >= forgottenAtOnce) break;
      if (untilMs < endedMs && id !== token.id) deletes.push(keys.revokedToken(id));
    }
    if (records.size - deletes.length >= revokedTokensMax && !records.has(token.id)) {
      throw new MqError('TOO_MANY_REQUESTS', 'too many have logged out lately; the token ends with its time');
    }
    const puts = [{ key: keys.revokedToken(token.id), value: JSON.stringify(token) }];
    if (await this.commit({ compare: [], puts, deletes })) return;
    throw new MqError('CONFLICT', 'the metadata store holds another cluster now; try again');
  }

  /** Compared with the change: somebody must be left who can let others in. @throws MqError CONFLICT */
  private async anotherAdmin(name: string): Promise<Compare> {
    const { pairs } = await this.options.store.range(keys.users);
    for (const pair of pairs) {
      const user = recordOf<User>(pair);
      if (user && user.name !== name && isAdmin(user)) return { key: pair.key, modRevision: pair.modRevision };
    }
    throw new MqError('CONFLICT', `${name} is the last enabled super user; make another one first`);
  }

  private async found(name: string): Promise<{ readonly user: User; readonly modRevision: number }> {
    const pair = await this.options.store.get(keys.user(name));
    const user = recordOf<User>(pair);
    if (!pair || !user) throw new MqError('NOT_FOUND', `there is no user ${name}`);
    return { user, modRevision: pair.modRevision };
  }

  /** False: what was compared is not so any more. */
  private async commit(write: Write, asker?: Asker): Promise<boolean> {
    if (asker?.cancelled) throw nobodyWaits();
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
      source: this.source,
      users: [...this.users.records.values()],
      policies: [...this.policies.records.values()],
      revoked: [...this.revoked.records.values()],
    };
  }

  private apply(update: StoreUpdate): void {
    const { revision } = update;
    if (update.kind === 'snapshot') {
      this.shown = { revision, pairs: new Map(update.pairs.map(({ key, value }) => [key, value])) };
      this.judge(this.shown);
      return;
    }
    const { shown } = this;
    if (shown) {
      shown.revision = revision;
      for (const { key, pair } of update.changes) {
        if (pair) shown.pairs.set(key, pair.value);
        else shown.pairs.delete(key);
      }
      return;
    }
    this.revision = revision;
    for (const { key, pair } of update.changes) {
      const told = this.take(key, pair?.value, revision);
      if (told) this.tell(told);
    }
    for (const look of [...this.settling]) look();
  }

  /** Takes what the store shows in the place of what was known, if that is what it goes on from. */
  private judge(shown: Shown): void {
    this.timer?.cancel();
    identityIn(this.options.store)
      .then((found) => {
        if (this.shown !== shown || this.stopped) return;
        const refusal = this.refusalOf(found, shown.revision);
        if (refusal === undefined && found) {
          this.shown = undefined;
          this.adopt(shown, found);
          return;
        }
        if (refusal !== undefined && refusal !== this.refusal) this.options.refused?.(refusal);
        this.refusal = refusal ?? '';
        this.judgeLater(shown);
      })
      .catch((caught: unknown) => {
        throwAssertion(caught);
        this.judgeLater(shown); // The store is away: what was known goes on to be used.
      });
  }

  private lookWhose(): void {
    if (this.shown) {
      this.judge(this.shown);
      return;
    }
    identityIn(this.options.store)
      .then((found) => {
        const { revision } = this;
        if (!found || this.shown || revision === undefined || this.stopped) return;
        if (sourceOf(found).generation === this.source.generation) return;
        if (this.refusalOf(found, revision) !== undefined) return;
        this.source = sourceOf(found);
        this.tell(this.snapshot(revision));
      })
      .catch((caught: unknown) => throwAssertion(caught)); // The store is away: what it holds then will be told.
  }

  private judgeLater(shown: Shown): void {
    if (this.shown !== shown || this.stopped) return;
    this.timer = this.options.clock.after(againMs, () => this.judge(shown));
  }

  /** Why what is known is better than what the store shows; undefined: it is not, or nothing is known. */
  private refusalOf(found: Identity | undefined, revision: number): string | undefined {
    if (this.revision === undefined) return undefined;
    const known = { ...this.source, revision: this.revision };
    const was = `cluster ${known.clusterId}, generation ${known.generation}, revision ${known.revision}`;
    if (!found) return `the metadata store is empty where ${was} was: its users go on to be known`;
    const { clusterId, generation } = found.version;
    if (followsMetadata({ clusterId, generation, revision }, known)) return undefined;
    if (found.lineage.replaced.includes(known.clusterId)) return undefined;
    return (
      `the metadata store holds cluster ${clusterId}, generation ${generation}, revision ${revision} where ${was} was: the ` +
      'users of the latter go on to be known'
    );
  }

  private adopt({ revision, pairs }: Shown, found: Identity): void {
    this.refusal = '';
    this.revision = revision;
    this.source = sourceOf(found);
    for (const { records } of this.kinds) records.clear();
    for (const [key, value] of pairs) this.take(key, value, revision);
    this.tell(this.snapshot(revision));
    for (const look of [...this.settling]) look();
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

function isAdmin({ kind, enabled }: User): boolean {
  return kind === 'super' && enabled;
}

function sourceOf({ version, lineage }: Identity): IdentitySource {
  const { clusterId, generation } = version;
  return { clusterId, generation, replaced: lineage.replaced };
}
