/**
 * Topics, consumer groups and users as resources of Kubernetes: what they ask for is made, and repaired where somebody else
 * changes it. Of several equal processes one acts, by a Lease; it follows the three collections, and works off what changes in
 * them or in the cluster, and all of it now and then.
 */
import { createHash } from 'node:crypto';

import type { IdentityBook } from '@cometmq/auth';
import { type DirectoryUpdate } from '@cometmq/client';
import {
  isObject,
  LeaseElection,
  WatchedCollection,
  type KubernetesObject,
  type WatchingKubernetesApi,
} from '@cometmq/rpc';
import { AgainAndAgain, failureFacts, MqError, type Chance, type Component } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import type { AdminContext } from '../api/context.js';
import { GroupKind } from './group-kind.js';
import { nameIn, type Kind } from './kinds.js';
import { apiGroup, apiVersion, isOlder, resourceOf, type Resource } from './resource.js';
import { Reconciler } from './reconciler.js';
import { Releases } from './releases.js';
import { TopicKind } from './topic-kind.js';
import { UserKind } from './user-kind.js';
import { WorkQueue } from './work-queue.js';

export interface ResourceControllerOptions {
  readonly context: AdminContext;
  readonly kubernetes: WatchingKubernetesApi;
  readonly chance: Chance;
  /** Of the Lease that says who acts. */
  readonly lease: string;
  /** Who this process is there. */
  readonly identity: string;
  /** For how long the lease is good. */
  readonly leaseMs: number;
  /** How often all resources are looked at though nothing has changed. */
  readonly resyncMs: number;
}

/** Of each kind. More would be more topics than a cluster has. */
const objectsMax = 20_000;
const bytesMax = 32 * 1024 * 1024;
const atOnce = 4;
/** How often it is looked at which releases there are. */
const releasesMs = 10_000;
const unfollowed = 'resources of Kubernetes can not be followed; their kinds are in the chart cometmq-crds';

export class ResourceController implements Component {
  readonly name = 'resources of Kubernetes';
  private readonly election: LeaseElection;
  private readonly looks: AgainAndAgain;
  private readonly log: Logger;
  private term: Term | undefined;

  constructor(private readonly options: ResourceControllerOptions) {
    const { context, kubernetes, lease, identity, leaseMs } = options;
    this.log = context.log;
    this.election = new LeaseElection({ kubernetes, name: lease, identity, leaseMs, clock: context.clock });
    const look = async (): Promise<void> => {
      try {
        await this.election.look();
      } finally {
        await this.follow();
      }
    };
    this.looks = new AgainAndAgain(context.clock, leaseMs / 6, look, (caught) => {
      this.log.warn(failureFacts(caught), 'who looks after resources of Kubernetes can not be decided');
    });
  }

  get leads(): boolean {
    return this.election.leads;
  }

  start(): Promise<void> {
    this.looks.start();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    await this.looks.stop();
    await this.term?.end();
    await this.election.release().catch(() => undefined); // It ends by itself.
  }

  /** Begins or ends to act, as the lease says. */
  private async follow(): Promise<void> {
    const { leads } = this.election;
    if (leads && !this.term) {
      this.log.info({ lease: this.options.lease }, 'this process looks after the resources of Kubernetes');
      this.term = new Term(this.options, this.election);
      this.term.begin();
    } else if (!leads && this.term) {
      const { term } = this;
      this.term = undefined;
      this.log.warn({ lease: this.options.lease }, 'another process may look after the resources of Kubernetes');
      await term.end();
    }
  }

  /** Once for each reason: it may stay so for long. */
}

/** A time in which this process acts. What it knows ends with it. */
class Term {
  private readonly stopping = new AbortController();
  private readonly kinds: readonly Kind[];
  private readonly collections = new Map<Kind, WatchedCollection>();
  /** Names in the cluster → resources that ask for them. */
  private readonly wishes = new Map<Kind, Wishes>();
  private readonly reconciler: Reconciler;
  private readonly queue: WorkQueue;
  private readonly resyncs: AgainAndAgain;
  private readonly looks: AgainAndAgain;
  private releases: Releases | undefined;
  private readonly problems = new Map<string, string>();
  /** By key: what was last worked on because it was told. */
  private readonly seen = new Map<string, string>();
  /** By name: users and policies as they were when they were last looked at. */
  private readonly knownUsers = new Map<string, readonly [unknown, unknown]>();
  private running: Promise<unknown> | undefined;
  private readonly forgets: (() => void)[] = [];

