import type { internal } from '@cometmq/proto';
import type { Epoch, GroupId, LogPosition, QueueId, QueueOffset, Receipt, TopicId } from '@cometmq/model';
import { errorCodes, MqError, type ErrorCode } from '@cometmq/shared';

import type { AskRoom, DeadLetterCall, Delivered, RemotePlace, ReceiveCall, SendCall } from './broker-link.js';
import { NotLeader } from './not-leader.js';
import { filterFromWire } from './session-frames.js';

/** The words of `BrokerLink` on the wire and back, for both ends of the stream. */
export type WireCall = internal.LinkCall;
export type WireAnswer = internal.LinkAnswer;

export const exchangePath = '/cometmq.v1.BrokerService/Exchange';

export function receiptToWire(receipt: Receipt): internal.Receipt {
  return {
    broker: receipt.broker,
    groupId: receipt.groupId,
    topicId: receipt.topicId,
    queueId: receipt.queueId,
    offset: receipt.offset,
    leaseEpoch: receipt.leaseEpoch,
    leasePosition: receipt.leasePosition,
    generation: receipt.generation,
    attempt: receipt.attempt,
  };
}

export function receiptFromWire(wire: internal.Receipt | undefined): Receipt {
  if (!wire) throw new MqError('BAD_REQUEST', 'the call carries no receipt');
  return {
    broker: wire.broker,
    groupId: wire.groupId as GroupId,
    topicId: wire.topicId as TopicId,
    queueId: wire.queueId as QueueId,
    offset: wire.offset as QueueOffset,
    leaseEpoch: wire.leaseEpoch as Epoch,
    leasePosition: wire.leasePosition as LogPosition,
    generation: wire.generation,
    attempt: wire.attempt,
  };
}

export function deadLetterToWire(call: DeadLetterCall): internal.DeadLetterCall {
  if ('receipt' in call) return { receipt: receiptToWire(call.receipt), held: undefined };
  return { receipt: undefined, held: { ...call.held } };
}

export function deadLetterFromWire({ receipt, held }: internal.DeadLetterCall): DeadLetterCall {
  if (!held) return { receipt: receiptFromWire(receipt) };
  return { held: { ...held, groupId: held.groupId as GroupId, topicId: held.topicId as TopicId } };
}

/** The deadline travels as what is left of it: two processes share no clock. */
export function sendToWire(call: SendCall, nowMs: number): internal.SendCall {
  return {
    topicId: call.topicId,
    queueId: call.queueId,
    layout: call.layout,
    deadlineMs: call.deadlineMs === undefined ? undefined : Math.max(0, Math.floor(call.deadlineMs - nowMs)),
    tagHash: call.tagHash,
    groupHash: call.groupHash,
    envelope: call.envelope,
    message: call.message.length === 1 && call.message[0] ? call.message[0] : Buffer.concat(call.message),
  };
}

export function sendFromWire(wire: internal.SendCall, nowMs: number): SendCall {
  return {
    topicId: wire.topicId as TopicId,
    queueId: wire.queueId as QueueId,
    layout: wire.layout,
    deadlineMs: wire.deadlineMs === undefined ? undefined : nowMs + wire.deadlineMs,
    tagHash: wire.tagHash,
    groupHash: wire.groupHash,
    envelope: wire.envelope,
    message: [wire.message],
  };
}

export function receiveToWire(call: ReceiveCall): internal.ReceiveCall {
  return {
    groupId: call.groupId,
    topicId: call.topicId,
    queueId: call.queueId,
    messagesMax: call.messagesMax,
    bytesMax: call.bytesMax,
    filter: call.filter,
    invisibleMs: call.invisibleMs,
    autoRenew: call.autoRenew,
    clientId: call.clientId,
    waitMs: Math.max(0, Math.floor(call.waitMs)),
    attemptId: call.attemptId,
    connection: call.connection ?? '',
    asksRoom: call.askRoom !== undefined,
    readsMembers: call.readsMembers ?? false,
  };
}

/** @param askRoom how this end asks the other one, if it wants to be asked */
export function receiveFromWire(wire: internal.ReceiveCall, askRoom?: AskRoom): ReceiveCall {
  return {
    groupId: wire.groupId as GroupId,
    topicId: wire.topicId as TopicId,
    queueId: wire.queueId,
    messagesMax: wire.messagesMax,
    bytesMax: wire.bytesMax,
    filter: filterFromWire(wire.filter),
    invisibleMs: wire.invisibleMs,
    autoRenew: wire.autoRenew,
    clientId: wire.clientId,
    waitMs: wire.waitMs,
    attemptId: wire.attemptId,
    connection: wire.connection || undefined,
    askRoom: wire.asksRoom ? askRoom : undefined,
    readsMembers: wire.readsMembers || undefined,
  };
}

export function deliveredToWire(message: Delivered): internal.Delivered {
  return {
    receipt: receiptToWire(message.receipt),
    payload: message.payload,
    storedMs: message.storedMs,
    originTopicId: message.originTopicId,
    place: message.place && remotePlaceToWire(message.place),
  };
}

export function deliveredFromWire(wire: internal.Delivered): Delivered {
  return {
    receipt: receiptFromWire(wire.receipt),
    payload: wire.payload,
    storedMs: wire.storedMs,
    originTopicId: wire.originTopicId as TopicId,
    place: wire.place && remotePlaceFromWire(wire.place),
  };
}

export function remotePlaceToWire({ position, size, members }: RemotePlace): internal.RemotePlace {
  return { position, size, members: [...members] };
}

export function remotePlaceFromWire({ position, size, members }: internal.RemotePlace): RemotePlace {
  return { position: position as LogPosition, size, members };
}

export function errorToWire(error: MqError): internal.LinkError {
  const leader = error instanceof NotLeader ? error.leader : undefined;
  return { code: error.code, reason: error.reason, leader: leader && { ...leader } };
}

export function errorFromWire(wire: internal.LinkError): MqError {
  if (wire.code === 'NOT_LEADER') return new NotLeader(wire.reason, wire.leader);
  const known = errorCodes.includes(wire.code as ErrorCode);
  return new MqError(known ? (wire.code as ErrorCode) : 'INTERNAL', wire.reason);
}

/** Bytes of the messages in an answer, those that are to be read elsewhere among them. */
export function messageBytes({ receive, pull }: WireAnswer): number {
  let bytes = 0;
  for (const { payload, place } of receive?.messages ?? pull?.messages ?? [])
    bytes += payload.length + (place?.size ?? 0);
  return bytes;
}
