/** What policies may say, and how their resources are written: `Topic:orders-*`, `Group:billing`, `Cluster:*`, `*`. */
import {
  actions,
  auditTopic,
  resourceTypes,
  type Action,
  type PolicyEntry,
  type Resource,
  type ResourceType,
  type UserPolicies,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { addressBlock } from './address.js';

export const policyLimits = { entriesMax: 1_000, sourceIpsMax: 64, nameLengthMax: 255 } as const;

/** No letter that a name of a topic, group, cluster or namespace can't have. */
const nameAlphabet = /^[%|a-zA-Z0-9_.@-]+$/;

/** @throws MqError BAD_REQUEST */
export function resourceIn(text: string): Resource {
  if (text === '*') return { type: 'any', match: 'any', name: '' };
  const colon = text.indexOf(':');
  const type = text.slice(0, Math.max(colon, 0)).toLowerCase() as ResourceType;
  const pattern = text.slice(colon + 1);
  if (type === 'any' || !resourceTypes.includes(type)) throw wrongResource(text);
  if (pattern === '*') return { type, match: 'any', name: '' };
  const match = pattern.endsWith('*') ? 'prefix' : 'literal';
  return checkedResource({ type, match, name: match === 'prefix' ? pattern.slice(0, -1) : pattern }, text);
}

export function resourceText({ type, match, name }: Resource): string {
  if (type === 'any') return '*';
  const star = match === 'literal' ? '' : '*';
  return `${type.charAt(0).toUpperCase()}${type.slice(1)}:${name}${star}`;
}

/** What is none of these would be compared with nothing, and so hold for all. */
const matches: readonly string[] = ['literal', 'prefix', 'any'] satisfies Resource['match'][];

function checkedResource(resource: Resource, text: string): Resource {
  const { type, match, name } = resource;
  const named = match === 'any' ? name === '' : nameAlphabet.test(name) && name.length <= policyLimits.nameLengthMax;
  if (!named || !matches.includes(match) || !resourceTypes.includes(type) || (type === 'any' && match !== 'any'))
    throw wrongResource(text);
  return resource;
}

function wrongResource(text: string): MqError {
  return new MqError(
    'BAD_REQUEST',
    `resource "${text.slice(0, 80)}": allowed are Cluster:, Namespace:, Topic: or Group: with a name, a prefix* or *, and *`,
  );
}

/**
 * As they are stored: each checked, those that say the same of a resource joined.
 * @throws MqError BAD_REQUEST
 */
export function checkedPolicies({ user, entries }: UserPolicies): UserPolicies {
  if (entries.length > policyLimits.entriesMax) {
    throw new MqError(
      'BAD_REQUEST',
      `${entries.length} policy entries; at most ${policyLimits.entriesMax} are allowed`,
    );
  }
  return { user, entries: entries.map(checkedEntry) };
}

/** Whether they say the same, in the same order. */
export function samePolicies(a: readonly PolicyEntry[], b: readonly PolicyEntry[]): boolean {
  const text = (entries: readonly PolicyEntry[]): string =>
    JSON.stringify(
      entries.map(({ policy, resource: { type, match, name }, actions: allowed, sourceIps, decision }) => {
        return [policy, type, match, name, allowed, sourceIps, decision];
      }),
    );
  return text(a) === text(b);
}

function checkedEntry(entry: PolicyEntry): PolicyEntry {
  const { resource, decision, policy, sourceIps } = entry;
  checkedResource(resource, resourceText(resource));
  const wrong = entry.actions.find((action) => !actions.includes(action));
  if (wrong !== undefined || entry.actions.length === 0) {
    throw new MqError('BAD_REQUEST', `action "${wrong ?? ''}": allowed are ${actions.join(', ')}`);
  }
  if (decision !== 'allow' && decision !== 'deny') {
    throw new MqError('BAD_REQUEST', 'a decision is allow or deny');
  }
  if (policy !== 'custom' && policy !== 'default') {
    throw new MqError('BAD_REQUEST', 'a policy is custom or default');
  }
  if (sourceIps.length > policyLimits.sourceIpsMax) {
    throw new MqError('BAD_REQUEST', `an entry names at most ${policyLimits.sourceIpsMax} source addresses`);
  }
  for (const text of sourceIps) addressBlock(text);
  return entry;
}

const entry = (resource: Resource, allowed: readonly Action[], sourceIps: readonly string[]): PolicyEntry => ({
  policy: 'custom',
  resource,
  actions: allowed,
  sourceIps,
  decision: 'allow',
});

/** RocketMQ's clients write traces there, when they are told to. */
const traceTopic: Resource = { type: 'topic', match: 'literal', name: 'RMQ_SYS_TRACE_TOPIC' };

/** @param topics a name, a prefix* or * */
export function producerTemplate(topics: string, sourceIps: readonly string[] = []): PolicyEntry[] {
  return [entry(resourceIn(`Topic:${topics}`), ['pub', 'get'], sourceIps), entry(traceTopic, ['pub'], sourceIps)];
}

/** Reads the audit log as these groups. Topics for their dead letters are none of it: lines of the audit log never go there. */
export function auditorTemplate(groups: string, sourceIps: readonly string[] = []): PolicyEntry[] {
  return [
    entry({ type: 'topic', match: 'literal', name: auditTopic }, ['sub', 'get'], sourceIps),
    entry(resourceIn(`Group:${groups}`), ['sub', 'get'], sourceIps),
  ];
}

/** @param groups the consumer group, with the topics that belong to it: its retries and its dead letters */
export function consumerTemplate(topics: string, groups: string, sourceIps: readonly string[] = []): PolicyEntry[] {
  return [
    entry(resourceIn(`Topic:${topics}`), ['sub', 'get'], sourceIps),
    entry(resourceIn(`Group:${groups}`), ['sub', 'get'], sourceIps),
    entry(resourceIn(`Topic:%RETRY%${groups}`), ['pub', 'sub', 'get'], sourceIps),
    entry(resourceIn(`Topic:%DLQ%${groups}`), ['sub', 'get'], sourceIps),
    entry(traceTopic, ['pub'], sourceIps),
  ];
}
