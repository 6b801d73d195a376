/** The queue that a call by offset names: its topic, its broker set and its number, all of them. */
import type { BrokerLink, Done, OffsetsCall, OffsetsResult } from '@cometmq/client';
import { type QueueId, type Topic, type TopicId, queueId } from '@cometmq/model';
import type { MessageQueue } from '@cometmq/proto';
import type { CallContext } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { type ProxyContext, LeaderCall } from '../proxy-context.js';

export interface PullQueue {
  readonly topic: Topic;
  readonly broker: string;
  readonly queueId: QueueId;
}

/** @throws MqError ILLEGAL_TOPIC, TOPIC_NOT_FOUND, FORBIDDEN, BAD_REQUEST */
export async function pullQueue(
  context: ProxyContext,
  queue: MessageQueue | undefined,
  peer: string,
): Promise<PullQueue> {
  const topic = await context.names.topic(queue?.topic?.name, peer);
  checkReadable(topic);
  const sets = [...context.parts.directory.brokerSets()];
  const named = queue?.broker?.name ?? '';
  const broker = named === '' && sets.length === 1 ? sets[0]?.name : sets.find(({ name }) => name === named)?.name;
  if (broker === undefined) {
    const known = sets.map(({ name }) => `"${name}"`).join(', ');
    throw new MqError('BAD_REQUEST', `the queue must name its broker set, one of ${known}; named is "${named}"`);
  }
  const id = queue?.id ?? 0;
  const queues = Math.max(topic.readQueues, topic.writeQueues);
  if (id < 0 || id >= queues) {
    throw new MqError('BAD_REQUEST', `topic "${topic.name}" has no queue ${id}; its queues are 0 to ${queues - 1}`);
  }
  return { topic, broker, queueId: queueId(id) };
}

/** @throws MqError FORBIDDEN */
export function checkReadable({ name, permission }: Topic): void {
  if (permission !== 'write' && permission !== 'none') return;
  throw new MqError('FORBIDDEN', `topic "${name}" may not be read`);
}

/** Asks the leader of the queue for an offset, or tells it one. */
export async function askOffset(
  context: ProxyContext,
  { topic, broker, queueId: id }: PullQueue,
  call: CallContext,
  ask: OffsetsCall['ask'],
): Promise<OffsetsResult> {
  const result = await context.asks<OffsetsResult>((done) =>
    new AskOffset(context, context.giveUpMs(call), broker, topic.id, id, ask, done).start(),
  );
  if (!result) throw new MqError('INTERNAL', 'the broker has not answered');
  return result;
}

class AskOffset extends LeaderCall<OffsetsResult> {
  constructor(
    context: ProxyContext,
    giveUpMs: number,
    protected readonly broker: string,
    private readonly topicId: TopicId,
    private readonly queueId: QueueId,
    private readonly question: OffsetsCall['ask'],
    private readonly done: Done<OffsetsResult>,
  ) {
    super(context, giveUpMs);
  }

  protected ask(link: BrokerLink, done: Done<OffsetsResult>): void {
    link.offsets({ topicId: this.topicId, queueId: this.queueId, ask: this.question }, done);
  }

  protected answered(error: MqError | undefined, result: OffsetsResult | undefined): void {
    this.done(error, result);
  }
}
