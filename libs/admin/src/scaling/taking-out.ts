/** The last step of a broker set that leaves: in no route any more, and nothing of it left behind. */
import { type BrokerSet, type BrokerSetStage, isHome, isOrdered } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { AdminContext } from '../api/context.js';
import { isEmpty, setRemains, type SetRemains } from '../reports/set-remains.js';
import { within } from '../within.js';
import { changeWhileHeld } from './held-change.js';

export type TakingContext = Pick<AdminContext, 'directory' | 'brokers' | 'sets' | 'clock' | 'requestMsMax'>;

/** How long the counting may take. */
const remainsMsMax = 30_000;
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
  groupless = false,
): Promise<void> {
  if (!sets) throw new MqError('UNSUPPORTED', 'this cluster has one broker set, in this process');
  await within(clock, requestMsMax, 'the name service', sets.setStage(name, stage, groupless));
}

/**
 * It takes messages again. One that was in no route gets back its message groups once their order allows it; one whose
 * groups have begun to go to other sets has to leave first.
 *
 * @throws MqError CONFLICT, UNAVAILABLE where nobody leads a set that leaves
 */
export async function putBack(
  context: TakingContext,
  set: Pick<BrokerSet, 'name' | 'stage' | 'groupless'>,
): Promise<BrokerSetStage> {
  if (set.stage === 'draining' && isHome(set) && [...context.directory.topics()].some(isOrdered)) {
    const { groupsLeave } = await context.brokers.describe(set.name);
    if (groupsLeave) {
      const why = 'its message groups are on their way to other sets; it can come back once it has left';
      throw new MqError('CONFLICT', `broker set "${set.name}" leaves: ${why}`);
    }
  }
  const next = isHome(set) ? 'serving' : 'joining';
  await putStage(context, set.name, next);
  return next;
}

/**
 * Takes a set that is draining out of all routes if it is empty, or becomes so within a moment in which new sends to it wait.
 * Before that its message groups go to the other sets, once nothing with an order is left here.
 * @returns what it holds still; undefined: it is out
 */
export async function takeOut(context: TakingContext, set: BrokerSet): Promise<SetRemains | undefined> {
  const { brokers, clock } = context;
  if (isHome(set) && [...context.directory.topics()].some(isOrdered)) {
    const left = await letGroupsGo(context, set);
    if (left) return left;
  }
  const remains = await countRemains(context, set);
  if (!isLittle(remains)) return remains;
  return changeWhileHeld({
    clock,
    hold: (forMs, owner) => brokers.holdSends(set.name, forMs, owner),
    count: () => countRemains(context, set),
    isEmpty,
    change: async () => {
      await putStage(context, set.name, 'gone');
      return true;
    },
  });
}

/**
 * New messages of its message groups go to the other sets from now on. They went here, and what follows them elsewhere must
 * not overtake them. Consumers may still work on messages without an order: nobody sends to groups of a set that has stopped.
 * @returns what it holds; undefined: they go elsewhere
 */
async function letGroupsGo(context: TakingContext, set: BrokerSet): Promise<SetRemains | undefined> {
  const { brokers, clock, directory } = context;
  const withOrder = (remains: SetRemains): SetRemains => {
    const topics = remains.topics.filter(({ topic: name }) => {
      const topic = directory.topic(name);
      return !topic || isOrdered(topic);
    });
    return { ...remains, topics, messages: topics.reduce((sum, { messages }) => sum + messages, 0) };
  };
  const remains = await countRemains(context, set);
  if (!isLittle(withOrder(remains))) return remains;
  return changeWhileHeld({
    clock,
    hold: (forMs, owner) => brokers.holdSends(set.name, forMs, owner, true),
    count: () => countRemains(context, set),
    isEmpty: (left) => isEmpty(withOrder(left)),
    change: async () => {
      const now = directory.brokerSet(set.name);
      if (now?.stage !== 'draining' || !isHome(now)) return false; // Somebody else has changed it meanwhile.
      await putStage(context, set.name, 'draining', true);
      return true;
    },
  });
}

/** So little goes while sends wait. */
function isLittle({ messages, delayed, transactions }: SetRemains): boolean {
  return messages + delayed + transactions <= heldMaxAtLast;
}
