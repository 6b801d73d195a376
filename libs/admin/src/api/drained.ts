import { MqError } from '@cometmq/shared';

import { askAll } from '../reports/ask-all.js';
import type { AdminContext } from './context.js';

/**
 * Fewer read queues hide the others: not while anything in them is still to be consumed.
 * @throws MqError CONFLICT, UNAVAILABLE where not every broker set says
 */
export async function checkDrained(
  { directory, brokers, clock, requestMsMax }: Pick<AdminContext, 'directory' | 'brokers' | 'clock' | 'requestMsMax'>,
  name: string,
  readQueues: number | undefined,
): Promise<void> {
  const topic = directory.topic(name);
  if (!topic || readQueues === undefined || readQueues >= topic.readQueues) return;
  const asked = await askAll(directory, clock, requestMsMax, (set) => brokers.describeTopic(set, topic.id));
  const [missing] = asked.missing;
  if (missing) {
    throw new MqError(
      'UNAVAILABLE',
      `broker set ${missing.brokerSet} does not say whether the queues from ${readQueues} on are consumed: ${missing.detail}`,
    );
  }
  const left = asked.answers.flatMap(({ brokerSet, answer }) =>
    answer.queues
      .filter((queue) => queue.queueId >= readQueues && queue.unread > 0)
      .map((queue) => ({ brokerSet, ...queue })),
  );
  const [first] = left;
  if (!first) return;
  const messages = left.reduce((sum, queue) => sum + queue.unread, 0);
  throw new MqError(
    'CONFLICT',
    `the queues from ${readQueues} on hold messages that are still to be consumed, and could not be any more: ` +
      `${messages} in all, ${first.unread} of them in queue ${first.queueId} of ${first.brokerSet}. Wait until they are ` +
      'consumed or have expired',
  );
}
