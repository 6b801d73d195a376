/**
 * Who is there: clients by their id, with what they consume. A session begins with any request and ends 120 s after
 * the last one or with a goodbye; it outlives its Telemetry stream, which Go, Python, C# and Rust lose for minutes.
 *
 * Leaders renew the leases of clients that some proxy reports, so every broker set gets all sessions of this proxy,
 * whole, every few seconds and soon after each change. Nothing is said of a session that expires here: its client may
 * have moved to another proxy.
 *
 * What clients say of themselves is kept as far as there is room, for one and for all of them: names beyond it are not
 * remembered, and counted. A receive says again what it needs, so its client is served all the same.
 */
import type {
  BrokerLinks,
  ClientTraits,
  Directory,
  DeliveryLease,
  ProducerSession,
  Refusals,
  Session,
} from '@cometmq/client';
import type { ConsumerGroup, FilterExpression, TopicId } from '@cometmq/model';
import type { CallContext } from '@cometmq/rpc';
import { type Clock, MqError, OwnStalls, type Timer } from '@cometmq/shared';

import type { MessagingLimits } from './limits.js';

/** What the server says on an open Telemetry stream. */
export interface CommandStream {
  /** Of the call. */
  readonly connection: number;
  /** An encoded TelemetryCommand. False: it was left out, as the client doesn't read. */
  push(command: Uint8Array): boolean;
  /** The group's settings are other ones now: whoever belongs to it is told. */
  groupChanged(group: ConsumerGroup): void;
  /** Users or policies have changed: a stream whose user may not have it any more is told so, and ends. */
  recheck(): void;
  end(): void;
}

export class ClientSession {
  /** `ClientType` of the protocol; 0 while unknown. */
  clientType = 0;
  /** The `x-mq-language` header; Node.js says HTTP. */
  language = '';
  /** What its settings call its language, where the header names none. */
  announced: string | undefined;
  version = '';
  lastSeenMs = 0;
  /** When it last sent, asked for or acknowledged something: a heartbeat is no work. */
  lastWorkMs: number;
  /** What it was refused of late, by call and code. */
  readonly refused = new Map<string, Refused>();
  /** By consumer group, then by topic. */
  readonly groups = new Map<string, Map<string, FilterExpression>>();
  /** What is kept of its words, about, in bytes. */
  keptBytes = 0;
  /** Topics that it said it sends to. */
  publishes: readonly string[] = [];
  /** Topics that it sent half messages to: C++ names no topics, and can all the same be asked what became of them. */
  readonly transacts = new Set<string>();
  /** The newest of its Telemetry streams on this node. */
  stream: CommandStream | undefined;
  /** All of them: two clients with one id come on two connections. */
  readonly streams = new Set<CommandStream>();
  /** Connections of `streams` on which somebody said good-bye, while others stay. */
  readonly left = new Set<number>();
  /** Somebody said good-bye, and nobody has asked for messages since: streams that end are likely to be of who said it. */
  saidGoodBye = false;
  /** `Settings.client_properties`, for the console. */
  properties: ReadonlyMap<string, string> = new Map();

  constructor(
    readonly clientId: string,
    /** Whose it is; empty where there are no users. */
    readonly user: string,
    nowMs: number,
  ) {
    this.lastWorkMs = nowMs;
  }
}

interface Refused {
  readonly method: string;
  readonly code: string;
  count: number;
  lastMs: number;
}

/** Told for so long after the last one. */
const refusedMsMax = 600_000;
/** Kinds of them that are kept for a client; calls and codes are few, and this is more than one that works ever needs. */
const refusedKindsMax = 8;

export interface SessionParts {
  readonly directory: Directory;
  readonly links: BrokerLinks;
  readonly clock: Clock;
  readonly limits: MessagingLimits;
  /** Which proxy speaks. */
  readonly proxyId: string;
  /** Deliveries of a broker set that may not have reached their clients. */
  readonly unconfirmedOf: (broker: string) => readonly DeliveryLease[];
}

const changeReportMs = 20;
/** What a kept text costs beside its characters. */
const entryBytes = 64;
/** As the official clients allow themselves (grpc semantics, section 6.6). */
const properties = { entriesMax: 32, keyLengthMax: 64, valueLengthMax: 256 } as const;

export class SessionRegistry {
  private readonly sessions = new Map<string, ClientSession>();
  /** What is kept of all clients' words, about, in bytes. */
  keptBytes = 0;
  /** Clients that there was no room for. */
  refused = 0;
  /** Texts that there was no room for. */
  leftOut = 0;
  private periodic: Timer | undefined;
  private soon: Timer | undefined;
  private readonly stalls: OwnStalls;

  constructor(private readonly parts: SessionParts) {
    this.stalls = new OwnStalls(parts.limits.sessionReportMs, parts.clock.monotonicMs());
  }

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

