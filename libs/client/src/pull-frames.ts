import type { GroupId, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { internal } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import type { AskRoom, OffsetsCall, OffsetsResult, PullCall, PullResult, PulledMessage } from './broker-link.js';
import { remotePlaceFromWire, remotePlaceToWire } from './link-frames.js';
import { filterFromWire } from './session-frames.js';

/** Pulling and its offsets on the wire and back. Ids are never 0, so 0 stands for "no group". */
export function pullToWire(call: PullCall): internal.PullCall {
  return {
    groupId: call.groupId ?? 0,
    topicId: call.topicId,
    queueId: call.queueId,
    offset: call.offset,
    messagesMax: call.messagesMax,
    bytesMax: call.bytesMax,
    filter: call.filter,
    clientId: call.clientId,
    waitMs: Math.max(0, Math.floor(call.waitMs)),
    asksRoom: call.askRoom !== undefined,
    readsMembers: call.readsMembers ?? false,
  };
}

/** @param askRoom how this end asks the other one, if it wants to be asked */
export function pullFromWire(wire: internal.PullCall, askRoom?: AskRoom): PullCall {
  return {
    groupId: wire.groupId === 0 ? undefined : (wire.groupId as GroupId),
    topicId: wire.topicId as TopicId,
    queueId: wire.queueId as QueueId,
    offset: wire.offset as QueueOffset,
    messagesMax: wire.messagesMax,
    bytesMax: wire.bytesMax,
    filter: filterFromWire(wire.filter),
    clientId: wire.clientId,
    waitMs: wire.waitMs,
    askRoom: wire.asksRoom ? askRoom : undefined,
    readsMembers: wire.readsMembers || undefined,
  };
}

export function pullResultToWire(result: PullResult): internal.PullResult {
  const { messages, nextOffset, firstOffset, endOffset } = result;
  const wired = messages.map(({ place, ...message }) => ({ ...message, place: place && remotePlaceToWire(place) }));
  return { messages: wired, nextOffset, firstOffset, endOffset };
}

export function pullResultFromWire(wire: internal.PullResult | undefined): PullResult {
  if (!wire) throw new MqError('INTERNAL', 'the broker answered a pull with something else');
  return {
    messages: wire.messages.map(({ offset, payload, storedMs, originTopicId, place }): PulledMessage => ({
      offset: offset as QueueOffset,
      payload,
      storedMs,
      originTopicId: originTopicId as TopicId,
      place: place && remotePlaceFromWire(place),
    })),
    nextOffset: wire.nextOffset as QueueOffset,
    firstOffset: wire.firstOffset as QueueOffset,
    endOffset: wire.endOffset as QueueOffset,
  };
}

export function offsetsToWire({ topicId, queueId, ask }: OffsetsCall): internal.OffsetsCall {
  return { topicId, queueId, ask: askToWire(ask) };
}

export function offsetsFromWire(wire: internal.OffsetsCall): OffsetsCall {
  return { topicId: wire.topicId as TopicId, queueId: wire.queueId as QueueId, ask: askFromWire(wire.ask) };
}

export function offsetsResultFromWire(wire: internal.OffsetsResult | undefined): OffsetsResult {
  return { offset: wire?.offset as QueueOffset | undefined };
}

function askToWire(ask: OffsetsCall['ask']): internal.OffsetsCall['ask'] {
  switch (ask.kind) {
    case 'first':
    case 'end':
      return { $case: ask.kind, value: true };
    case 'time':
      return { $case: 'atMs', value: ask.atMs };
    case 'ofGroup':
      return { $case: 'ofGroup', value: ask.groupId };
    case 'setForGroup':
      return { $case: 'setForGroup', value: { groupId: ask.groupId, offset: ask.offset } };
  }
}

function askFromWire(wire: internal.OffsetsCall['ask']): OffsetsCall['ask'] {
  switch (wire?.$case) {
    case 'first':
    case 'end':
      return { kind: wire.$case };
    case 'atMs':
      return { kind: 'time', atMs: wire.value };
    case 'ofGroup':
      return { kind: 'ofGroup', groupId: wire.value as GroupId };
    case 'setForGroup': {
      const { groupId, offset } = wire.value;
      return { kind: 'setForGroup', groupId: groupId as GroupId, offset: offset as QueueOffset };
    }
    case undefined:
      throw new MqError('BAD_REQUEST', 'the call asks for no offset that this version knows');
  }
}
