import { MqError } from '@cometmq/shared';

/**
 * Where backups are kept: objects under keys, as S3 knows them. An object is there whole or not at all; it is replaced as a
 * whole. What was put is found by whoever lists or reads next.
 */
export interface ObjectStore {
  /** Durable once it resolves. @param bytes of all pieces together @throws MqError UNAVAILABLE, FORBIDDEN, NOT_FOUND (no such bucket) */
  put(key: string, pieces: AsyncIterable<Uint8Array>, bytes: number): Promise<void>;
  /** In pieces of some MiB at the most. @throws MqError NOT_FOUND */
  get(key: string): AsyncIterable<Uint8Array>;
  /** Those whose keys begin so, in the order of their keys. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** One that is not there is no error. */
  delete(key: string): Promise<void>;
  /** What goes on, and all that follows, fails with CANCELLED. */
  close(): void;
}

export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  /** By the store's clock. */
  readonly modifiedMs: number;
}

/** All of a small object. @throws MqError NOT_FOUND, CORRUPT_RECORD where it is larger */
export async function readObject(store: ObjectStore, key: string, bytesMax: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of store.get(key)) {
    bytes += piece.byteLength;
    if (bytes > bytesMax) throw new MqError('CORRUPT_RECORD', `${key} is larger than ${bytesMax} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

export async function putObject(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  await store.put(key, once(bytes), bytes.byteLength);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield bytes;
}
