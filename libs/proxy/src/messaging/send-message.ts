/**
 * SendMessage: new messages go to the log, and are acknowledged when they are safe there.
 *
 * Each message of a request is checked, stored and answered on its own. The queue is chosen here: what the client
 * chose was only a hint which node to ask. A send that nobody can take for the moment waits in this proxy.
 */
import type { BrokerLink, SendCall, SendResult } from '@cometmq/client';
import {
  MessageType,
  type PendingPlace,
  type QueueId,
  type Topic,
  type TopicId,
  accepts,
  auditTopic,
  encodeEnvelope,
  hashBytes,
  isInnerTopic,
  messageToStore,
  messageTypeName,
  queueId,
} from '@cometmq/model';
import type { UnaryHandler, UnaryReply } from '@cometmq/rpc';
import { asBuffer, fieldBytes, MqError, putLength, putVarint, varintBytes, WireReader } from '@cometmq/shared';

import type { Caller } from '../caller.js';
import { type ProxyContext, RpcMeter, passes } from '../proxy-context.js';
import type { Parked } from '../parking.js';
import { rules } from '../rules.js';
import { type Outcome, commonOutcome, ok, outcomeOf, putStatusField, statusFieldBytes } from '../status.js';
import type { TopicRoute } from '../topic-routes.js';
import { answerFailure, failureOf } from './cold-call.js';
import { checkAfterMsOf, checkMessage, derivedType, dueMsOf } from './send-checks.js';
import { type WalkedMessage, walkSendRequest } from './send-walker.js';

export function sendMessage(context: ProxyContext): UnaryHandler {
  const meter = new RpcMeter('SendMessage', context);
  const reader = new WireReader(Buffer.alloc(0), 0, 0);
  return (request, call, reply) => {
    const startMs = context.clock.monotonicMs();
    try {
      const caller = context.callerOf(meter, call, request, startMs);
      const bytes = asBuffer(request);
      reader.reset(bytes, 0, bytes.length, context.limits.listFieldsMax);
      const messages = walkSendRequest(reader, context.limits.entriesMax);
      const topic = commonTopic(messages, bytes);
      rules.publish(caller, topic);
      context.admit(caller, topic, undefined, messages.length, bytes.length);
      checkRoom(context, messages.length, bytes.length);
      new SendRequest(context, meter, startMs, bytes, caller, reply, messages).start(topic);
    } catch (caught) {
      answerFailure(context, meter, startMs, reply, caught, call);
    }
  };
}

/** @throws MqError TOO_MANY_REQUESTS */
function checkRoom(context: ProxyContext, messages: number, requestBytes: number): void {
  const { sends, limits } = context;
  if (sends.inFlight + messages <= limits.sendsMax && sends.bytes + requestBytes <= limits.sendBytesMax) return;
  context.counters.throttled.sends += 1;
  throw new MqError('TOO_MANY_REQUESTS', `${sends.inFlight} sends are under way on this node; try again later`);
}

/** @throws MqError MESSAGE_CORRUPTED unless there are messages and all name one topic */
function commonTopic(messages: readonly WalkedMessage[], bytes: Buffer): string {
  const [first] = messages;
  if (!first) throw new MqError('MESSAGE_CORRUPTED', 'the request holds no message; at least one is needed');
  for (let i = 1; i < messages.length; i += 1) {
    const other = messages[i] as WalkedMessage;
    if (bytes.compare(bytes, first.topicFrom, first.topicTo, other.topicFrom, other.topicTo) !== 0) {
      throw new MqError('MESSAGE_CORRUPTED', 'all messages of a request must name the same topic');
    }
  }
  return bytes.toString('latin1', first.topicFrom, first.topicTo);
}

/** Of what has waited: its user may have been taken the right to send meanwhile. */
function refusalOf(context: ProxyContext, caller: Caller, topic: string): MqError | undefined {
  if (caller.principal.current) return undefined;
  try {
    rules.publish(context.renewed(caller), topic);
    return undefined;
  } catch (caught) {
    return MqError.from(caught);
  }
}

interface FirstUse {
  readonly route?: TopicRoute;
  readonly caught?: unknown;
}
const known = (route: TopicRoute): FirstUse => ({ route });
const failed = (caught: unknown): FirstUse => ({ caught });

