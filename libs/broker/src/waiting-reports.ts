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
import { Envelope, type PendingPlace } from '@cometmq/model';
import { MqError, throwAssertion } from '@cometmq/shared';
import type { Timer } from '@cometmq/timers';
import type { HalfMessage } from '@cometmq/transactions';

import type { BrokerService } from './broker-service.js';

/** What operators may see and do of the delayed and half messages of the one set that this broker leads. */
export class WaitingReports implements WaitingAdmin {
  constructor(
    private readonly broker: BrokerService,
    private readonly check: (brokerSet: string) => void,
  ) {}

  async listDelayed(brokerSet: string, query: DelayedQuery): Promise<DelayedPage> {
    const { delayed } = this.broker;
    const timers = await this.leading(brokerSet).delays.far.list(query);
    const total = query.topicId === undefined ? delayed.size : (delayed.sizes.get(query.topicId) ?? 0);
    return { messages: await Promise.all(timers.map((timer) => this.delayedState(timer))), total };
  }

  async findDelayed(brokerSet: string, place: PendingPlace): Promise<DelayedState | undefined> {
    const timer = await this.leading(brokerSet).delays.find(place);
    return timer && this.delayedState(timer);
  }

  async takeBackDelayed(brokerSet: string, place: PendingPlace): Promise<void> {
    await this.leading(brokerSet).delays.takeBack(place);
  }

  async moveDelayed(brokerSet: string, place: PendingPlace, dueMs: number): Promise<void> {
    await this.leading(brokerSet).delays.move(place, dueMs);
  }

  async listHalf(brokerSet: string, { topicId, after, max }: HalfQuery): Promise<HalfPage> {
    this.leading(brokerSet);
    const { halfMessages } = this.broker;
    const halves = halfMessages.list(topicId, after, max);
    const total = topicId === undefined ? halfMessages.size : (halfMessages.sizes.get(topicId) ?? 0);
    return { messages: await Promise.all(halves.map((half) => this.halfState(half))), total };
  }

  async findHalf(brokerSet: string, place: PendingPlace): Promise<HalfState | undefined> {
    const half = await this.leading(brokerSet).transactions.find(place);
    return half && this.halfState(half);
  }

  async resolveHalf(brokerSet: string, place: PendingPlace, resolution: HalfResolution, who: string): Promise<void> {
    await this.leading(brokerSet).transactions.resolve(place, resolution, who);
  }

  audits(brokerSet: string): Promise<readonly HalfAudit[]> {
    this.leading(brokerSet);
    return Promise.resolve(this.broker.halfMessages.audits);
  }

  private leading(brokerSet: string): NonNullable<BrokerService['waiting']> {
    this.check(brokerSet);
    const { waiting } = this.broker;
    if (!waiting) throw new MqError('NOT_LEADER', `broker ${brokerSet} does not lead now`);
    return waiting;
  }

  private async delayedState({ position, size, topicId, dueMs }: Timer): Promise<DelayedState> {
    return { place: { position, size, topicId, dueMs }, ...(await this.read(position, size)) };
  }

  private async halfState(half: HalfMessage): Promise<HalfState> {
    const { position, size, topicId, checks, lastCheckMs, nextCheckMs, parked } = half;
    const place = { position, size, topicId, dueMs: 0 };
    // Pages go by when it was stored first, which may have been in another broker set.
    return {
      place,
      ...(await this.read(position, size)),
      storedMs: half.storedMs,
      checks,
      lastCheckMs,
      nextCheckMs,
      parked,
    };
  }

  /** One that can't be read is shown without its names: it must be possible to cancel it. */
  private async read(
    position: Timer['position'],
    size: number,
  ): Promise<Pick<DelayedState, 'messageId' | 'tag' | 'storedMs'>> {
    try {
      const { payload, timestampMs } = await this.broker.store.read(position, size);
      const envelope = new Envelope(payload);
      const storedMs = envelope.transferMark?.past?.storedMs ?? timestampMs;
      return { messageId: envelope.id, tag: envelope.tag.toString('utf8'), storedMs };
    } catch (caught) {
      throwAssertion(caught);
      return { messageId: '', tag: '', storedMs: 0 };
    }
  }
}
