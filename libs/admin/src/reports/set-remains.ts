/** What would be lost with a broker set: messages that nobody has consumed yet, and those that no queue shows. */
import type { BrokerAdmin, Directory } from '@cometmq/client';
import { type BrokerSet, type LogPosition, MessageType, type Topic, type TopicId } from '@cometmq/model';
import { counted, inTurn } from '@cometmq/shared';

export interface SetRemains {
  readonly brokerSet: string;
  readonly stage: BrokerSet['stage'];
  /** That some consumer group of their topic is not done with; where a topic has none, all that it keeps. */
  readonly messages: number;
  /** Not due yet. */
  readonly delayed: number;
  /** Neither committed nor rolled back. */
  readonly transactions: number;
  /** Of what goes to other sets, as this one leaves: messages that are on their way, and those that are there. */
  readonly onTheirWay: number;
  readonly handedOver: number;
  /** What keeps them from going, in words. */
  readonly problem?: string | undefined;
  /** Where the messages are, those with the most first. */
  readonly topics: readonly { readonly topic: string; readonly messages: number }[];
}

export type TopicRemains = Pick<SetRemains, 'messages' | 'delayed' | 'transactions'>;

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
  const [delayed, half] = await Promise.all(pendingOf(set.name, undefined, brokers));
  // Behind the counts: what went on its way since is in none of them.
  const { onTheirWay, handedOver, handOverProblem: problem } = await brokers.describe(set.name);
  return {
    brokerSet: set.name,
    stage: set.stage,
    messages: topics.reduce((sum, { messages }) => sum + messages, 0),
    delayed,
    transactions: half,
    onTheirWay,
    handedOver,
    ...(problem !== undefined && { problem }),
    topics,
  };
}

/** The same of one topic alone. */
export async function topicRemains(brokerSet: string, topic: Topic, brokers: BrokerAdmin): Promise<TopicRemains> {
  const [messages, delayed, transactions] = await Promise.all([
    unreadOf(brokerSet, topic, brokers),
    ...pendingOf(brokerSet, topic.id, brokers),
  ]);
  return { messages, delayed, transactions };
}

/** How many messages no queue shows yet: delayed ones, and those of open transactions. */
function pendingOf(
  brokerSet: string,
  topicId: TopicId | undefined,
  brokers: BrokerAdmin,
): [Promise<number>, Promise<number>] {
  const begin = { position: 0 as LogPosition };
  const delayed = brokers.waiting.listDelayed(brokerSet, {
    ...{ topicId, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, after: { dueMs: 0, ...begin }, max: 1 },
  });
  const half = brokers.waiting.listHalf(brokerSet, { topicId, after: { storedMs: 0, ...begin }, max: 1 });
  return [delayed.then(({ total }) => total), half.then(({ total }) => total)];
}

export function isEmpty({ messages, delayed, transactions, onTheirWay }: SetRemains): boolean {
  return messages + delayed + transactions + onTheirWay === 0;
}

/** Over all broker sets; empty: nothing remains. */
export function topicRemainsText(remains: readonly TopicRemains[]): string {
  const sum = (field: keyof TopicRemains): number => remains.reduce((total, each) => total + each[field], 0);
  const parts: string[] = [];
  const [messages, delayed, transactions] = [sum('messages'), sum('delayed'), sum('transactions')];
  if (messages > 0) parts.push(`${counted(messages, 'message is', 'messages are')} not consumed`);
  if (delayed > 0) parts.push(`${counted(delayed, 'delayed message is', 'delayed messages are')} not due`);
  if (transactions > 0) parts.push(`${counted(transactions, 'transaction is', 'transactions are')} open`);
  return parts.join(', ');
}

/** What no queue shows yet; empty: nothing. */
function pendingText({ delayed, transactions }: Pick<SetRemains, 'delayed' | 'transactions'>): string {
  const parts: string[] = [];
  if (delayed > 0) parts.push(counted(delayed, 'delayed message'));
  if (transactions > 0) parts.push(counted(transactions, 'open transaction'));
  return parts.join(', ');
}

/** In one line, with the topics that have the most. */
export function remainsText(remains: SetRemains): string {
  const { messages, onTheirWay, handedOver, problem, topics } = remains;
  if (isEmpty(remains)) return 'nothing';
  const parts: string[] = [];
  if (messages > 0) {
    const named = topics.slice(0, 5).map((each) => `${each.topic}: ${each.messages}`);
    if (topics.length > named.length) named.push(`and ${counted(topics.length - named.length, 'more topic')}`);
    parts.push(`${counted(messages, 'message that is', 'messages that are')} not consumed (${named.join(', ')})`);
  }
  const pending = pendingText(remains);
  if (pending !== '') parts.push(pending);
  if (onTheirWay > 0) parts.push(`${counted(onTheirWay, 'message')} on the way to other sets`);
  const held = parts.join(', ');
  if (handedOver === 0 && problem === undefined) return held;
  return `${held}; ${[...(handedOver > 0 ? [`${counted(handedOver, 'was', 'were')} handed over`] : []), ...(problem ? [problem] : [])].join('; ')}`;
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
