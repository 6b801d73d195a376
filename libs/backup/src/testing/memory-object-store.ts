import { type Clock, MqError } from '@cometmq/shared';

import type { ObjectStore, StoredObject } from '../object-store.js';

/** Objects in memory, until `fault` names an error for an operation: told of it before and after it was carried out. */
export class MemoryObjectStore implements ObjectStore {
  readonly objects = new Map<string, { bytes: Buffer; modifiedMs: number }>();
  /** What was taken in all, repeated puts included. */
  bytesPut = 0;
  fault: (kind: keyof ObjectStore, key: string, when: 'before' | 'after') => Error | undefined = () => undefined;

  constructor(private readonly clock: Pick<Clock, 'wallMs'>) {}

  async put(key: string, pieces: AsyncIterable<Uint8Array>, bytes: number): Promise<void> {
    this.check('put', key, 'before');
    const all: Uint8Array[] = [];
    for await (const piece of pieces) all.push(piece);
    const whole = Buffer.concat(all);
    if (whole.byteLength !== bytes) {
      throw new MqError('BAD_REQUEST', `${key}: ${whole.byteLength} bytes came, ${bytes} were told`);
    }
    this.bytesPut += bytes;
    this.objects.set(key, { bytes: whole, modifiedMs: this.clock.wallMs() });
    this.check('put', key, 'after');
  }

  async *get(key: string): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    this.check('get', key, 'before');
    const found = this.objects.get(key);
    if (!found) throw new MqError('NOT_FOUND', `there is no object ${key}`);
    if (found.bytes.byteLength > 0) yield Buffer.from(found.bytes);
    this.check('get', key, 'after');
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    await Promise.resolve();
    this.check('list', prefix, 'before');
    for (const key of [...this.objects.keys()].sort()) {
      const found = this.objects.get(key);
      if (found && key.startsWith(prefix)) yield { key, bytes: found.bytes.byteLength, modifiedMs: found.modifiedMs };
    }
  }

  async delete(key: string): Promise<void> {
    await Promise.resolve();
    this.check('delete', key, 'before');
    this.objects.delete(key);
    this.check('delete', key, 'after');
  }

  close(): void {
    this.fault = () => new MqError('CANCELLED', 'closed');
  }

  private check(kind: keyof ObjectStore, key: string, when: 'before' | 'after'): void {
    const error = this.fault(kind, key, when);
    if (error) throw error;
  }
}
