/** The JSON of backups. See schemas.ts. */
import { arrayOf, described, missingList, object, ref, text, whole, type Schema } from './schema-parts.js';

const id: Schema = {
  type: 'string',
  pattern: '^[0-9]{8}T[0-9]{6}Z(-[a-z0-9]{1,32})?$',
  description: 'The time at which it was begun, as 20261130T040000Z; the same for all broker sets.',
};

const backup = object(
  {
    id,
    takenMs: described(whole, 'Wall time in ms since 1970.'),
    tookMs: whole,
    bytes: described(whole, 'Of all its files.'),
    newBytes: described(whole, 'What of them no earlier backup held.'),
    epoch: whole,
    end: described(whole, 'Log position up to which all records are in it.'),
    lastMs: described(whole, 'Time of the last record in it.'),
    topics: whole,
    groups: whole,
    release: described(text, 'The release that made it.'),
    member: described(text, 'The data folder that it was made of.'),
  },
  'all',
);

const job = object(
  {
    kind: { type: 'string', enum: ['backup', 'verification'] },
    id,
    startedMs: whole,
    endedMs: described(whole, 'Absent: it goes on.'),
    bytesDone: whole,
    bytesTotal: whole,
    newBytes: described(whole, 'Sent to the bucket.'),
    failure: described(text, 'Why it failed; absent: it did not.'),
    problems: described(arrayOf(text), 'Of a verification: what is missing or damaged.'),
  },
  ['kind', 'id', 'startedMs', 'bytesDone', 'bytesTotal', 'newBytes', 'problems'],
);

export const backupSchemas: Readonly<Record<string, Schema>> = {
  BackupDraft: object({ brokerSet: described(text, 'Only this one; absent: all of them.') }, []),
  BackupBegun: object({ id, brokerSets: arrayOf(text), missing: missingList }, 'all'),
  Backup: backup,
  BackupJob: job,
  Backups: object(
    {
      brokerSets: arrayOf(
        object(
          {
            brokerSet: text,
            backups: described(arrayOf(ref('Backup')), 'Newest first.'),
            job: described(ref('BackupJob'), 'What its leader has begun last; absent: nothing, since it started.'),
          },
          ['brokerSet', 'backups'],
        ),
      ),
      missing: missingList,
    },
    'all',
  ),
};

export const backupsQuery: Schema = object(
  {
    max: {
      type: 'integer',
      minimum: 0,
      maximum: 1_000,
      description: 'So many of each broker set at the most. 0: only what is going on. Absent: 20.',
    },
  },
  [],
);
export const backupParams: Schema = object({ id }, 'all');
