/**
 * A client says that it stops, or its last stream ends after it did. Where another client with the same id stays on
 * another connection of this node, only what belongs to the connection of the one that goes is given up.
 */
import type { ProxyContext } from './proxy-context.js';
import type { ClientSession } from './sessions.js';

/** `groupName` as the request says; empty or left out: it says none. */
export function sayGoodBye(
  context: ProxyContext,
  clientId: string,
  connection: number,
  groupName: string | undefined,
): void {
  const session = context.sessions.get(clientId);
  if (!session || connection === 0 || !staysWithout(session, connection)) {
    leave(context, clientId, groupName);
    return;
  }
  session.saidGoodBye = true;
  if (hasStreamOn(session, connection)) session.left.add(connection);
  context.polls.endOf(clientId, connection);
  tellBrokers(context, clientId, groupsOf(session, groupName), `${context.proxyId}/${connection}`);
}

/** It asks for messages: whoever said good-bye, this one stays. */
export function staysOn(session: ClientSession, connection: number): void {
  session.left.delete(connection);
  session.saidGoodBye = false;
}

/** One of its streams has ended: if all that are left said good-bye before, the client is gone. */
export function streamEnded(context: ProxyContext, session: ClientSession, ended: number): void {
  if (!hasStreamOn(session, ended)) session.left.delete(ended);
  if (!session.saidGoodBye) return;
  for (const { connection } of session.streams) if (!session.left.has(connection)) return;
  leave(context, session.clientId, undefined);
}

function leave(context: ProxyContext, clientId: string, groupName: string | undefined): void {
  context.polls.endOf(clientId);
  context.lite.drop(clientId);
  tellBrokers(context, clientId, groupsOf(context.sessions.remove(clientId), groupName), undefined);
}

function hasStreamOn(session: ClientSession, connection: number): boolean {
  for (const stream of session.streams) if (stream.connection === connection) return true;
  return false;
}

function staysWithout(session: ClientSession, connection: number): boolean {
  for (const stream of session.streams) {
    if (stream.connection !== connection && !session.left.has(stream.connection)) return true;
  }
  return false;
}

function groupsOf(session: ClientSession | undefined, groupName: string | undefined): ReadonlySet<string> {
  const groups = new Set(session?.groups.keys());
  if (groupName) groups.add(groupName); // Go says an empty name for producers.
  return groups;
}

function tellBrokers(
  context: ProxyContext,
  clientId: string,
  groups: ReadonlySet<string>,
  connection: string | undefined,
): void {
  const { directory, links } = context.parts;
  for (const name of groups) {
    const group = directory.group(name);
    if (!group) continue;
    for (const set of directory.brokerSets()) {
      // Nothing is lost where it fails: the leases end by themselves.
      links.link(set.name)?.clientGone({ clientId, groupId: group.id, connection }, () => undefined);
    }
  }
}
