import type { LogPosition, PendingPlace, TopicId } from '@cometmq/model';

/**
 * What an operator may see and do of the messages that no queue shows yet: delayed ones, and halves of transactions.
 * @throws MqError as `BrokerAdmin`
 */
export interface WaitingAdmin {
  /** In the order of (due time, position). */
  listDelayed(brokerSet: string, query: DelayedQuery): Promise<DelayedPage>;
  /** Undefined: it waits no more. */
  findDelayed(brokerSet: string, place: PendingPlace): Promise<DelayedState | undefined>;
  /** It is never delivered. @throws MqError MESSAGE_NOT_FOUND when it waits no more */
  takeBackDelayed(brokerSet: string, place: PendingPlace): Promise<void>;
  /** It is due at another time. @throws MqError MESSAGE_NOT_FOUND when it waits no more */
  moveDelayed(brokerSet: string, place: PendingPlace, dueMs: number): Promise<void>;
  /** Oldest first. */
  listHalf(brokerSet: string, query: HalfQuery): Promise<HalfPage>;
  /** Undefined: it is not open any more. */
  findHalf(brokerSet: string, place: PendingPlace): Promise<HalfState | undefined>;
  /** @throws MqError INVALID_TRANSACTION_ID, CONFLICT when it was decided otherwise */
  resolveHalf(brokerSet: string, place: PendingPlace, resolution: HalfResolution, who: string): Promise<void>;
  /** What operators have decided, oldest first. */
  audits(brokerSet: string): Promise<readonly HalfAudit[]>;
}

export type HalfResolution = 'commit' | 'rollback';

export interface DelayedQuery {
  readonly topicId: TopicId | undefined;
  /** Due from, and due before. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Those behind this one, by (due time, position). */
  readonly after: { readonly dueMs: number; readonly position: number };
  readonly max: number;
}

export interface DelayedPage {
  readonly messages: readonly DelayedState[];
  /** Of the topic, or of all: how many wait, whenever they are due. */
  readonly total: number;
}

export interface DelayedState {
  /** Its time is the one it is due at now. */
  readonly place: PendingPlace;
  readonly messageId: string;
  readonly tag: string;
  readonly storedMs: number;
}

export interface HalfQuery {
  readonly topicId: TopicId | undefined;
  /** Those behind this one, by (time of storing, position). */
  readonly after: { readonly storedMs: number; readonly position: number };
  readonly max: number;
}

export interface HalfPage {
  readonly messages: readonly HalfState[];
  readonly total: number;
}

export interface HalfState {
  readonly place: PendingPlace;
  readonly messageId: string;
  readonly tag: string;
  readonly storedMs: number;
  /** How often a producer was asked. */
  readonly checks: number;
  /** 0: never. */
  readonly lastCheckMs: number;
  readonly nextCheckMs: number;
  /** Nobody is asked any more. */
  readonly parked: boolean;
}

export interface HalfAudit {
  readonly atMs: number;
  readonly who: string;
  readonly resolution: HalfResolution;
  readonly topicId: TopicId;
  readonly position: LogPosition;
}
