import type { QueueId, QueueOffset } from '@cometmq/model';

/** What a reset of a group's progress did to one queue. */
export interface QueueReset {
  readonly queueId: QueueId;
  /** Undefined: the group had not begun here. */
  readonly before: QueueOffset | undefined;
  readonly after: QueueOffset;
}
