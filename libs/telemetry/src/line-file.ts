import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, statSync } from 'node:fs';
import { appendFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MqError } from '@cometmq/shared';

import { LineCursor } from './line-file-cursor.js';

export interface LineFileOptions {
  /** A file that has become so long goes on as `<path>.1`, and a new one begins; 0 or left out: never. */
  readonly bytesMax?: number | undefined;
}

/**
 * A file that lines are put behind, its owner's to read. Where it may not become longer than so much, the part before this one is
 * kept beside it, and not replaced before somebody has said that it is not needed: until then lines are put behind the new part, up
 * to twice its length, and then refused.
 */
export class LineFile {
  /** Whether `<path>.1` may be replaced. */
  mayRoll: () => boolean = () => true;
  private last: Promise<void> = Promise.resolve();
  /** The last line is known to have its end. */
  private isWhole = false;
  private readonly listeners: (() => void)[] = [];
  private readonly bytesMax: number;

  /** Makes it, and its folder, where there is none yet. @throws MqError CONFIG where lines can't be put into it */
  constructor(
    readonly path: string,
    { bytesMax = 0 }: LineFileOptions = {},
  ) {
    this.bytesMax = bytesMax;
    try {
      mkdirSync(dirname(path), { recursive: true });
      closeSync(openSync(path, 'a+', 0o600));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : '';
      throw new MqError('CONFIG', `the file "${path}" can't be written to: ${why}`, { cause });
    }
  }

  /** One after the other, in the order they were given. @throws MqError STORAGE_FULL, and what writing throws */
  append(line: string): Promise<void> {
    const written = this.last.then(async () => {
      if (this.bytesMax > 0) await this.makeRoom();
      // What was cut off in the middle, by a full disk or a crash, shall not take this line with it.
      const begin = this.isWhole || endsWhole(this.path) ? '' : '\n';
      this.isWhole = false;
      await appendFile(this.path, `${begin}${line}\n`, { mode: 0o600 });
      this.isWhole = true;
      for (const listener of this.listeners) listener();
    });
    this.last = written.catch(() => undefined);
    return written;
  }

  /** It could not be begun anew, though it is long enough: as much again may be put into it. */
  get isShort(): boolean {
    return this.bytesMax > 0 && this.bytes >= this.bytesMax && !this.mayRoll();
  }

  /** Where somebody else is in it. */
  cursor(): LineCursor {
    return new LineCursor(this.path);
  }

  /** Called when there is another line. */
  onLine(listener: () => void): void {
    this.listeners.push(listener);
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

  private get bytes(): number {
    return existsSync(this.path) ? statSync(this.path).size : 0;
  }

  private async makeRoom(): Promise<void> {
    const size = this.bytes;
    if (size < this.bytesMax) return;
    if (this.mayRoll()) await rename(this.path, `${this.path}.1`);
    else if (size >= 2 * this.bytesMax) {
      throw new MqError('STORAGE_FULL', `the file "${this.path}" is full, and what is before it is needed yet`);
    }
  }
}

/** Whether the last line has its end, or there is none. */
function endsWhole(path: string): boolean {
  if (!existsSync(path)) return true;
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const last = Buffer.alloc(1);
    return size === 0 || (readSync(file, last, 0, 1, size - 1) === 1 && last.toString() === '\n');
  } finally {
    closeSync(file);
  }
}

/** Undefined: no path is given. @throws MqError CONFIG where lines can't be put into it */
export function lineFileOf(path: string, bytesMax: number): LineFile | undefined {
  return path === '' ? undefined : new LineFile(path, { bytesMax });
}
