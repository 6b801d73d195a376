import type { AckCall, Done } from '@cometmq/client';
import type { GroupsView, ReceiptOutcome } from '@cometmq/consumption';
import type { Receipt } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { MessageStore } from '@cometmq/store';

import type { LogClock } from './log-clock.js';

/** Acknowledgements that may wait for a batch. */
const pendingMax = 200_000;

interface Pending {
  readonly call: AckCall;
  readonly done: Done<void>;
}

/** Acknowledgements gather while a batch is on its way to the disk and become one record of the next one. */
export class Acks {
  /** Acknowledged messages. A plain number for metrics. */
  acknowledged = 0;
  private pending: Pending[] = [];

  constructor(
    private readonly store: MessageStore,
    private readonly groups: GroupsView,
    private readonly logClock: LogClock,
    private readonly onRecorded: (receipts: readonly Receipt[]) => void,
  ) {
    store.beforeBatch(() => this.flush());
  }

  ack(call: AckCall, done: Done<void>): void {
    if (this.pending.length >= pendingMax) {
      done(new MqError('TOO_MANY_REQUESTS', `${pendingMax} acknowledgements wait for the disk already`), undefined);
      return;
    }
    this.pending.push({ call, done });
    if (this.pending.length === 1) this.store.requestBatch();
  }

  private flush(): void {
    if (this.pending.length === 0) return;
    const batch = this.pending;
    this.pending = [];
    try {
      const receipts = batch.map(({ call }) => call.receipt);
      const { record, outcomes } = this.groups.decideAck(receipts, this.logClock.nowMs());
      if (!record) {
        settle(batch, outcomes, undefined);
        return;
      }
      const { end } = this.store.append(record.kind, this.logClock.nowMs(), record.payload);
      for (const outcome of outcomes) if (outcome === 'done') this.acknowledged += 1;
      this.store.whenCommitted(end, (error) => settle(batch, outcomes, error));
      this.onRecorded(receipts);
    } catch (caught) {
      settle(batch, [], MqError.from(caught));
    }
  }
}

function settle(batch: readonly Pending[], outcomes: readonly ReceiptOutcome[], error: MqError | undefined): void {
  for (let i = 0; i < batch.length; i += 1) batch[i]?.done(error ?? outcomeError(outcomes[i]), undefined);
}

/** Done, or without effect because it does no harm: OK. Clients repeat for ever what is answered otherwise. */
export function outcomeError(outcome: ReceiptOutcome | undefined): MqError | undefined {
  if (outcome !== 'invalid') return undefined;
  return new MqError('INVALID_RECEIPT_HANDLE', 'the receipt handle names no message that was handed out');
}
