import type { GroupState, LifeEvent, MessageContent, Session } from '@cometmq/client';
import { compileFilter, type MessageProperties } from '@cometmq/filter';
import { deadLetterTopic, type BrokerSet, type ConsumerGroup, type FilterExpression, type Topic } from '@cometmq/model';
import { counted } from '@cometmq/shared';

/** The way of a message to its consumer, link by link. The first that does not hold is why it is not consumed. */
export const whySteps = [
  'topic', // It is there, and may be read.
  'route', // A broker leads its set.
  'visible', // A queue shows it: not delayed, no open transaction, not expired.
  'notPaused',
  'subscription', // A member of the group reads the topic.
  'filter', // A member wants it.
  'position', // The group has not been moved beyond it.
  'lane', // No earlier message of its message group is in the way.
  'delivered',
  'inFlight', // Nobody holds it, and no back-off runs.
  'alive', // It is no dead letter.
  'consumed',
] as const;
export type WhyStep = (typeof whySteps)[number];

export interface WhyFacts {
  readonly topic: Topic;
  readonly brokerSet: BrokerSet;
  readonly group: ConsumerGroup;
  readonly state: GroupState;
  readonly content: MessageContent;
  readonly events: readonly LifeEvent[];
  readonly nowMs: number;
}

interface Step {
  readonly step: WhyStep;
  readonly ok: boolean;
  readonly text: string;
}

export interface WhyView {
  readonly verdict: WhyStep;
  readonly text: string;
  readonly steps: readonly Step[];
}

/** Why the group has not consumed the message, or that it has. */
export function whyReport(facts: WhyFacts): WhyView {
  const steps: Step[] = [];
  for (const judge of judges) {
    const step = judge(facts);
    if (step) steps.push(step);
  }
  const last = lastOf(facts);
  if (last?.kind === 'acknowledged') {
    const text = `${facts.group.name} has consumed it`;
    return {
      verdict: 'consumed',
      text,
      steps: [...steps.filter(({ ok }) => ok), { step: 'consumed', ok: true, text }],
    };
  }
  const failing = steps.find(({ ok }) => !ok);
  if (failing) return { verdict: failing.step, text: failing.text, steps };
  const text = 'nothing stands in its way: it is delivered when a member asks next';
  return { verdict: 'delivered', text, steps: [...steps, { step: 'delivered', ok: false, text }] };
}

const good = (step: WhyStep, text: string): Step => ({ step, ok: true, text });
const bad = (step: WhyStep, text: string): Step => ({ step, ok: false, text });
const at = (ms: number): string => new Date(ms).toISOString();

const judges: readonly ((facts: WhyFacts) => Step | undefined)[] = [
  ({ topic }) =>
    topic.permission === 'none' || topic.permission === 'write'
      ? bad('topic', `nobody may read topic ${topic.name}: its permission is "${topic.permission}"`)
      : good('topic', `topic ${topic.name} is there, and may be read`),
  ({ brokerSet }) =>
    brokerSet.leader === undefined
      ? bad('route', `nobody leads broker set ${brokerSet.name}`)
      : good('route', `broker set ${brokerSet.name} has a leader`),
  visibility,
  ({ group, nowMs }) =>
    (group.pausedUntilMs ?? 0) > nowMs
      ? bad('notPaused', `group ${group.name} is paused`)
      : good('notPaused', `group ${group.name} is not paused`),
  subscription,
  filter,
  position,
  lane,
  delivery,
];

function visibility({ content, events, nowMs }: WhyFacts): Step {
  const { message } = content;
  const dropped = events.find(({ kind }) => kind === 'dropped');
  if (dropped) return bad('visible', `it was recalled, cancelled or rolled back at ${at(dropped.atMs)}`);
  const expired = events.find(({ kind }) => kind === 'expired');
  if (expired) return bad('visible', `it expired at ${at(expired.atMs)}`);
  const isVisible = events.some(({ kind }) => kind === 'visible' || kind === 'stored');
  if (isVisible) return good('visible', 'its queue shows it');
  if (message.dueMs === 0) return bad('visible', 'it is half of a transaction that nobody has decided on');
  const dueMs = events.findLast(({ kind }) => kind === 'rescheduled')?.untilMs ?? message.dueMs;
  return bad('visible', `it is delayed until ${at(dueMs)}${dueMs < nowMs ? ', and should be visible by now' : ''}`);
}

function readersOf({ state, topic }: WhyFacts): { readonly member: Session; readonly filter: FilterExpression }[] {
  return state.members.flatMap((member) =>
    member.subscriptions
      .filter(({ topicId }) => topicId === topic.id)
      .map(({ filter: wish }) => ({ member, filter: wish })),
  );
}

