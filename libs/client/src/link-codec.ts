/**
 * Link frames in and out, by hand for what travels with every message: sends, acknowledgements and receives, and their
 * answers. All else goes through the generated code, and so does, field for field, what both write: the wire is that of
 * proto/cometmq/v1/broker.proto, and a spec holds the two against each other. What is decoded are views of the frame.
 */
import { internal } from '@cometmq/proto';
import {
  WireReader,
  asBuffer,
  fieldBytes,
  putLength,
  putVarint,
  readText,
  varintBytes,
  wireType,
} from '@cometmq/shared';

type Call = internal.LinkCall;
type Answer = internal.LinkAnswer;

/** Tags: field number and wire type of each. */
const tag = {
  calls: 0x0a,
  answers: 0x12,
  commands: 0x1a,
  id: 0x08,
  send: 0x12,
  ack: 0x2a,
  sendResult: 0x1a,
  receive: 0x22,
};
const field = { calls: 1, answers: 2, commands: 3 } as const;

// ---- out

export function encodeLinkFrame(frame: internal.LinkFrame): Buffer {
  const plans: Plan[] = [];
  let bytes = 0;
  for (const call of frame.calls) plans.push(planCall(call));
  for (const answer of frame.answers) plans.push(planAnswer(answer));
  for (const command of frame.commands)
    plans.push(ready(tag.commands, internal.ClientCommand.encode(command).finish()));
  for (const plan of plans) bytes += fieldBytes(plan.bytes);
  const out = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const plan of plans) at = putPlan(out, putLength(out, at, plan.tag, plan.bytes), plan);
  return out;
}

/** What is to be written, with its size: lengths stand before what they measure. */
interface Plan {
  readonly tag: number;
  readonly bytes: number;
  readonly call: Call | undefined;
  readonly answer: Answer | undefined;
  readonly encoded: Uint8Array | undefined;
}

function ready(fieldTag: number, encoded: Uint8Array): Plan {
  return { tag: fieldTag, bytes: encoded.length, call: undefined, answer: undefined, encoded };
}

function planCall(call: Call): Plan {
  switch (call.call?.$case) {
    case 'send': {
      const bytes = numberBytes(call.id) + fieldBytes(sendBytes(call.call.value));
      return { tag: tag.calls, bytes, call, answer: undefined, encoded: undefined };
    }
    case 'ack': {
      const { receipt } = call.call.value;
      if (!receipt) break;
      const bytes = numberBytes(call.id) + fieldBytes(fieldBytes(receiptBytes(receipt)));
      return { tag: tag.calls, bytes, call, answer: undefined, encoded: undefined };
    }
    default:
  }
  return ready(tag.calls, internal.LinkCall.encode(call).finish());
}

function planAnswer(answer: Answer): Plan {
  const { error, send, receive, receipt, recall, pull, offsets, roomBytes } = answer;
  const other = error || receipt || recall || pull || offsets || send?.pending || roomBytes > 0;
  if (other || (receive && isElsewhere(receive))) {
    return ready(tag.answers, internal.LinkAnswer.encode(answer).finish());
  }
  let bytes = numberBytes(answer.id);
  if (send) bytes += fieldBytes(numberBytes(send.offset));
  if (receive) bytes += fieldBytes(receiveBytes(receive));
  return { tag: tag.answers, bytes, call: undefined, answer, encoded: undefined };
}

function putPlan(out: Buffer, from: number, { call, answer, encoded }: Plan): number {
  if (encoded) {
    out.set(encoded, from);
    return from + encoded.length;
  }
  if (answer) return putAnswer(out, from, answer);
  if (!call) return from;
  const at = putNumber(out, from, tag.id, call.id);
  if (call.call?.$case === 'send') {
    return putSend(out, putLength(out, at, tag.send, sendBytes(call.call.value)), call.call.value);
  }
  if (call.call?.$case === 'ack' && call.call.value.receipt) {
    const { receipt } = call.call.value;
    const bytes = receiptBytes(receipt);
    return putReceipt(out, putLength(out, putLength(out, at, tag.ack, fieldBytes(bytes)), 0x0a, bytes), receipt);
  }
  return at;
}

