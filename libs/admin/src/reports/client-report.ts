import type { ConnectedClients, Directory, Session } from '@cometmq/client';

import type { Answers, Missing } from './ask-all.js';

export interface ClientView {
  readonly clientId: string;
  readonly language: string;
  readonly version: string;
  readonly streaming: boolean;
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
  const take = (set: string, client: { clientId: string; language: string; version: string; streaming: boolean }) => {
    const known = byId.get(client.clientId) ?? {
      ...{ language: '', version: '', streaming: false },
      ...{ brokerSets: new Set<string>(), groups: new Map<number, never>(), producesTo: new Set<string>() },
    };
    known.language ||= client.language;
    known.version ||= client.version;
    known.streaming ||= client.streaming;
    known.brokerSets.add(set);
    byId.set(client.clientId, known);
    return known;
  };
  for (const { brokerSet, answer } of answers) {
    for (const member of answer.members)
      take(brokerSet, member).groups.set(member.groupId, memberView(directory, member));
    for (const producer of answer.producers) {
      const known = take(brokerSet, producer);
      for (const id of producer.topicIds) known.producesTo.add(directory.topicById(id)?.name ?? '');
    }
  }
  return [...byId].map(([clientId, { brokerSets, groups, producesTo, ...traits }]) => ({
    name: clientId,
    clientId,
    ...traits,
    brokerSets: [...brokerSets],
    groups: [...groups.values()],
    producesTo: [...producesTo].sort(),
  }));
}

export interface ClientPage {
  readonly items: readonly ClientView[];
  readonly total: number;
  readonly next?: string;
  readonly missing: readonly Missing[];
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
