/** Goal: the very HMAC that everyone else computes. Method: beside node:crypto's, for keys and messages of every length that matters. */
import { createHmac, randomBytes } from 'node:crypto';

import { HmacSha256 } from './hmac-sha256.js';

it.each([1, 31, 32, 63, 64, 65, 200])('agrees with createHmac under a key of %i bytes', (keyBytes) => {
  const key = randomBytes(keyBytes);
  const hmac = new HmacSha256(key);
  // Long ones before short ones too: nothing of an earlier message may stay.
  for (const bytes of [57, 0, 1, 64, 119, 1_000, 3, 500, 57]) {
    const message = randomBytes(bytes + 4);
    const out = Buffer.alloc(40, 0xee);
    hmac.write(message, 2, bytes + 2, out, 3, 32);
    const expected = createHmac('sha256', key)
      .update(message.subarray(2, bytes + 2))
      .digest();
    expect(out.subarray(3, 35).toString('hex')).toBe(expected.toString('hex'));
    expect([out[2], out[35]]).toEqual([0xee, 0xee]);
    hmac.write(message, 2, bytes + 2, out, 20, 12);
    expect(out.subarray(20, 32)).toEqual(expected.subarray(0, 12));
  }
});
