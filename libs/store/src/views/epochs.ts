/**
 * Where each epoch of the log begins, kept beyond the segments that say so. The log itself notes what it is given and
 * cuts what is cut off, committed or not, since members compare what their logs hold. A checkpoint stores the epochs that
 * are folded, no more: what lies behind its position may be cut off again, and is found in the log where it is not.
 *
 * One piece: `t` → | version u8 | (epoch u32, start u64) × epochs |
 */
import { epoch as toEpoch, logPosition, RecordKind, type StateChange } from '@cometmq/model';
import { assert, getU64, putU64, viewOf } from '@cometmq/shared';

import type { EpochTable } from '../log/epoch-table.js';
import type { LogRecord } from '../log/record.js';
import type { StateView } from './state-view.js';

const version = 1;
const entryBytes = 12;
const key = 't';

export class Epochs implements StateView {
  readonly name = 'epochs';
  readonly kinds: ReadonlySet<RecordKind> = new Set([RecordKind.epochStart]);
  /** The last epoch that is folded: nothing of the table up to it changes any more. */
  private folded = 0;
  private stored = 0;

  constructor(private readonly table: EpochTable) {}

  fold({ epoch, position }: LogRecord): void {
    this.table.note(epoch, position);
    this.folded = epoch;
  }

  takeChanges(): StateChange[] {
    if (this.folded === this.stored) return [];
    this.stored = this.folded;
    const rows = this.table.all.filter(({ epoch }) => epoch <= this.folded);
    const value = new Uint8Array(1 + rows.length * entryBytes);
    const view = viewOf(value);
    value[0] = version;
    for (const [i, { epoch, start }] of rows.entries()) {
      view.setUint32(1 + i * entryBytes, epoch, true);
      putU64(view, 5 + i * entryBytes, start);
    }
    return [{ key, value }];
  }

  load(_key: string, value: Uint8Array): void {
    assert(value[0] === version, 'the table of epochs is of a known version');
    // A log that is open knows its epochs already, and may have cut off some that older releases stored.
    const isKnown = this.table.all.length > 0;
    const view = viewOf(value);
    for (let at = 1; at < value.length; at += entryBytes) {
      const epoch = view.getUint32(at, true);
      if (!isKnown) this.table.note(toEpoch(epoch), logPosition(getU64(view, at + 4)));
      this.folded = this.stored = epoch;
    }
  }

  /** The table is the log's, and goes with its bytes only. */
  clear(): void {
    this.folded = this.stored = 0;
  }
}
