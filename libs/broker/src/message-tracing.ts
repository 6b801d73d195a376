/**
 * What a broker decides about single messages, told to whoever keeps traces: a span for each message that is stored, handed
 * out, and moved to the dead letters, as a child of the context that its sender put into it. Only made where traces are
 * wanted: calls then go through it, and elsewhere straight to the broker.
 */
import type { Delivered, Directory, Done, ReceiveCall, ReceiveResult, SendCall, SendResult } from '@cometmq/client';
import { EncodedProperties, Envelope, type ConsumerGroup, type QueueId, type TopicId } from '@cometmq/model';
import type { Clock } from '@cometmq/shared';
import { sampledContext, type MessageSpan, type MessageTraces } from '@cometmq/telemetry';

import type { LinkedBroker } from './link-door.js';
import { withoutBody } from './message-headers.js';

export interface MessageTracingParts {
  readonly traces: Pick<MessageTraces, 'add'>;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly brokerName: string;
}

/** As OpenTelemetry's instrumentations set it, and RocketMQ's name for its own field. */
const contextNames = ['traceparent', 'TRACE_CONTEXT'].map((text) => ({ text, utf8: Buffer.from(text) }));

export class MessageTracing {
  private readonly properties = new EncodedProperties();

  constructor(private readonly parts: MessageTracingParts) {}

  /** The broker, with calls that move messages telling of them. */
  around(broker: LinkedBroker): LinkedBroker {
    return {
      send: (call, done) => broker.send(call, this.sending(call, done)),
      receive: (call, done) => broker.receive(call, this.receiving(call, done)),
      ack: (call, done) => broker.ack(call, done),
      changeInvisible: (call, done) => broker.changeInvisible(call, done),
      handBack: (call, done) => broker.handBack(call, done),
      deadLetter: (call, done) => broker.deadLetter(call, done),
      reportSessions: (report) => broker.reportSessions(report),
      clientGone: (call, done) => broker.clientGone(call, done),
      recall: (call, done) => broker.recall(call, done),
      endTransaction: (call, done) => broker.endTransaction(call, done),
      pull: (call, done) => broker.pull(call, done),
      offsets: (call, done) => broker.offsets(call, done),
      syncLite: (call, done) => broker.syncLite(call, done),
      onCommand: (proxyId, listener) => broker.onCommand(proxyId, listener),
      commandAnswered: (answer) => broker.commandAnswered(answer),
      linkLost: (lost) => broker.linkLost?.(lost),
    };
  }

  /** @param payload of the message, as it is stored */
  deadLettered(
    group: ConsumerGroup,
    { topicId, queueId }: { readonly topicId: TopicId; readonly queueId: QueueId },
    payload: Uint8Array,
    attempts: number,
  ): void {
    const parent = this.contextOf(new Envelope(payload).message);
    if (parent === undefined) return;
    const nowMs = this.parts.clock.wallMs();
    this.tell('deadLetter', topicId, queueId, parent, payload, nowMs, undefined, {
      'messaging.consumer.group.name': group.name,
      'messaging.rocketmq.delivery_attempt': attempts,
    });
  }

  /** From when the message came until it was safe, or refused. */
  private sending(call: SendCall, done: Done<SendResult>): Done<SendResult> {
    const parent = this.contextOf(withoutBody(call.message));
    if (parent === undefined) return done;
    const startMs = this.parts.clock.wallMs();
    return (error, result) => {
      const offset = result && !result.pending ? { 'messaging.rocketmq.queue_offset': result.offset } : {};
      this.tell('store', call.topicId, call.queueId, parent, call.envelope, startMs, error?.code, offset);
      done(error, result);
    };
  }

  private receiving({ groupId, clientId }: ReceiveCall, done: Done<ReceiveResult>): Done<ReceiveResult> {
    return (error, result) => {
      for (const message of result?.messages ?? []) {
        if (message.place) continue; // Another member has it: its context is not known here.
        const group = this.parts.directory.groupById(groupId)?.name ?? '';
        this.handedOut(message, { 'messaging.consumer.group.name': group, 'messaging.client.id': clientId });
      }
      done(error, result);
    };
  }

  /** The first time: from when it could be had. What lies between two attempts is its consumer's doing. */
  private handedOut({ receipt, payload, storedMs }: Delivered, by: Readonly<Record<string, string>>): void {
    const envelope = new Envelope(payload);
    const parent = this.contextOf(envelope.message);
    if (parent === undefined) return;
    const nowMs = this.parts.clock.wallMs();
    const sinceMs = receipt.attempt === 1 ? Math.min(nowMs, Math.max(storedMs, envelope.dueMs ?? 0)) : nowMs;
    this.tell('deliver', receipt.topicId, receipt.queueId, parent, payload, sinceMs, undefined, {
      ...by,
      'messaging.rocketmq.delivery_attempt': receipt.attempt,
      'messaging.rocketmq.queue_offset': receipt.offset,
    });
  }

  private tell(
    operation: MessageSpan['operation'],
    topicId: TopicId,
    queueId: QueueId,
    parent: string,
    /** Of the message, or its envelope alone. */
    payload: Uint8Array,
    startMs: number,
    error: string | undefined,
    more: MessageSpan['attributes'],
  ): void {
    const { traces, directory, clock, brokerName } = this.parts;
    const { id, tag, group, dueMs } = new Envelope(payload);
    const topic = directory.topicById(topicId)?.name ?? '';
    const attributes = {
      'messaging.message.id': id,
      'messaging.destination.partition.id': String(queueId),
      'cometmq.broker_set': brokerName,
      ...(tag.length > 0 && { 'messaging.rocketmq.message.tag': tag.toString() }),
      ...(group !== '' && { 'messaging.rocketmq.message.group': group }),
      ...(dueMs !== undefined && { 'messaging.rocketmq.message.delivery_timestamp': dueMs }),
      ...more,
    };
    traces.add({ operation, topic, parent, startMs, endMs: clock.wallMs(), error, attributes });
  }

  /** Read where it stands, with nothing made of the rest of the message. */
  private contextOf(message: Uint8Array): string | undefined {
    const { properties } = this;
    properties.ofMessage(message).seek(contextNames);
    return sampledContext(properties.text(0) ?? properties.text(1));
  }
}