  /**
   * The client was heard of. Does nothing for an unknown one: a session begins with what says more.
   * @throws MqError UNAUTHORIZED
   */
  touch(clientId: string, user: string, nowMs: number, works: boolean): void {
    const session = this.sessions.get(clientId);
    if (!session) return;
    checkOwn(session, user);
    session.lastSeenMs = nowMs;
    if (works) session.lastWorkMs = nowMs;
  }

  /** A call of the client was refused: told to operators, who see by it which client is set up wrongly. */
  refusedCall(clientId: string, method: string, code: string): void {
    const session = this.sessions.get(clientId);
    if (!session) return;
    const nowMs = this.parts.clock.monotonicMs();
    const key = `${method} ${code}`;
    const known = session.refused.get(key);
    if (known) {
      known.count += 1;
      known.lastMs = nowMs;
    } else if (session.refused.size < refusedKindsMax) {
      session.refused.set(key, { method, code, count: 1, lastMs: nowMs });
    }
  }

  /**
   * Whose it is is looked at again: it may have begun since the request came.
   * @throws MqError TOO_MANY_REQUESTS, UNAUTHORIZED
   */
  open(clientId: string, user: string): ClientSession {
    let session = this.sessions.get(clientId);
    if (session) checkOwn(session, user);
    else {
      const { sessionsMax } = this.parts.limits;
      if (this.sessions.size >= sessionsMax) {
        this.refused += 1;
        throw new MqError('TOO_MANY_REQUESTS', `this node serves ${sessionsMax} clients already`);
      }
      session = new ClientSession(clientId, user, this.parts.clock.monotonicMs());
      this.sessions.set(clientId, session);
    }
    session.lastSeenMs = this.parts.clock.monotonicMs();
    return session;
  }

  /** It is a member of the group; what it subscribes to is said elsewhere. Undefined: there is no room for the name. */
  join(session: ClientSession, group: string): Map<string, FilterExpression> | undefined {
    let topics = session.groups.get(group);
    if (!topics) {
      if (!this.keep(session, group.length + entryBytes)) return undefined;
      session.groups.set(group, (topics = new Map<string, FilterExpression>()));
      this.changed();
    }
    return topics;
  }

  subscribe(session: ClientSession, group: string, topic: string, filter: FilterExpression): void {
    const topics = this.join(session, group);
    if (topics && this.put(session, topics, topic, filter)) this.changed();
  }

  /** What it said it subscribes to replaces what it said before. */
  subscribeAll(session: ClientSession, group: string, subscriptions: ReadonlyMap<string, FilterExpression>): void {
    const topics = this.join(session, group);
    if (!topics) return;
    let changed = false;
    for (const [topic, filter] of topics) {
      if (subscriptions.has(topic)) continue;
      topics.delete(topic);
      this.letGo(session, subscriptionBytes(topic, filter));
      changed = true;
    }
    for (const [topic, filter] of subscriptions) if (this.put(session, topics, topic, filter)) changed = true;
    if (changed) this.changed();
  }

  /** False: it was said before, or there is no room for it. */
  private put(
    session: ClientSession,
    topics: Map<string, FilterExpression>,
    topic: string,
    filter: FilterExpression,
  ): boolean {
    const now = topics.get(topic);
    if (now?.expression === filter.expression && now.type === filter.type) return false;
    if (now) this.letGo(session, subscriptionBytes(topic, now));
    topics.delete(topic);
    if (!this.keep(session, subscriptionBytes(topic, filter))) return now !== undefined;
    topics.set(topic, filter);
    return true;
  }

  /** The topics it says it sends to. */
  publish(session: ClientSession, topics: readonly string[]): void {
    const before = session.publishes;
    this.letGo(session, namesBytes(before));
    session.publishes = topics.filter((topic) => this.keep(session, topic.length + entryBytes));
    const after = session.publishes;
    if (after.length !== before.length || after.some((topic, i) => topic !== before[i])) this.changed();
  }

  /** It sent a half message to the topic. Clients without a session have no stream that they could be asked on. */
  transacted(clientId: string, topic: string): void {
    const session = this.sessions.get(clientId);
    if (!session || session.transacts.has(topic) || !this.keep(session, topic.length + entryBytes)) return;
    session.transacts.add(topic);
    if (!session.publishes.includes(topic)) this.changed();
  }

  /** `Settings.client_properties`: labels, of which as many are kept as the official clients allow. */
  label(session: ClientSession, said: ReadonlyMap<string, string>): void {
    const kept = new Map<string, string>();
    this.letGo(session, propertiesBytes(session.properties));
    for (const [key, value] of said) {
      if (kept.size >= properties.entriesMax) break;
      if (key.length > properties.keyLengthMax || value.length > properties.valueLengthMax) continue;
      if (this.keep(session, key.length + value.length + entryBytes)) kept.set(key, value);
    }
    session.properties = kept;
  }

