/**
 * Which messages that no queue shows go next to another broker set: delayed ones and half messages, wherever they lie. Some
 * thousands are listed at a time, however many wait. Reads and decides; writes nothing.
 */
import { Envelope, placesBehind, type PendingPast, type PendingTransferMessage, type TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StoredMessage, StorePorts } from '@cometmq/store';
import type { TimersView } from '@cometmq/timers';
import type { TransactionsView } from '@cometmq/transactions';

import type { FarTimers } from '../far-timers.js';

export interface PendingPlannerParts {
  readonly store: Pick<StorePorts, 'damage' | 'readAll'>;
  readonly timers: TimersView;
  readonly far: FarTimers;
  readonly halves: TransactionsView;
  /** What this log knows: a topic is there until its deletion is a record. */
  readonly knows: (topicId: TopicId) => boolean;
}

export interface PendingLeaving {
  readonly message: PendingTransferMessage;
  readonly stored: StoredMessage;
  readonly to: string;
}

export interface PendingDecision {
  readonly leaving: readonly PendingLeaving[];
  /** They are lost, and nobody waits for them any more. */
  readonly lost: readonly PendingTransferMessage[];
}

/** Of one transfer, about; and listed at a time. */
const messagesMax = 512;
const bytesMax = 1024 * 1024;
const listMax = 16_384;
const begin = { timers: { dueMs: 0, position: -1 }, halves: { storedMs: 0, position: -1 } } as const;

export class PendingPlanner {
  /** Messages that can't be read, so that they stay. */
  unreadable = 0;
  private stock: PendingTransferMessage[] = [];
  private after: { timers: { dueMs: number; position: number }; halves: { storedMs: number; position: number } } =
    begin;
  /** As the timers said it when the stock was listed. */
  private sealedTimes = 0;

  /** @param grouped whether it is for messages of message groups, or for all others */
  constructor(
    private readonly parts: PendingPlannerParts,
    private readonly grouped: boolean,
  ) {}

  /** All are looked through anew. */
  forget(): void {
    this.stock = [];
    this.after = begin;
    this.unreadable = 0;
  }

  /**
   * The next that can go; `decide` is given them with nothing in between, so that what it writes is true.
   *
   * @param targetOf where a message goes; undefined: it has to wait
   * @returns whether anything was decided
   */
  async gather(
    targetOf: (groupHash: number) => string | undefined,
    decide: (decision: PendingDecision) => void,
  ): Promise<boolean> {
    for (;;) {
      if (this.stock.length === 0 && !(await this.list())) return false;
      const { messages, targets } = this.next(targetOf);
      if (messages.length === 0) continue;
      const read = await this.parts.store.readAll(messages);
      // From here on nothing comes in between. What has become cold meanwhile is known by its piece alone.
      if (this.parts.timers.sealedTimes !== this.sealedTimes) {
        this.listAgain([...messages, ...this.stock]);
        continue;
      }
      const decision = this.judge(messages, read, targets);
      if (decision.leaving.length + decision.lost.length === 0) continue;
      decide(decision);
      return true;
    }
  }

  private next(targetOf: (groupHash: number) => string | undefined) {
    const messages: PendingTransferMessage[] = [];
    const targets: string[] = [];
    let bytes = 0;
    let taken = 0;
    for (const message of this.stock) {
      if (messages.length >= messagesMax || bytes >= bytesMax) break;
      taken += 1;
      const to = targetOf(message.groupHash);
      if (to === undefined) continue;
      messages.push(message);
      targets.push(to);
      bytes += message.size;
    }
    this.stock.splice(0, taken);
    return { messages, targets };
  }

  private judge(
    messages: readonly PendingTransferMessage[],
    read: readonly (StoredMessage | MqError)[],
    targets: readonly string[],
  ): PendingDecision {
    const leaving: PendingLeaving[] = [];
    const lost: PendingTransferMessage[] = [];
    for (const [i, listed] of messages.entries()) {
      const message = this.asItIs(listed);
      const stored = read[i];
      if (!message || !stored) continue;
      if (!(stored instanceof MqError)) leaving.push({ message, stored, to: targets[i] as string });
      else if (this.parts.store.damage.isGivenUp(message.position, message.size)) lost.push(message);
      else this.unreadable += 1;
    }
    return { leaving, lost };
  }

  /** Undefined: it waits no more. */
  private asItIs(listed: PendingTransferMessage): PendingTransferMessage | undefined {
    const { timers, halves } = this.parts;
    const { position, dueMs } = listed;
    if (dueMs === 0) {
      const half = halves.half(position);
      return half && { ...listed, half: { ...half } };
    }
    switch (timers.standing(position, dueMs)) {
      case 'near':
      case 'tail':
        return { ...listed, dueMs: timers.timer(position, dueMs).dueMs };
      case 'far':
        return listed;
      default:
        return undefined;
    }
  }

  /** @returns whether there are any */
  private async list(): Promise<boolean> {
    const { timers, far, halves } = this.parts;
    const halvesFound = halves.size === 0 ? [] : halves.list(undefined, this.after.halves, listMax);
    const last = halvesFound.at(-1);
    if (last) this.after = { ...this.after, halves: last };
    const found: PendingTransferMessage[] = halvesFound.map((half) => ({ ...half, dueMs: 0, half }));
    this.sealedTimes = timers.sealedTimes;
    if (found.length < listMax && timers.size > 0) {
      const after = this.after.timers;
      const asked = { topicId: undefined, fromMs: after.dueMs, toMs: Number.MAX_SAFE_INTEGER, after, max: listMax };
      const due = await far.list(asked);
      const lastDue = due.at(-1);
      if (lastDue) this.after = { ...this.after, timers: lastDue };
      // What is due at time 0 is delivered at once.
      found.push(...due.filter(({ dueMs }) => dueMs > 0).map((timer) => ({ ...timer, half: undefined })));
    }
    this.stock = found.filter(
      ({ groupHash, topicId }) => (groupHash !== 0) === this.grouped && this.parts.knows(topicId),
    );
    return found.length > 0;
  }

  private listAgain(messages: readonly PendingTransferMessage[]): void {
    const first = messages.find(({ dueMs }) => dueMs > 0);
    const half = messages.find(({ dueMs }) => dueMs === 0);
    if (first) this.after = { ...this.after, timers: { dueMs: first.dueMs, position: first.position - 1 } };
    if (half?.half) {
      const { storedMs } = half.half;
      this.after = { ...this.after, halves: { storedMs, position: half.position - 1 } };
    }
    this.stock = [];
  }
}

/** What it was here, for the set that gets it. */
export function pastOf(
  { position, size, dueMs, half }: PendingTransferMessage,
  { payload, timestampMs }: StoredMessage,
  brokerSet: string,
): PendingPast {
  const before = new Envelope(payload).transferMark?.past;
  return {
    dueMs,
    storedMs: before?.storedMs ?? timestampMs,
    half: half && {
      ...{ checks: half.checks, lastCheckMs: half.lastCheckMs },
      ...{ nextCheckMs: half.nextCheckMs, parked: half.parked },
    },
    places: placesBehind(before?.places ?? [], { brokerSet, position, size }),
  };
}
