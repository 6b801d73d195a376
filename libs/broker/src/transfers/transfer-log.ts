/** Which log a transfer stands in, for the set that takes it: positions count within one log only. */
import { hashText, type EpochStart, type LogPosition } from '@cometmq/model';

/**
 * The same for whoever leads when a transfer is sent again. Another one where the log was set back, by a restore or by a leader
 * that lacked the end of it, and positions come that had been before: the salt of such a log is the old one's, its epoch there,
 * or where that begins, or the generation of the metadata, is not.
 */
export function transferLog(
  salt: number,
  generation: number,
  epochs: readonly EpochStart[],
  position: LogPosition,
): number {
  const within = epochs.findLast(({ start }) => start <= position);
  return hashText([salt, generation, within?.epoch ?? 0, within?.start ?? 0].join('/'));
}
