/**
 * A place in a file of lines up to which all were passed on, kept beside the file. Files are known by their first line, so that one
 * that was renamed, cut or made anew meanwhile is not taken for another: what is left of a renamed one is read where it is now, as
 * long as it stands beside the file under a longer name.
 *
 *   <path>.cursor   JSON: the first line's digest, and the position behind the last line that was passed on
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface LineBatch {
  readonly lines: readonly FileLine[];
  /** These were passed on: the next batch begins behind them. */
  done(): Promise<void>;
}

export interface FileLine {
  /** The same whenever this line is read. */
  readonly id: string;
  readonly text: string;
}

interface Place {
  readonly head: string;
  readonly position: number;
}

const beginning: Place = { head: '', position: 0 };
const headBytesMax = 4_096;
/** A longer line is none that was written by us, and is passed over. */
const lineBytesMax = 1024 * 1024;
const newline = 0x0a;
const suffix = '.cursor';

export class LineCursor {
  private place: Place;

  constructor(
    private readonly path: string,
    private readonly bytesMax = 256 * 1024,
  ) {
    this.place = this.read();
  }

  /** Whether `<path>.1` is needed no more. */
  get mayRoll(): boolean {
    if (!existsSync(`${this.path}.1`)) return true;
    return this.place.head !== '' && this.place.head === headOf(this.path);
  }

  /** Whole lines behind the last that were passed on; undefined: there are none. */
  async next(): Promise<LineBatch | undefined> {
    for (let { path, place } = this.here(); ;) {
      const found = this.linesFrom(path, place, this.bytesMax) ?? this.linesFrom(path, place, lineBytesMax);
      if (found) {
        const end = { head: place.head, position: found.end };
        return { lines: found.lines, done: () => this.keep(end) };
      }
      const after = this.fileAfter(path);
      if (after === undefined) return undefined;
      const head = headOf(after);
      if (head === undefined) return undefined;
      path = after;
      await this.keep((place = { head, position: 0 }));
    }
  }

  /** Where it is to be read on. Where that is not found again, everything there is is passed on. */
  private here(): { readonly path: string; readonly place: Place } {
    const known = this.place.head === '' ? undefined : this.files().find((path) => headOf(path) === this.place.head);
    if (known !== undefined && sizeOf(known) >= this.place.position) return { path: known, place: this.place };
    const [first = this.path] = this.files();
    return { path: first, place: { head: headOf(first) ?? '', position: 0 } };
  }

  private fileAfter(path: string): string | undefined {
    const files = this.files();
    return path === this.path ? undefined : files[files.indexOf(path) + 1];
  }

  /** The file, and before it those that it was before, oldest first. */
  private files(): string[] {
    const folder = dirname(this.path);
    const name = basename(this.path);
    const before = readdirSync(folder)
      .filter((one) => one.startsWith(`${name}.`) && !one.includes(suffix))
      .map((one) => join(folder, one))
      .filter((one) => headOf(one) !== undefined)
      .sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
    return [...before, this.path];
  }

  private read(): Place {
    try {
      const { head, position } = JSON.parse(readFileSync(this.path + suffix, 'utf8')) as Partial<Place>;
      return typeof head === 'string' && Number.isSafeInteger(position)
        ? { head, position: Number(position) }
        : beginning;
    } catch {
      return beginning; // All is passed on again: who takes it knows what it has.
    }
  }

  private async keep(place: Place): Promise<void> {
    const fresh = `${this.path}${suffix}.new`;
    const file = await open(fresh, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(place));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, this.path + suffix);
    this.place = place;
  }

  /** Undefined: no line ends within so many bytes, and more may follow. */
  private linesFrom(
    path: string,
    { head, position }: Place,
    bytesMax: number,
  ): { readonly lines: FileLine[]; readonly end: number } | undefined {
    const bytes = bytesOf(path, position, bytesMax);
    if (!bytes) return undefined;
    const last = bytes.lastIndexOf(newline);
    if (last < 0) return bytes.length < lineBytesMax ? undefined : { lines: [], end: position + bytes.length };
    const lines: FileLine[] = [];
    for (let from = 0; from <= last;) {
      const end = bytes.indexOf(newline, from);
      const id = createHash('sha256')
        .update(`${this.path} ${head} ${position + from}`)
        .digest('hex');
      lines.push({ id, text: bytes.toString('utf8', from, end) });
      from = end + 1;
    }
    return { lines, end: position + last + 1 };
  }
}

function sizeOf(path: string): number {
  return statSync(path).size;
}

/** The digest of a file's first line; undefined: it has none yet, or is not there. */
function headOf(path: string): string | undefined {
  const bytes = bytesOf(path, 0, headBytesMax);
  if (!bytes) return undefined;
  const end = bytes.indexOf(newline);
  if (end < 0 && bytes.length < headBytesMax) return undefined;
  return createHash('sha256')
    .update(end < 0 ? bytes : bytes.subarray(0, end))
    .digest('hex');
}

function bytesOf(path: string, from: number, bytesMax: number): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    const bytes = Buffer.alloc(Math.min(bytesMax, Math.max(0, fstatSync(file).size - from)));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from));
  } finally {
    closeSync(file);
  }
}
