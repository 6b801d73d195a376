import type { GroupId, TopicId } from '@cometmq/model';

/** Which topics and groups there are, as far as anybody knows. */
export interface Living {
  topic(id: TopicId): boolean;
  group(id: GroupId): boolean;
}

/** Keeps something by topic or by group. An id never comes again: what is kept of one that is gone is of no use. */
export interface Forgetful {
  forgetGone(living: Living): void;
}

/** Drops the entries of those that do not live. */
export function keepOnly<Id>(of: { keys(): Iterable<Id>; delete(id: Id): unknown }, lives: (id: Id) => boolean): void {
  for (const id of [...of.keys()]) if (!lives(id)) of.delete(id);
}
