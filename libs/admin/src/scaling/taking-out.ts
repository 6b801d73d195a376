/** The last step of a broker set that leaves: in no route any more, and nothing of it left behind. */
import { type BrokerSet, type BrokerSetStage, isHome } from '@cometmq/model';
import { MqError, sleep } from '@cometmq/shared';

import type { AdminContext } from '../api/context.js';
import { isEmpty, setRemains, type SetRemains } from '../reports/set-remains.js';
import { within } from '../within.js';

export type TakingContext = Pick<AdminContext, 'directory' | 'brokers' | 'sets' | 'clock' | 'requestMsMax'>;

/** How long the counting may take. */
const remainsMsMax = 30_000;
/** How long sends to the set may wait for the last messages to be consumed. */
const holdMs = 1_500;
const lookMs = 100;
/** How long they may wait for the change itself, which all hear of at once: as long as a broker holds at the most. */
export const changeMs = 10_000;
/** What is under way when the sends begin to wait gets into the queues in this time. */
const quietLooks = 3;
/** With more than this it is not worth while to hold sends up. */
const heldMaxAtLast = 200;

export function countRemains({ directory, brokers, clock }: TakingContext, set: BrokerSet): Promise<SetRemains> {
  return within(clock, remainsMsMax, set.name, setRemains(set, directory, brokers));
}

/** @throws MqError UNSUPPORTED, and what the name service answers */
export async function putStage(
  { sets, clock, requestMsMax }: TakingContext,
  name: string,
  stage: BrokerSetStage,
): Promise<void> {
  if (!sets) throw new MqError('UNSUPPORTED', 'this cluster has one broker set, in this process');
  await within(clock, requestMsMax, 'the name service', sets.setStage(name, stage));
}

/** It takes messages again. One that was in no route gets back its message groups once their order allows it. */
export async function putBack(
  context: TakingContext,
  set: Pick<BrokerSet, 'name' | 'stage' | 'groupless'>,
): Promise<BrokerSetStage> {
  const next = isHome(set) ? 'serving' : 'joining';
  await putStage(context, set.name, next);
  return next;
}

/**
 * Takes a set that is draining out of all routes if it is empty, or becomes so within a moment in which new sends to it wait:
 * messages of message groups go to it up to the end, and what follows them elsewhere must not overtake them.
 * @returns what it holds still; undefined: it is out
 */
export async function takeOut(context: TakingContext, set: BrokerSet): Promise<SetRemains | undefined> {
  const { brokers, clock } = context;
  const remains = await countRemains(context, set);
  if (!isLittle(remains)) return remains;
  const beganMs = clock.monotonicMs();
  await brokers.holdSends(set.name, holdMs);
  let isOut = false;
  try {
    let left = remains;
    const endMs = beganMs + holdMs - lookMs;
    for (let quiet = 0; quiet < quietLooks; quiet = isEmpty(left) ? quiet + 1 : 0) {
      await sleep(clock, lookMs);
      left = await countRemains(context, set);
      // A count that took long has seen what was sent after the hold had ended by itself, or not seen it.
      if (clock.monotonicMs() > endMs) return left;
    }
    // Counted once more, as what came before this is committed by now; from here on they wait for the whole of the change.
    const lastMs = clock.monotonicMs();
    await brokers.holdSends(set.name, changeMs);
    left = await countRemains(context, set);
    if (!isEmpty(left) || clock.monotonicMs() > lastMs + changeMs / 2) return left;
    await putStage(context, set.name, 'gone');
    isOut = true;
    return undefined;
  } finally {
    if (!isOut) await brokers.holdSends(set.name, 0).catch(() => undefined); // It ends by itself.
  }
}

/** Delayed messages and open transactions end when they end: nobody waits for them. */
function isLittle({ messages, delayed, transactions }: SetRemains): boolean {
  return messages <= heldMaxAtLast && delayed + transactions === 0;
}