function putAnswer(out: Buffer, from: number, { id, send, receive }: Answer): number {
  let at = putNumber(out, from, tag.id, id);
  if (send) {
    at = putLength(out, at, tag.sendResult, numberBytes(send.offset));
    at = putNumber(out, at, 0x08, send.offset);
  }
  if (receive) {
    at = putLength(out, at, tag.receive, receiveBytes(receive));
    for (const message of receive.messages) {
      at = putDelivered(out, putLength(out, at, 0x0a, deliveredBytes(message)), message);
    }
  }
  return at;
}

function sendBytes(send: internal.SendCall): number {
  return (
    numberBytes(send.topicId) +
    numberBytes(send.queueId) +
    numberBytes(send.layout) +
    (send.deadlineMs === undefined ? 0 : 1 + varintBytes(send.deadlineMs)) +
    (send.tagHash === 0 ? 0 : 5) +
    (send.groupHash === 0 ? 0 : 5) +
    someBytes(send.envelope.length) +
    someBytes(send.message.length)
  );
}

function putSend(out: Buffer, from: number, send: internal.SendCall): number {
  let at = putNumber(out, from, 0x08, send.topicId);
  at = putNumber(out, at, 0x10, send.queueId);
  at = putNumber(out, at, 0x18, send.layout);
  if (send.deadlineMs !== undefined) {
    out[at] = 0x20;
    at = putVarint(out, at + 1, send.deadlineMs);
  }
  at = putFixed(out, at, 0x2d, send.tagHash);
  at = putFixed(out, at, 0x35, send.groupHash);
  at = putSome(out, at, 0x3a, send.envelope);
  return putSome(out, at, 0x42, send.message);
}

/** Some of it is to be read at a member: rare, and much more work than to write it down. */
function isElsewhere({ messages }: internal.ReceiveResult): boolean {
  for (const { place } of messages) if (place) return true;
  return false;
}

function receiveBytes({ messages }: internal.ReceiveResult): number {
  let bytes = 0;
  for (const message of messages) bytes += fieldBytes(deliveredBytes(message));
  return bytes;
}

function deliveredBytes({ receipt, payload, storedMs, originTopicId }: internal.Delivered): number {
  return (
    (receipt ? fieldBytes(receiptBytes(receipt)) : 0) +
    someBytes(payload.length) +
    numberBytes(storedMs) +
    numberBytes(originTopicId)
  );
}

function putDelivered(out: Buffer, from: number, message: internal.Delivered): number {
  let at = from;
  const { receipt } = message;
  if (receipt) at = putReceipt(out, putLength(out, at, 0x0a, receiptBytes(receipt)), receipt);
  at = putSome(out, at, 0x12, message.payload);
  at = putNumber(out, at, 0x18, message.storedMs);
  return putNumber(out, at, 0x20, message.originTopicId);
}

function receiptBytes(receipt: internal.Receipt): number {
  return (
    someBytes(Buffer.byteLength(receipt.broker)) +
    numberBytes(receipt.groupId) +
    numberBytes(receipt.topicId) +
    numberBytes(receipt.queueId) +
    numberBytes(receipt.offset) +
    numberBytes(receipt.leaseEpoch) +
    numberBytes(receipt.leasePosition) +
    numberBytes(receipt.generation) +
    numberBytes(receipt.attempt)
  );
}

function putReceipt(out: Buffer, from: number, receipt: internal.Receipt): number {
  let at = from;
  const nameBytes = Buffer.byteLength(receipt.broker);
  if (nameBytes > 0) {
    at = putLength(out, at, 0x0a, nameBytes);
    at += out.write(receipt.broker, at);
  }
  at = putNumber(out, at, 0x10, receipt.groupId);
  at = putNumber(out, at, 0x18, receipt.topicId);
  at = putNumber(out, at, 0x20, receipt.queueId);
  at = putNumber(out, at, 0x28, receipt.offset);
  at = putNumber(out, at, 0x30, receipt.leaseEpoch);
  at = putNumber(out, at, 0x38, receipt.leasePosition);
  at = putNumber(out, at, 0x40, receipt.generation);
  return putNumber(out, at, 0x48, receipt.attempt);
}

/** Zeros and empty bytes are not written. */
function numberBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

