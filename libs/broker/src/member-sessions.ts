import type { ClientTraits, Session, SessionReport } from '@cometmq/client';
import type { FilterExpression, GroupId, TopicId } from '@cometmq/model';

import { keepOnly, type Forgetful, type Living } from './forgetful.js';

/**
 * Who lives: the members of every consumer group, as the proxies report them and as their own calls show. Soft state:
 * nothing of it is in the log. A member is forgotten 120 s after anything was last heard of it, and after a start
 * nothing is judged dead for as long, so that no message is skipped as unwanted while its reader may be coming back.
 */
export const sessionMsMax = 120_000;

interface Member {
  readonly clientId: string;
  /** By topic; a member may read several. */
  readonly filters: Map<TopicId, FilterExpression>;
  heardMs: number;
  proxyId: string | undefined;
  clientType: number;
  traits: ClientTraits;
}

const unknownTraits: ClientTraits = { language: '', version: '', streaming: false };

interface Members {
  readonly byClient: Map<string, Member>;
  /** Another one with each change of who is there and what they want. */
  version: number;
}

export class MemberSessions implements Forgetful {
  private readonly groups = new Map<GroupId, Members>();
  private versions = 0;

  constructor(
    /** Monotonic. Until `startMs` + 120 s, `settled` is false. */
    private startMs: number,
  ) {}

  /** From now on this member is told of sessions: until 120 s later `settled` is false. */
  beginTerm(nowMs: number): void {
    this.startMs = nowMs;
  }

  /** A proxy's newer report replaces its older one: who is missing in it has left that proxy and is given its grace. */
  report(report: SessionReport, nowMs: number): void {
    for (const session of report.sessions) this.heard(session, nowMs, report.proxyId);
  }

  /** A client asked for messages: it lives, and this is what it wants of the topic. */
  polled(groupId: GroupId, clientId: string, topicId: TopicId, filter: FilterExpression, nowMs: number): void {
    const member = this.member(groupId, clientId);
    member.heardMs = nowMs;
    const before = member.filters.get(topicId);
    if (before?.expression === filter.expression && before.type === filter.type) return;
    member.filters.set(topicId, filter);
    this.changed(groupId);
  }

  gone(groupId: GroupId, clientId: string): void {
    const members = this.groups.get(groupId);
    if (!members?.byClient.delete(clientId)) return;
    this.changed(groupId);
    if (members.byClient.size === 0) this.groups.delete(groupId);
  }

  /** This process stood still: what was said of them meanwhile is yet to be read. */
  heardAll(nowMs: number): void {
    for (const { byClient } of this.groups.values()) for (const member of byClient.values()) member.heardMs = nowMs;
  }

  /** Forgets who was not heard of for too long; answers who that was. */
  sweep(nowMs: number): { groupId: GroupId; clientId: string }[] {
    const lost: { groupId: GroupId; clientId: string }[] = [];
    for (const [groupId, members] of this.groups) {
      for (const member of members.byClient.values()) {
        if (nowMs - member.heardMs > sessionMsMax) lost.push({ groupId, clientId: member.clientId });
      }
    }
    for (const { groupId, clientId } of lost) this.gone(groupId, clientId);
    return lost;
  }

  /** What members want of a topic that is gone; the members themselves are heard of, or not. */
  forgetGone(living: Living): void {
    for (const [groupId, { byClient }] of this.groups) {
      for (const { filters } of byClient.values()) {
        const before = filters.size;
        keepOnly(filters, (topicId) => living.topic(topicId));
        if (filters.size < before) this.changed(groupId);
      }
    }
  }

  /** True once every living member has had the time to make itself heard. */
  settled(nowMs: number): boolean {
    return nowMs - this.startMs > sessionMsMax;
  }

  lives(groupId: GroupId, clientId: string): boolean {
    return this.groups.get(groupId)?.byClient.has(clientId) ?? false;
  }

  *living(): Iterable<{ groupId: GroupId; clientId: string }> {
    for (const [groupId, members] of this.groups) {
      for (const clientId of members.byClient.keys()) yield { groupId, clientId };
    }
  }

  /** Changes when the group's members or their filters do; never comes again. */
  version(groupId: GroupId): number {
    return this.groups.get(groupId)?.version ?? 0;
  }

  /** The different filters that living members of the group have for the topic. */
  filters(groupId: GroupId, topicId: TopicId): FilterExpression[] {
    const found = new Map<string, FilterExpression>();
    for (const member of this.groups.get(groupId)?.byClient.values() ?? []) {
      const filter = member.filters.get(topicId);
      if (filter) found.set(`${filter.type} ${filter.expression}`, filter);
    }
    return [...found.values()];
  }

  of(groupId: GroupId): Session[] {
    return [...(this.groups.get(groupId)?.byClient.values() ?? [])].map((member) => ({
      clientId: member.clientId,
      groupId,
      clientType: member.clientType,
      ...member.traits,
      subscriptions: [...member.filters].map(([topicId, filter]) => ({ topicId, filter })),
    }));
  }

  /** Topics that a living member subscribes to. */
  topicsOf(groupId: GroupId): TopicId[] {
    return [...(this.groups.get(groupId)?.byClient.values() ?? [])].flatMap(({ filters }) => [...filters.keys()]);
  }

  groupIds(): Iterable<GroupId> {
    return this.groups.keys();
  }

  get count(): number {
    let sum = 0;
    for (const members of this.groups.values()) sum += members.byClient.size;
    return sum;
  }

  private heard(session: Session, nowMs: number, proxyId: string): void {
    const member = this.member(session.groupId, session.clientId);
    member.heardMs = nowMs;
    member.proxyId = proxyId;
    member.clientType = session.clientType;
    const { language, version, streaming, activity } = session;
    member.traits = { language, version, streaming, activity };
    if (session.subscriptions.length === 0) return; // A simple consumer's filters are known from its polls alone.
    const same = (topicId: TopicId, filter: FilterExpression): boolean => {
      const before = member.filters.get(topicId);
      return before?.expression === filter.expression && before.type === filter.type;
    };
    const { subscriptions } = session;
    if (member.filters.size === subscriptions.length && subscriptions.every((one) => same(one.topicId, one.filter))) {
      return;
    }
    member.filters.clear();
    for (const { topicId, filter } of subscriptions) member.filters.set(topicId, filter);
    this.changed(session.groupId);
  }

  private changed(groupId: GroupId): void {
    this.versions += 1;
    const members = this.groups.get(groupId);
    if (members) members.version = this.versions;
  }

  private member(groupId: GroupId, clientId: string): Member {
    let members = this.groups.get(groupId);
    if (!members) this.groups.set(groupId, (members = { byClient: new Map<string, Member>(), version: 0 }));
    let member = members.byClient.get(clientId);
    if (!member) {
      member = {
        clientId,
        filters: new Map(),
        heardMs: 0,
        proxyId: undefined,
        clientType: 0,
        traits: unknownTraits,
      };
      members.byClient.set(clientId, member);
      this.changed(groupId);
    }
    return member;
  }
}
