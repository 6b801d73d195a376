import {
  encodeDropped,
  encodeEnvelope,
  encodeReference,
  logPosition,
  MessageType,
  queueId,
  RecordKind,
  referenceReason,
  topicId,
  type GroupId,
  type DecidedRecord,
} from '@cometmq/model';

import type { FoldedRecord, HalfMessage, Resolution } from './ports.js';
import { TransactionsView } from './transactions-view.js';

const nothing = Buffer.alloc(0);

/** Log and checkpoints, as far as the view can tell: appends what was decided and folds it at once. */
export class FoldingTransactions {
  view = new TransactionsView();
  nowMs = 1_700_000_000_000;
  private newer: FoldedRecord[] = [];
  private readonly pieces = new Map<string, Uint8Array>();
  private end = 4096;

  send(topic: number, checkAfterMs?: number): FoldedRecord {
    const payload = encodeEnvelope({
      type: MessageType.transaction,
      tag: nothing,
      id: nothing,
      group: nothing,
      keys: [],
      checkAfterMs,
    });
    return this.append({ kind: RecordKind.pending, payload }, topic);
  }

  resolve(half: HalfMessage, resolution: Resolution): void {
    if (resolution === 'rollback') {
      this.append({ kind: RecordKind.dropped, payload: encodeDropped([{ ...half, dueMs: 0 }]) });
      return;
    }
    const payload = encodeReference({
      target: half,
      reason: referenceReason.committed,
      groupId: 0 as GroupId,
      originTopicId: half.topicId,
    });
    this.append({ kind: RecordKind.reference, payload }, half.topicId);
  }

  append({ kind, payload }: DecidedRecord, topic = 0): FoldedRecord {
    const position = logPosition(this.end);
    const size = 64 + payload.length;
    this.end += size;
    const queue = { topicId: topicId(topic), queueId: queueId(0), tagHash: position % 5, groupHash: 0 };
    const record: FoldedRecord = { kind, position, size, timestampMs: this.nowMs, payload, ...queue };
    this.newer.push(record);
    this.view.fold(record);
    return record;
  }

  checkpoint(): void {
    for (const { key, value } of this.view.takeChanges()) {
      if (value) this.pieces.set(key, Uint8Array.from(value));
      else this.pieces.delete(key);
    }
    this.newer = [];
  }

  /** Memory is lost; the last checkpoint and the log are not. */
  crash(): void {
    this.view = new TransactionsView();
    for (const [key, value] of this.pieces) this.view.load(key, Uint8Array.from(value));
    for (const record of this.newer) this.view.fold(record);
  }
}
