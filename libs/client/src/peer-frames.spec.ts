import type { LogPosition } from '@cometmq/model';
import { internal } from '@cometmq/proto';

import { encodeBatch, encodeFetchedPart, encodeLogBytes } from './peer-frames.js';

const at = (position: number): LogPosition => position as LogPosition;

// Goal: what is encoded by hand is what the generated code makes of it. Method: sizes around each length of a varint.
describe('what members say, encoded by hand', () => {
  const sizes = [0, 1, 110, 127, 128, 16_370, 16_383, 16_384, 2_097_140, 2_097_152];
  const positions = [0, 1, 127, 128, 2 ** 31, 2 ** 40, 2 ** 53 - 1];

  it.each(sizes)('is the wire of the generated code, with %i bytes', (size) => {
    const bytes = Buffer.alloc(size, 'log');
    const pieces = [bytes.subarray(0, size >> 1), bytes.subarray(size >> 1)];
    for (const from of positions) {
      const batch = internal.LeaderSays.encode({ says: { $case: 'batch', value: { from, bytes } } }).finish();
      expect(Buffer.concat(encodeBatch({ from: at(from), end: at(from), pieces })).equals(batch)).toBe(true);
      const part = internal.FetchedPart.decode(
        Buffer.concat(encodeFetchedPart({ commonEnd: at(from), from: at(from), bytes })),
      );
      expect(part).toMatchObject({ commonEnd: from, from });
      expect(bytes.equals(part.bytes)).toBe(true);
    }
    expect(bytes.equals(internal.LogBytes.decode(Buffer.concat(encodeLogBytes(bytes))).bytes)).toBe(true);
  });
});
