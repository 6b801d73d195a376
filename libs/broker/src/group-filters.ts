import type { Matcher } from '@cometmq/consumption';
import { compileFilter, type Filter } from '@cometmq/filter';
import { EncodedProperties, hashText, MiB, type FilterExpression, type GroupId, type TopicId } from '@cometmq/model';

import type { MemberSessions } from './member-sessions.js';

/** Compiled expressions that are remembered; a consumer repeats its own in every poll. */
const compiledMax = 10_000;
/** And their characters: what is compiled grows with them. */
const compiledLengthsMax = 4 * MiB;
const groupsMax = 10_000;

/** Stands for a message that can't be read: it goes the way of those that a consumer can't be given. */
export const unreadable = new Uint8Array(0);

/** What members want, compiled once an expression. */
export class GroupFilters {
  private readonly compiled = new Map<string, Matcher>();
  private compiledLengths = 0;
  /** Expressions that want the same share a matcher. */
  private readonly byMeaning = new Map<string, Matcher>();
  private readonly ofGroups = new Map<string, { readonly version: number; readonly matchers: readonly Matcher[] }>();
  private readonly properties = new EncodedProperties();

  constructor(private readonly sessions: MemberSessions) {}

  /** The same object for the same expression. @throws MqError ILLEGAL_FILTER_EXPRESSION */
  matcher(filter: FilterExpression): Matcher {
    const key = filterKey(filter);
    let matcher = this.compiled.get(key);
    if (!matcher) {
      const compiled = compileFilter(filter);
      this.compiledLengths += key.length;
      if (this.compiled.size >= compiledMax || this.compiledLengths > compiledLengthsMax) this.forget(key.length);
      matcher = this.byMeaning.get(compiled.key) ?? this.matcherOf(compiled);
      this.byMeaning.set(compiled.key, matcher);
      this.compiled.set(key, matcher);
    }
    return matcher;
  }

  /** What the living members of the group want of the topic. */
  ofGroup(groupId: GroupId, topicId: TopicId): readonly Matcher[] {
    const key = `${groupId}/${topicId}`;
    const version = this.sessions.version(groupId);
    const known = this.ofGroups.get(key);
    if (known?.version === version) return known.matchers;
    const found = this.sessions.filters(groupId, topicId).map((filter) => this.matcher(filter));
    const matchers = [...new Set(found)];
    if (this.ofGroups.size >= groupsMax) this.ofGroups.clear();
    this.ofGroups.set(key, { version, matchers });
    return matchers;
  }

  private forget(compiledLengths: number): void {
    this.compiledLengths = compiledLengths;
    this.compiled.clear();
    this.byMeaning.clear();
    this.ofGroups.clear();
  }

  private matcherOf(filter: Filter): Matcher {
    const { properties } = this;
    return {
      all: filter.all,
      hashes: filter.hashes,
      key: hashText(filter.key),
      cost: filter.cost,
      wants: (tagHash) => filter.wants(tagHash),
      wantsMessage: filter.all
        ? undefined
        : (payload) => payload === unreadable || filter.wantsMessage(properties.of(payload)),
    };
  }
}

export function filterKey(filter: FilterExpression): string {
  return `${filter.type} ${filter.expression}`;
}
