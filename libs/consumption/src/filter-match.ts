import type { MessageNeeded, PopRequest } from './decisions.js';
import type { Matcher, QueueEntries, QueueSource } from './ports.js';

/** For whom a message is. `unknown`: it must be looked at and is not in memory. */
export type FilterVerdict = 'mine' | 'other' | 'unknownMembers' | 'none' | 'unknown';

/** Messages that one request asks to be loaded. */
const looksMax = 64;

/**
 * Says for whom messages are, for one request: first for the member that asks, then for any other of its group; while
 * members may be unknown, for a stranger. By the tag's hash where that is enough, else by the message itself; those that
 * are not in memory are gathered in `looks`.
 */
export class FilterMatch {
  readonly looks: MessageNeeded[] = [];
  /** Of the last message that was another's or a stranger's: the key to keep it under. */
  key = 0;
  /** What looks at messages have cost since this was last set to 0. */
  cost = 0;
  private payload: Uint8Array | undefined;
  private payloadPosition = -1;

  constructor(private readonly request: PopRequest) {}

  /** No more messages can be asked for: the request waits for those that were. */
  get isFull(): boolean {
    return this.looks.length >= looksMax;
  }

  match(source: QueueSource, entries: QueueEntries, index: number): FilterVerdict {
    const { filter, groupFilters, unknownMembers } = this.request;
    if (filter.all) return 'mine';
    const tagHash = entries.tagHash(index);
    const mine = this.wanted(filter, source, entries, index, tagHash);
    if (mine !== false) return mine ? 'mine' : 'unknown';
    // Its hash is that of a tag this member wants: others with that tag must not find it among this member's.
    const ambiguous = filter.hashes.length > 0 && filter.wants(tagHash);
    for (const other of groupFilters) {
      if (other === filter) continue;
      const its = this.wanted(other, source, entries, index, tagHash);
      if (its === undefined) return 'unknown';
      if (!its) continue;
      this.key = (other.all || other.hashes.length > 0) && !ambiguous ? tagHash : other.key;
      return 'other';
    }
    if (unknownMembers !== true) return 'none';
    this.key = tagHash;
    return 'unknownMembers';
  }

  /** Of the entries from `from` to `end`, those that will have to be looked at too are loaded with the others. */
  askAhead(source: QueueSource, entries: QueueEntries, from: number, end: number): void {
    const { filter, groupFilters } = this.request;
    for (let index = from; index < end && !this.isFull; index += 1) {
      const tagHash = entries.tagHash(index);
      const looksAt = (one: Matcher): boolean => !one.all && one.wantsMessage !== undefined && one.wants(tagHash);
      if (looksAt(filter) || groupFilters.some(looksAt)) this.payloadAt(source, entries, index);
    }
  }

  /** True: what is kept under the key may be meant for a member that is known. */
  anyoneKeeps(key: number): boolean {
    return isKeptFor(this.request.groupFilters, key);
  }

  /** Under which keys messages for this member may be kept, of those that are in use. */
  myKeys(inUse: Iterable<number>): Iterable<number> {
    const { filter } = this.request;
    return filter.all ? [...inUse] : [...filter.hashes, filter.key];
  }

  private wanted(
    filter: Matcher,
    source: QueueSource,
    entries: QueueEntries,
    index: number,
    tagHash: number,
  ): boolean | undefined {
    if (filter.all) return true;
    if (!filter.wants(tagHash)) return false;
    if (!filter.wantsMessage) return true;
    this.cost += filter.cost ?? 1;
    const payload = this.payloadAt(source, entries, index);
    return payload && filter.wantsMessage(payload);
  }

  private payloadAt(source: QueueSource, entries: QueueEntries, index: number): Uint8Array | undefined {
    const position = entries.position(index);
    if (position === this.payloadPosition) return this.payload;
    const size = entries.size(index);
    const payload = source.payload(position, size);
    if (!payload && !this.isFull) this.looks.push({ position, size });
    this.payload = payload;
    this.payloadPosition = payload ? position : -1;
    return payload;
  }
}

/** True: what is kept under the key may be meant for a member with one of these filters. */
export function isKeptFor(filters: readonly Matcher[], key: number): boolean {
  return filters.some((filter) => filter.all || filter.key === key || (filter.hashes.length > 0 && filter.wants(key)));
}
