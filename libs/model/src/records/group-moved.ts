/**
 * What a record of kind `groupMoved` says: an operator moved a group in a topic, from where and to where. Nobody folds it:
 * the resets beside it do the moving. It is there to be looked at, and to be taken back.
 * | 1 | move id text | who text | undoes text | group | topic | count | (queue | before + 1, or 0 | after) × count |
 */
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { GroupId, QueueId, QueueOffset, TopicId } from '../units.js';

export interface GroupMoved {
  /** The same for all broker sets that one move concerns. */
  readonly moveId: string;
  readonly who: string;
  /** The move that this one takes back; empty: none. */
  readonly undoes: string;
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly queues: readonly MovedQueue[];
}

export interface MovedQueue {
  readonly queueId: QueueId;
  /** Undefined: the group had not begun. */
  readonly before: QueueOffset | undefined;
  readonly after: QueueOffset;
}

const layout = 1;
const out = new ByteWriter();

export function encodeGroupMoved({ moveId, who, undoes, groupId, topicId, queues }: GroupMoved): Uint8Array {
  out.begin();
  out.u8(layout);
  for (const text of [moveId, who, undoes]) out.text(text);
  out.whole(groupId);
  out.whole(topicId);
  out.whole(queues.length);
  for (const { queueId, before, after } of queues) {
    out.whole(queueId);
    out.whole(before === undefined ? 0 : before + 1);
    out.whole(after);
  }
  return out.taken();
}

export function decodeGroupMoved(payload: Uint8Array): GroupMoved {
  const from = new ByteReader(payload);
  assert(from.u8() === layout, 'a record of a moved group has a layout this version knows: new meaning is a new kind');
  const [moveId, who, undoes] = [from.text(), from.text(), from.text()];
  const groupId = from.whole() as GroupId;
  const topicId = from.whole() as TopicId;
  const queues: MovedQueue[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    const queueId = from.whole() as QueueId;
    const before = from.whole();
    const after = from.whole() as QueueOffset;
    queues.push({ queueId, before: before === 0 ? undefined : ((before - 1) as QueueOffset), after });
  }
  return { moveId, who, undoes, groupId, topicId, queues };
}
