/**
 * How far two logs are the same. A log is told by where each of its epochs begins and where it ends: there is one leader
 * an epoch, so two logs that both have records of an epoch have the same ones, as far as the shorter goes.
 */
import type { Epoch, EpochStart, LogOutline, LogPosition, LogTail } from '@cometmq/model';

export function lastEpoch({ epochs }: LogOutline): Epoch {
  return epochs.at(-1)?.epoch ?? (0 as Epoch);
}

/** The end of what both have. 0: nothing, or one begins behind the other's end. */
export function commonEnd(a: LogOutline, b: LogOutline): LogPosition {
  for (let i = a.epochs.length - 1; i >= 0; i -= 1) {
    const mine = a.epochs[i] as EpochStart;
    const theirs = b.epochs.find(({ epoch }) => epoch === mine.epoch);
    if (theirs?.start === mine.start) {
      return Math.min(endOf(a, mine.epoch), endOf(b, mine.epoch)) as LogPosition;
    }
  }
  return 0 as LogPosition;
}

/** Positive: `a` is the better log to go on from, since it holds all that is committed if either does. */
export function compareLogs(a: LogTail, b: LogTail): number {
  return a.lastEpoch - b.lastEpoch || a.end - b.end;
}

function endOf({ epochs, end }: LogOutline, epoch: Epoch): LogPosition {
  return epochs.find((row) => row.epoch > epoch)?.start ?? end;
}
