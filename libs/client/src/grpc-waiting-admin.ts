import type { LogPosition, PendingPlace, TopicId } from '@cometmq/model';
import { internal } from '@cometmq/proto';

import type { LeaderChannels } from './leader-channels.js';
import { placeFromWire, placeToWire } from './pending-frames.js';
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
} from './waiting-admin.js';

const service = '/cometmq.v1.BrokerService';
/** "Without an end" on the wire: below 2^53. */
const foreverMs = 2 ** 52;

/** `WaitingAdmin` over gRPC, to the leaders that the directory names. */
export class GrpcWaitingAdmin implements WaitingAdmin {
  constructor(private readonly leaders: LeaderChannels) {}

  async listDelayed(brokerSet: string, query: DelayedQuery): Promise<DelayedPage> {
    const { messages, total } = await this.delayed(brokerSet, {
      topicId: query.topicId ?? 0,
      fromMs: query.fromMs,
      toMs: Math.min(foreverMs, query.toMs),
      afterDueMs: query.after.dueMs,
      afterPosition: Math.min(foreverMs, query.after.position),
      max: query.max,
      place: undefined,
    });
    return { messages: messages.map(delayedFromWire), total };
  }

  async findDelayed(brokerSet: string, place: PendingPlace): Promise<DelayedState | undefined> {
    const request = internal.ListDelayedRequest.fromPartial({ place: placeToWire(place) });
    const [found] = (await this.delayed(brokerSet, request)).messages;
    return found && delayedFromWire(found);
  }

  async takeBackDelayed(brokerSet: string, place: PendingPlace): Promise<void> {
    const request = internal.ChangeDelayedRequest.encode({ place: placeToWire(place), dueMs: undefined }).finish();
    await this.ask(brokerSet, 'ChangeDelayed', request);
  }

  async moveDelayed(brokerSet: string, place: PendingPlace, dueMs: number): Promise<void> {
    const request = internal.ChangeDelayedRequest.encode({ place: placeToWire(place), dueMs }).finish();
    await this.ask(brokerSet, 'ChangeDelayed', request);
  }

  async listHalf(brokerSet: string, { topicId, after, max }: HalfQuery): Promise<HalfPage> {
    const { messages, total } = await this.half(brokerSet, {
      topicId: topicId ?? 0,
      afterStoredMs: after.storedMs,
      afterPosition: Math.min(foreverMs, after.position),
      max,
      place: undefined,
    });
    return { messages: messages.map(halfFromWire), total };
  }

  async findHalf(brokerSet: string, place: PendingPlace): Promise<HalfState | undefined> {
    const request = internal.ListHalfRequest.fromPartial({ place: placeToWire(place) });
    const [found] = (await this.half(brokerSet, request)).messages;
    return found && halfFromWire(found);
  }

  async resolveHalf(brokerSet: string, place: PendingPlace, resolution: HalfResolution, who: string): Promise<void> {
    const request = internal.ResolveHalfRequest.encode({ place: placeToWire(place), resolution, who }).finish();
    await this.ask(brokerSet, 'ResolveHalf', request);
  }

  async audits(brokerSet: string): Promise<readonly HalfAudit[]> {
    const answer = await this.ask(brokerSet, 'ListAudits', internal.ListAuditsRequest.encode({}).finish());
    return internal.ListAuditsResponse.decode(answer).audits.map((audit) => ({
      ...audit,
      resolution: audit.resolution === 'commit' ? 'commit' : 'rollback',
      topicId: audit.topicId as TopicId,
      position: audit.position as LogPosition,
    }));
  }

  private async delayed(
    brokerSet: string,
    request: internal.ListDelayedRequest,
  ): Promise<internal.ListDelayedResponse> {
    const bytes = internal.ListDelayedRequest.encode(request).finish();
    return internal.ListDelayedResponse.decode(await this.ask(brokerSet, 'ListDelayed', bytes));
  }

  private async half(brokerSet: string, request: internal.ListHalfRequest): Promise<internal.ListHalfResponse> {
    const bytes = internal.ListHalfRequest.encode(request).finish();
    return internal.ListHalfResponse.decode(await this.ask(brokerSet, 'ListHalf', bytes));
  }

  private ask(brokerSet: string, method: string, request: Uint8Array): Promise<Uint8Array> {
    return this.leaders.ask(brokerSet, `${service}/${method}`, request);
  }
}

function delayedFromWire({ place, messageId, tag, storedMs }: internal.DelayedMessage): DelayedState {
  return { place: placeFromWire(place), messageId, tag, storedMs };
}

function halfFromWire({ place, ...rest }: internal.HalfMessage): HalfState {
  return { ...rest, place: placeFromWire(place) };
}
