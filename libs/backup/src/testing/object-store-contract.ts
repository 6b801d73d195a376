import { MqError } from '@cometmq/shared';

import { type ObjectStore, putObject, readObject, type StoredObject } from '../object-store.js';

/** What every object store must do. `opened` gives one with nothing in it, and how to close it. */
export function objectStoreContract(
  name: string,
  opened: () => Promise<{ readonly store: ObjectStore; close(): Promise<void> }>,
): void {
  describe(`an object store: ${name}`, () => {
    let store: ObjectStore;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ store, close } = await opened());
    }, 180_000);
    afterAll(() => close());

    it('gives back what was put, of any size, and of a key with anything in it', async () => {
      const sizes = [1, 1000, 8 * 1024 * 1024, 8 * 1024 * 1024 + 1, 20 * 1024 * 1024 + 17];
      for (const bytes of sizes) {
        const key = `sizes/of ${bytes} + bytes=(all)*'!`;
        await store.put(key, pieces(bytes), bytes);
        const found = await readObject(store, key, bytes);
        expect([found.byteLength, found.equals(patternOf(bytes))]).toEqual([bytes, true]);
        await store.delete(key);
      }
    }, 120_000);

    it('replaces an object as a whole', async () => {
      await putObject(store, 'replaced', Buffer.from('the first, which is longer'));
      await putObject(store, 'replaced', Buffer.from('the second'));
      expect((await readObject(store, 'replaced', 100)).toString()).toBe('the second');
    });

    it('says which object is not there', async () => {
      const error: unknown = await readObject(store, 'nowhere', 100).catch((caught: unknown) => caught);
      expect(error instanceof MqError && error.code).toBe('NOT_FOUND');
    });

    it('takes nothing whose size is another than was told', async () => {
      await expect(store.put('short', pieces(10), 11)).rejects.toThrow();
      await expect(store.put('short', pieces(12), 11)).rejects.toThrow();
      expect(await listed(store, 'short')).toEqual([]);
    });

    it('takes nothing where the pieces fail', async () => {
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield* pieces(9 * 1024 * 1024);
        throw new MqError('CORRUPT_RECORD', 'the disk');
      };
      await expect(store.put('broken', failing(), 20 * 1024 * 1024)).rejects.toThrow('the disk');
      expect(await listed(store, 'broken')).toEqual([]);
    });

    it('lists by how keys begin, in their order, over several pages', async () => {
      const keys = Array.from({ length: 1_005 }, (_, i) => `listed/${String(i).padStart(5, '0')}`);
      for (let from = 0; from < keys.length; from += 50) {
        await Promise.all(keys.slice(from, from + 50).map((key) => putObject(store, key, Buffer.from('x'))));
      }
      await putObject(store, 'listed-not', Buffer.from('x'));
      const found = await listed(store, 'listed/');
      expect(found.map(({ key }) => key)).toEqual(keys);
      expect(found.every(({ bytes, modifiedMs }) => bytes === 1 && modifiedMs > 0)).toBe(true);
    }, 120_000);

    it('deletes, and what is not there too', async () => {
      await putObject(store, 'gone', Buffer.from('x'));
      await store.delete('gone');
      await store.delete('gone');
      expect(await listed(store, 'gone')).toEqual([]);
    });
  });
}

export async function listed(store: ObjectStore, prefix: string): Promise<StoredObject[]> {
  const all: StoredObject[] = [];
  for await (const one of store.list(prefix)) all.push(one);
  return all;
}

function patternOf(bytes: number): Buffer {
  return Buffer.alloc(bytes, 'CometMQ, and a piece of its log. ');
}

async function* pieces(bytes: number): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  const whole = patternOf(bytes);
  for (let at = 0; at < bytes; at += 300_000) yield whole.subarray(at, at + 300_000);
}
