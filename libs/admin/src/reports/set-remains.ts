/** What would be lost with a broker set: messages that nobody has consumed yet, and those that no queue shows. */
import type { BrokerAdmin, Directory } from '@cometmq/client';
import { type BrokerSet, type LogPosition, MessageType, type Topic } from '@cometmq/model';
import { inTurn } from '@cometmq/shared';

export interface SetRemains {
  readonly brokerSet: string;
  readonly stage: BrokerSet['stage'];
  /** That some consumer group of their topic is not done with; where a topic has none, all that it keeps. */
  readonly messages: number;
  /** Not due yet. */
  readonly delayed: number;
  /** Neither committed nor rolled back. */
  readonly transactions: number;
  /** Where the messages are, those with the most first. */
  readonly topics: readonly { readonly topic: string; readonly messages: number }[];
}

/** Topics asked about at once. */
const atOnce = 32;
const litePageMax = 500;

/** @throws MqError UNAVAILABLE where nobody leads the set: it can't be said then */
export async function setRemains(set: BrokerSet, directory: Directory, brokers: BrokerAdmin): Promise<SetRemains> {
  const counted = await inTurn([...directory.topics()], atOnce, async (topic) => ({
    topic: topic.name,
    messages: await unreadOf(set.name, topic, brokers),
  }));
  const topics = counted.filter(({ messages }) => messages > 0);
  topics.sort((a, b) => b.messages - a.messages || (a.topic < b.topic ? -1 : 1));
  const begin = { position: 0 as LogPosition };
  const [delayed, half] = await Promise.all([
    brokers.waiting.listDelayed(set.name, {
      ...{ topicId: undefined, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, after: { dueMs: 0, ...begin }, max: 1 },
    }),
    brokers.waiting.listHalf(set.name, { topicId: undefined, after: { storedMs: 0, ...begin }, max: 1 }),
  ]);
  return {
    brokerSet: set.name,
    stage: set.stage,
    messages: topics.reduce((sum, { messages }) => sum + messages, 0),
    delayed: delayed.total,
    transactions: half.total,
    topics,
  };
}

export function isEmpty({ messages, delayed, transactions }: SetRemains): boolean {
  return messages + delayed + transactions === 0;
}

/** In one line, with the topics that have the most. */
export function remainsText(remains: SetRemains): string {
  const { messages, delayed, transactions, topics } = remains;
  if (isEmpty(remains)) return 'nothing';
  const parts: string[] = [];
  if (messages > 0) {
    const named = topics.slice(0, 5).map((each) => `${each.topic}: ${each.messages}`);
    if (topics.length > named.length) named.push(`and ${topics.length - named.length} more topics`);
    parts.push(`${messages} messages that are not consumed (${named.join(', ')})`);
  }
  if (delayed > 0) parts.push(`${delayed} delayed messages`);
  if (transactions > 0) parts.push(`${transactions} open transactions`);
  return parts.join(', ');
}

async function unreadOf(brokerSet: string, topic: Topic, brokers: BrokerAdmin): Promise<number> {
  if (topic.type === MessageType.lite) return ofLiteTopics(brokerSet, topic, brokers);
  const { queues } = await brokers.describeTopic(brokerSet, topic.id);
  return queues.reduce((sum, { unread }) => sum + unread, 0);
}

/** Of a lite topic: what the slowest of its readers has still to do; where it has none, all. */
async function ofLiteTopics(brokerSet: string, { id }: Topic, brokers: BrokerAdmin): Promise<number> {
  let sum = 0;
  for (let from: number | undefined = 0; from !== undefined;) {
    const page = await brokers.listLiteTopics(brokerSet, { topicId: id, prefix: '', from, max: litePageMax });
    for (const { name, messages } of page.liteTopics) {
      if (messages === 0) continue;
      const state = await brokers.describeLiteTopic(brokerSet, id, name);
      const begun = (state?.readers ?? []).filter(({ committed }) => committed !== undefined);
      sum += begun.length === 0 ? messages : Math.max(...begun.map(({ lag }) => lag));
    }
    from = page.next;
  }
  return sum;
}
