/**
 * The console's built files. They are listed once, when the first of them is asked for, and read when they are: what a
 * request names is looked up in that list, so no path that anybody sends ever reaches the disk. Kept compressed, as they
 * were built.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { gunzipSync } from 'node:zlib';

export interface ConsoleFile {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzipped: boolean;
  /** Its name says what is in it: it never changes. */
  readonly lasting: boolean;
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  woff2: 'font/woff2',
};
export const firstPage = 'index.html';

export class ConsoleFiles {
  private listed: ReadonlySet<string> | undefined;
  private readonly read = new Map<string, Buffer>();

  constructor(private readonly folder: string) {}

  /** False: it was never built, or is not where it should be. */
  get exists(): boolean {
    return this.list().has(firstPage);
  }

  /** @param path below the folder, with "/" between names; undefined: there is no such file */
  find(path: string, takesGzip: boolean): ConsoleFile | undefined {
    const type = types[path.slice(path.lastIndexOf('.') + 1)];
    if (type === undefined || !this.list().has(path)) return undefined;
    const lasting = path.startsWith('assets/');
    const packed = `${path}.gz`;
    if (!this.list().has(packed)) return { type, bytes: this.bytes(path), gzipped: false, lasting };
    const bytes = this.bytes(packed);
    return { type, bytes: takesGzip ? bytes : gunzipSync(bytes), gzipped: takesGzip, lasting };
  }

  private list(): ReadonlySet<string> {
    this.listed ??= new Set(names(this.folder));
    return this.listed;
  }

  private bytes(path: string): Buffer {
    const known = this.read.get(path);
    if (known) return known;
    const bytes = readFileSync(join(this.folder, path));
    this.read.set(path, bytes);
    return bytes;
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll(sep, '/'));
  } catch {
    return [];
  }
}