/** One request under way. */
class SendRequest {
  private readonly outcomes: Outcome[];
  private readonly offsets: number[];
  /** Transaction ids and recall handles, by message. */
  private handles: (PendingHandleText | undefined)[] | undefined;
  private waiting: number;
  readonly giveUpMs: number;

  constructor(
    readonly context: ProxyContext,
    private readonly meter: RpcMeter,
    private readonly startMs: number,
    private readonly bytes: Buffer,
    readonly caller: Caller,
    private readonly reply: UnaryReply,
    private readonly messages: readonly WalkedMessage[],
  ) {
    this.waiting = messages.length;
    this.outcomes = new Array<Outcome>(messages.length).fill(ok);
    this.offsets = new Array<number>(messages.length).fill(0);
    this.giveUpMs = context.giveUpMs(caller.call, startMs);
    context.sends.inFlight += messages.length;
    context.sends.bytes += bytes.length;
  }

  /** `topic` is what stands in the request, byte for byte: names that are no ASCII can't be in the directory. */
  start(topic: string): void {
    if (topic === auditTopic)
      return this.failAll(new MqError('ILLEGAL_TOPIC', `topic "${topic}" is reserved for the system`));
    const { routes, firstUses } = this.context;
    const before = firstUses.size === 0 ? undefined : firstUses.get(topic);
    const route = before ? undefined : routes.find(topic);
    if (route?.topic.typeFixed) {
      this.sendAll(route);
      return;
    }
    const [first] = this.messages;
    const text = first ? this.bytes.toString('utf8', first.topicFrom, first.topicTo) : '';
    const sent = Promise.all([this.firstUse(text).then(known, failed), before])
      .then(([found]) => {
        if (found.route) this.sendAll(found.route);
        else this.failAll(failureOf(this.context, this.meter.method, found.caught));
      })
      .finally(() => {
        if (firstUses.get(topic) === sent) firstUses.delete(topic);
      });
    firstUses.set(topic, sent);
  }

  /** The topic is unknown, or nobody knows yet what it is for: the first good message says it. */
  private async firstUse(text: string): Promise<TopicRoute> {
    const { names, routes, limits, clock } = this.context;
    const topic = await names.topic(text, this.caller.peer);
    if (!topic.typeFixed && !isInnerTopic(topic.name)) {
      const nowMs = clock.wallMs();
      const good = this.messages.find((found) => checkMessage(found, this.bytes, limits, nowMs) === undefined);
      const type = good && derivedType(good);
      if (type !== undefined) return names.fixType(topic, type);
    }
    return routes.learn(topic);
  }

  private sendAll(route: TopicRoute): void {
    const nowMs = this.context.clock.wallMs();
    for (let i = 0; i < this.messages.length; i += 1) {
      try {
        this.sendOne(i, this.messages[i] as WalkedMessage, route, nowMs);
      } catch (caught) {
        this.finish(i, failureOf(this.context, this.meter.method, caught), undefined);
      }
    }
  }

  private sendOne(index: number, found: WalkedMessage, route: TopicRoute, nowMs: number): void {
    const { bytes, context } = this;
    const { topic } = route;
    const wrong = checkMessage(found, bytes, context.limits, nowMs);
    if (wrong) throw wrong;
    const type = derivedType(found);
    checkType(type, topic);
    const tag = bytes.subarray(found.tagFrom, found.tagTo);
    const group = found.groupTo > found.groupFrom ? bytes.subarray(found.groupFrom, found.groupTo) : nothing;
    const envelope = encodeEnvelope({
      type,
      tag,
      id: bytes.subarray(found.idFrom, found.idTo),
      group,
      keys: found.keys.length === 0 ? noKeys : keysOf(found, bytes),
      priority: type === MessageType.priority ? found.priority : undefined,
      dueMs: type === MessageType.delay ? dueMsOf(found) : undefined,
      checkAfterMs: type === MessageType.transaction ? checkAfterMsOf(found) : undefined,
      liteTopic: type === MessageType.lite ? bytes.subarray(found.liteFrom, found.liteTo) : undefined,
    });
    if (type === MessageType.transaction) context.sessions.transacted(this.caller.clientId, topic.name);
    const message = messageToStore(found, bytes, this.caller.peer, nowMs);
    // Messages of a lite topic keep their order as those of a message group do.
    const groupHash = hashBytes(type === MessageType.lite ? bytes.subarray(found.liteFrom, found.liteTo) : group);
    new OneSend(this, index, route, type, found, hashBytes(tag), groupHash, envelope, message).start();
  }

