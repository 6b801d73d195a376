import { randomUUID } from 'node:crypto';

import type { Asker, DeletionCall, RestoreCall, RetiredKind, RetiredList } from '@cometmq/client';
import type { Compare, KeyValue, MetadataStore, Put } from '@cometmq/metadata';
import type { ConsumerGroup, Topic } from '@cometmq/model';
import { failureFacts, MqError, type Clock, type Timer } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import type { Decision } from './decision.js';
import type { DirectoryCopy } from './directory-copy.js';
import { keys, recordOf, type DeletedRecord, type RetiredRecord, type ServedRecord } from './keys.js';

export interface RetirementsParts {
  readonly store: MetadataStore;
  readonly copy: DirectoryCopy;
  readonly clock: Clock;
  readonly log: Logger;
  /** 0: a deletion is for good at once. */
  readonly graceMs: number;
  readonly change: <T>(decide: () => Promise<Decision<T>>, asker?: Asker) => Promise<T>;
}

/** So many wait to be gone; no more are deleted but for good at once. */
const retiredMax = 10_000;
/** How often it is looked whose grace is over. */
const lookMs = 30_000;
/** What an instance counts at a time at the most, however late it looks. */
const countedMsMax = 2 * lookMs;

interface Served {
  readonly ms: number;
  /** More than stands in the store. */
  readonly isMore: boolean;
  readonly compare: Compare;
  readonly put: Put;
}

/** `served`, as this instance saw it last. */
interface Seen {
  readonly modRevision: number;
  readonly atMs: number;
}

/**
 * Deletions of topics and groups, and how they are taken back. While its grace lasts, what was deleted stands under `retired/`
 * as it was: nobody finds it by its name, and since brokers delete by the record of a deletion alone, which is not there yet,
 * all that is stored of it stays. When the grace is over the deletion is recorded, in the transaction that ends the grace:
 * whichever instance is first. Taken back, it has its name and its id again, and so all that was stored.
 *
 * How long a grace has lasted is told by no clock on a wall, which may be days off, and then all that was stored would be gone
 * too early: instances count the time that they serve while there is something to take back, in the store, each only
 * from when it saw the count last, and only if nobody has counted since. So while none of them runs a grace does not pass.
 *
 * Its name is made again by those who ask for it, not by clients that go on using it: they are told that it was deleted.
 */
export class Retirements {
  private timer: Timer | undefined;
  private stopped = false;
  private seen: Seen | undefined;
  private readonly id = randomUUID();
  /** How often this instance has counted, or tried to, and when it did last. */
  private counts = { nth: 0, atMs: 0 };

  constructor(private readonly parts: RetirementsParts) {}