function subscription(facts: WhyFacts): Step {
  const { group, topic, state } = facts;
  const readers = readersOf(facts);
  if (readers.length > 0) {
    return good(
      'subscription',
      `${counted(readers.length, 'member')} of ${group.name} ${readers.length === 1 ? 'reads' : 'read'} ${topic.name}`,
    );
  }
  if (state.members.length === 0) return bad('subscription', `nobody consumes in group ${group.name} now`);
  return bad(
    'subscription',
    `${counted(state.members.length, 'member consumes', 'members consume')} in group ${group.name}, and none reads ${topic.name}`,
  );
}

function filter(facts: WhyFacts): Step | undefined {
  const readers = readersOf(facts);
  if (readers.length === 0) return undefined;
  const wanting = readers.filter(({ filter: wish }) => wants(wish, facts.content));
  if (wanting.length > 0)
    return good(
      'filter',
      `${wanting.length} of ${counted(readers.length, 'member')} ${wanting.length === 1 ? 'wants' : 'want'} it`,
    );
  const wishes = [...new Set(readers.map(({ filter: wish }) => wish.expression))].slice(0, 3).join('", "');
  const { tag } = facts.content.message;
  return bad('filter', `no member wants it: its tag is "${tag}", members want "${wishes}"`);
}

function wants(wish: FilterExpression, { message, properties }: MessageContent): boolean {
  let sought: readonly string[] = [];
  const readable: MessageProperties = {
    tag: Buffer.from(message.tag, 'utf8'),
    seek: (names) => (sought = names.map(({ text }) => text)),
    text: (index) => {
      const name = sought[index] ?? '';
      return name === 'TAGS' ? message.tag || undefined : properties.get(name);
    },
  };
  try {
    return compileFilter(wish).wantsMessage(readable);
  } catch {
    return false; // A member whose expression is none gets nothing.
  }
}

/** What happened last to the message in this group. */
function lastOf({ events, group }: WhyFacts): LifeEvent | undefined {
  return events.findLast(({ groupId, kind }) => groupId === group.id && kind !== 'moved');
}

function position({ events, group, state }: WhyFacts): Step | undefined {
  const standing = events.findLast(({ kind }) => kind === 'visible' || kind === 'stored');
  if (!standing) return undefined;
  const queue = state.queues.find(
    ({ topicId, queueId }) => topicId === standing.topicId && queueId === standing.queueId,
  );
  const moved = events.findLast(({ kind, groupId }) => kind === 'moved' && groupId === group.id);
  const since = moved && events.some(({ groupId, position: later }) => groupId === group.id && later > moved.position);
  if (moved && !since && moved.offset > standing.offset) {
    return bad('position', `the group was moved beyond it at ${at(moved.atMs)}, to offset ${moved.offset}`);
  }
  const touched = events.some(({ groupId }) => groupId === group.id);
  if (queue && !touched && standing.offset < queue.frontier && standing.offset < queue.committed) {
    return bad('position', `the group began behind it, or passed it over: it is done up to offset ${queue.committed}`);
  }
  if (queue && standing.offset >= queue.frontier) {
    const before = standing.offset - queue.frontier;
    return good('position', `${counted(before, 'message of its queue comes', 'messages of its queue come')} before it`);
  }
  return good('position', 'the group has come to it');
}

function lane(facts: WhyFacts): Step | undefined {
  const { group, content } = facts;
  if (!group.fifo) return undefined;
  const last = lastOf(facts);
  if (last?.kind === 'kept') {
    return bad('lane', `an earlier message of message group "${content.message.messageGroup}" is not done yet`);
  }
  return good('lane', 'its message group is free for it');
}

function delivery(facts: WhyFacts): Step | undefined {
  const { group, nowMs } = facts;
  const last = lastOf(facts);
  switch (last?.kind) {
    case 'delivered':
    case 'renewed':
      if (last.untilMs < nowMs)
        return bad('delivered', `attempt ${last.attempt} has ended without an answer; it is due`);
      return bad('inFlight', `client ${last.clientId} holds it until ${at(last.untilMs)}, attempt ${last.attempt}`);
    case 'timeChanged':
    case 'clientGone':
    case 'handedBack': {
      const what = last.kind === 'timeChanged' ? `attempt ${last.attempt} did not end well` : 'its consumer went away';
      if (last.untilMs > nowMs) return bad('inFlight', `${what}; it is due again at ${at(last.untilMs)}`);
      return bad('delivered', `${what}; it is due again now`);
    }
    case 'deadLettered':
      return bad('alive', `it is a dead letter since ${at(last.atMs)}: see topic ${deadLetterTopic(group.name)}`);
    case 'setAside':
      return bad('filter', 'it is set aside for a member with another filter');
    case 'passedOver':
      return bad('filter', 'no member wanted it when it was looked at, so the group is done with it');
    default:
      return undefined;
  }
}