  private failAll(error: MqError): void {
    for (let i = 0; i < this.messages.length; i += 1) this.finish(i, error, undefined);
  }

  /** The message waits, to be named again by its sender. */
  pending(index: number, broker: string, place: PendingPlace): void {
    this.handles ??= [];
    const kind = place.dueMs > 0 ? 'recall' : 'transaction';
    const text = this.context.pendingHandles.write(kind, { broker, place });
    this.handles[index] = { tag: kind === 'recall' ? 0x2a : 0x1a, text };
  }

  finish(index: number, error: MqError | undefined, offset: number | undefined): void {
    if (error) this.outcomes[index] = outcomeOf(error);
    else this.offsets[index] = offset ?? 0;
    this.waiting -= 1;
    if (this.waiting === 0) this.answer();
  }

  private answer(): void {
    const { context, messages } = this;
    context.sends.inFlight -= messages.length;
    context.sends.bytes -= this.bytes.length;
    const outcome = messages.length === 1 ? (this.outcomes[0] ?? ok) : commonOutcome(this.outcomes);
    this.reply.send(this.encode(outcome));
    this.meter.done(this.startMs, outcome.code, this.caller.call);
  }

  /**
   * SendMessageResponse: status = 1, entries = 2 { status = 1, message_id = 2, transaction_id = 3, offset = 4,
   * recall_handle = 5 }.
   */
  private encode(outcome: Outcome): Buffer {
    const { messages, outcomes, offsets } = this;
    let size = statusFieldBytes(outcome);
    for (let i = 0; i < messages.length; i += 1) size += fieldBytes(this.entryBytes(i));
    const out = Buffer.allocUnsafe(size);
    let at = putStatusField(out, 0, outcome);
    for (let i = 0; i < messages.length; i += 1) {
      const { idFrom, idTo } = messages[i] as WalkedMessage;
      at = putLength(out, at, 0x12, this.entryBytes(i));
      at = putStatusField(out, at, outcomes[i] as Outcome);
      at = putLength(out, at, 0x12, idTo - idFrom);
      this.bytes.copy(out, at, idFrom, idTo);
      at += idTo - idFrom;
      out[at] = 0x20;
      at = putVarint(out, at + 1, offsets[i] as number);
      const handle = this.handles?.[i];
      if (!handle) continue;
      at = putLength(out, at, handle.tag, handle.text.length);
      at += out.write(handle.text, at, 'latin1');
    }
    return out;
  }

  private entryBytes(index: number): number {
    const { idFrom, idTo } = this.messages[index] as WalkedMessage;
    const offset = this.offsets[index] as number;
    const handle = this.handles?.[index];
    const handleBytes = handle ? fieldBytes(handle.text.length) : 0;
    const outcome = this.outcomes[index] as Outcome;
    return statusFieldBytes(outcome) + fieldBytes(idTo - idFrom) + 1 + varintBytes(offset) + handleBytes;
  }
}

/** A transaction id or a recall handle, and its field's tag in the answer. */
interface PendingHandleText {
  readonly tag: number;
  readonly text: string;
}

const nothing = new Uint8Array(0);
const noKeys: readonly Uint8Array[] = [];

function keysOf(found: WalkedMessage, bytes: Buffer): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (let i = 0; i < found.keys.length; i += 3) keys.push(bytes.subarray(found.keys[i], found.keys[i + 1]));
  return keys;
}

/** @throws MqError MESSAGE_TYPE_CONFLICT */
function checkType(type: MessageType, topic: Topic): void {
  if (topic.typeFixed && !accepts(topic.type, type) && !isInnerTopic(topic.name)) {
    throw new MqError(
      'MESSAGE_TYPE_CONFLICT',
      `a ${wireTypeName(type)} message can't go to topic "${topic.name}", which takes ${wireTypeName(topic.type)} messages`,
    );
  }
}

function wireTypeName(type: MessageType): string {
  return messageTypeName(type).toUpperCase();
}

