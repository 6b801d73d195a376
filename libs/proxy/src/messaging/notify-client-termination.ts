/**
 * NotifyClientTermination: the client stops. Its polls end, its leases end soon, and every broker set hears of it.
 * Answered OK for strangers too, as it may come twice.
 */
import type { GroupId } from '@cometmq/model';
import { NotifyClientTerminationRequest, NotifyClientTerminationResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';

import type { FrontDoor } from '../front-door.js';
import { coldCall, okStatus } from './cold-call.js';

export function notifyClientTermination(door: FrontDoor): UnaryHandler {
  return coldCall(
    door,
    'NotifyClientTermination',
    NotifyClientTerminationRequest,
    NotifyClientTerminationResponse,
    (request, { clientId }) => {
      door.polls.endOf(clientId);
      door.lite.drop(clientId);
      const session = door.sessions.remove(clientId);
      const groups = new Set(session?.groups.keys());
      // Go says an empty name for producers.
      if (request.group && request.group.name !== '') groups.add(request.group.name);
      for (const name of groups) {
        const group = door.parts.directory.group(name);
        if (group) tellBrokers(door, clientId, group.id);
      }
      return { status: okStatus() };
    },
  );
}

function tellBrokers(door: FrontDoor, clientId: string, groupId: GroupId): void {
  const { directory, links } = door.parts;
  for (const { name } of directory.brokerSets()) {
    // Nothing is lost where it fails: the leases end by themselves.
    links.link(name)?.clientGone({ clientId, groupId }, () => undefined);
  }
}