function putNumber(out: Buffer, at: number, fieldTag: number, value: number): number {
  if (value === 0) return at;
  out[at] = fieldTag;
  return putVarint(out, at + 1, value);
}

function putFixed(out: Buffer, at: number, fieldTag: number, value: number): number {
  if (value === 0) return at;
  out[at] = fieldTag;
  return out.writeUInt32LE(value, at + 1);
}

function someBytes(length: number): number {
  return length === 0 ? 0 : fieldBytes(length);
}

function putSome(out: Buffer, at: number, fieldTag: number, bytes: Uint8Array): number {
  if (bytes.length === 0) return at;
  const to = putLength(out, at, fieldTag, bytes.length);
  out.set(bytes, to);
  return to + bytes.length;
}

// ---- in

/** @throws `Malformed`, or what the generated code throws, for bytes that are no frame */
export function decodeLinkFrame(bytes: Uint8Array): internal.LinkFrame {
  const frame: internal.LinkFrame = { calls: [], answers: [], commands: [] };
  const reader = new WireReader(asBuffer(bytes), 0, bytes.length);
  while (reader.next()) {
    if (reader.type !== wireType.bytes || reader.field > field.commands) {
      reader.skip();
      continue;
    }
    const end = reader.lengthEnd();
    const from = reader.at;
    if (reader.field === field.calls) frame.calls.push(readCall(reader, end));
    else if (reader.field === field.answers) frame.answers.push(readAnswer(reader, end));
    else frame.commands.push(internal.ClientCommand.decode(reader.bytes.subarray(from, end)));
    reader.at = end;
  }
  return frame;
}

/** A call of another kind than those known here, or one that says something twice, is left to the generated code. */
function readCall(reader: WireReader, end: number): Call {
  const { bytes, at: from } = reader;
  const call: Call = { id: 0, call: undefined };
  const outer = reader.end;
  reader.end = end;
  let other = false;
  while (!other && reader.next()) {
    if (reader.field === 1 && reader.type === wireType.varint) call.id = reader.int64();
    else if (call.call || reader.type !== wireType.bytes) other = true;
    else if (reader.field === 2) call.call = { $case: 'send', value: readSend(reader, reader.lengthEnd()) };
    else if (reader.field === 5) call.call = { $case: 'ack', value: readAck(reader, reader.lengthEnd()) };
    else other = true;
  }
  reader.end = outer;
  return other ? internal.LinkCall.decode(bytes.subarray(from, end)) : call;
}

function readAnswer(reader: WireReader, end: number): Answer {
  const { bytes, at: from } = reader;
  const answer: Answer = {
    id: 0,
    error: undefined,
    send: undefined,
    receive: undefined,
    receipt: undefined,
    recall: undefined,
    pull: undefined,
    offsets: undefined,
    roomBytes: 0,
  };
  const outer = reader.end;
  reader.end = end;
  let other = false;
  while (!other && reader.next()) {
    if (reader.field === 1 && reader.type === wireType.varint) answer.id = reader.int64();
    else if (reader.type !== wireType.bytes) other = true;
    else if (reader.field === 3 && !answer.send) {
      const sent = readSendResult(reader, reader.lengthEnd());
      if (sent) answer.send = sent;
      else other = true;
    } else if (reader.field === 4 && !answer.receive) answer.receive = readReceived(reader, reader.lengthEnd());
    else other = true;
  }
  reader.end = outer;
  return other ? internal.LinkAnswer.decode(bytes.subarray(from, end)) : answer;
}

function readSend(reader: WireReader, end: number): internal.SendCall {
  const send: internal.SendCall = {
    topicId: 0,
    queueId: 0,
    layout: 0,
    deadlineMs: undefined,
    tagHash: 0,
    groupHash: 0,
    envelope: nothing,
    message: nothing,
  };
  const outer = reader.end;
  reader.end = end;
  while (reader.next()) {
    const { field: number, type } = reader;
    if (type === wireType.varint) {
      if (number === 1) send.topicId = reader.uint32();
      else if (number === 2) send.queueId = reader.uint32();
      else if (number === 3) send.layout = reader.uint32();
      else if (number === 4) send.deadlineMs = reader.uint32();
      else reader.skip();
    } else if (type === wireType.fixed32 && (number === 5 || number === 6)) {
      const at = reader.at;
      reader.skip();
      if (number === 5) send.tagHash = reader.bytes.readUInt32LE(at);
      else send.groupHash = reader.bytes.readUInt32LE(at);
    } else if (type === wireType.bytes && (number === 7 || number === 8)) {
      const to = reader.lengthEnd();
      const view = reader.bytes.subarray(reader.at, to);
      reader.at = to;
      if (number === 7) send.envelope = view;
      else send.message = view;
    } else reader.skip();
  }
  reader.end = outer;
  return send;
}

