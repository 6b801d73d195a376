import { lagOf, type GroupState, type Session } from '@cometmq/client';
import type { ConsumerGroup, GroupStart, LiteGroup, RetryPolicy, TopicId } from '@cometmq/model';

import type { Answers, Missing } from './ask-all.js';

/** A consumer group as the API shows it. */
export interface GroupView {
  readonly name: string;
  readonly id: number;
  readonly fifo: boolean;
  readonly attemptsMax: number;
  readonly retryPolicy: RetryPolicy;
  readonly start: GroupStart;
  readonly pausedUntilMs?: number;
  readonly priorityFactor?: number;
  readonly lite?: LiteGroup;
  readonly createdMs: number;
}

export interface GroupReport extends GroupView {
  readonly lag: number;
  readonly inFlight: number;
  readonly ready: number;
  /** Of an orderly group: messages kept until their message group's turn comes. */
  readonly blocked: number;
  /** Of an orderly group: message groups that are busy. */
  readonly lanes: number;
  readonly queues: readonly {
    readonly brokerSet: string;
    readonly topic: string;
    readonly queueId: number;
    readonly minOffset: number;
    readonly maxOffset: number;
    readonly committed: number;
    readonly frontier: number;
    readonly lag: number;
    readonly inFlight: number;
    readonly ready: number;
    readonly blocked: number;
    readonly lanes: number;
  }[];
  readonly members: readonly MemberView[];
  readonly warnings: readonly string[];
  readonly missing: readonly Missing[];
}

/** A group in a list; `progress` where it was asked for. */
export interface GroupItem extends GroupView {
  readonly progress?: {
    readonly lag: number;
    readonly inFlight: number;
    readonly ready: number;
    readonly members: number;
    /** That its members read, or it has progress in. */
    readonly topics: readonly { readonly topic: string; readonly lag: number }[];
    /** Broker sets that did not answer and are not counted. */
    readonly missing: readonly string[];
  };
}

interface MemberView {
  readonly clientId: string;
  /** Of its SDK, as it said; empty: it did not. */
  readonly language: string;
  readonly version: string;
  readonly brokerSets: string[];
  readonly subscriptions: readonly { readonly topic: string; readonly filter: string; readonly expression: string }[];
}

export function groupView(group: ConsumerGroup): GroupView {
  const { name, id, fifo, attemptsMax, retryPolicy, start, pausedUntilMs, priorityFactor, lite, createdMs } = group;
  return {
    name,
    id,
    fifo,
    attemptsMax,
    retryPolicy,
    start,
    ...(pausedUntilMs !== undefined && { pausedUntilMs }),
    ...(priorityFactor !== undefined && { priorityFactor }),
    ...(lite && { lite }),
    createdMs,
  };
}

/** What a list says of a group. */
export function progressOf(report: GroupReport): NonNullable<GroupItem['progress']> {
  const { lag, inFlight, ready, queues, lite, members, missing } = report;
  const byTopic = new Map<string, number>();
  const add = (topic: string, more: number): unknown => byTopic.set(topic, (byTopic.get(topic) ?? 0) + more);
  let ofQueues = 0;
  for (const one of queues) {
    add(one.topic, one.lag);
    ofQueues += one.lag;
  }
  if (lite) add(lite.topic, lag - ofQueues); // Its lite topics have too many queues to be listed.
  for (const { subscriptions } of members) for (const { topic } of subscriptions) add(topic, 0);
  const topics = [...byTopic]
    .map(([topic, waiting]) => ({ topic, lag: waiting }))
    .sort((a, b) => order(a.topic, b.topic));
  const silent = missing.map(({ brokerSet }) => brokerSet);
  return { lag, inFlight, ready, members: members.length, topics, missing: silent };
}

export function groupReport(
  group: ConsumerGroup,
  topicName: (id: TopicId) => string | undefined,
  { answers, missing }: Answers<GroupState>,
): GroupReport {
  const nameOf = (id: TopicId): string => topicName(id) ?? '';
  const queues = answers
    .flatMap(({ brokerSet, answer }) =>
      answer.queues.map((queue) => ({
        brokerSet,
        topic: nameOf(queue.topicId),
        queueId: queue.queueId,
        minOffset: queue.queueFirst,
        maxOffset: queue.queueNext,
        committed: queue.committed,
        frontier: queue.frontier,
        lag: lagOf(queue),
        inFlight: queue.inFlight,
        ready: queue.ready,
        blocked: queue.blocked,
        lanes: queue.lanes,
      })),
    )
    .sort((a, b) => order(a.topic, b.topic) || order(a.brokerSet, b.brokerSet) || a.queueId - b.queueId);
  const lite = answers.flatMap(({ brokerSet, answer }) =>
    answer.sums.map(({ topicId, ...one }) => ({
      brokerSet,
      topic: nameOf(topicId),
      ...one,
      lag: lagOf(one),
      lanes: 0,
    })),
  );
  const sum = (figure: 'lag' | 'inFlight' | 'ready' | 'blocked' | 'lanes'): number =>
    [...queues, ...lite].reduce((total, queue) => total + queue[figure], 0);
  const members = membersOf(answers, nameOf);
  return {
    ...groupView(group),
    lag: sum('lag'),
    inFlight: sum('inFlight'),
    ready: sum('ready'),
    blocked: sum('blocked'),
    lanes: sum('lanes'),
    queues,
    members,
    warnings: warningsOf(members),
    missing,
  };
}

/** Nothing is lost where filters differ, but a message waits for a member that wants it. */
function warningsOf(members: readonly MemberView[]): string[] {
  const wishes = new Map<string, Set<string>>();
  for (const { topic, filter, expression } of members.flatMap(({ subscriptions }) => subscriptions)) {
    const known = wishes.get(topic) ?? new Set<string>();
    wishes.set(topic, known.add(`${filter} ${expression}`));
  }
  return [...wishes]
    .filter(([, filters]) => filters.size > 1)
    .map(
      ([topic, filters]) =>
        `members subscribe to "${topic}" with ${filters.size} different filters (${[...filters].sort().join('; ')}): ` +
        'each message waits for a member that wants it',
    )
    .sort();
}

/** Every leader knows every member: one line each, however many sets have told of it. */
function membersOf(answers: Answers<GroupState>['answers'], nameOf: (id: TopicId) => string): MemberView[] {
  const byClient = new Map<string, MemberView>();
  for (const { brokerSet, answer } of answers) {
    for (const session of answer.members) {
      const known = byClient.get(session.clientId);
      if (known) known.brokerSets.push(brokerSet);
      else byClient.set(session.clientId, memberView(session, brokerSet, nameOf));
    }
  }
  return [...byClient.values()].sort((a, b) => order(a.clientId, b.clientId));
}

function memberView(session: Session, brokerSet: string, nameOf: (id: TopicId) => string): MemberView {
  return {
    clientId: session.clientId,
    language: session.language,
    version: session.version,
    brokerSets: [brokerSet],
    subscriptions: session.subscriptions.map(({ topicId, filter }) => ({
      topic: nameOf(topicId),
      filter: filter.type,
      expression: filter.expression,
    })),
  };
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
