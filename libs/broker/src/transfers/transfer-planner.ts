/** Which messages of a queue must go to another broker set, and whom they are for there. Reads and decides; writes nothing. */
import type { Directory } from '@cometmq/client';
import type { GroupsView, PullOffsets, TransfersView } from '@cometmq/consumption';
import {
  everybody,
  queueOffset,
  type Audience,
  type AudienceGroup,
  type LogPosition,
  type QueueId,
  type QueueOffset,
  type TopicId,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StoredMessage, StorePorts } from '@cometmq/store';

export type PlannerStore = Pick<StorePorts, 'bounds' | 'damage' | 'readSome' | 'scan'>;

export interface PlannerParts {
  readonly store: PlannerStore;
  readonly transfers: TransfersView;
  readonly groups: GroupsView;
  readonly pullOffsets: PullOffsets;
  readonly directory: Directory;
  /** Log time. */
  readonly nowMs: () => number;
}

/** A message that must go, as it was found. */
export interface Leaving {
  readonly offset: QueueOffset;
  readonly position: LogPosition;
  readonly size: number;
  readonly tagHash: number;
  readonly groupHash: number;
}

export interface LeavingMessage extends Leaving {
  readonly audience: Audience;
  readonly stored: StoredMessage;
  readonly to: string;
}

/** Of one transfer, about: more would keep the event loop, and the other set, too long. */
const messagesMax = 512;
const bytesMax = 1024 * 1024;
const scanMax = 256;

/** How far a queue was looked through. */
interface Cursor {
  next: number;
  /** The first message that has to wait: the next pass begins there. Infinity: none has. */
  held: number;
  /** Message groups of which one has to wait in this pass: those that follow it wait too. */
  readonly waiting: Set<number>;
}

export class TransferPlanner {
  private readonly cursors = new Map<string, Cursor>();
  /** Messages that can't be read, so that they stay. */
  unreadable = 0;

  constructor(private readonly parts: PlannerParts) {}

  /** All queues are looked through anew: groups may have been moved back. */
  forget(): void {
    this.cursors.clear();
    this.unreadable = 0;
  }

  /** There may be something in the queue that has not been looked at in this pass. */
  mayHaveMore(topicId: TopicId, queueId: QueueId): boolean {
    const { first, committed } = this.parts.store.bounds(topicId, queueId);
    return first < committed && this.cursor(topicId, queueId).next < committed;
  }

  /** What had to wait may be looked at again. */
  again(): void {
    for (const [key, { held }] of this.cursors) {
      if (held < Infinity) this.cursors.set(key, { next: held, held: Infinity, waiting: new Set() });
    }
  }

  /**
   * The next messages of a queue that must go and can, up to a bound, in the order of the queue; `decide` is given them with
   * nothing in between, so that what it writes is true.
   *
   * @param targetOf where a message goes; undefined: it has to wait
   */
  async gather(
    topicId: TopicId,
    queueId: QueueId,
    targetOf: (groupHash: number) => string | undefined,
    decide: (messages: readonly LeavingMessage[]) => void,
  ): Promise<void> {
    const { store } = this.parts;
    const cursor = this.cursor(topicId, queueId);
    const found: Leaving[] = [];
    let bytes = 0;
    let at = Math.max(cursor.next, store.bounds(topicId, queueId).first);
    const end = store.bounds(topicId, queueId).committed;
    const targets = new Map<number, string>();
    while (at < end && found.length < messagesMax && bytes < bytesMax) {
      const entries = await store.scan(topicId, queueId, queueOffset(at), Math.min(scanMax, end - at));
      if (entries.count === 0) break;
      for (let i = 0; i < entries.count; i += 1) {
        const offset = (entries.from + i) as QueueOffset;
        at = offset + 1;
        const groupHash = entries.groupHash(i);
        const audience = this.judge(topicId, queueId, offset, groupHash);
        if (audience === 'done') continue;
        const to = audience === 'held' || cursor.waiting.has(groupHash) ? undefined : targetOf(groupHash);
        if (to === undefined) {
          wait(cursor, offset, groupHash);
          continue;
        }
        targets.set(offset, to);
        const [position, size, tagHash] = [entries.position(i), entries.size(i), entries.tagHash(i)];
        found.push({ offset, position, size, tagHash, groupHash });
        bytes += size;
        if (found.length >= messagesMax || bytes >= bytesMax) break;
      }
    }
    const read = found.length === 0 ? [] : await store.readSome(found, bytesMax);
    cursor.next = found[read.length]?.offset ?? at;
    // From here on nothing comes in between.
    const leaving: LeavingMessage[] = [];
    const audiences = new Map<string, Audience>();
    for (const [i, message] of found.slice(0, read.length).entries()) {
      const { offset, groupHash } = message;
      const judged = this.judge(topicId, queueId, offset, groupHash);
      if (judged === 'done') continue;
      const stored = read[i];
      if (judged === 'held' || cursor.waiting.has(groupHash) || !stored) {
        wait(cursor, offset, groupHash);
        continue;
      }
      if (stored instanceof MqError) {
        // What is gone for good is nobody's; what can't be read now may be read later.
        if (stored.code === 'NOT_FOUND' || this.parts.store.damage.isGivenUp(message.position, message.size)) continue;
        this.unreadable += 1;
        wait(cursor, offset, groupHash);
        continue;
      }
      const text = JSON.stringify(judged);
      const audience = audiences.get(text) ?? judged;
      audiences.set(text, audience);
      leaving.push({ ...message, audience, stored, to: targets.get(offset) as string });
    }
    if (leaving.length > 0) decide(leaving);
  }

  /** Whom the message is for; `done`: for nobody; `held`: somebody is at work on it, or it is not due again. */
  private judge(
    topicId: TopicId,
    queueId: QueueId,
    offset: QueueOffset,
    groupHash: number,
  ): Audience | 'done' | 'held' {
    const { transfers, groups, pullOffsets, directory, nowMs } = this.parts;
    const before = transfers.of(topicId, queueId)?.at(offset);
    if (before?.only && before.groups.length === 0) return 'done';
    const needs = groups.needsOf(topicId, queueId, offset, groupHash, nowMs());
    if (needs.held) return 'held';
    let { done } = needs;
    const open: AudienceGroup[] = [];
    for (const group of needs.groups) {
      const known = directory.groupById(group.groupId);
      if (!known) continue;
      // It is about to become a dead letter.
      if (group.attempts >= known.attemptsMax) return 'held';
      open.push(group);
    }
    for (const pulled of pullOffsets.ofQueue(topicId, queueId)) {
      if (open.some(({ groupId }) => groupId === pulled.groupId)) continue;
      if (pulled.offset <= offset) open.push({ groupId: pulled.groupId, attempts: 0 });
      else done += 1;
    }
    if (open.length > 0) return { only: done > 0 || before?.only === true, groups: open };
    // Nobody has ever read the queue: it is for whoever comes.
    return done === 0 && before?.only !== true ? everybody : 'done';
  }

  private cursor(topicId: TopicId, queueId: QueueId): Cursor {
    const key = `${topicId}/${queueId}`;
    const known = this.cursors.get(key);
    if (known) return known;
    const cursor = { next: 0, held: Infinity, waiting: new Set<number>() };
    this.cursors.set(key, cursor);
    return cursor;
  }
}

function wait(cursor: Cursor, offset: number, groupHash: number): void {
  cursor.held = Math.min(cursor.held, offset);
  if (groupHash !== 0) cursor.waiting.add(groupHash);
}
