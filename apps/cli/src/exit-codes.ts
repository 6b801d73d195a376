import type { ErrorCode } from '@cometmq/shared';

/** What a script may branch on. Documented in every help page; a number never changes its meaning. */
export const exitCode = { ok: 0, failed: 1, usage: 2, notFound: 3, refused: 4, unavailable: 5, timeout: 6 } as const;
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

export const exitCodeHelp = `
Exit codes:
  0 ok   1 failed   2 wrong usage   3 not found   4 refused   5 unavailable   6 timed out`;

const ours: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'CORRUPT_RECORD', 'DISK_FAILED', 'DATA_FOLDER', 'CANCELLED']);

export function exitCodeOf(code: ErrorCode): ExitCode {
  if (code === 'CONFIG' || code === 'BAD_REQUEST') return exitCode.usage; // 4 says that what was asked is not allowed.
  if (code === 'NOT_FOUND' || code.endsWith('_NOT_FOUND')) return exitCode.notFound;
  if (code === 'UNAVAILABLE' || code === 'NOT_LEADER') return exitCode.unavailable;
  if (code === 'TIMEOUT') return exitCode.timeout;
  return ours.has(code) ? exitCode.failed : exitCode.refused;
}
