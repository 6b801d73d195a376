/** Walks the records of segments, whichever way they stand in their files, and says what is wrong where a walk ends. */
import { MqError } from '@cometmq/shared';

import { recordBytesCeiling } from './log-limits.js';
import type { RecordBlock } from './record.js';
import { walkRecords } from './record-reader.js';
import type { WalkRules, Walked } from './record-reader.js';
import type { Segment } from './segment.js';
import type { Segments } from './segments.js';

export class SegmentWalk {
  /** What the checksums of this log begin from. */
  salt = 0;
  /** Records below `to`, from `from` on, have had their checksum checked by this process. */
  readonly checked = { from: 0, to: 0 };

  constructor(private readonly segments: Segments) {}

  /** From position `from` on, up to the first record at or behind `until`. */
  walk(
    segment: Segment,
    from: number,
    until: number,
    each: (block: RecordBlock, at: number) => void,
    more: Partial<WalkRules> = {},
  ): Promise<Walked> {
    return segment.use(async (file) => {
      const rules = { ...this.rules(segment, until), ...more };
      if (!segment.compacted) return walkRecords(file, from, rules, each);
      const place = (await segment.table(file)).placeFrom(from);
      return walkRecords(file, from, { ...rules, gaps: true, place }, each);
    });
  }

  rules(segment: Segment, until: number): WalkRules {
    return {
      salt: this.salt,
      recordBytesMax: recordBytesCeiling,
      fileBytes: segment.recordBytes,
      first: segment.first,
      checkedTo: segment.first >= this.checked.from && !segment.compacted ? this.checked.to : 0,
      epochMin: 0,
      until,
    };
  }

  /** Why a walk ended where it should not have. */
  damage(segment: Segment, walked: Walked): MqError {
    if (walked.found !== 'newer version') return this.segments.corrupt(segment, walked.end, walked.found);
    return new MqError(
      'DATA_FOLDER',
      `the log holds a record of a newer version at position ${walked.end}: start this broker with the newer release`,
    );
  }
}

/** Whether a walk ended where it should. */
export function isEnd(walked: Walked): boolean {
  return walked.found === 'end of file' || walked.found === 'until';
}