  constructor(
    private readonly options: ResourceControllerOptions,
    election: LeaseElection,
  ) {
    const { context, kubernetes, chance, resyncMs } = options;
    const { clock, log, audit } = context;
    const topics = new TopicKind(context);
    const groups = new GroupKind(context, () => this.leavingOf(topics));
    this.kinds = [topics, groups, new UserKind(context, kubernetes)];
    for (const kind of this.kinds) {
      const wishes = new Wishes();
      this.wishes.set(kind, wishes);
      const path = `/apis/${apiGroup}/${apiVersion}/namespaces/${kubernetes.namespace}/${kind.plural}`;
      const tell = (name: string, object: KubernetesObject | undefined): void => this.changed(kind, name, object);
      const failed = (error: MqError): void => this.tellProblem(kind.plural, error, unfollowed);
      const works = (): void => void this.problems.delete(kind.plural); // The same may happen again, and is told again.
      this.collections.set(
        kind,
        new WatchedCollection({ kubernetes, path, clock, chance, objectsMax, bytesMax, tell, failed, works }),
      );
    }
    this.reconciler = new Reconciler({
      ...{ kubernetes, clock, log, audit },
      checkLead: () => {
        if (!election.leads || this.stopping.signal.aborted) {
          throw new MqError('CANCELLED', 'another process may look after the resources of Kubernetes');
        }
      },
      rivalOf: (kind, resource) => this.rivalOf(kind, resource),
      written: (kind, object) => this.collections.get(kind)?.put(object),
    });
    this.queue = new WorkQueue({
      ...{ clock, chance, atOnce },
      work: (key) => this.work(key),
      failed: (key, caught) =>
        this.tellProblem(key, MqError.from(caught), 'a resource of Kubernetes is not as it asks'),
    });
    this.resyncs = new AgainAndAgain(
      clock,
      resyncMs,
      () => Promise.resolve(this.all()),
      () => undefined,
    );
    this.looks = new AgainAndAgain(
      clock,
      releasesMs,
      () => this.lookForReleases(),
      (caught) => log.warn(failureFacts(caught), 'which releases look after resources here can not be found out'),
    );
  }

  begin(): void {
    const { directory, identity } = this.options.context;
    this.forgets.push(directory.onUpdate((update) => this.updated(update)));
    if (identity) this.forgets.push(identity.book.onChange(() => this.usersChanged(identity.book)));
    const { signal } = this.stopping;
    this.running = Promise.all([...this.collections.values()].map((collection) => collection.run(signal)));
    this.resyncs.start();
    this.looks.start();
  }

  async end(): Promise<void> {
    this.stopping.abort();
    for (const forget of this.forgets) forget();
    await this.resyncs.stop();
    await this.looks.stop();
    await this.queue.stop();
    await this.running;
  }

  /** Of another one that has come or gone, what was one's may be another's. */
  private async lookForReleases(): Promise<Releases> {
    const { kubernetes, lease } = this.options;
    const found = await Releases.look(kubernetes, lease);
    const before = this.releases;
    if (before?.equals(found)) return before;
    this.releases = found;
    if (before) this.all();
    return found;
  }

  private isOurs(object: KubernetesObject): boolean {
    return this.releases?.claimOf(resourceOf(object)) === 'ours';
  }

  private all(): void {
    for (const kind of this.kinds) {
      for (const name of this.wishes.get(kind)?.resources() ?? []) this.queue.add(keyOf(kind, name));
    }
  }

  private changed(kind: Kind, name: string, object: KubernetesObject | undefined): void {
    const wishes = this.wishes.get(kind);
    const wish = object && nameIn(resourceOf(object));
    const before = wishes?.set(name, wish);
    // Whoever wanted the same name may have it now.
    if (before !== undefined && before !== wish) {
      this.knownUsers.delete(before);
      this.wanted(kind, before);
    }
    if (!object) this.gone(kind, name);
    else if (this.isNews(keyOf(kind, name), object)) this.queue.add(keyOf(kind, name));
  }

  private wanted(kind: Kind, name: string): void {
    for (const resource of this.wishes.get(kind)?.of(name) ?? []) this.queue.add(keyOf(kind, resource));
  }

  /** What this process has written into its status is none. */
  private isNews(key: string, { metadata, spec }: KubernetesObject): boolean {
    const { resourceVersion: _version, ...rest } = isObject(metadata) ? metadata : {};
    const seen = createHash('sha256')
      .update(JSON.stringify([rest, spec]))
      .digest('base64');
    if (this.seen.get(key) === seen) return false;
    this.seen.set(key, seen);
    return true;
  }

