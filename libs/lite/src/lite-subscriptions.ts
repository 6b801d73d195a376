import type { GroupId, TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { ReadyQueues } from './ready-queues.js';

/** One client of a group and the lite topics it subscribes to. */
export interface LiteClient {
  readonly clientId: string;
  readonly groupId: GroupId;
  /** The LITE topic that the group is bound to. */
  readonly topicId: TopicId;
  readonly names: ReadonlySet<string>;
  /** Monotonic time of its last synchronisation. */
  readonly syncedMs: number;
  /** Of its lite topics, those that may have something for it. */
  readonly ready: ReadyQueues;
}

export interface LiteSync {
  readonly clientId: string;
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly action: 'add' | 'remove' | 'setAll' | 'removeAll';
  readonly liteTopics: readonly string[];
  /** One subscriber a lite topic: the newest `add` wins; who only lists it with `setAll` does not take it. */
  readonly exclusive: boolean;
  readonly clientQuota: number;
  readonly eventsMax: number;
}

export interface LiteSynced {
  /** Undefined: the client has no subscription any more. */
  readonly client: LiteClient | undefined;
  /** Lite topics it subscribes to from now on. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Who lost a lite topic to it, and must be told. */
  readonly evicted: readonly { readonly client: LiteClient; readonly name: string }[];
  /** What it listed but another has: it must be told to forget them. */
  readonly refused: readonly string[];
}

export interface LiteLimits {
  /** Subscriptions on one broker, over all groups. */
  readonly subscriptionsMax: number;
  /** A client that has not synchronised for so long has none any more. */
  readonly silentMsMax: number;
}

/** So many more than its quota may a client list while its view of the quota is an older one. */
const quotaSlack = 300;

interface Client extends LiteClient {
  readonly names: Set<string>;
  syncedMs: number;
}

/** The subscribers of one lite topic in a group: nearly always one. */
type Subscribers = Client | Client[];

interface Group {
  readonly topicId: TopicId;
  readonly clients: Map<string, Client>;
  readonly byName: Map<string, Subscribers>;
}

/**
 * Who subscribes to which lite topics. Soft state of a leader: nothing of it is in the log; clients repeat the whole of it
 * every 30 s, and what is not repeated is dropped. Every call may come twice, and from several proxies.
 */
export class LiteSubscriptions {
  private readonly groups = new Map<GroupId, Group>();
  private readonly byTopic = new Map<TopicId, Set<GroupId>>();
  private total = 0;

  constructor(private readonly limits: LiteLimits) {}

  /** Pairs of client and lite topic. */
  get count(): number {
    return this.total;
  }

  get clientCount(): number {
    let sum = 0;
    for (const { clients } of this.groups.values()) sum += clients.size;
    return sum;
  }

  client(groupId: GroupId, clientId: string): LiteClient | undefined {
    return this.groups.get(groupId)?.clients.get(clientId);
  }

  clientsOf(groupId: GroupId): Iterable<LiteClient> {
    return this.groups.get(groupId)?.clients.values() ?? [];
  }

  /** Those groups with members that read lite topics of the topic. */
  groupsOn(topicId: TopicId): Iterable<GroupId> {
    return this.byTopic.get(topicId) ?? [];
  }

  subscribersOf(groupId: GroupId, name: string): readonly LiteClient[] {
    const found = this.groups.get(groupId)?.byName.get(name);
    if (!found) return none;
    return Array.isArray(found) ? found : [found];
  }

  /** @throws MqError LITE_SUBSCRIPTION_QUOTA_EXCEEDED; nothing has changed then */
  sync(call: LiteSync, nowMs: number): LiteSynced {
    const group = this.groups.get(call.groupId);
    // Their topic was deleted and made again: what they subscribed to went with it, and they say anew what they want.
    if (group && group.topicId !== call.topicId) this.dropGroup(call.groupId);
    const wanted = new Set(call.liteTopics);
    const known = this.groups.get(call.groupId)?.clients.get(call.clientId);
    switch (call.action) {
      case 'add': {
        const fresh = [...wanted].filter((name) => !known?.names.has(name));
        this.checkQuotas(call, (known?.names.size ?? 0) + fresh.length, call.clientQuota, fresh.length);
        const client = this.clientFor(call, nowMs);
        const evicted = call.exclusive ? this.evictOthers(client, wanted) : [];
        for (const name of fresh) this.subscribe(client, name);
        return { client, added: fresh, removed: [], evicted, refused: [] };
      }
      case 'setAll': {
        const refused = call.exclusive ? [...wanted].filter((name) => this.isTaken(call, name)) : [];
        for (const name of refused) wanted.delete(name);
        const added = [...wanted].filter((name) => !known?.names.has(name));
        const removed = [...(known?.names ?? [])].filter((name) => !wanted.has(name));
        this.checkQuotas(call, wanted.size, call.clientQuota + quotaSlack, added.length - removed.length);
        const client = this.clientFor(call, nowMs);
        for (const name of removed) this.unsubscribe(client, name);
        for (const name of added) this.subscribe(client, name);
        return { client, added, removed, evicted: [], refused };
      }
      case 'remove': {
        const removed = [...wanted].filter((name) => known?.names.has(name));
        if (known) {
          known.syncedMs = nowMs;
          for (const name of removed) this.unsubscribe(known, name);
        }
        return { client: known, added: [], removed, evicted: [], refused: [] };
      }
      case 'removeAll':
        return {
          client: undefined,
          added: [],
          removed: this.drop(call.groupId, call.clientId),
          evicted: [],
          refused: [],
        };
    }
  }

  /** The client is gone. Answers what it subscribed to. */
  drop(groupId: GroupId, clientId: string): string[] {
    const group = this.groups.get(groupId);
    const client = group?.clients.get(clientId);
    if (!group || !client) return [];
    const names = [...client.names];
    for (const name of names) this.unsubscribe(client, name);
    group.clients.delete(clientId);
    if (group.clients.size > 0) return names;
    this.groups.delete(groupId);
    const onTopic = this.byTopic.get(group.topicId);
    onTopic?.delete(groupId);
    if (onTopic?.size === 0) this.byTopic.delete(group.topicId);
    return names;
  }

  /** The lite topic is gone. Answers who subscribed to it: they must be told. */
  dropName(groupId: GroupId, name: string): readonly LiteClient[] {
    const subscribers = [...this.subscribersOf(groupId, name)] as Client[];
    for (const client of subscribers) this.unsubscribe(client, name);
    return subscribers;
  }

  dropGroup(groupId: GroupId): void {
    for (const { clientId } of [...this.clientsOf(groupId)]) this.drop(groupId, clientId);
  }

  /** This process stood still itself: what they said meanwhile is yet to be read. */
  heardAll(nowMs: number): void {
    for (const { clients } of this.groups.values()) for (const client of clients.values()) client.syncedMs = nowMs;
  }

  /** Drops who has been silent for too long. */
  sweep(nowMs: number): LiteClient[] {
    const silent: LiteClient[] = [];
    for (const { clients } of this.groups.values()) {
      for (const client of clients.values()) {
        if (nowMs - client.syncedMs > this.limits.silentMsMax) silent.push({ ...client, names: new Set(client.names) });
      }
    }
    for (const { groupId, clientId } of silent) this.drop(groupId, clientId);
    return silent;
  }

  private checkQuotas(call: LiteSync, size: number, clientMax: number, more: number): void {
    if (size > clientMax) {
      throw new MqError(
        'LITE_SUBSCRIPTION_QUOTA_EXCEEDED',
        `client "${call.clientId}" would subscribe to ${size} lite topics; its group allows ${call.clientQuota} a client`,
      );
    }
    const { subscriptionsMax } = this.limits;
    if (more > 0 && this.total + more > subscriptionsMax) {
      throw new MqError(
        'LITE_SUBSCRIPTION_QUOTA_EXCEEDED',
        `this broker holds ${this.total} lite subscriptions of all clients; at most ${subscriptionsMax} are allowed`,
      );
    }
  }

  private isTaken({ groupId, clientId }: LiteSync, name: string): boolean {
    return this.subscribersOf(groupId, name).some((other) => other.clientId !== clientId);
  }

  private evictOthers(client: Client, names: ReadonlySet<string>): { client: LiteClient; name: string }[] {
    const evicted: { client: LiteClient; name: string }[] = [];
    for (const name of names) {
      for (const other of [...this.subscribersOf(client.groupId, name)] as Client[]) {
        if (other === client) continue;
        this.unsubscribe(other, name);
        evicted.push({ client: other, name });
      }
    }
    return evicted;
  }

  private clientFor({ groupId, clientId, topicId, eventsMax }: LiteSync, nowMs: number): Client {
    let group = this.groups.get(groupId);
    if (!group) {
      group = { topicId, clients: new Map(), byName: new Map() };
      this.groups.set(groupId, group);
      const onTopic = this.byTopic.get(topicId);
      if (onTopic) onTopic.add(groupId);
      else this.byTopic.set(topicId, new Set([groupId]));
    }
    let client = group.clients.get(clientId);
    if (!client) {
      const ready = new ReadyQueues(eventsMax);
      client = { clientId, groupId, topicId, names: new Set(), syncedMs: nowMs, ready };
      group.clients.set(clientId, client);
    }
    client.syncedMs = nowMs;
    return client;
  }

  private subscribe(client: Client, name: string): void {
    const byName = this.groups.get(client.groupId)?.byName;
    if (!byName || client.names.has(name)) return;
    client.names.add(name);
    this.total += 1;
    const now = byName.get(name);
    if (!now) byName.set(name, client);
    else if (Array.isArray(now)) now.push(client);
    else byName.set(name, [now, client]);
  }

  private unsubscribe(client: Client, name: string): void {
    const byName = this.groups.get(client.groupId)?.byName;
    if (!byName || !client.names.delete(name)) return;
    this.total -= 1;
    const now = byName.get(name);
    const rest = Array.isArray(now) ? now.filter((other) => other !== client) : [];
    if (rest.length === 0) byName.delete(name);
    else byName.set(name, rest.length === 1 ? (rest[0] as Client) : rest);
  }
}

const none: readonly LiteClient[] = [];