  start(): void {
    const { clock, log, graceMs, copy } = this.parts;
    // Others than this instance may grant no grace, or have granted some.
    if (this.stopped || (graceMs === 0 && copy.retiredCount === 0)) return;
    this.timer = clock.after(lookMs, () => {
      this.endGraces()
        .catch((caught: unknown) => log.warn(failureFacts(caught), 'deletions could not be made final yet'))
        .finally(() => this.start());
    });
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /** @throws MqError FORBIDDEN where too many wait to be gone */
  delete(
    kind: RetiredKind,
    key: string,
    absent: MqError,
    { now = false, who = '' }: DeletionCall,
    asker?: Asker,
  ): Promise<void> {
    const { store, copy, clock, graceMs, change } = this.parts;
    const isFinal = now || graceMs === 0;
    if (!isFinal && copy.retiredCount >= retiredMax) {
      const what = `${retiredMax} deletions can be taken back yet, as many as may be`;
      throw new MqError('FORBIDDEN', `${what}: delete it for good at once`);
    }
    return change<void>(async () => {
      const found = await store.get(key);
      if (!found) throw absent;
      const compare = [{ key, modRevision: found.modRevision }];
      const record = recordOf<Topic | ConsumerGroup>(found);
      if (!record) return { result: undefined, write: { compare, deletes: [key] } };
      if (isFinal) return this.final(kind, record, compare, [key]);
      const deletedMs = clock.wallMs();
      const goneServedMs = await this.servedBy(graceMs);
      const retired: RetiredRecord = { kind, record, who, deletedMs, goneMs: deletedMs + graceMs, goneServedMs };
      const puts = [{ key: keys.retiredOf(kind, record.id), value: JSON.stringify(retired) }];
      return { result: undefined, write: { compare, puts, deletes: [key] } };
    }, asker);
  }

  /** @throws MqError TOPIC_NOT_FOUND, CONSUMER_GROUP_NOT_FOUND while a deletion of this name can be taken back */
  checkNameFree(kind: RetiredKind, name: string): void {
    for (const { kind: other, record, goneMs } of this.parts.copy.retired) {
      if (other !== kind || record.name !== name) continue;
      const what = kind === 'topic' ? 'topic' : 'consumer group';
      throw new MqError(
        kind === 'topic' ? 'TOPIC_NOT_FOUND' : 'CONSUMER_GROUP_NOT_FOUND',
        `${what} ${name} was deleted, and is not made again by its use before ${new Date(goneMs).toISOString()}: ` +
          `bring it back with comet undo ${name}, or make a new one with comet ${kind} create ${name}`,
      );
    }
  }

  /** Newest first. */
  list(): RetiredList {
    const retired = [...this.parts.copy.retired].map(({ kind, record: { name, id }, who, deletedMs, goneMs }) => {
      return { kind, name, id, who, deletedMs, goneMs };
    });
    return { retired: retired.sort((a, b) => b.deletedMs - a.deletedMs), graceMs: this.parts.graceMs };
  }

  /** @throws MqError NOT_FOUND, ALREADY_EXISTS */
  restore(
    kind: RetiredKind,
    id: number,
    { replace = false, who = '' }: RestoreCall = {},
    asker?: Asker,
  ): Promise<void> {
    const { store, log, change } = this.parts;
    const from = keys.retiredOf(kind, id);
    return change<void>(async () => {
      const found = await store.get(from);
      const retired = recordOf<RetiredRecord>(found);
      if (!found || !retired) throw new MqError('NOT_FOUND', `no deletion of this ${kind} can be taken back any more`);
      const { record } = retired;
      const to = kind === 'topic' ? keys.topic(record.name) : keys.group(record.name);
      const newer = await store.get(to);
      if (newer && !replace) {
        const how = 'delete that one first, or let it be deleted in the same step, with replace';
        throw new MqError('ALREADY_EXISTS', `there is another ${kind} "${record.name}" now; ${how}`);
      }
      // Clients that chose a queue before the deletion choose anew.
      const goneServedMs = await this.servedBy(this.parts.graceMs);
      const again = kind === 'topic' ? { ...record, layout: (record as Topic).layout + 1 } : record;
      log.info({ kind, name: record.name, id, replaces: newer !== undefined }, 'a deletion was taken back');
      const compare = [
        { key: from, modRevision: found.modRevision },
        { key: to, modRevision: newer?.modRevision ?? 0 },
      ];
      const instead = this.retiredInstead(kind, newer, retired, who, goneServedMs);
      const puts = [{ key: to, value: JSON.stringify(again) }, ...instead];
      return { result: undefined, write: { compare, puts, deletes: [from] } };
    }, asker);
  }

  /** What has the name of something that comes back can itself be brought back, for as long as that could at least. */
  private retiredInstead(
    kind: RetiredKind,
    found: KeyValue | undefined,
    by: RetiredRecord,
    who: string,
    servedMsMin: number,
  ): Put[] {
    const record = recordOf<Topic | ConsumerGroup>(found);
    if (!record) return [];
    const deletedMs = this.parts.clock.wallMs();
    const goneMs = Math.max(deletedMs + this.parts.graceMs, by.goneMs);
    const goneServedMs = Math.max(servedMsMin, by.goneServedMs ?? 0);
    const retired: RetiredRecord = { kind, record, who, deletedMs, goneMs, goneServedMs };
    return [{ key: keys.retiredOf(kind, record.id), value: JSON.stringify(retired) }];
  }

  /** Makes final what nobody took back in time. */
  async endGraces(): Promise<void> {
    const { store, copy, log, change } = this.parts;
    if (copy.retiredCount === 0) return;
    const servedMs = await change<number>(async () => {
      const { ms, isMore, compare, put } = await this.served();
      // Where another instance has just counted there is nothing to add, and it goes on from its own count.
      return { result: ms, ...(isMore && { write: { compare: [compare], puts: [put] } }) };
    });
    for (const { kind, record, goneServedMs } of [...copy.retired]) {
      if ((goneServedMs ?? 0) > servedMs || this.stopped) continue;
      const key = keys.retiredOf(kind, record.id);
      const isGone = await change<boolean>(async () => {
        const found: KeyValue | undefined = await store.get(key);
        const retired = recordOf<RetiredRecord>(found);
        // Taken back, or ended by another instance; or deleted once more since, of which this one has not heard yet.
        if (!found || !retired || (retired.goneServedMs ?? 0) > servedMs) return { result: false };
        const compare = [{ key, modRevision: found.modRevision }];
        if (retired.goneServedMs !== undefined) {
          return { ...this.final(kind, retired.record, compare, [key]), result: true };
        }
        // An older release has written it: it has its whole grace from when it is seen.
        const counted = { ...retired, goneServedMs: await this.servedBy(retired.goneMs - retired.deletedMs) };
        return { result: false, write: { compare, puts: [{ key, value: JSON.stringify(counted) }] } };
      });
      if (isGone) log.info({ kind, name: record.name, id: record.id }, 'a deletion is final: its grace is over');
    }
  }

  /** What will have been served when so much time has passed from now on: what others may yet count of before is left out. */
  private async servedBy(ms: number): Promise<number> {
    return (await this.served()).ms + ms + countedMsMax;
  }

  /**
   * How much time has been served, and how that is written down. Who writes first counts; others saw the count before, and begin
   * anew with this one.
   */
  private async served(): Promise<Served> {
    const { store, clock } = this.parts;
    const found = await store.get(keys.served);
    const modRevision = found?.modRevision ?? 0;
    const nowMs = clock.monotonicMs();
    const count = recordOf<ServedRecord>(found);
    const isMine = count?.by === this.id && count.nth === this.counts.nth;
    const sinceMs = isMine ? this.counts.atMs : this.seen?.modRevision === modRevision ? this.seen.atMs : nowMs;
    this.seen = { modRevision, atMs: sinceMs };
    const ms = (count?.ms ?? 0) + Math.min(nowMs - sinceMs, countedMsMax);
    const isMore = nowMs > sinceMs;
    this.counts = { nth: this.counts.nth + 1, atMs: nowMs };
    const record: ServedRecord = { ms, by: this.id, nth: this.counts.nth };
    return {
      ...{ ms, isMore },
      compare: { key: keys.served, modRevision },
      put: { key: keys.served, value: JSON.stringify(record) },
    };
  }

  /** That it was deleted is written down with the deletion: it is what brokers delete their part by. */
  private final(
    kind: RetiredKind,
    { id, name, createdMs }: Topic | ConsumerGroup,
    compare: NonNullable<Decision<void>['write']>['compare'],
    deletes: readonly string[],
  ): Decision<void> {
    const folder = kind === 'topic' ? keys.deletedTopics : keys.deletedGroups;
    const deleted: DeletedRecord = { id, name, createdMs, deletedMs: this.parts.clock.wallMs() };
    const puts: Put[] = [{ key: `${folder}${id}`, value: JSON.stringify(deleted) }];
    const write = { compare, puts, deletes: [...deletes, ...this.parts.copy.deletedTooMany(folder)] };
    return { result: undefined, write };
  }
}
