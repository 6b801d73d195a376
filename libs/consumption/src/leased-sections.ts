import type { DecidedRecord, GroupId, QueueId, RecordKind, TopicId } from '@cometmq/model';

import { encodeLeased, type LeasedOffsets } from './group-records.js';
import { OffsetRuns } from './offset-runs.js';

/** Gathers messages under their leases; those of one lease that come one after another share a section. */
export class LeasedSections {
  readonly list: LeasedOffsets[] = [];

  add(
    groupId: GroupId,
    topicId: TopicId,
    queueId: QueueId,
    leaseEpoch: number,
    leasePosition: number,
    value: number,
    offset: number,
  ): void {
    let last = this.list[this.list.length - 1];
    if (
      last?.leasePosition !== leasePosition ||
      last.queueId !== queueId ||
      last.groupId !== groupId ||
      last.topicId !== topicId ||
      last.leaseEpoch !== leaseEpoch ||
      last.value !== value
    ) {
      last = { groupId, topicId, queueId, leaseEpoch, leasePosition, value, offsets: new OffsetRuns() };
      this.list.push(last);
    }
    last.offsets.push(offset, 0);
  }

  /** Undefined: there is nothing to write. */
  record(kind: RecordKind): DecidedRecord | undefined {
    return this.list.length === 0 ? undefined : { kind, payload: encodeLeased(this.list) };
  }
}
