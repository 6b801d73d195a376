/**
 * What a record of kind `deadLettersReplayed` says: an operator gave dead letters of a group another chance. `toGroup`: the
 * group gets the messages again where they stand in their queues, as if they had never been delivered; it is folded.
 * `toTopic`: each was sent to its topic once more, as a message of its own; that is there to be looked at.
 *
 * | 1 | mode u8 | replay id text | who text | group | letters' topic | count | letter × count |
 *   letter | its offset in queue 0 of the letters' topic | topic | queue | offset | to topic only: queue | offset of the new one |
 */
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { GroupId, QueueId, QueueOffset, TopicId } from '../units.js';

export interface DeadLettersReplayed {
  readonly mode: 'toGroup' | 'toTopic';
  /** The same for all records that one order of an operator makes. */
  readonly replayId: string;
  readonly who: string;
  readonly groupId: GroupId;
  readonly letterTopicId: TopicId;
  readonly letters: readonly ReplayedLetter[];
}

export interface ReplayedLetter {
  readonly letterOffset: QueueOffset;
  /** Where the message stands that became a dead letter. */
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
  /** Sent anew, to the same topic. */
  readonly sent?: { readonly queueId: QueueId; readonly offset: QueueOffset } | undefined;
}

const layout = 1;
const out = new ByteWriter();

export function encodeDeadLettersReplayed(record: DeadLettersReplayed): Uint8Array {
  const { mode, replayId, who, groupId, letterTopicId, letters } = record;
  out.begin();
  out.u8(layout);
  out.u8(mode === 'toGroup' ? 0 : 1);
  out.text(replayId);
  out.text(who);
  for (const number of [groupId, letterTopicId, letters.length]) out.whole(number);
  for (const { letterOffset, topicId, queueId, offset, sent } of letters) {
    for (const number of [letterOffset, topicId, queueId, offset]) out.whole(number);
    if (mode === 'toGroup') continue;
    out.whole(sent?.queueId ?? 0);
    out.whole(sent?.offset ?? 0);
  }
  return out.taken();
}

export function decodeDeadLettersReplayed(payload: Uint8Array): DeadLettersReplayed {
  const from = new ByteReader(payload);
  assert(from.u8() === layout, 'a record of replayed dead letters has a layout this version knows');
  const mode = from.u8() === 0 ? 'toGroup' : 'toTopic';
  const [replayId, who] = [from.text(), from.text()];
  const groupId = from.whole() as GroupId;
  const letterTopicId = from.whole() as TopicId;
  const letters: ReplayedLetter[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    const letter = {
      letterOffset: from.whole() as QueueOffset,
      topicId: from.whole() as TopicId,
      queueId: from.whole() as QueueId,
      offset: from.whole() as QueueOffset,
    };
    if (mode === 'toGroup') letters.push(letter);
    else letters.push({ ...letter, sent: { queueId: from.whole() as QueueId, offset: from.whole() as QueueOffset } });
  }
  return { mode, replayId, who, groupId, letterTopicId, letters };
}
