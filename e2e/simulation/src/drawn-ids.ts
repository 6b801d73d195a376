/**
 * What roles draw for themselves (who a member is, the salt of its log, which start of a process this is) comes from the seed, too:
 * how members are sorted, and where a message's id lies in an index, follows from it.
 */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

import type { Prng } from '@cometmq/shared';

/** Until `act` is over, all that this process draws is drawn by `chance`. */
export async function drawnBy<T>(chance: Prng, act: () => Promise<T>): Promise<T> {
  const { randomUUID, randomInt, randomBytes } = crypto;
  const bytes = (size: number): Buffer => Buffer.from(Array.from({ length: size }, () => chance.below(256)));
  const replaced = {
    randomUUID: () => uuidOf(bytes(16)),
    randomInt: (min: number, max: number) => min + chance.below(max - min),
    randomBytes: bytes,
  };
  Object.assign(crypto, replaced);
  syncBuiltinESMExports();
  try {
    return await act();
  } finally {
    Object.assign(crypto, { randomUUID, randomInt, randomBytes });
    syncBuiltinESMExports();
  }
}

function uuidOf(bytes: Buffer): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
