import { RecordKind } from '@cometmq/model';

import { TailCache } from './tail-cache.js';

function filled(cache: TailCache, from: number, records: number, size: number): number {
  let position = from;
  for (let i = 0; i < records; i += 1) {
    const chunk = cache.place(position, size);
    const draft = { kind: RecordKind.ack, timestampMs: position, payload: [Buffer.alloc(size - 40, position & 255)] };
    chunk.block.put(position - chunk.first, draft, size, 1, position);
    position += size;
  }
  return position;
}

describe('the tail cache', () => {
  it('finds every record it holds and nothing else', () => {
    const cache = new TailCache(1 << 20, 4096);
    const end = filled(cache, 1000, 50, 300);
    for (let position = 1000; position < end; position += 300) {
      const view = cache.view(position, 300);
      expect(view?.[299]).toBe(position & 255);
    }
    expect(cache.view(999, 1)).toBeUndefined();
    expect(cache.view(end, 300)).toBeUndefined();
  });

  it('keeps within its limit, but never lets go of what is not written yet', () => {
    const cache = new TailCache(16_384, 4096);
    const end = filled(cache, 0, 100, 1024);
    cache.trim(0);
    expect(cache.bytes).toBe(100 * 1024);
    cache.trim(50 * 1024); // The chunk it falls into is not all written.
    expect(cache.bytes).toBe(52 * 1024);
    cache.trim(end);
    expect(cache.bytes).toBeLessThanOrEqual(16_384);
    expect(cache.view(end - 1024, 1024)).toBeDefined();
    expect(cache.view(0, 1024)).toBeUndefined();
  });

  it('never writes over a view it has lent', () => {
    const cache = new TailCache(8192, 4096);
    let end = filled(cache, 0, 4, 1024);
    const view = cache.view(0, 1024);
    const copy = Buffer.from(view ?? []);
    for (let i = 0; i < 50; i += 1) {
      end = filled(cache, end, 4, 1024);
      cache.trim(end);
    }
    expect(Buffer.from(view ?? [])).toEqual(copy);
    expect(copy.byteLength).toBe(1024);
  });

  it('takes a record larger than a chunk', () => {
    const cache = new TailCache(8192, 4096);
    const end = filled(cache, 0, 1, 20_000);
    filled(cache, end, 1, 100);
    expect(cache.view(0, 20_000)?.byteLength).toBe(20_000);
  });
});
