/**
 * Where each epoch of the log begins, kept beyond the segments that say so. The log itself notes what it is given and
 * cuts what is cut off, committed or not, since members compare what their logs hold; a checkpoint stores the table, and
 * what it says of the log behind the checkpoint is found again there.
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
  private stored = 0;

  constructor(private readonly table: EpochTable) {}

  fold({ epoch, position }: LogRecord): void {
    this.table.note(epoch, position);
  }

  takeChanges(): StateChange[] {
    if (this.table.version === this.stored) return [];
    this.stored = this.table.version;
    const value = new Uint8Array(1 + this.table.all.length * entryBytes);
    const view = viewOf(value);
    value[0] = version;
    for (const [i, { epoch, start }] of this.table.all.entries()) {
      view.setUint32(1 + i * entryBytes, epoch, true);
      putU64(view, 5 + i * entryBytes, start);
    }
    return [{ key, value }];
  }

  load(_key: string, value: Uint8Array): void {
    assert(value[0] === version, 'the table of epochs is of a known version');
    const view = viewOf(value);
    for (let at = 1; at < value.length; at += entryBytes) {
      this.table.note(toEpoch(view.getUint32(at, true)), logPosition(getU64(view, at + 4)));
    }
    const isAll = value.length === 1 + this.table.all.length * entryBytes;
    this.stored = isAll ? this.table.version : -1;
  }

  /** The table is the log's, and goes with its bytes only. */
  clear(): void {
    this.stored = -1;
  }
}
