/**
 * The folder the embedded store lives in: a few small files. What `write` and `append` did may be lost or torn in a
 * crash until `sync` of the file resolves; which names exist, until `syncFolder` does.
 */
export interface MetadataFiles {
  /** Makes the folder if need be. @returns the names of the files in it. */
  list(): Promise<string[]>;
  /** Undefined: there is no such file. */
  read(file: string): Promise<Uint8Array | undefined>;
  /** Makes the file, or replaces all it holds. */
  write(file: string, bytes: Uint8Array): Promise<void>;
  append(file: string, bytes: Uint8Array): Promise<void>;
  truncate(file: string, length: number): Promise<void>;
  sync(file: string): Promise<void>;
  /** Replaces `to` at once: a crash leaves the one or the other. */
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  syncFolder(): Promise<void>;
  close(): Promise<void>;
  /** Where it is, for messages. */
  readonly place: string;
}
