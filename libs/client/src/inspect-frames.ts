import type { GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { internal } from '@cometmq/proto';

import { lifeEventKinds, type FoundMessage, type LaneState, type LifeEvent } from './inspect-admin.js';

/** What operators look at, on the wire and back. */
export function foundToWire(found: FoundMessage): internal.FoundMessage {
  return { ...found, keys: [...found.keys], offset: found.offset };
}

export function foundFromWire(wire: internal.FoundMessage): FoundMessage {
  return {
    ...wire,
    topicId: wire.topicId as TopicId,
    originTopicId: wire.originTopicId as TopicId,
    queueId: wire.queueId as QueueId,
    offset: wire.offset as QueueOffset | undefined,
    position: wire.position as LogPosition,
  };
}

/** A broker of a newer version may know kinds that this one does not: those are left out. */
export function lifeEventsFromWire(wires: readonly internal.LifeEvent[]): LifeEvent[] {
  const events: LifeEvent[] = [];
  for (const wire of wires) {
    const kind = lifeEventKinds.find((known) => known === wire.kind);
    if (kind === undefined) continue;
    events.push({
      ...wire,
      kind,
      position: wire.position as LogPosition,
      groupId: wire.groupId as GroupId,
      topicId: wire.topicId as TopicId,
      queueId: wire.queueId as QueueId,
      offset: wire.offset as QueueOffset,
    });
  }
  return events;
}

export function laneFromWire(wire: internal.LaneState): LaneState {
  return {
    ...wire,
    topicId: wire.topicId as TopicId,
    queueId: wire.queueId as QueueId,
    offset: wire.offset as QueueOffset,
    position: wire.position as LogPosition,
  };
}
