import type { LogPosition, PendingPlace, TopicId } from '@cometmq/model';
import type { internal } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import type { EndTransactionCall } from './broker-link.js';

/** Messages that no queue shows yet, on the wire and back. */
export function placeToWire(place: PendingPlace): internal.PendingPlace {
  return {
    topicId: place.topicId,
    position: place.position,
    size: place.size,
    dueMs: place.dueMs,
    from: place.from ?? '',
  };
}

export function placeFromWire(wire: internal.PendingPlace | undefined): PendingPlace {
  if (!wire) throw new MqError('BAD_REQUEST', 'the call names no message');
  return {
    topicId: wire.topicId as TopicId,
    position: wire.position as LogPosition,
    size: wire.size,
    dueMs: wire.dueMs,
    ...(wire.from !== '' && { from: wire.from }),
  };
}

export function endTransactionToWire(call: EndTransactionCall): internal.EndTransactionCall {
  return { place: placeToWire(call.place), resolution: call.resolution, checked: call.checked };
}

const resolutions: readonly string[] = ['commit', 'rollback', 'unknown'];

export function endTransactionFromWire(wire: internal.EndTransactionCall): EndTransactionCall {
  if (!resolutions.includes(wire.resolution)) {
    throw new MqError('BAD_REQUEST', `a transaction is ended by ${resolutions.join(', ')}, not "${wire.resolution}"`);
  }
  return {
    place: placeFromWire(wire.place),
    resolution: wire.resolution as EndTransactionCall['resolution'],
    checked: wire.checked,
  };
}
