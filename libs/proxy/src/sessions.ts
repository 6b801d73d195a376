/**
 * Who is there: clients by their id, with what they consume. A session begins with any request and ends 120 s after
 * the last one or with a goodbye; it outlives its Telemetry stream, which Go, Python, C# and Rust lose for minutes.
 *
 * Leaders renew the leases of clients that some proxy reports, so every broker set gets all sessions of this proxy,
 * whole, every few seconds and soon after each change. Nothing is said of a session that expires here: its client may
 * have moved to another proxy.
 */
import type { BrokerLinks, ClientTraits, Directory, ProducerSession, Session } from '@cometmq/client';
import type { ConsumerGroup, FilterExpression, TopicId } from '@cometmq/model';
import { type Clock, MqError, type Timer } from '@cometmq/shared';

import type { MessagingLimits } from './limits.js';

/** What the server says on an open Telemetry stream. */
export interface CommandStream {
  /** An encoded TelemetryCommand. */
  push(command: Uint8Array): void;
  /** The group's settings are other ones now: whoever belongs to it is told. */
  groupChanged(group: ConsumerGroup): void;
  end(): void;
}

export class ClientSession {
  /** `ClientType` of the protocol; 0 while unknown. */
  clientType = 0;
  /** The `x-mq-language` header; Node.js says HTTP. */
  language = '';
  version = '';
  lastSeenMs = 0;
  /** By consumer group, then by topic. */
  readonly groups = new Map<string, Map<string, FilterExpression>>();
  /** Topics that it said it sends to. */
  publishes: readonly string[] = [];
  /** Topics that it sent half messages to: C++ names no topics, and can all the same be asked what became of them. */
  readonly transacts = new Set<string>();
  /** The newest of its Telemetry streams on this node. */
  stream: CommandStream | undefined;
  /** `Settings.client_properties`, for the console. */
  properties: ReadonlyMap<string, string> = new Map();

  constructor(readonly clientId: string) {}
}

export interface SessionParts {
  readonly directory: Directory;
  readonly links: BrokerLinks;
  readonly clock: Clock;
  readonly limits: MessagingLimits;
  /** Which proxy speaks. */
  readonly proxyId: string;
}

const changeReportMs = 20;
/** No producer has so many; who sends to more is asked about these. */
const transactsMax = 1_000;

export class SessionRegistry {
  private readonly sessions = new Map<string, ClientSession>();
  private periodic: Timer | undefined;
  private soon: Timer | undefined;

  constructor(private readonly parts: SessionParts) {}

  start(): void {
    this.beat();
  }

  stop(): void {
    this.periodic?.cancel();
    this.soon?.cancel();
  }

  get size(): number {
    return this.sessions.size;
  }

  all(): IterableIterator<ClientSession> {
    return this.sessions.values();
  }

  get(clientId: string): ClientSession | undefined {
    return this.sessions.get(clientId);
  }

  /** The client was heard of. Does nothing for a stranger: a session begins with what says more. */
  touch(clientId: string, nowMs: number): void {
    const session = this.sessions.get(clientId);
    if (session) session.lastSeenMs = nowMs;
  }

  /** @throws MqError TOO_MANY_REQUESTS */
  open(clientId: string): ClientSession {
    let session = this.sessions.get(clientId);
    if (!session) {
      const { sessionsMax } = this.parts.limits;
      if (this.sessions.size >= sessionsMax) {
        throw new MqError('TOO_MANY_REQUESTS', `this node serves ${sessionsMax} clients already`);
      }
      session = new ClientSession(clientId);
      this.sessions.set(clientId, session);
    }
    session.lastSeenMs = this.parts.clock.monotonicMs();
    return session;
  }

  /** It is a member of the group; what it subscribes to is said elsewhere. */
  join(session: ClientSession, group: string): Map<string, FilterExpression> {
    let topics = session.groups.get(group);
    if (!topics) {
      session.groups.set(group, (topics = new Map<string, FilterExpression>()));
      this.changed();
    }
    return topics;
  }

