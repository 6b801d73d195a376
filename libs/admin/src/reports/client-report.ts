import type { ClientActivity, ClientTraits, ConnectedClients, Directory, Refusals, Session } from '@cometmq/client';

import type { Answers } from './ask-all.js';

/** What operators should look at: did nothing for long, was refused something of late, wants other messages than its fellows. */
export const clientMarks = ['idle', 'refused', 'otherFilter'] as const;
export type ClientMark = (typeof clientMarks)[number];

/** Longer than any poll, and than most pauses between two sends of a program that is at work. */
const idleMsMin = 600_000;

export interface ClientView {
  readonly clientId: string;
  readonly language: string;
  readonly version: string;
  readonly streaming: boolean;
  readonly marks: readonly ClientMark[];
  /** Left out: no proxy has told. */
  readonly idleMs?: number;
  readonly refusals: readonly Refusals[];
  readonly brokerSets: readonly string[];
  readonly groups: readonly {
    readonly group: string;
    readonly subscriptions: readonly { readonly topic: string; readonly filter: string; readonly expression: string }[];
  }[];
  readonly producesTo: readonly string[];
}

interface Gathered {
  language: string;
  version: string;
  streaming: boolean;
  idleMs: number | undefined;
  otherFilter: boolean;
  readonly refusals: Map<string, Refusals>;
  readonly brokerSets: Set<string>;
  readonly groups: Map<number, ClientView['groups'][number]>;
  readonly producesTo: Set<string>;
}

/** Every leader knows every client: one line each, in the order of their ids. */
export function clientsOf(
  directory: Directory,
  { answers }: Answers<ConnectedClients>,
): readonly (ClientView & { readonly name: string })[] {
  const byId = new Map<string, Gathered>();
  const take = (set: string, client: ClientTraits & { readonly clientId: string }): Gathered => {
    const known = byId.get(client.clientId) ?? {
      ...{ language: '', version: '', streaming: false, idleMs: undefined, otherFilter: false, refusals: new Map() },
      ...{ brokerSets: new Set<string>(), groups: new Map<number, never>(), producesTo: new Set<string>() },
    };
    known.language ||= client.language;
    known.version ||= client.version;
    known.streaming ||= client.streaming;
    known.brokerSets.add(set);
    if (client.activity) takeActivity(known, client.activity);
    byId.set(client.clientId, known);
    return known;
  };
  const wishes = wishesOf(answers.flatMap(({ answer }) => answer.members));
  for (const { brokerSet, answer } of answers) {
    for (const member of answer.members) {
      const known = take(brokerSet, member);
      known.groups.set(member.groupId, memberView(directory, member));
      known.otherFilter ||= member.subscriptions.some(({ topicId }) => {
        return (wishes.get(`${member.groupId} ${topicId}`)?.size ?? 0) > 1;
      });
    }
    for (const producer of answer.producers) {
      const known = take(brokerSet, producer);
      for (const id of producer.topicIds) known.producesTo.add(directory.topicById(id)?.name ?? '');
    }
  }
  return [...byId].map(([clientId, { brokerSets, groups, producesTo, refusals, idleMs, otherFilter, ...traits }]) => ({
    name: clientId,
    clientId,
    ...traits,
    marks: clientMarks.filter((mark) => {
      if (mark === 'idle') return idleMs !== undefined && idleMs >= idleMsMin;
      return mark === 'refused' ? refusals.size > 0 : otherFilter;
    }),
    ...(idleMs !== undefined && { idleMs }),
    refusals: [...refusals.values()].sort((a, b) => a.agoMs - b.agoMs),
    brokerSets: [...brokerSets],
    groups: [...groups.values()],
    producesTo: [...producesTo].sort(),
  }));
}

/** Each leader knows what the proxies told it, one sooner than another: the same calls are not counted twice. */
function takeActivity(known: Gathered, { idleMs, refusals }: ClientActivity): void {
  known.idleMs = Math.min(known.idleMs ?? Infinity, idleMs);
  for (const one of refusals) {
    const key = `${one.method} ${one.code}`;
    const before = known.refusals.get(key);
    if (!before || before.count < one.count) known.refusals.set(key, one);
  }
}

/** By group and topic, the different filters that its members have. */
function wishesOf(members: readonly Session[]): ReadonlyMap<string, ReadonlySet<string>> {
  const wishes = new Map<string, Set<string>>();
  for (const { groupId, subscriptions } of members) {
    for (const { topicId, filter } of subscriptions) {
      const key = `${groupId} ${topicId}`;
      const known = wishes.get(key) ?? new Set<string>();
      wishes.set(key, known.add(`${filter.type} ${filter.expression}`));
    }
  }
  return wishes;
}

function memberView(directory: Directory, { groupId, subscriptions }: Session): ClientView['groups'][number] {
  return {
    group: directory.groupById(groupId)?.name ?? '',
    subscriptions: subscriptions.map(({ topicId, filter }) => ({
      topic: directory.topicById(topicId)?.name ?? '',
      filter: filter.type,
      expression: filter.expression,
    })),
  };
}
