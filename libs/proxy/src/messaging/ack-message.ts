/** AckMessage: the consumer has finished with these messages; the broker shall not deliver them again. */
import type { BrokerLink, Done } from '@cometmq/client';
import type { Receipt } from '@cometmq/model';
import type { CallContext, UnaryHandler, UnaryReply } from '@cometmq/rpc';
import { asBuffer, fieldBytes, MqError, putLength, WireReader, wireType } from '@cometmq/shared';

import { type ProxyContext, LeaderCall, RpcMeter } from '../proxy-context.js';
import { rules } from '../rules.js';
import { type Outcome, commonOutcome, ok, outcomeOf, putStatusField, statusFieldBytes } from '../status.js';
import { answerFailure, failureOf } from './cold-call.js';
import { readName } from './receive-request.js';
import { checkNames, leaderSaid, readReceipt, repeatsForEver } from './receipts.js';

export interface AckEntry {
  messageId: string;
  receiptHandle: string;
}

export interface AckRequest {
  group: string;
  topic: string;
  readonly entries: AckEntry[];
}

export function ackMessage(context: ProxyContext): UnaryHandler {
  const meter = new RpcMeter('AckMessage', context);
  const reader = new WireReader(Buffer.alloc(0), 0, 0);
  return (request, call, reply) => {
    const startMs = context.clock.monotonicMs();
    try {
      const bytes = asBuffer(request);
      reader.reset(bytes, 0, bytes.length, context.limits.listFieldsMax);
      const wanted = readAckRequest(reader, context.limits.entriesMax);
      const acks = new AckRequestCall(context, meter, startMs, reply, wanted, call);
      try {
        rules.consume(context.callerOf(meter, call, request, startMs), wanted.group, wanted.topic);
        checkNames(context, wanted.group, wanted.topic);
        if (wanted.entries.length === 0) throw entryCount(0, context.limits.entriesMax);
        context.enter();
      } catch (caught) {
        acks.refuse(failureOf(context, meter.method, caught));
        return;
      }
      acks.start();
    } catch (caught) {
      answerFailure(context, meter, startMs, reply, caught, call);
    }
  };
}

function entryCount(entries: number | string, entriesMax: number): MqError {
  return new MqError('BAD_REQUEST', `the request holds ${entries} entries; allowed are 1 to ${entriesMax}`);
}

/** AckMessageRequest: group = 1, topic = 2, entries = 3 { message_id = 1, receipt_handle = 2 }. @throws Malformed, MqError */
export function readAckRequest(reader: WireReader, entriesMax: number): AckRequest {
  const found: AckRequest = { group: '', topic: '', entries: [] };
  while (reader.next()) {
    if (reader.type !== wireType.bytes) reader.skip();
    else if (reader.field === 1) found.group = readName(reader);
    else if (reader.field === 2) found.topic = readName(reader);
    else if (reader.field === 3) {
      if (found.entries.length >= entriesMax) throw entryCount(`more than ${entriesMax}`, entriesMax);
      found.entries.push(readEntry(reader));
    } else reader.skip();
  }
  return found;
}

function readEntry(reader: WireReader): AckEntry {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  const entry: AckEntry = { messageId: '', receiptHandle: '' };
  while (reader.next()) {
    if (reader.type !== wireType.bytes) reader.skip();
    else if (reader.field === 1) entry.messageId = reader.text();
    else if (reader.field === 2) entry.receiptHandle = reader.text();
    else reader.skip();
  }
  reader.end = outerEnd;
  return entry;
}

/** One request under way: as many results as entries and in their order, whatever happens (Rust reads the first). */
class AckRequestCall {
  private readonly outcomes: Outcome[];
  private readonly giveUpMs: number;
  readonly forgives: boolean;
  private waiting: number;

  constructor(
    private readonly context: ProxyContext,
    private readonly meter: RpcMeter,
    private readonly startMs: number,
    private readonly reply: UnaryReply,
    private readonly request: AckRequest,
    private readonly call: CallContext,
  ) {
    this.giveUpMs = context.giveUpMs(call, startMs);
    this.forgives = repeatsForEver(call);
    this.waiting = request.entries.length;
    this.outcomes = new Array<Outcome>(request.entries.length).fill(ok);
  }

  /** The request as a whole is wrong, so each entry is. */
  refuse(error: MqError): void {
    const outcome = outcomeOf(error);
    this.outcomes.fill(outcome);
    this.send(outcome);
  }

  start(): void {
    const { group, topic, entries } = this.request;
    for (let i = 0; i < entries.length; i += 1) {
      try {
        const receipt = readReceipt(this.context, (entries[i] as AckEntry).receiptHandle, group, topic);
        new OneAck(this.context, this.giveUpMs, this, i, receipt).start();
      } catch (caught) {
        this.finish(i, failureOf(this.context, this.meter.method, caught));
      }
    }
  }

  finish(index: number, error: MqError | undefined): void {
    if (error) this.outcomes[index] = outcomeOf(error);
    this.waiting -= 1;
    if (this.waiting > 0) return;
    this.context.leave();
    this.send(this.outcomes.length === 1 ? (this.outcomes[0] ?? ok) : commonOutcome(this.outcomes));
  }

  private send(outcome: Outcome): void {
    this.reply.send(this.encode(outcome));
    this.meter.done(this.startMs, outcome.code, this.call);
  }

  /** AckMessageResponse: status = 1, entries = 2 { message_id = 1, receipt_handle = 2, status = 3 }. */
  private encode(outcome: Outcome): Buffer {
    const { entries } = this.request;
    let size = statusFieldBytes(outcome);
    for (let i = 0; i < entries.length; i += 1) size += fieldBytes(this.entryBytes(i));
    const out = Buffer.allocUnsafe(size);
    let at = putStatusField(out, 0, outcome);
    for (let i = 0; i < entries.length; i += 1) {
      const { messageId, receiptHandle } = entries[i] as AckEntry;
      at = putLength(out, at, 0x12, this.entryBytes(i));
      at = putLength(out, at, 0x0a, Buffer.byteLength(messageId));
      at += out.write(messageId, at);
      at = putLength(out, at, 0x12, Buffer.byteLength(receiptHandle));
      at += out.write(receiptHandle, at);
      at = putStatusField(out, at, this.outcomes[i] as Outcome, 0x1a);
    }
    return out;
  }

  private entryBytes(index: number): number {
    const { messageId, receiptHandle } = this.request.entries[index] as AckEntry;
    return (
      fieldBytes(Buffer.byteLength(messageId)) +
      fieldBytes(Buffer.byteLength(receiptHandle)) +
      statusFieldBytes(this.outcomes[index] as Outcome)
    );
  }
}

class OneAck extends LeaderCall<void> {
  constructor(
    context: ProxyContext,
    giveUpMs: number,
    private readonly request: AckRequestCall,
    private readonly index: number,
    private readonly receipt: Receipt,
  ) {
    super(context, giveUpMs);
  }

  protected get broker(): string {
    return this.receipt.broker;
  }

  protected ask(link: BrokerLink, done: Done<void>): void {
    link.ack({ receipt: this.receipt }, done);
  }

  protected answered(error: MqError | undefined): void {
    this.request.finish(this.index, leaderSaid(error, this.request.forgives));
  }
}