  subscribe(session: ClientSession, group: string, topic: string, filter: FilterExpression): void {
    const topics = this.join(session, group);
    const now = topics.get(topic);
    if (now?.expression === filter.expression && now.type === filter.type) return;
    topics.set(topic, filter);
    this.changed();
  }

  /** What it said it subscribes to replaces what it said before. */
  subscribeAll(session: ClientSession, group: string, subscriptions: ReadonlyMap<string, FilterExpression>): void {
    const topics = this.join(session, group);
    let same = topics.size === subscriptions.size;
    for (const [topic, filter] of subscriptions) {
      const now = topics.get(topic);
      if (now?.expression !== filter.expression || now.type !== filter.type) same = false;
    }
    if (same) return;
    topics.clear();
    for (const [topic, filter] of subscriptions) topics.set(topic, filter);
    this.changed();
  }

  /** It sent a half message to the topic. Strangers have no stream that they could be asked on. */
  transacted(clientId: string, topic: string): void {
    const session = this.sessions.get(clientId);
    if (!session || session.transacts.has(topic) || session.transacts.size >= transactsMax) return;
    session.transacts.add(topic);
    if (!session.publishes.includes(topic)) this.changed();
  }

  remove(clientId: string): ClientSession | undefined {
    const session = this.sessions.get(clientId);
    if (!session) return undefined;
    this.sessions.delete(clientId);
    if (session.groups.size > 0 || session.publishes.length > 0 || session.transacts.size > 0) this.changed();
    return session;
  }

  /** Something that leaders should know: they are told in a moment, once for all changes until then. */
  changed(): void {
    this.soon ??= this.parts.clock.after(changeReportMs, () => {
      this.soon = undefined;
      this.report();
    });
  }

  private beat(): void {
    this.periodic = this.parts.clock.after(this.parts.limits.sessionReportMs, () => {
      this.expire();
      this.report();
      this.beat();
    });
  }

  private expire(): void {
    const oldestMs = this.parts.clock.monotonicMs() - this.parts.limits.sessionMsMax;
    for (const session of this.sessions.values()) {
      if (session.lastSeenMs < oldestMs) this.sessions.delete(session.clientId);
    }
  }

  private report(): void {
    const report = { proxyId: this.parts.proxyId, sessions: this.members(), producers: this.producers() };
    for (const set of this.parts.directory.brokerSets()) this.parts.links.link(set.name)?.reportSessions(report);
  }

  /** All that consume, with names turned into ids; names that the directory doesn't know are left out. */
  private members(): Session[] {
    const { directory } = this.parts;
    const members: Session[] = [];
    for (const session of this.sessions.values()) {
      for (const [groupName, topics] of session.groups) {
        const group = directory.group(groupName);
        if (!group) continue;
        const subscriptions: Session['subscriptions'][number][] = [];
        for (const [topicName, filter] of topics) {
          const topic = directory.topic(topicName);
          if (topic) subscriptions.push({ topicId: topic.id, filter });
        }
        const { clientId, clientType } = session;
        members.push({ clientId, clientType, groupId: group.id, subscriptions, ...traitsOf(session) });
      }
    }
    return members;
  }

  private producers(): ProducerSession[] {
    const { directory } = this.parts;
    const producers: ProducerSession[] = [];
    for (const session of this.sessions.values()) {
      const names = new Set([...session.publishes, ...session.transacts]);
      if (names.size === 0) continue;
      const topicIds: TopicId[] = [];
      for (const name of names) {
        const topic = directory.topic(name);
        if (topic) topicIds.push(topic.id);
      }
      producers.push({ clientId: session.clientId, topicIds, ...traitsOf(session) });
    }
    return producers;
  }
}

function traitsOf({ language, version, stream }: ClientSession): ClientTraits {
  return { language, version, streaming: stream !== undefined };
}
