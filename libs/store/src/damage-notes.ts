/**
 * What of the log is known to be lost, found at the start or on reading: each place is told once, and counted until it is
 * given up.
 */
import type { LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { CommitLog } from './log/commit-log.js';
import type { SegmentInfo } from './log/segment.js';
import type { Damage } from './log/segments.js';

/** More places than that are counted, and not told of one by one. */
const placesMax = 1_024;

export class DamageNotes {
  private readonly holes = new Set<string>();
  /** First positions and generations of segments that were looked through as something of them could not be read. */
  private readonly lookedThrough = new Map<number, number>();
  /** How often something was made anew: what was not found before may be found by now. */
  private changes = 0;
  private mending = 0;

  constructor(
    private readonly log: CommitLog,
    private readonly tell: (damage: Damage) => void,
  ) {}

  get all(): readonly Damage[] {
    return [...this.log.damages];
  }
  get bytes(): number {
    return this.log.damages.reduce((sum, { first, end }) => sum + end - first, 0);
  }

  /** An operator gives up what is lost: consumers pass over it. Answers what that is. Durable once it resolves. */
  giveUp(): Promise<readonly Damage[]> {
    return this.log.giveUp();
  }

  /**
   * The place of entries of no size, which stand for messages that are in no index: none that a record ever has, and another
   * one as soon as they may have come back.
   */
  get lostPlace(): LogPosition {
    return (-1 - this.changes) as LogPosition;
  }

  /** Whether a message that can't be read was given up. Of no size: it stands for one whose place is not known. */
  isGivenUp(position: LogPosition, size: number): boolean {
    if (size > 0) return this.log.isGivenUp(position, size);
    return position === this.lostPlace && this.mending === 0 && this.log.damages.length === 0;
  }

  /** While `act` makes something anew, and afterwards, nothing that was missed before counts as given up. */
  async whileMending<T>(act: () => Promise<T>): Promise<T> {
    this.mending += 1;
    try {
      return await act();
    } finally {
      this.mending -= 1;
      this.changes += 1;
      this.holes.clear();
    }
  }

  /** All of the log is another one's copy now. */
  forget(): void {
    this.changes += 1;
    this.holes.clear();
    this.lookedThrough.clear();
  }

  /** What was found at the start. */
  tellKnown(): void {
    for (const damage of this.log.damages) this.tell(damage);
  }

  /** Components of a segment can't be read. */
  foundLost(lost: readonly { readonly from: LogPosition; readonly to: LogPosition }[]): void {
    for (const { from, to } of lost) this.note({ first: from, end: to, what: 'records can not be read' });
  }

  /**
   * What `read` reads of [from, end). Where something can't be read, that is looked for, so that it is told and can be mended,
   * before whoever reads is told.
   */
  async whileReading<T>(from: LogPosition, end: LogPosition, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (caught) {
      if (!(caught instanceof MqError) || caught.code !== 'CORRUPT_RECORD') throw caught;
      for (const segment of this.log.segments()) {
        const { first, sealed, generation } = segment;
        // The active one is looked through once it is sealed, and one that was made anew is another one.
        if (first >= end || segment.end <= from || !sealed || this.lookedThrough.get(first) === generation) continue;
        this.lookedThrough.set(first, generation); // Whoever reads may try again and again; what comes later the scrub finds.
        await this.lookThrough(segment);
      }
      throw caught;
    }
  }

  /** Notes all that can't be read of a sealed segment, whether or not it was good before. */
  async lookThrough({ first, sealed, lost: isLost }: SegmentInfo): Promise<void> {
    if (!sealed || isLost) return;
    const lost: { from: LogPosition; to: LogPosition }[] = [];
    await this.log.salvage(
      first,
      () => undefined,
      (from, to) => lost.push({ from, to }),
      true,
    );
    this.foundLost(lost);
  }

  /** One record can't be read. */
  foundRecord(position: LogPosition, size: number): void {
    this.note({ first: position, end: position + size, what: 'a record can not be read' });
  }

  /** No index has what a queue should hold. Where in the log it was is not known. */
  foundHole(topicId: TopicId, queueId: QueueId, from: QueueOffset, count: number): void {
    const key = `${topicId}/${queueId}/${from}`;
    if (this.holes.has(key) || this.holes.size >= placesMax) return;
    this.holes.add(key);
    const what = `messages ${from} to ${from + count - 1} of queue ${queueId} of topic ${topicId} are in no index`;
    this.tell({ first: 0, end: 0, what });
  }

  private note(damage: Damage): void {
    if (this.log.noteDamage(damage)) this.tell(damage);
  }
}
