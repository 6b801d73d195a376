import { mkdir, open, readdir, readFile, rename, truncate, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { MqError } from '@cometmq/shared';

import type { MetadataFiles } from './files.js';

/** `MetadataFiles` on a real folder. The one file that is appended to stays open. */
export class NodeFiles implements MetadataFiles {
  private appending: { readonly file: string; readonly handle: FileHandle } | undefined;

  constructor(readonly place: string) {}

  list(): Promise<string[]> {
    return this.guard('list', '', async () => {
      await mkdir(this.place, { recursive: true, mode: 0o700 });
      return readdir(this.place);
    });
  }

  read(file: string): Promise<Uint8Array | undefined> {
    return this.guard('read', file, async () => {
      try {
        return await readFile(join(this.place, file));
      } catch (caught) {
        if (isAbsent(caught)) return undefined;
        throw caught;
      }
    });
  }

  write(file: string, bytes: Uint8Array): Promise<void> {
    return this.guard('write', file, async () => {
      await this.release(file);
      const handle = await open(join(this.place, file), 'w', 0o600);
      try {
        await writeAll(handle, bytes);
      } finally {
        await handle.close();
      }
    });
  }

  append(file: string, bytes: Uint8Array): Promise<void> {
    return this.guard('append to', file, async () => writeAll(await this.toAppend(file), bytes));
  }

  truncate(file: string, length: number): Promise<void> {
    return this.guard('truncate', file, () => truncate(join(this.place, file), length));
  }

  sync(file: string): Promise<void> {
    return this.guard('sync', file, async () => {
      if (this.appending?.file === file) return this.appending.handle.datasync();
      return syncAt(join(this.place, file), 'r+');
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.guard('rename', from, () => rename(join(this.place, from), join(this.place, to)));
  }

  remove(file: string): Promise<void> {
    return this.guard('remove', file, async () => {
      await this.release(file);
      await unlink(join(this.place, file));
    });
  }

  syncFolder(): Promise<void> {
    // Windows can't open a folder; its file system keeps the order of names itself.
    if (process.platform === 'win32') return Promise.resolve();
    return this.guard('sync', '', () => syncAt(this.place, 'r'));
  }

  async close(): Promise<void> {
    await this.appending?.handle.close();
    this.appending = undefined;
  }

  private async toAppend(file: string): Promise<FileHandle> {
    if (this.appending?.file === file) return this.appending.handle;
    await this.close();
    const handle = await open(join(this.place, file), 'a', 0o600);
    this.appending = { file, handle };
    return handle;
  }

  private async release(file: string): Promise<void> {
    if (this.appending?.file === file) await this.close();
  }

  private async guard<T>(what: string, file: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (caught) {
      const reason = caught instanceof Error ? caught.message : String(caught);
      throw new MqError('DISK_FAILED', `metadata: can't ${what} ${join(this.place, file)}: ${reason}`, {
        cause: caught,
      });
    }
  }
}

/** A write may be short, and on a full disk is before it fails. */
async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    if (bytesWritten === 0) throw new Error('the disk takes no more bytes');
    done += bytesWritten;
  }
}

async function syncAt(path: string, flags: string): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isAbsent(caught: unknown): boolean {
  return typeof caught === 'object' && caught !== null && 'code' in caught && caught.code === 'ENOENT';
}
