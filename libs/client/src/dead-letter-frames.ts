import type { GroupId, LogPosition, QueueOffset, TopicId } from '@cometmq/model';
import type { internal } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import type { LetterReplay, LettersAsked, ReplayCall, ResendCall } from './dead-letter-admin.js';
import type { MessagePlace } from './read-message.js';

/** What operators do with dead letters, on the wire and back. */
export function replayToWire({ places, ...call }: ReplayCall): internal.ReplayDeadLettersRequest {
  return { ...call, places: places.map(placeOf) };
}

export function replayFromWire({ groupId, places, ...call }: internal.ReplayDeadLettersRequest): ReplayCall {
  return { ...call, groupId: groupId as GroupId, places: places.map(placeFrom) };
}

export function resendToWire(call: ResendCall): internal.ResendDeadLetterRequest {
  const { place, body, tag, keys, properties, groupId, replayId, who } = call;
  return {
    ...{ groupId, replayId, who, place: placeOf(place), body, tag },
    keys: keys && { keys: [...keys] },
    properties: properties && { properties: new Map(properties) },
  };
}

export function resendFromWire(wire: internal.ResendDeadLetterRequest): ResendCall {
  const { place, keys, properties, groupId, ...call } = wire;
  return {
    ...call,
    groupId: groupId as GroupId,
    place: placeFrom(place ?? { position: 0, size: 0 }),
    ...(keys && { keys: keys.keys }),
    ...(properties && { properties: properties.properties }),
  };
}

/** @throws MqError UNSUPPORTED */
export function lettersAskedFromWire(wire: internal.ListReplaysRequest): LettersAsked {
  const { groupId, letterTopicId, first, last, after } = wire;
  // None at all would be taken for "never replayed".
  if (letterTopicId === 0)
    throw new MqError('UNSUPPORTED', 'the process that asks is older than the broker: update it');
  return {
    ...{ groupId: groupId as GroupId, letterTopicId: letterTopicId as TopicId, after: after as LogPosition },
    ...{ first: first as QueueOffset, last: last as QueueOffset },
  };
}

export function letterReplayToWire({ mode, letters, ...replay }: LetterReplay): internal.LetterReplay {
  return { ...replay, toTopic: mode === 'toTopic', offsets: [...letters] };
}

export function letterReplayFromWire({ toTopic, offsets, ...replay }: internal.LetterReplay): LetterReplay {
  return { ...replay, mode: toTopic ? 'toTopic' : 'toGroup', letters: offsets as QueueOffset[] };
}

function placeOf({ position, size }: MessagePlace): internal.LetterPlace {
  return { position, size };
}

function placeFrom({ position, size }: internal.LetterPlace): MessagePlace {
  return { position: position as LogPosition, size };
}
