/**
 * A pending message where it is: in the broker set that a recall handle or a transaction id names, or, where that one has left
 * and handed it over, in the set that has it now and knows where it stood.
 */
import type { BrokerSet, PendingHandle, PendingPlace } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Directory } from './directory.js';

/** Answered by a set in which no such message waits. */
const unknownThere: ReadonlySet<string> = new Set(['MESSAGE_NOT_FOUND', 'INVALID_TRANSACTION_ID']);

/**
 * @param ask rejects with MESSAGE_NOT_FOUND or INVALID_TRANSACTION_ID where the set does not know the message
 * @throws MqError what is answered: of several sets that do not know it, what the named one says
 */
export async function whereItIs<T>(
  directory: Pick<Directory, 'brokerSet' | 'brokerSets'>,
  { broker, place }: PendingHandle,
  ask: (brokerSet: string, place: PendingPlace) => Promise<T>,
): Promise<T> {
  const named = directory.brokerSet(broker);
  let unknown: MqError | undefined;
  // One that is out has handed over what it had, and may have stopped, though nobody has heard of that yet.
  if (named && named.stage !== 'gone' && !isStopped(named)) {
    try {
      return await ask(broker, place);
    } catch (caught) {
      unknown = MqError.from(caught);
      if (!unknownThere.has(unknown.code)) throw unknown;
    }
  }
  const others = [...directory.brokerSets()].filter((set) => set.name !== broker && !isStopped(set));
  try {
    return await Promise.any(others.map(({ name }) => ask(name, { ...place, from: broker })));
  } catch (caught) {
    const errors = (caught instanceof AggregateError ? caught.errors : [caught]).map((error) => MqError.from(error));
    const failure = errors.find(({ code }) => !unknownThere.has(code));
    if (failure) throw failure;
    // It leaves, or was taken out by force: what no other set has it has still, and it is led again, or nobody can say.
    const isThere = named?.stage === 'draining' || (named?.stage === 'gone' && named.leader !== undefined);
    if (isThere && !unknown) return ask(broker, place);
    throw (
      unknown ?? errors[0] ?? new MqError('MESSAGE_NOT_FOUND', `broker set "${broker}" is gone, and no other is there`)
    );
  }
}

/** It has left, or is about to, and nobody answers for it. */
function isStopped({ stage, leader }: BrokerSet): boolean {
  return leader === undefined && (stage === 'gone' || stage === 'draining');
}
