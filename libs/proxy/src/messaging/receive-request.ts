/**
 * A ReceiveMessageRequest, read by hand: with many consumers waiting, each message costs a poll of its own.
 */
import type { FilterExpression } from '@cometmq/model';
import { everything } from '@cometmq/model';
import { MqError, type WireReader, wireType } from '@cometmq/shared';

export interface ReceiveRequest {
  group: string;
  topic: string;
  /** A hint where to look first, like the queue's number; empty: anywhere. */
  broker: string;
  queueId: number;
  filter: FilterExpression;
  batchSize: number;
  invisibleMs: number | undefined;
  autoRenew: boolean;
  pollMs: number | undefined;
  attemptId: string | undefined;
}

/** @throws Malformed, MqError ILLEGAL_FILTER_EXPRESSION */
export function readReceiveRequest(reader: WireReader): ReceiveRequest {
  const found: ReceiveRequest = {
    group: '',
    topic: '',
    broker: '',
    queueId: -1,
    filter: everything,
    batchSize: 0,
    invisibleMs: undefined,
    autoRenew: false,
    pollMs: undefined,
    attemptId: undefined,
  };
  while (reader.next()) {
    const { field, type } = reader;
    if (type === wireType.bytes) {
      if (field === 1) found.group = readName(reader);
      else if (field === 2) readQueue(reader, found);
      else if (field === 3) found.filter = readFilter(reader);
      else if (field === 5) found.invisibleMs = readDurationMs(reader);
      else if (field === 7) found.pollMs = readDurationMs(reader);
      else if (field === 8) found.attemptId = reader.text();
      else reader.skip();
    } else if (type === wireType.varint && field === 4) found.batchSize = reader.int32();
    else if (type === wireType.varint && field === 6) found.autoRenew = reader.bool();
    else reader.skip();
  }
  return found;
}

/** The name of a Resource; namespaces are no part of names. */
export function readName(reader: WireReader): string {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  let name = '';
  while (reader.next()) {
    if (reader.field === 2 && reader.type === wireType.bytes) name = reader.text();
    else reader.skip();
  }
  reader.end = outerEnd;
  return name;
}

function readQueue(reader: WireReader, found: ReceiveRequest): void {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  found.queueId = 0; // The queue was named; 0 is not written.
  while (reader.next()) {
    if (reader.field === 1 && reader.type === wireType.bytes) found.topic = readName(reader);
    else if (reader.field === 2 && reader.type === wireType.varint) found.queueId = reader.int32();
    else if (reader.field === 4 && reader.type === wireType.bytes) found.broker = readBrokerName(reader);
    else reader.skip();
  }
  reader.end = outerEnd;
}

function readBrokerName(reader: WireReader): string {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  let name = '';
  while (reader.next()) {
    if (reader.field === 1 && reader.type === wireType.bytes) name = reader.text();
    else reader.skip();
  }
  reader.end = outerEnd;
  return name;
}

function readFilter(reader: WireReader): FilterExpression {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  let type = 0;
  let expression = '';
  while (reader.next()) {
    if (reader.field === 1 && reader.type === wireType.varint) type = reader.int32();
    else if (reader.field === 2 && reader.type === wireType.bytes) expression = reader.text();
    else reader.skip();
  }
  reader.end = outerEnd;
  return filterExpression(type, expression);
}

/**
 * Type 0 (unspecified) and 1 are tags, 2 is SQL.
 * @throws MqError ILLEGAL_FILTER_EXPRESSION
 */
export function filterExpression(type: number, expression: string): FilterExpression {
  if (type !== 0 && type !== 1 && type !== 2) {
    throw new MqError('ILLEGAL_FILTER_EXPRESSION', `filter type ${type} is unknown; allowed are TAG (1) and SQL (2)`);
  }
  if (type === 2) return { type: 'sql', expression };
  return expression === '' || expression === '*' ? everything : { type: 'tag', expression };
}

function readDurationMs(reader: WireReader): number {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  let seconds = 0;
  let nanos = 0;
  while (reader.next()) {
    if (reader.type !== wireType.varint) reader.skip();
    else if (reader.field === 1) seconds = reader.int64();
    else if (reader.field === 2) nanos = reader.int32();
    else reader.skip();
  }
  reader.end = outerEnd;
  return durationMs(seconds, nanos);
}

/** Whole milliseconds, rounded towards zero. */
export function durationMs(seconds: number, nanos: number): number {
  return seconds * 1000 + Math.trunc(nanos / 1e6);
}
