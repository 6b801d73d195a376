/**
 * Where each epoch of the log begins: what two members compare to find the last position at which their logs are the
 * same. It says what the log's bytes say, committed or not, and is cut with them.
 */
import { epoch as toEpoch, type EpochStart } from '@cometmq/model';
import type { Epoch, LogPosition } from '@cometmq/model';
import { assert } from '@cometmq/shared';

export class EpochTable {
  private rows: EpochStart[] = [];
  /** Rises with each change. */
  version = 0;

  /** In order of both. */
  get all(): readonly EpochStart[] {
    return this.rows;
  }
  /** Of the last record; 0: there is none. */
  get last(): Epoch {
    return this.rows[this.rows.length - 1]?.epoch ?? toEpoch(0);
  }

  /** A record of this epoch stands at `position`. Only the first of its epoch changes anything. */
  note(epoch: Epoch, position: LogPosition): void {
    if (epoch <= this.last) return;
    const last = this.rows[this.rows.length - 1];
    assert(!last || position > last.start, 'epochs begin one behind the other');
    this.rows.push({ epoch, start: position });
    this.version += 1;
  }

  /** Of the record at `position`, or of the last one before it; 0: there is none. */
  at(position: LogPosition): Epoch {
    return this.rows.findLast(({ start }) => start <= position)?.epoch ?? toEpoch(0);
  }

  /** Up to where a log that ends at `end`, and one that has these epochs and ends at `theirEnd`, are the same. */
  commonEnd(end: LogPosition, theirs: readonly EpochStart[], theirEnd: LogPosition): LogPosition {
    const other = new EpochTable();
    for (const row of theirs) other.note(row.epoch, row.start);
    const same = this.rows.findLast(({ epoch, start }) =>
      theirs.some((row) => row.epoch === epoch && row.start === start),
    );
    if (!same) return 0 as LogPosition;
    return Math.min(this.endOf(same.epoch, end), other.endOf(same.epoch, theirEnd)) as LogPosition;
  }

  /** How far a log that ends at `end` has records of epochs up to `epoch`. */
  endOf(epoch: Epoch, end: LogPosition): LogPosition {
    return this.rows.find((row) => row.epoch > epoch)?.start ?? end;
  }

  /** The log ends at `to` now. */
  cut(to: LogPosition): void {
    const kept = this.rows.filter(({ start }) => start < to);
    if (kept.length === this.rows.length) return;
    this.rows = kept;
    this.version += 1;
  }
}
