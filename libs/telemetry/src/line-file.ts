import { closeSync, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MqError } from '@cometmq/shared';

/** A file that lines are put behind, its owner's to read. */
export class LineFile {
  private last: Promise<void> = Promise.resolve();

  /** Makes it, and its folder, where there is none yet. @throws MqError CONFIG where lines can't be put into it */
  constructor(private readonly path: string) {
    try {
      mkdirSync(dirname(path), { recursive: true });
      closeSync(openSync(path, 'a+', 0o600));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : '';
      throw new MqError('CONFIG', `the file "${path}" can't be written to: ${why}`, { cause });
    }
  }

  /** One after the other, in the order they were given. */
  append(line: string): Promise<void> {
    const written = this.last.then(() => appendFile(this.path, `${line}\n`, { mode: 0o600 }));
    this.last = written.catch(() => undefined);
    return written;
  }

  /** The lines at its end, of so many bytes at most. */
  tail(bytesMax: number): string[] {
    const file = openSync(this.path, 'r');
    try {
      const { size } = fstatSync(file);
      const bytes = Buffer.alloc(Math.min(size, bytesMax));
      readSync(file, bytes, 0, bytes.length, size - bytes.length);
      const lines = bytes.toString('utf8').split('\n');
      if (size > bytes.length) lines.shift(); // Begins somewhere within a line.
      return lines.filter((line) => line !== '');
    } finally {
      closeSync(file);
    }
  }
}
