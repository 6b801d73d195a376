import { MqError } from '@cometmq/shared';

import { joinPath } from './disk/disk.js';
import type { Disk } from './disk/disk.js';
import type { DurableMark } from './log/recovery.js';
import { segmentFile } from './log/segment.js';
import type { SegmentInfo } from './log/segment.js';

/** Where versions before checkpoints in files kept theirs. */
const olderState = 'data.mdb';

/** @throws MqError DATA_FOLDER where the log alone can't say what the checkpoint would have to */
export function checkStartsWithin(
  segments: readonly SegmentInfo[],
  stored: DurableMark | undefined,
  stateFolder: string,
  stateFiles: readonly string[],
): void {
  const known = stored?.position ?? 0;
  const wayOut =
    !stored && stateFiles.includes(olderState)
      ? `. There is the checkpoint of an older version (${olderState}), which this one does not read: start that version ` +
        'again, let consumers take what is left, and then this one on an empty data folder'
      : '. Bring the newest one back from a copy, or start with an empty data folder';
  const held = stored ? `in ${stateFolder}, which ends at ${known}` : `in ${stateFolder}, which is gone`;
  let end = 0;
  for (const segment of segments) {
    if (segment.first > end && segment.first > known) {
      throw new MqError(
        'DATA_FOLDER',
        `the log holds nothing from position ${end} to ${segment.first}, and what stood there is known only to a newer ` +
          `checkpoint than the one ${held}${wayOut}`,
      );
    }
    end = segment.end;
  }
  const ahead = segments.find((segment) => !segment.complete && !segment.lost && segment.end > known);
  if (ahead) {
    throw new MqError(
      'DATA_FOLDER',
      `what the log said below ${ahead.end} is partly known only to the checkpoint in ${stateFolder}, ` +
        `which ends at ${known}${wayOut}`,
    );
  }
}

/** A folder that has had a log and has none now lost it: it is not begun anew. @throws MqError DATA_FOLDER */
export async function checkLogIsThere(disk: Disk, folder: string, begun: boolean): Promise<void> {
  const logFolder = joinPath(folder, 'log');
  if (!begun || (await disk.list(logFolder)).some((name) => segmentFile(name) !== undefined)) return;
  throw new MqError(
    'DATA_FOLDER',
    `the log in ${disk.realPath(logFolder)} is gone: this data folder has had one. Bring the files back from a copy; or, ` +
      'to give all its messages up, start with an empty data folder',
  );
}
