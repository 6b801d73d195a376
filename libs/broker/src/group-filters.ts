import type { FilterExpression, GroupId, TopicId } from '@cometmq/model';
import type { TagMatcher } from '@cometmq/consumption';
import { compileFilter } from '@cometmq/filter';
import { MqError } from '@cometmq/shared';

import type { MemberSessions } from './member-sessions.js';

/** Compiled expressions that are remembered; a consumer repeats its own in every poll. */
const compiledMax = 10_000;

const everythingMatcher: TagMatcher = { all: true, hashes: [], wants: () => true };

/** What members want, compiled once an expression. */
export class GroupFilters {
  private readonly compiled = new Map<string, TagMatcher>();

  constructor(private readonly sessions: MemberSessions) {}

  /** @throws MqError ILLEGAL_FILTER_EXPRESSION, UNSUPPORTED */
  matcher(filter: FilterExpression): TagMatcher {
    const key = filterKey(filter);
    let matcher = this.compiled.get(key);
    if (!matcher) {
      const compiled = compileFilter(filter);
      if (filter.type === 'sql') throw new MqError('UNSUPPORTED', 'SQL-92 filter expressions are not supported yet');
      matcher = compiled;
      if (this.compiled.size >= compiledMax) this.compiled.clear();
      this.compiled.set(key, matcher);
    }
    return matcher;
  }

  /** What the living members of the group want of the topic; everything, while some may not have been heard of yet. */
  ofGroup(groupId: GroupId, topicId: TopicId, allHeard: boolean): TagMatcher[] {
    const matchers = this.sessions.filters(groupId, topicId).map((filter) => this.matcher(filter));
    if (!allHeard) matchers.push(everythingMatcher);
    return matchers;
  }
}

export function filterKey(filter: FilterExpression): string {
  return `${filter.type} ${filter.expression}`;
}
