/** How a member makes its log the same as another one's: it is cut back to where both are, and goes on from there. */
import type { FetchedPart } from '@cometmq/client';
import { type LogPosition, type MemberId, MiB } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

/** What is taken and not durable yet is in memory: from here on the disk is waited for. */
const aheadBytesMax = 16 * MiB;

/** This member must not go on: its log and the other one's contradict each other, or what it holds is half changed. */
export class Halt extends Error {
  constructor(readonly why: MqError) {
    super(why.message, { cause: why });
    this.name = 'Halt';
  }
}

/** Resolves when all below `end` is durable here. @throws MqError when that can't come any more */
export function durable(store: StorePorts, end: LogPosition): Promise<void> {
  return new Promise((resolve, reject) => store.replication.whenDurable(end, resolve, reject));
}

/** Resolves when there is room for more; undefined: there is. Call it behind each `append`. */
export function diskBehind(store: StorePorts, bytesMax = aheadBytesMax): Promise<void> | undefined {
  const { appendEnd } = store;
  if (appendEnd - store.replication.durableEnd <= bytesMax) return undefined;
  return durable(store, (appendEnd - bytesMax) as LogPosition);
}

/**
 * The log ends at `to` from now on, as far as `other` has it too. What is committed is never cut off: another one that lacks
 * it shows that something is broken.
 *
 * @throws Halt
 */
export async function cutBack(store: StorePorts, to: LogPosition, other: MemberId): Promise<void> {
  const { commitEnd } = store;
  if (to < commitEnd) {
    const same = `its log is the same up to ${to} only`;
    throw new Halt(new MqError('CORRUPT_RECORD', `${other} lacks what was committed up to ${commitEnd}: ${same}`));
  }
  try {
    await store.replication.stepDown(to);
  } catch (caught) {
    throw new Halt(MqError.from(caught)); // Nothing is folded any more, and the next try would find nothing to cut.
  }
}

/**
 * All that `other` has and this log lacks. As long as `isWanted`.
 *
 * @throws Halt
 * @throws MqError what came is damaged, does not go on from here, or does not come
 */
export async function takeOver(
  store: StorePorts,
  other: MemberId,
  parts: AsyncIterable<FetchedPart>,
  isWanted: () => boolean,
  bytesMax = aheadBytesMax,
): Promise<void> {
  let isCut = false;
  for await (const { commonEnd, from, bytes } of parts) {
    if (!isWanted()) return;
    if (!isCut && commonEnd < store.appendEnd) await cutBack(store, commonEnd, other);
    isCut = true;
    if (bytes.byteLength === 0) continue;
    if (from !== store.appendEnd) throw new MqError('CONFLICT', `what ${other} sent does not go on from here`);
    store.replication.append(bytes);
    await diskBehind(store, bytesMax);
  }
}
