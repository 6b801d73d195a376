import { RecordKind, type Receipt } from '@cometmq/model';

import { blockOffsets, DeliveryState } from './block-table.js';
import type { InvisibleChange, ReceiptOutcome, ReceiptsDecision } from './decisions.js';
import { ackReason } from './group-records.js';
import { LeasedSections } from './leased-sections.js';
import type { ProgressDirectory } from './progress-directory.js';
import type { QueueProgress } from './queue-progress.js';
import type { Tables } from './tables.js';

/** What becomes of the receipts that clients show, of any groups and queues; one record for all. */
export class ReceiptDecisions {
  constructor(
    private readonly tables: Tables<QueueProgress>,
    private readonly directory: ProgressDirectory,
  ) {}

  /** An acknowledgement counts when its lease holds the message; where order does not matter also when nobody does. */
  ack(receipts: readonly Receipt[], nowMs: number): ReceiptsDecision {
    return this.decide(
      RecordKind.ack,
      receipts,
      (receipt, progress) => this.ackOutcome(receipt, progress, nowMs),
      () => ackReason.acknowledged,
    );
  }

  /** A client gives the message up for good: a late word counts too, as long as nobody else was given the message. */
  forward(receipt: Receipt): ReceiptsDecision {
    return this.decide(
      RecordKind.ack,
      [receipt],
      (_, progress) => this.leaseOutcome(receipt, progress, -Infinity),
      () => ackReason.deadLettered,
    );
  }

  change(changes: readonly InvisibleChange[], nowMs: number): ReceiptsDecision {
    return this.decide(
      RecordKind.changeInvisible,
      changes.map(({ receipt }) => receipt),
      (receipt, progress) => {
        const outcome = this.leaseOutcome(receipt, progress, nowMs);
        return outcome === 'noEffect' ? 'stale' : outcome; // What is done has no time any more.
      },
      (index) => timeOf(changes[index]?.visibleAtMs ?? 0),
    );
  }

  handBack(receipts: readonly Receipt[], visibleAtMs: number): ReceiptsDecision {
    return this.decide(
      RecordKind.handBack,
      receipts,
      (receipt, progress) => {
        const outcome = this.leaseOutcome(receipt, progress, -Infinity);
        return outcome === 'done' && progress.heldBySlot(receipt.offset) < 0 ? 'noEffect' : outcome;
      },
      () => timeOf(visibleAtMs),
    );
  }

  private decide(
    kind: RecordKind,
    receipts: readonly Receipt[],
    match: (receipt: Receipt, progress: QueueProgress) => ReceiptOutcome,
    valueOf: (index: number) => number,
  ): ReceiptsDecision {
    const sections = new LeasedSections();
    const outcomes: ReceiptOutcome[] = [];
    for (let i = 0; i < receipts.length; i += 1) {
      const receipt = receipts[i] as Receipt;
      const { groupId, topicId, queueId, offset, leaseEpoch, leasePosition } = receipt;
      const progress = this.directory.find(groupId, topicId, queueId);
      if (!progress) {
        outcomes.push('invalid');
        continue;
      }
      const outcome = match(receipt, progress);
      outcomes.push(outcome);
      // Of no effect for the message; but its lane need not wait any longer for who held it through a reset.
      const frees = outcome === 'stale' && progress.lanes?.isHeldBy(leaseEpoch, leasePosition, offset);
      if (outcome === 'done' || frees) {
        sections.add(groupId, topicId, queueId, leaseEpoch, leasePosition, valueOf(i), offset);
      }
    }
    return { record: sections.record(kind), outcomes };
  }

  private ackOutcome(receipt: Receipt, progress: QueueProgress, nowMs: number): ReceiptOutcome {
    if (progress.lanes) return this.leaseOutcome(receipt, progress, nowMs);
    const block = openBlock(receipt, progress);
    if (typeof block === 'string') return block;
    const { blocks, leases } = this.tables;
    const index = receipt.offset % blockOffsets;
    if (blocks.state(block, index) !== DeliveryState.held) return 'done'; // It waits, or is parked.
    const slot = blocks.detail(block, index);
    const mine = leases.isOf(slot, receipt.leaseEpoch, receipt.leasePosition);
    return mine || (leases.dueMs[slot] as number) <= nowMs ? 'done' : 'stale';
  }

  /** Only the last lease counts; in order only until its time has passed: from then on it may be with somebody else. */
  private leaseOutcome(receipt: Receipt, progress: QueueProgress, nowMs: number): ReceiptOutcome {
    const block = openBlock(receipt, progress);
    if (typeof block === 'string') return block;
    const { blocks, leases } = this.tables;
    const index = receipt.offset % blockOffsets;
    const state = blocks.state(block, index);
    if (state === DeliveryState.parked) return 'stale';
    const slot = blocks.detail(block, index);
    if (!leases.isOf(slot, receipt.leaseEpoch, receipt.leasePosition)) return 'stale';
    if (!progress.lanes) return 'done';
    const endMs = state === DeliveryState.held ? (leases.dueMs[slot] as number) : blocks.dueMs(block, index);
    return endMs > nowMs ? 'done' : 'stale';
  }
}

/** The block in which the message is open, or what that it is in none says. */
function openBlock({ generation, offset }: Receipt, progress: QueueProgress): number | ReceiptOutcome {
  if (generation !== (progress.generation & 0xffff)) return 'stale';
  if (offset >= progress.frontier) return 'invalid';
  const block = progress.openBlock(offset);
  return block < 0 ? 'noEffect' : block;
}

function timeOf(visibleAtMs: number): number {
  return Math.max(0, Math.ceil(visibleAtMs));
}
