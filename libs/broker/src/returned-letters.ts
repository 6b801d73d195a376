/**
 * Dead letters that came from another broker set go back to the group that gave them up. The message that became one stands in
 * no queue here, so it is written once more, for the group alone: one record, which says which letter it was, too. So whatever
 * breaks, a letter that was written is known to be, and one that was not is not.
 */
import type { Directory, MessagePlace, ReplayCall, ReplayOutcome } from '@cometmq/client';
import type { GroupsView } from '@cometmq/consumption';
import { Envelope, hashText, RecordKind, type ConsumerGroup, type QueueOffset, type TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { LogRecord, MessageStore } from '@cometmq/store';

import type { TransfersIn } from './transfers/transfers-in.js';

export interface ReturnParts {
  readonly store: Pick<MessageStore, 'appendEnd' | 'bounds' | 'findById' | 'whenCommitted'>;
  readonly records: Pick<MessageStore, 'readRecords'>;
  readonly groups: GroupsView;
  readonly directory: Directory;
  readonly giveBack: TransfersIn['giveBack'];
  /** Dead letters that are being replayed or sent again, by their position. */
  readonly underWay: Set<string>;
}

/** A dead letter that came from another broker set. */
export interface ForeignLetter {
  readonly place: MessagePlace;
  readonly letterTopicId: TopicId;
  readonly letterOffset: QueueOffset;
  /** That the message was sent to. */
  readonly topicId: TopicId;
}

/** Places with the hash of one message id. */
const sameIdMax = 1_024;

export class ReturnedLetters {
  constructor(private readonly parts: ReturnParts) {}

  /** One outcome for each. Resolves when all that was written is committed. */
  async replay(
    group: ConsumerGroup,
    letters: readonly ForeignLetter[],
    order: Pick<ReplayCall, 'replayId' | 'who'>,
  ): Promise<ReplayOutcome[]> {
    const { underWay } = this.parts;
    const taken: string[] = [];
    const outcomes: ReplayOutcome[] = [];
    try {
      for (const letter of letters) {
        const key = String(letter.place.position);
        if (underWay.has(key)) {
          outcomes.push('open');
          continue;
        }
        underWay.add(key);
        taken.push(key);
        outcomes.push(await this.replayOne(group, letter, order));
      }
    } finally {
      // Only what is committed is found by who replays one of them next.
      await this.committed().finally(() => {
        for (const key of taken) underWay.delete(key);
      });
    }
    return outcomes;
  }

  private async replayOne(
    group: ConsumerGroup,
    { place, letterTopicId, letterOffset, topicId }: ForeignLetter,
    order: Pick<ReplayCall, 'replayId' | 'who'>,
  ): Promise<ReplayOutcome> {
    const { records, directory, giveBack } = this.parts;
    const topic = directory.topicById(topicId);
    if (!topic) return 'gone';
    if (group.fifo) return 'orderly';
    const [letter] = await records.readRecords([place]);
    if (letter === undefined || letter instanceof MqError) throw letter ?? new MqError('INTERNAL', 'nothing was read');
    const before = await this.before(group, topicId, new Envelope(letter.payload).id);
    if (before !== 'replayed') return before;
    const isBack = await giveBack(group.id, topic, letter, { letterTopicId, letterOffset, ...order });
    return isBack ? 'replayed' : 'gone';
  }

  /**
   * What became of the last one that went back: where it was handed over since, that is one that came for the group. 'replayed':
   * there is none, or the group is done with it, so that it may have it again.
   */
  private async before({ id: groupId }: ConsumerGroup, topicId: TopicId, messageId: string): Promise<ReplayOutcome> {
    const { store, records, groups } = this.parts;
    const places = await store.findById(topicId, hashText(messageId), sameIdMax);
    for (const place of places.sort((a, b) => b.position - a.position)) {
      const [record] = await records.readRecords([place]);
      if (!record || record instanceof MqError || !isFor(record, groupId, topicId, messageId)) continue;
      const { queueId, queueOffset: offset } = record;
      if (offset < store.bounds(topicId, queueId).first) return 'replayed'; // It has expired.
      const may = groups.redeliverable(groupId, { topicId, queueId, offset });
      if (may === 'orderly') return may;
      return may === 'yes' ? 'replayed' : 'open'; // What the group has not got to yet, it will.
    }
    return 'replayed';
  }

  private committed(): Promise<void> {
    const { store } = this.parts;
    return new Promise((resolve, reject) => {
      store.whenCommitted(store.appendEnd, (error) => (error ? reject(error) : resolve()));
    });
  }
}

function isFor(
  { kind, topicId, payload }: LogRecord,
  groupId: ConsumerGroup['id'],
  wantedId: TopicId,
  id: string,
): boolean {
  if (topicId !== wantedId || (kind !== RecordKind.returnedLetter && kind !== RecordKind.transferred)) return false;
  const envelope = new Envelope(payload);
  return envelope.id === id && envelope.transferMark?.audience.groups.some((one) => one.groupId === groupId) === true;
}
