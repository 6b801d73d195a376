/**
 * What a record of kind `lagSampled` says: how much groups had still to do at that time. Nobody folds it: it is the
 * history that operators look at, and it goes with the log. Groups ascend.
 * | 1 | count | (group | lag | oldest ms) × count |
 */
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { GroupId } from '../units.js';

export interface LagSample {
  readonly groupId: GroupId;
  /** Messages not done yet. */
  readonly lag: number;
  /** When the oldest of them was stored; 0: there is none. */
  readonly oldestMs: number;
}

/** So that the record stays small: about 8 KiB. */
export const samplesPerRecordMax = 512;

const layout = 1;
const out = new ByteWriter();

export function encodeLagSampled(samples: readonly LagSample[]): Uint8Array {
  out.begin();
  out.u8(layout);
  out.whole(samples.length);
  for (const { groupId, lag, oldestMs } of samples) {
    out.whole(groupId);
    out.whole(lag);
    out.whole(oldestMs);
  }
  return out.taken();
}

export function decodeLagSampled(payload: Uint8Array): LagSample[] {
  const from = new ByteReader(payload);
  assert(from.u8() === layout, 'a record of sampled lags has a layout this version knows: new meaning is a new kind');
  const samples: LagSample[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    samples.push({ groupId: from.whole() as GroupId, lag: from.whole(), oldestMs: from.whole() });
  }
  return samples;
}
