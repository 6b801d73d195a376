/**
 * QueryRoute: the queues of a topic, and where to go for them. A topic that nobody has made yet is made here where that
 * is allowed: a client sends nothing before it has a route.
 *
 * Every registered broker set appears with its queues, led or not at the moment: a change of leader must not change
 * the list, which clients compare. Queue ids run from 0 on each set, the readable and writable first, as Node.js uses
 * queue 0 only and Go all of them.
 */
import { type BrokerSet, isRouted, MessageType, type Topic } from '@cometmq/model';
import {
  type Endpoints,
  type MessageQueue,
  Permission,
  QueryRouteRequest,
  QueryRouteResponse,
  type Resource,
} from '@cometmq/proto';
import type { CallContext, UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';
import { rules } from '../rules.js';
import type { MessagingLimits } from '../limits.js';
import { coldCall, okStatus } from './cold-call.js';
import { endpointsFor } from './endpoints.js';

export function queryRoute(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'QueryRoute',
    QueryRouteRequest,
    QueryRouteResponse,
    (caller, { topic }) => rules.route(caller, topic?.name ?? ''),
    async (request, { call }) => {
      const resource = named(request.topic, context.limits);
      const endpoints = endpointsFor(context, request.endpoints, call);
      const topic = await context.names.topic(request.topic?.name, call.peer);
      const messageQueues: MessageQueue[] = [];
      const types = topic.typeFixed ? acceptedTypes(topic.type) : anyType(call);
      for (const set of await servingSets(context, topic, context.giveUpMs(call))) {
        messageQueues.push(...queuesOf(topic, set, resource, endpoints, types));
      }
      // An empty list crashes Rust and Python.
      if (messageQueues.length === 0) throw new MqError('TOPIC_NOT_FOUND', `topic "${topic.name}" has no queues`);
      return { status: okStatus(), messageQueues };
    },
  );
}

/** In a stable order. Waits a little for the first one: a cluster that has just started is about to have it. */
export async function servingSets(context: ProxyContext, topic: Topic, giveUpMs: number): Promise<BrokerSet[]> {
  const { directory } = context.parts;
  const find = (): BrokerSet[] | undefined => {
    const sets = [...directory.brokerSets()].filter(isRouted);
    return sets.length > 0 ? sets.sort((a, b) => (a.name < b.name ? -1 : 1)) : undefined;
  };
  const leftMs = Math.max(0, giveUpMs - context.clock.monotonicMs());
  try {
    return await directory.until(find, leftMs, 'no broker');
  } catch {
    throw new MqError('TOPIC_NOT_FOUND', `no broker serves topic "${topic.name}" yet`);
  }
}

/**
 * The resource as the client named it: C++ insists on its own spelling, namespace included.
 * @throws MqError BAD_REQUEST
 */
export function named(resource: Resource | undefined, { nameLengthMax }: MessagingLimits): Resource {
  if (!resource) return { resourceNamespace: '', name: '' };
  if (resource.resourceNamespace.length <= nameLengthMax) return resource;
  throw new MqError('BAD_REQUEST', `the namespace has more than ${nameLengthMax} characters`);
}

function queuesOf(
  topic: Topic,
  { name, stage }: BrokerSet,
  resource: Resource,
  endpoints: Endpoints,
  acceptMessageTypes: WireMessageType[],
): MessageQueue[] {
  const queues: MessageQueue[] = [];
  for (let id = 0; id < Math.max(topic.readQueues, topic.writeQueues); id += 1) {
    queues.push({
      topic: resource,
      id,
      permission: permissionOf(topic, id < topic.readQueues, stage !== 'draining' && id < topic.writeQueues),
      broker: { name, id: 0, endpoints },
      acceptMessageTypes,
    });
  }
  return queues;
}

/** Never UNSPECIFIED: C# and Java throw on it. */
export function permissionOf(topic: Topic, readQueue: boolean, writeQueue: boolean): Permission {
  const readable = readQueue && (topic.permission === 'readWrite' || topic.permission === 'read');
  const writable = writeQueue && (topic.permission === 'readWrite' || topic.permission === 'write');
  if (readable) return writable ? Permission.READ_WRITE : Permission.READ;
  return writable ? Permission.WRITE : Permission.NONE;
}

type WireMessageType = MessageQueue['acceptMessageTypes'][number];

/** Never 0, and 5 and 6 for topics of that type only: older clients throw on numbers they don't know. */
function acceptedTypes(type: MessageType): WireMessageType[] {
  if (type === MessageType.mixed) return [1, 2, 3, 4];
  return [type];
}

/**
 * A topic that was made on first use is for whatever its first message is, as long as there is none: a client that
 * checks types by itself must not refuse what would be taken. LITE topics are never made so.
 */
function anyType({ headers }: CallContext): WireMessageType[] {
  const types = acceptedTypes(MessageType.mixed);
  const language = headers.get('x-mq-language') ?? '';
  return knowsPriority(language, headers.get('x-mq-client-version') ?? '') ? [...types, MessageType.priority] : types;
}

/** Others may lose the whole route over a number they don't know. */
function knowsPriority(language: string, version: string): boolean {
  if (language !== 'JAVA') return language === 'HTTP' || language === 'GO'; // These keep numbers as they come.
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major * 1e6 + minor * 1e3 + patch >= 5_001_001;
}
