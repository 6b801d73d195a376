import type {
  DelayedPage,
  DelayedQuery,
  DelayedState,
  HalfAudit,
  HalfPage,
  HalfQuery,
  HalfResolution,
  HalfState,
  WaitingAdmin,
} from '@cometmq/client';
import type { PendingPlace } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** Messages that no queue shows yet, by broker set: in lists, not in a log. */
export class FakeWaiting implements WaitingAdmin {
  readonly delayed = new Map<string, DelayedState[]>();
  readonly half = new Map<string, HalfState[]>();
  readonly decided: HalfAudit[] = [];

  /** @param check throws for a set that does not answer */
  constructor(private readonly check: (brokerSet: string) => unknown) {}

  reset(): void {
    this.delayed.clear();
    this.half.clear();
    this.decided.length = 0;
  }

  async listDelayed(brokerSet: string, query: DelayedQuery): Promise<DelayedPage> {
    this.check(brokerSet);
    const { topicId, fromMs, toMs, after, max } = query;
    const all = (this.delayed.get(brokerSet) ?? []).filter(
      ({ place }) => topicId === undefined || place.topicId === topicId,
    );
    const messages = all
      .filter(({ place: { dueMs } }) => dueMs >= fromMs && dueMs < toMs)
      .filter(({ place }) => (place.dueMs - after.dueMs || place.position - after.position) > 0)
      .sort((a, b) => a.place.dueMs - b.place.dueMs || a.place.position - b.place.position);
    return { messages: messages.slice(0, max), total: all.length };
  }

  async findDelayed(brokerSet: string, place: PendingPlace): Promise<DelayedState | undefined> {
    this.check(brokerSet);
    return this.delayed.get(brokerSet)?.find((state) => state.place.position === place.position);
  }

  async takeBackDelayed(brokerSet: string, place: PendingPlace): Promise<void> {
    const list = this.delayed.get(brokerSet) ?? [];
    const index = list.findIndex((state) => state.place.position === place.position);
    if (index < 0) throw new MqError('MESSAGE_NOT_FOUND', 'it waits no more');
    list.splice(index, 1);
  }

  async moveDelayed(brokerSet: string, place: PendingPlace, dueMs: number): Promise<void> {
    const list = this.delayed.get(brokerSet) ?? [];
    const index = list.findIndex((state) => state.place.position === place.position);
    const found = list[index];
    if (!found) throw new MqError('MESSAGE_NOT_FOUND', 'it waits no more');
    list[index] = { ...found, place: { ...found.place, dueMs } };
  }

  async listHalf(brokerSet: string, { topicId, after, max }: HalfQuery): Promise<HalfPage> {
    this.check(brokerSet);
    const all = (this.half.get(brokerSet) ?? []).filter(
      ({ place }) => topicId === undefined || place.topicId === topicId,
    );
    const messages = all.filter(
      ({ storedMs, place }) => (storedMs - after.storedMs || place.position - after.position) > 0,
    );
    return { messages: messages.slice(0, max), total: all.length };
  }

  async findHalf(brokerSet: string, place: PendingPlace): Promise<HalfState | undefined> {
    this.check(brokerSet);
    return this.half.get(brokerSet)?.find((state) => state.place.position === place.position);
  }

  async resolveHalf(brokerSet: string, place: PendingPlace, resolution: HalfResolution, who: string): Promise<void> {
    const list = this.half.get(brokerSet) ?? [];
    const index = list.findIndex((state) => state.place.position === place.position);
    if (index < 0) throw new MqError('INVALID_TRANSACTION_ID', 'no open transaction has this id');
    list.splice(index, 1);
    const { topicId, position } = place;
    this.decided.push({ atMs: 1_000 + this.decided.length, who, resolution, topicId, position });
  }

  async audits(brokerSet: string): Promise<readonly HalfAudit[]> {
    this.check(brokerSet);
    return this.decided;
  }
}
