import type { DelayedPage, DelayedState, Directory, HalfAudit, HalfPage, HalfState } from '@cometmq/client';
import { PendingHandles, type PendingHandle, type PendingPlace } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Answers, Missing } from './ask-all.js';

/** Delayed messages, half messages and operators' decisions as the API shows them, over all broker sets. */
export interface DelayedView {
  readonly id: string;
  /** Empty when the topic is gone. */
  readonly topic: string;
  readonly brokerSet: string;
  readonly messageId: string;
  readonly tag: string;
  readonly dueMs: number;
  readonly storedMs: number;
  readonly bytes: number;
}

export interface TransactionView {
  readonly id: string;
  readonly topic: string;
  readonly brokerSet: string;
  readonly messageId: string;
  readonly tag: string;
  readonly storedMs: number;
  readonly bytes: number;
  readonly checks: number;
  readonly lastCheckMs: number;
  readonly nextCheckMs: number;
  readonly parked: boolean;
}

export interface TransactionAuditView {
  readonly atMs: number;
  readonly who: string;
  readonly resolution: string;
  readonly topic: string;
  readonly brokerSet: string;
  readonly position: number;
}

export interface WaitingPage<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly next?: string;
  readonly missing: readonly Missing[];
}

/** The same text that the sender of the message was given: a recall handle, or a transaction id. */
export function waitingId(
  directory: Directory,
  kind: 'recall' | 'transaction',
  broker: string,
  place: PendingPlace,
): string {
  return new PendingHandles(directory.secret).write(kind, { broker, place });
}

/** @throws MqError BAD_REQUEST, INVALID_TRANSACTION_ID */
export function readWaitingId(directory: Directory, kind: 'recall' | 'transaction', id: string): PendingHandle {
  return new PendingHandles(directory.secret).read(kind, id);
}

export function delayedView(directory: Directory, brokerSet: string, state: DelayedState): DelayedView {
  const { place, messageId, tag, storedMs } = state;
  const topic = directory.topicById(place.topicId)?.name ?? '';
  const id = waitingId(directory, 'recall', brokerSet, place);
  return { id, topic, brokerSet, messageId, tag, dueMs: place.dueMs, storedMs, bytes: place.size };
}

export function halfView(directory: Directory, brokerSet: string, state: HalfState): TransactionView {
  const { place, messageId, tag, storedMs, checks, lastCheckMs, nextCheckMs, parked } = state;
  const topic = directory.topicById(place.topicId)?.name ?? '';
  const id = waitingId(directory, 'transaction', brokerSet, place);
  const bytes = place.size;
  return { id, topic, brokerSet, messageId, tag, storedMs, bytes, checks, lastCheckMs, nextCheckMs, parked };
}

/** Where a page ended: (time, broker set, position) of its last message. */
interface Cursor {
  readonly timeMs: number;
  readonly brokerSet: string;
  readonly position: number;
}

/** What lies behind a cursor in one broker set, where pages run over all of them in order of (time, set, position). */
export class PageCursor {
  constructor(private readonly at: Cursor | undefined) {}

  in(brokerSet: string): { readonly timeMs: number; readonly position: number } {
    if (!this.at) return { timeMs: 0, position: -1 };
    const { timeMs, brokerSet: last, position } = this.at;
    return { timeMs, position: brokerSet === last ? position : brokerSet < last ? Number.MAX_SAFE_INTEGER : -1 };
  }
}

/** @throws MqError BAD_REQUEST */
export function readCursor(after: string | undefined): PageCursor {
  if (after === undefined) return new PageCursor(undefined);
  const match = /^(\d{1,16})-(\d{1,16})-(.+)$/s.exec(after);
  if (!match) throw new MqError('BAD_REQUEST', '"after" must be the "next" of the page before');
  return new PageCursor({ timeMs: Number(match[1]), position: Number(match[2]), brokerSet: match[3] ?? '' });
}

interface Placed<T> {
  readonly timeMs: number;
  readonly brokerSet: string;
  readonly position: number;
  readonly view: T;
}

export function delayedReport(
  directory: Directory,
  { answers, missing }: Answers<DelayedPage>,
  max: number,
): WaitingPage<DelayedView> {
  const all = answers.flatMap(({ brokerSet, answer }) =>
    answer.messages.map((state) => ({
      timeMs: state.place.dueMs,
      brokerSet,
      position: state.place.position,
      view: delayedView(directory, brokerSet, state),
    })),
  );
  return pageOf(all, answers, missing, max);
}

function pageOf<T>(
  all: Placed<T>[],
  answers: Answers<{ readonly total: number }>['answers'],
  missing: readonly Missing[],
  max: number,
): WaitingPage<T> {
  all.sort(
    (a, b) =>
      a.timeMs - b.timeMs || (a.brokerSet < b.brokerSet ? -1 : a.brokerSet > b.brokerSet ? 1 : a.position - b.position),
  );
  const shown = all.slice(0, max);
  const last = shown.at(-1);
  return {
    items: shown.map(({ view }) => view),
    total: answers.reduce((sum, { answer }) => sum + answer.total, 0),
    // A set that gave as many as it was asked for may have more.
    ...(last && shown.length === max && { next: `${last.timeMs}-${last.position}-${last.brokerSet}` }),
    missing,
  };
}

export function halfReport(
  directory: Directory,
  { answers, missing }: Answers<HalfPage>,
  max: number,
): WaitingPage<TransactionView> {
  const all = answers.flatMap(({ brokerSet, answer }) =>
    answer.messages.map((state) => ({
      timeMs: state.storedMs,
      brokerSet,
      position: state.place.position,
      view: halfView(directory, brokerSet, state),
    })),
  );
  return pageOf(all, answers, missing, max);
}

export function auditReport(
  directory: Directory,
  { answers, missing }: Answers<readonly HalfAudit[]>,
): { readonly items: readonly TransactionAuditView[]; readonly missing: readonly Missing[] } {
  const items = answers.flatMap(({ brokerSet, answer }) =>
    answer.map(({ topicId, position, ...audit }) => ({
      ...audit,
      topic: directory.topicById(topicId)?.name ?? '',
      brokerSet,
      position: position,
    })),
  );
  return { items: items.sort((a, b) => b.atMs - a.atMs), missing };
}
