import { bytes, type Clock, count, millis, oneOf, text } from '@cometmq/shared';

import { backupIdPattern } from './manifest.js';
import type { ObjectStore } from './object-store.js';
import { type S3Addressing, S3Store } from './s3/s3-store.js';

const hour = 3_600_000;
const year = 365 * 24 * hour;
const MiB = 1024 * 1024;

/** Of a process that makes backups, and is restored from them. */
export const backupSettings = {
  backupTo: text({
    default: '',
    why: 'Where backups go: s3://BUCKET or s3://BUCKET/PREFIX. Empty: nowhere. See docs/backup.md.',
  }),
  backupEndpoint: text({
    default: '',
    why: 'The server of the bucket, as http://minio:9000; empty: that of AWS in backupRegion.',
  }),
  backupRegion: text({ default: 'us-east-1', why: 'The region of the bucket, by which requests are signed.' }),
  backupAddressing: oneOf(['path', 'virtual-host'], {
    default: 'path',
    why: 'Where the name of the bucket stands: path (https://server/bucket) or virtual-host (https://bucket.server).',
  }),
  backupAccessKeyId: text({ default: '', why: 'The key of whoever may read, write, list and delete in the bucket.' }),
  backupSecretKey: text({ default: '', secret: true, why: 'The secret that belongs to backupAccessKeyId.' }),
  backupBytesPerSecond: bytes({
    default: 64 * MiB,
    min: 64 * 1024,
    max: 64 * 1024 * MiB,
    why: 'How fast files are read for a backup at the most.',
  }),
  backupKeepMs: millis({
    default: 30 * 24 * hour,
    min: 60_000,
    max: 100 * year,
    why: 'How long backups are kept. What no backup needs any more goes a day after the next one was made.',
  }),
  backupKeepMin: count({
    default: 3,
    min: 1,
    max: 100_000,
    why: 'So many backups of each broker set are kept, however old they are.',
  }),
  restoreFrom: text({
    default: '',
    why: 'For a data folder that is empty: the backup it is filled from before the broker starts. "latest", the name of a backup, or a moment between two (2026-11-30T04:00:00Z). Empty: none.',
  }),
};

export interface BackupConfig {
  readonly backupTo: string;
  readonly backupEndpoint: string;
  readonly backupRegion: string;
  readonly backupAddressing: S3Addressing;
  readonly backupAccessKeyId: string;
  readonly backupSecretKey: string;
  readonly backupBytesPerSecond: number;
  readonly backupKeepMs: number;
  readonly backupKeepMin: number;
  readonly restoreFrom: string;
}

/** A bucket's name is 3 to 63 letters, digits, dots and hyphens. */
const place = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^\s]*))?$/;

export type RestoreWord =
  | { readonly kind: 'latest' }
  | { readonly kind: 'backup'; readonly id: string }
  | { readonly kind: 'moment'; readonly ms: number };

/** What a word means that names a backup; undefined: nothing. */
export function restoreWordOf(word: string): RestoreWord | undefined {
  if (word === 'latest') return { kind: 'latest' };
  if (backupIdPattern.test(word)) return { kind: 'backup', id: word };
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(word)
    ? Date.parse(word)
    : Number.NaN;
  return Number.isNaN(ms) ? undefined : { kind: 'moment', ms };
}

/** For `declare`. */
export function backupRule(config: BackupConfig): true | string {
  const { backupTo, backupEndpoint, backupAccessKeyId, backupSecretKey, restoreFrom } = config;
  if (backupTo === '') {
    return restoreFrom === '' || 'restoreFrom needs backupTo: where backups are';
  }
  if (!place.test(backupTo)) return `backupTo=${backupTo}: must be s3://BUCKET or s3://BUCKET/PREFIX`;
  if (backupEndpoint !== '' && !/^https?:\/\/[^/\s]+\/?$/.test(backupEndpoint)) {
    return `backupEndpoint=${backupEndpoint}: must be http://HOST:PORT or https://HOST`;
  }
  if (restoreFrom !== '' && !restoreWordOf(restoreFrom)) {
    return `restoreFrom=${restoreFrom}: must be "latest", the name of a backup (20261130T040000Z), or a moment (2026-11-30T04:00:00Z)`;
  }
  if (backupAccessKeyId === '' || backupSecretKey === '') return 'backupTo needs backupAccessKeyId and backupSecretKey';
  return true;
}

/** Undefined: backups go nowhere. */
export function bucketOf(config: BackupConfig, clock: Clock): ObjectStore | undefined {
  const [, bucket, prefix = ''] = place.exec(config.backupTo) ?? [];
  if (bucket === undefined) return undefined;
  const { backupEndpoint, backupRegion: region, backupAddressing: addressing } = config;
  const { backupAccessKeyId: accessKeyId, backupSecretKey } = config;
  const endpoint = backupEndpoint === '' ? `https://s3.${region}.amazonaws.com` : backupEndpoint;
  const begins = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  return new S3Store({
    endpoint,
    region,
    bucket,
    addressing,
    prefix: begins,
    accessKeyId,
    secretAccessKey: backupSecretKey,
    clock,
  });
}
