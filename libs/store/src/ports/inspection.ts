import type { LogPosition, RecordKind } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

import type { LostRange } from '../log/log-reader.js';
import type { LogRecord } from '../log/record.js';
import type { RecordNotes } from '../record-notes.js';
import type { Candidate } from '../store-types.js';

/** The log itself, for who looks at what was decided. */
export interface LogInspection {
  /** Where the oldest segment that is kept begins. */
  readonly firstPosition: LogPosition;
  readonly commitEnd: LogPosition;
  /**
   * Every committed record from `from` on, whatever it says, in order; those of segments that are gone are left out. A
   * payload is valid during the call of `each`. What can't be read is told to `lost`, as damage too, and passed over.
   * Answers where it stopped.
   *
   * @throws MqError CORRUPT_RECORD where the segment that is written now is damaged
   */
  records(
    from: LogPosition,
    each: (record: LogRecord) => void,
    until: LogPosition,
    lost: LostRange,
  ): Promise<LogPosition>;
  /** Records as they stand, in the order they are named; in place of one that can't be read, why. */
  readRecords(places: readonly Candidate[]): Promise<readonly (LogRecord | MqError)[]>;
  /** From now on notes where records of these kinds stand, as they are folded, committed or not. For one who asks. */
  noteKinds(kinds: Iterable<RecordKind>): RecordNotes;
}
