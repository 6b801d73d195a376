import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const source = join(import.meta.dirname, '../..');

/** The time of the sources, so that the same sources give the same image. */
export function createdAt(): Date {
  return new Date(Number(process.env['SOURCE_DATE_EPOCH'] ?? git('log', '-1', '--format=%ct') ?? 0) * 1000);
}

export function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: source, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