const nothing = Buffer.alloc(0);

function readAck(reader: WireReader, end: number): internal.AckCall {
  const ack: internal.AckCall = { receipt: undefined };
  const outer = reader.end;
  reader.end = end;
  while (reader.next()) {
    if (reader.field === 1 && reader.type === wireType.bytes) ack.receipt = readReceipt(reader, reader.lengthEnd());
    else reader.skip();
  }
  reader.end = outer;
  return ack;
}

/** Undefined: it says more than an offset. */
function readSendResult(reader: WireReader, end: number): internal.SendResult | undefined {
  const result: internal.SendResult = { offset: 0, pending: undefined };
  let more = false;
  const outer = reader.end;
  reader.end = end;
  while (reader.next()) {
    if (reader.field === 1 && reader.type === wireType.varint) result.offset = reader.int64();
    else {
      more = true;
      reader.skip();
    }
  }
  reader.end = outer;
  return more ? undefined : result;
}

function readReceived(reader: WireReader, end: number): internal.ReceiveResult {
  const messages: internal.Delivered[] = [];
  const outer = reader.end;
  reader.end = end;
  while (reader.next()) {
    if (reader.field === 1 && reader.type === wireType.bytes) messages.push(readDelivered(reader, reader.lengthEnd()));
    else reader.skip();
  }
  reader.end = outer;
  return { messages };
}

function readDelivered(reader: WireReader, end: number): internal.Delivered {
  const found: internal.Delivered = {
    receipt: undefined,
    payload: nothing,
    storedMs: 0,
    originTopicId: 0,
    place: undefined,
  };
  const outer = reader.end;
  reader.end = end;
  while (reader.next()) {
    const { field: number, type } = reader;
    if (type === wireType.bytes && number === 1) found.receipt = readReceipt(reader, reader.lengthEnd());
    else if (type === wireType.bytes && number === 2) {
      const to = reader.lengthEnd();
      found.payload = reader.bytes.subarray(reader.at, to);
      reader.at = to;
    } else if (type === wireType.varint && number === 3) found.storedMs = reader.int64();
    else if (type === wireType.varint && number === 4) found.originTopicId = reader.uint32();
    else if (type === wireType.bytes && number === 5) {
      const to = reader.lengthEnd();
      found.place = internal.RemotePlace.decode(reader.bytes.subarray(reader.at, to));
      reader.at = to;
    } else reader.skip();
  }
  reader.end = outer;
  return found;
}

function readReceipt(reader: WireReader, end: number): internal.Receipt {
  const receipt: internal.Receipt = {
    broker: '',
    groupId: 0,
    topicId: 0,
    queueId: 0,
    offset: 0,
    leaseEpoch: 0,
    leasePosition: 0,
    generation: 0,
    attempt: 0,
  };
  const outer = reader.end;
  reader.end = end;
  while (reader.next()) {
    const { field: number, type } = reader;
    if (type === wireType.bytes && number === 1) {
      const to = reader.lengthEnd();
      receipt.broker = readText(reader.bytes, reader.at, to);
      reader.at = to;
    } else if (type !== wireType.varint) reader.skip();
    else if (number === 2) receipt.groupId = reader.uint32();
    else if (number === 3) receipt.topicId = reader.uint32();
    else if (number === 4) receipt.queueId = reader.uint32();
    else if (number === 5) receipt.offset = reader.int64();
    else if (number === 6) receipt.leaseEpoch = reader.uint32();
    else if (number === 7) receipt.leasePosition = reader.int64();
    else if (number === 8) receipt.generation = reader.uint32();
    else if (number === 9) receipt.attempt = reader.uint32();
    else reader.skip();
  }
  reader.end = outer;
  return receipt;
}