  remove(clientId: string): ClientSession | undefined {
    const session = this.sessions.get(clientId);
    if (!session) return undefined;
    this.forget(session);
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
    const nowMs = this.parts.clock.monotonicMs();
    if (this.stalls.stoodStill(nowMs)) {
      for (const session of this.sessions.values()) session.lastSeenMs = nowMs; // What they said is yet to be read.
      return;
    }
    const oldestMs = nowMs - this.parts.limits.sessionMsMax;
    for (const session of [...this.sessions.values()]) {
      if (session.lastSeenMs >= oldestMs) continue;
      this.forget(session);
      // Else it would come back without a stream that it could be asked on, and without the topics it sends to.
      for (const stream of [...session.streams]) stream.end();
    }
  }

  private forget(session: ClientSession): void {
    this.sessions.delete(session.clientId);
    this.letGo(session, session.keptBytes);
  }

  /** False: there is no room for so many bytes of this client's words. */
  private keep(session: ClientSession, bytes: number): boolean {
    const { sessionBytesMax, sessionsBytesMax } = this.parts.limits;
    if (session.keptBytes + bytes > sessionBytesMax || this.keptBytes + bytes > sessionsBytesMax) {
      this.leftOut += 1;
      return false;
    }
    session.keptBytes += bytes;
    this.keptBytes += bytes;
    return true;
  }

  private letGo(session: ClientSession, bytes: number): void {
    session.keptBytes -= bytes;
    this.keptBytes -= bytes;
  }

  private report(): void {
    const { directory, links, proxyId, unconfirmedOf } = this.parts;
    const said = { proxyId, sessions: this.members(), producers: this.producers() };
    for (const { name } of directory.brokerSets()) {
      links.link(name)?.reportSessions({ ...said, unconfirmed: unconfirmedOf(name) });
    }
  }

  /** All that consume, with names turned into ids; names that the directory doesn't know are left out. */
  private members(): Session[] {
    const { directory, clock } = this.parts;
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
        members.push({
          clientId,
          clientType,
          groupId: group.id,
          subscriptions,
          ...traitsOf(session, clock.monotonicMs()),
        });
      }
    }
    return members;
  }

  private producers(): ProducerSession[] {
    const { directory, clock } = this.parts;
    const producers: ProducerSession[] = [];
    for (const session of this.sessions.values()) {
      const names = new Set([...session.publishes, ...session.transacts]);
      if (names.size === 0) continue;
      const topicIds: TopicId[] = [];
      for (const name of names) {
        const topic = directory.topic(name);
        if (topic) topicIds.push(topic.id);
      }
      producers.push({ clientId: session.clientId, topicIds, ...traitsOf(session, clock.monotonicMs()) });
    }
    return producers;
  }
}

/**
 * Or one user could end another's polls, and be told what the other is asked.
 * @throws MqError UNAUTHORIZED
 */
function checkOwn(session: ClientSession, user: string): void {
  if (session.user === user) return;
  throw new MqError('UNAUTHORIZED', 'another user has a client with this id; ids of clients must be their own');
}

function subscriptionBytes(topic: string, { expression }: FilterExpression): number {
  return topic.length + expression.length + entryBytes;
}

function namesBytes(names: readonly string[]): number {
  return names.reduce((sum, { length }) => sum + length + entryBytes, 0);
}

function propertiesBytes(kept: ReadonlyMap<string, string>): number {
  let bytes = 0;
  for (const [key, value] of kept) bytes += key.length + value.length + entryBytes;
  return bytes;
}

/** A header that says what kind of client it is, as far as it is kept. */
export function traitOf({ headers }: CallContext, name: string): string | undefined {
  const said = headers.get(name);
  return said === undefined ? undefined : cutText(said, traitLengthMax);
}
const traitLengthMax = 64;

/** Of a header, to be kept. A copy where it is cut: a part of a text holds the whole of it in memory. */
export function cutText(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : Buffer.from(text.slice(0, lengthMax), 'latin1').toString('latin1');
}

function traitsOf(session: ClientSession, nowMs: number): ClientTraits {
  const { announced, version, stream, lastWorkMs, refused } = session;
  const language = announced ?? session.language;
  const refusals = refused.size === 0 ? noRefusals : refusalsOf(refused, nowMs);
  const activity = { idleMs: Math.max(0, Math.round(nowMs - lastWorkMs)), refusals };
  return { language, version, streaming: stream !== undefined, activity };
}
const noRefusals: readonly Refusals[] = [];

/** Forgets those of long ago. */
function refusalsOf(refused: Map<string, Refused>, nowMs: number): readonly Refusals[] {
  for (const [key, { lastMs }] of refused) if (nowMs - lastMs > refusedMsMax) refused.delete(key);
  return [...refused.values()].map(({ method, code, count, lastMs }) => {
    return { method, code, count, agoMs: Math.round(nowMs - lastMs) };
  });
}
