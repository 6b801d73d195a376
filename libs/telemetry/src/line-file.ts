import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';

/** A file that lines are put behind, its owner's to read. */
export class LineFile {
  private last: Promise<void> = Promise.resolve();

  constructor(private readonly path: string) {}

  /** One after the other, in the order they were given. */
  append(line: string): Promise<void> {
    const written = this.last.then(() => appendFile(this.path, `${line}\n`, { mode: 0o600 }));
    this.last = written.catch(() => undefined);
    return written;
  }

  /** The lines at its end, of so many bytes at most; none where there is no file yet. */
  tail(bytesMax: number): string[] {
    if (!existsSync(this.path)) return [];
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
