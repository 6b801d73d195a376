import type { AckCall, Done } from '@cometmq/client';
import type { GroupsView, ReceiptOutcome } from '@cometmq/consumption';
import type { Receipt } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import { decide } from './decide.js';
import type { LogClock } from './log-clock.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'append' | 'appendEnd' | 'beforeBatch' | 'requestBatch' | 'whenCommitted'>;

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
    private readonly store: Store,
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

  /** What gathers is not written any more. */
  stop(error: MqError): void {
    const batch = this.pending;
    this.pending = [];
    for (const { done } of batch) done(error, undefined);
  }

  /** What has gathered is decided now. */
  flush(): void {
    if (this.pending.length === 0) return;
    const batch = this.pending;
    this.pending = [];
    let outcomes: readonly ReceiptOutcome[] = [];
    const settle = (error: MqError | undefined): void => {
      for (let i = 0; i < batch.length; i += 1) batch[i]?.done(error ?? outcomeError(outcomes[i]), undefined);
    };
    decide<undefined>(this.store, settle, () => {
      const receipts = batch.map(({ call }) => call.receipt);
      const decision = this.groups.decideAck(receipts, this.logClock.nowMs());
      const { record } = decision;
      outcomes = decision.outcomes;
      if (!record) return { end: undefined, result: undefined };
      const { end } = this.store.append(record.kind, this.logClock.nowMs(), record.payload);
      for (const outcome of outcomes) if (outcome === 'done') this.acknowledged += 1;
      return { end, result: undefined, after: () => this.onRecorded(receipts) };
    });
  }
}

/** Done now or before: OK. What changed nothing is said so: clients give it up, or are known to their proxy not to. */
export function outcomeError(outcome: ReceiptOutcome | undefined): MqError | undefined {
  switch (outcome) {
    case 'stale':
      return new MqError(
        'INVALID_RECEIPT_HANDLE',
        'the lease of the receipt handle is over: the message was delivered again, its group was reset, or its time has passed',
      );
    case 'invalid':
      return new MqError('INVALID_RECEIPT_HANDLE', 'the receipt handle names no message that was handed out');
    default:
      return undefined;
  }
}