/** The set can't take it now. STALE_LAYOUT is cured by another route, not by another set. */
function goesElsewhere({ code }: MqError): boolean {
  return code === 'STORAGE_FULL' || code === 'NOT_LEADER' || code === 'UNAVAILABLE';
}

function behind(): MqError {
  return new MqError('UNAVAILABLE', 'earlier messages of the message group wait for a broker');
}

/** One message on its way to a leader; also the call itself. */
class OneSend implements SendCall, Parked {
  readonly topicId: TopicId;
  queueId: QueueId = queueId(0);
  private broker = '';
  layout = 0;
  readonly deadlineMs: number | undefined;
  readonly giveUpMs: number;
  /** Messages of a group are sent in the order of their arrival. */
  get lane(): string | undefined {
    return this.groupHash === 0 ? undefined : `${this.topicId}/${this.groupHash}`;
  }
  readonly arrival: number;
  /** Broker sets that have just said that they can't take it. */
  private triedSets = 0;
  private asked: BrokerLink | undefined;
  private lastError: MqError | undefined;

  constructor(
    private readonly request: SendRequest,
    private readonly index: number,
    private route: TopicRoute,
    private readonly type: MessageType,
    private readonly found: WalkedMessage,
    readonly tagHash: number,
    readonly groupHash: number,
    readonly envelope: Uint8Array,
    readonly message: readonly Uint8Array[],
  ) {
    this.topicId = route.topic.id;
    this.deadlineMs = request.caller.call.deadlineMs;
    this.giveUpMs = request.giveUpMs;
    this.arrival = groupHash === 0 ? 0 : (request.context.sends.arrivals += 1);
  }

  start(): void {
    const { context } = this.request;
    try {
      if (this.groupHash !== 0 && context.parking.holdsAny && context.parking.holds(this.lane)) throw behind();
      this.asked = undefined;
      const link = this.link();
      this.asked = link;
      this.layout = this.route.topic.layout;
      link.send(this, this.done);
    } catch (caught) {
      this.failed(failureOf(context, 'SendMessage', caught));
    }
  }

  /** The leader to send to; the queue is in `queueId`. */
  private link(): BrokerLink {
    const { route, type, groupHash } = this;
    const { links } = this.request.context.parts;
    const link = groupHash !== 0 && type !== MessageType.priority ? route.ofGroup(groupHash, links) : route.next(links);
    this.queueId = type === MessageType.priority ? this.levelQueue() : route.queueId; // The broker finds a lite topic's.
    this.broker = route.broker;
    return link;
  }

  /** A queue a level, the highest takes all above it: consumers look at the queues from the highest down. */
  private levelQueue(): QueueId {
    return queueId(Math.min(this.found.priority, this.route.topic.writeQueues - 1));
  }

  private readonly done = (error: MqError | undefined, result: SendResult | undefined): void => {
    if (error) {
      this.failed(error);
      return;
    }
    const { request } = this;
    if (result?.pending) request.pending(this.index, this.broker, result.pending);
    request.finish(this.index, undefined, result?.offset);
  };

  private failed(error: MqError): void {
    this.lastError = error;
    const { context, caller } = this.request;
    if (this.asked && goesElsewhere(error) && this.groupHash === 0 && this.triedSets < this.route.setCount - 1) {
      this.triedSets += 1; // Another broker set may have room, and a leader.
      this.start();
    } else if (passes(error) && !caller.call.cancelled && context.clock.monotonicMs() < this.giveUpMs) {
      this.triedSets = 0;
      context.park(this, this.broker, this.asked);
    } else this.request.finish(this.index, error, undefined);
  }

  retry(): void {
    const { context, caller } = this.request;
    const route = context.routes.find(this.route.topic.name);
    const refusal = refusalOf(context, caller, this.route.topic.name);
    if (caller.call.cancelled) this.giveUp();
    else if (refusal) this.request.finish(this.index, refusal, undefined);
    else if (route?.topic.id !== this.topicId) {
      const { name } = this.route.topic;
      this.request.finish(this.index, new MqError('TOPIC_NOT_FOUND', `topic "${name}" was deleted`), undefined);
    } else {
      this.route = route;
      this.start();
    }
  }

  giveUp(): void {
    this.request.finish(
      this.index,
      this.lastError ?? new MqError('TIMEOUT', 'no broker took the message in time'),
      undefined,
    );
  }
}