  private gone(kind: Kind, name: string): void {
    const key = keyOf(kind, name);
    this.queue.forget(key);
    this.problems.delete(key);
    this.seen.delete(key);
    const [topics, groups] = this.kinds as [Kind, Kind];
    // Groups that go as well have waited for it.
    if (kind !== topics) return;
    for (const object of this.collections.get(groups)?.all() ?? []) {
      const group = resourceOf(object);
      if (group.deleting) this.queue.add(keyOf(groups, group.name));
    }
  }

  private updated(update: DirectoryUpdate): void {
    const [topics, groups] = this.kinds as [Kind, Kind];
    switch (update.kind) {
      case 'snapshot':
        return this.all();
      case 'topic':
      case 'topicDeleted':
        return this.wanted(topics, update.topic.name);
      case 'group':
      case 'groupDeleted':
        return this.wanted(groups, update.group.name);
      default:
        return undefined;
    }
  }

  /** Those of them that resources ask for. */
  private usersChanged(book: IdentityBook): void {
    const [, , users] = this.kinds as [Kind, Kind, Kind];
    for (const name of this.wishes.get(users)?.names() ?? []) {
      const [user, policies] = [book.user(name), book.policiesOf(name)];
      const known = this.knownUsers.get(name);
      if (known?.[0] === user && known?.[1] === policies) continue;
      this.knownUsers.set(name, [user, policies]);
      this.wanted(users, name);
    }
  }

  private async work(key: string): Promise<number | undefined> {
    const [kind, name] = this.placeOf(key);
    const object = this.collections.get(kind)?.get(name);
    if (!object || this.stopping.signal.aborted) return undefined;
    const releases = this.releases ?? (await this.lookForReleases());
    const claim = releases.claimOf(resourceOf(object));
    if (claim === 'others') return undefined;
    const againMs =
      claim === 'ours'
        ? await this.reconciler.reconcile(kind, object, releases)
        : await this.reconciler.refuse(kind, object, claim);
    this.problems.delete(key);
    return againMs;
  }

  private placeOf(key: string): [Kind, string] {
    const slash = key.indexOf('/');
    const kind = this.kinds.find(({ plural }) => plural === key.slice(0, slash));
    if (!kind) throw new MqError('INTERNAL', `no kind for ${key}`);
    return [kind, key.slice(slash + 1)];
  }

  private rivalOf(kind: Kind, resource: Resource): string | undefined {
    for (const name of this.wishes.get(kind)?.of(nameIn(resource)) ?? []) {
      const object = name === resource.name ? undefined : this.collections.get(kind)?.get(name);
      if (object && this.isOurs(object) && isOlder(resourceOf(object), resource)) return `${kind.kind} ${name}`;
    }
    return undefined;
  }

  private leavingOf(kind: Kind): ReadonlySet<string> {
    const leaving = new Set<string>();
    for (const object of this.collections.get(kind)?.all() ?? []) {
      const resource = resourceOf(object);
      if (!this.isOurs(object)) continue;
      if (resource.deleting && resource.spec['deletionPolicy'] !== 'keep') leaving.add(nameIn(resource));
    }
    return leaving;
  }

  /** Once for each reason: it may stay so for long. */
  private tellProblem(key: string, error: MqError, said: string): void {
    if (error.code === 'CANCELLED' || this.problems.get(key) === error.reason) return;
    this.problems.set(key, error.reason);
    this.options.context.log.warn({ resource: key, ...failureFacts(error) }, said);
  }
}

/** Which resources ask for which names. */
class Wishes {
  private readonly byResource = new Map<string, string>();
  private readonly byName = new Map<string, Set<string>>();

  /** @returns what it asked for before */
  set(resource: string, name: string | undefined): string | undefined {
    const before = this.byResource.get(resource);
    if (before !== undefined) {
      const others = this.byName.get(before);
      others?.delete(resource);
      if (others?.size === 0) this.byName.delete(before);
    }
    if (name === undefined) this.byResource.delete(resource);
    else {
      this.byResource.set(resource, name);
      this.byName.set(name, (this.byName.get(name) ?? new Set()).add(resource));
    }
    return before;
  }

  names(): Iterable<string> {
    return this.byName.keys();
  }

  of(name: string): Iterable<string> {
    return this.byName.get(name) ?? [];
  }

  resources(): Iterable<string> {
    return this.byResource.keys();
  }
}

function keyOf({ plural }: Kind, name: string): string {
  return `${plural}/${name}`;
}
