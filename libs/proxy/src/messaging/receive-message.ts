/**
 * ReceiveMessage: hands messages out under a lease, and waits for some if there are none.
 *
 * The named queue is a hint where to look first; every other queue of the topic on every broker set is looked at too,
 * because some clients only ever name one. While leaders change a poll waits and then finds nothing: an error would
 * make Go and Rust poll without pause and cost C# its queue for 100 seconds. What was handed out to a stream that has
 * gone, or did not reach its client, is given back, and the attempt is not counted (answers-under-way.ts).
 *
 * The stream: one status, the messages, the server's time.
 */
import type { Delivered, ReceiveCall, ReceiveResult } from '@cometmq/client';
import { type ConsumerGroup, deliveredMessage, putTime, timeBytesMax, type Topic } from '@cometmq/model';
import type { CallContext, MessageSink, ServerStreamHandler } from '@cometmq/rpc';
import { asBuffer, MqError, WireReader } from '@cometmq/shared';

import type { AnswerUnderWay } from '../answers-under-way.js';
import type { Caller } from '../caller.js';
import { staysOn } from '../good-bye.js';
import { type ProxyContext, RpcMeter, passes } from '../proxy-context.js';
import { rules } from '../rules.js';
import { traitOf } from '../sessions.js';
import { type Outcome, ok, outcomeOf, putStatusField, statusFieldBytes, wireCode } from '../status.js';
import type { WaitingPoll } from '../client-polls.js';
import { failureOf } from './cold-call.js';
import { pollingMs } from './polling-time.js';
import { checkInvisibleTime } from './receipts.js';
import { type ReceiveRequest, readReceiveRequest } from './receive-request.js';

const clientTypePush = 2;
const clientTypeSimple = 3;

export function receiveMessage(context: ProxyContext): ServerStreamHandler {
  const meter = new RpcMeter('ReceiveMessage', context);
  const reader = new WireReader(Buffer.alloc(0), 0, 0);
  return (request, call, out) => {
    const stream = new ReceiveStream(context, meter, call, out);
    let wanted: ReceiveRequest | undefined;
    try {
      const caller = context.callerOf(meter, call, request, stream.startMs);
      const bytes = asBuffer(request);
      reader.reset(bytes, 0, bytes.length, context.limits.fieldsMax);
      wanted = readReceiveRequest(reader);
      rules.consume(caller, wanted.group, wanted.topic);
      context.admit(caller, wanted.topic, wanted.group, 1, request.length);
      begin(context, stream, caller, wanted);
    } catch (caught) {
      stream.fail(caught, wanted?.pollMs);
    }
  };
}

function begin(context: ProxyContext, stream: ReceiveStream, caller: Caller, wanted: ReceiveRequest): void {
  const endMs = stream.startMs + stream.budgetMs(wanted.pollMs);
  checkRoom(context, wanted);
  checkRequest(context, wanted);
  const group = context.parts.directory.group(wanted.group);
  const topic = context.routes.find(wanted.topic)?.topic;
  if (group && topic) {
    poll(context, stream, caller, wanted, group, topic, endMs);
    return;
  }
  Promise.all([context.names.topic(wanted.topic, caller.peer), context.names.group(wanted.group, caller.peer)])
    .then(([foundTopic, foundGroup]) => poll(context, stream, caller, wanted, foundGroup, foundTopic, endMs))
    .catch((caught: unknown) => stream.fail(caught, wanted.pollMs));
}

function checkRoom(context: ProxyContext, wanted: ReceiveRequest): void {
  const { polls, limits } = context;
  if (polls.size < limits.pollsMax && polls.countOf(pollKey(wanted)) < limits.pollsPerGroupMax) return;
  context.counters.throttled.polls += 1;
  throw new MqError('TOO_MANY_REQUESTS', `too many receives wait on this node (${polls.size}); try again later`);
}

function pollKey(wanted: ReceiveRequest): string {
  return `${wanted.group} ${wanted.topic}`;
}

/** @throws MqError ILLEGAL_INVISIBLE_TIME, ILLEGAL_FILTER_EXPRESSION, UNSUPPORTED, BAD_REQUEST */
function checkRequest(context: ProxyContext, wanted: ReceiveRequest): void {
  const { invisibleMsMin, invisibleMsMax, nameLengthMax } = context.limits;
  if (wanted.attemptId !== undefined && wanted.attemptId.length > nameLengthMax) {
    throw new MqError('BAD_REQUEST', `the attempt id has more than ${nameLengthMax} characters`); // Leaders keep it.
  }
  if (!wanted.autoRenew) {
    checkInvisibleTime(wanted.invisibleMs ?? 0, invisibleMsMin, invisibleMsMax);
  }
  context.checkFilter(wanted.filter);
}

function poll(
  context: ProxyContext,
  stream: ReceiveStream,
  caller: Caller,
  wanted: ReceiveRequest,
  group: ConsumerGroup,
  topic: Topic,
  endMs: number,
): void {
  checkReadable(topic);
  remember(context, caller, wanted);
  context.answers.asked(caller.clientId, caller.call.connection, group.fifo ? undefined : wanted.attemptId); // Leaders know those in order.
  new Poll(context, stream, caller, wanted, group, topic, endMs).start();
}

/** @throws MqError FORBIDDEN */
function checkReadable(topic: Topic): void {
  if (topic.readQueues < 1 || topic.permission === 'write' || topic.permission === 'none') {
    throw new MqError('FORBIDDEN', `topic "${topic.name}" has no readable queue`);
  }
}

/** A client that lost its session (this node started again) gets one from what it asks for. */
function remember(context: ProxyContext, { clientId, principal, call }: Caller, wanted: ReceiveRequest): void {
  const isNew = context.sessions.get(clientId) === undefined;
  const session = context.sessions.open(clientId, principal.name);
  if (isNew) {
    session.language = traitOf(call, 'x-mq-language') ?? '';
    session.version = traitOf(call, 'x-mq-client-version') ?? '';
  }
  staysOn(session, call.connection);
  if (session.clientType === 0) session.clientType = wanted.autoRenew ? clientTypePush : clientTypeSimple;
  context.sessions.subscribe(session, wanted.group, wanted.topic, wanted.filter);
}

/** The answer's stream. Says each thing once, whoever wants it said. */
class ReceiveStream {
  readonly startMs: number;
  private ended = false;

  constructor(
    readonly context: ProxyContext,
    private readonly meter: RpcMeter,
    readonly call: CallContext,
    private readonly out: MessageSink,
  ) {
    this.startMs = context.clock.monotonicMs();
  }

  budgetMs(wantedMs: number | undefined): number {
    const { deadlineMs } = this.call;
    const remainingMs = deadlineMs === undefined ? undefined : deadlineMs - this.startMs;
    return this.context.draining ? 0 : pollingMs(wantedMs, remainingMs, this.context.limits.pollMsMax);
  }

  get open(): boolean {
    return !this.ended && !this.call.cancelled && this.out.open;
  }

  /** Nobody listens any more. */
  abandon(): void {
    if (this.ended) return;
    this.ended = true;
    this.meter.done(this.startMs, wireCode.CANCELLED, this.call);
  }

  /** An error that can't be avoided is answered slowly where the client has time: some repeat at once. */
  fail(caught: unknown, wantedMs: number | undefined): void {
    const { context } = this;
    const error = failureOf(context, this.meter.method, caught);
    const outcome = outcomeOf(error);
    const delayMs = Math.min(context.limits.receiveErrorDelayMs, this.budgetMs(wantedMs));
    if (delayMs <= 0 || context.delayedErrors >= context.limits.pollsMax) {
      this.say(outcome);
      return;
    }
    context.delayedErrors += 1;
    const timer = context.clock.after(delayMs, () => {
      context.delayedErrors -= 1;
      this.say(outcome);
    });
    this.call.onCancel(() => {
      if (this.ended) return;
      timer.cancel();
      context.delayedErrors -= 1;
      this.abandon();
    });
  }

  nothing(): void {
    this.say(noNewMessage);
  }

  /** A status without messages. */
  private say(outcome: Outcome): void {
    if (this.ended) return;
    this.ended = true;
    this.out.write(statusItem(outcome));
    this.out.write(timeItem(this.context.clock.wallMs()));
    this.out.end();
    this.meter.done(this.startMs, outcome.code, this.call);
  }

  /** Writes as fast as the client reads, and hears whether all of it arrives. */
  deliver(items: readonly Uint8Array[][], answer: AnswerUnderWay): void {
    this.out.onArrival(answer.settle);
    let next = 0;
    let flowing = this.out.write(okItem);
    const goOn = (): void => {
      if (this.ended) return;
      answer.movedMs = this.context.clock.monotonicMs();
      while (flowing && next < items.length) {
        flowing = this.out.write(items[next] as Uint8Array[]);
        next += 1;
      }
      if (next < items.length) {
        flowing = true; // For the next time, when there is room again.
        return;
      }
      this.ended = true;
      this.out.write(timeItem(this.context.clock.wallMs()));
      this.out.end();
      this.meter.done(this.startMs, ok.code, this.call);
    };
    goOn();
    if (this.ended) return;
    this.call.onCancel(() => this.abandon());
    this.out.onDrain(goOn);
  }
}

const noNewMessage: Outcome = { code: wireCode.MESSAGE_NOT_FOUND, message: 'no new message' };

/** ReceiveMessageResponse: status = 1, message = 2, delivery_timestamp = 3. */
export const messageTag = 0x12;

function statusItem(outcome: Outcome): Buffer {
  const out = Buffer.allocUnsafe(statusFieldBytes(outcome));
  putStatusField(out, 0, outcome);
  return out;
}

const okItem = statusItem(ok);

function timeItem(wallMs: number): Buffer {
  const out = Buffer.allocUnsafe(timeBytesMax);
  return out.subarray(0, putTime(out, 0, 0x1a, wallMs));
}

/** A broker set has messages, and waits until its client has room for them. */
interface RoomAsk {
  readonly asked: Asked;
  readonly bytes: number;
  readonly granted: () => void;
}

/** What one broker set was asked. */
interface Asked {
  readonly set: string;
  done: boolean;
  cancel: (() => void) | undefined;
}

/** One receive that waits. First every broker set is asked what it has, then all are waited for at once. */
class Poll implements WaitingPoll {
  readonly key: string;
  private over = false;
  private asked: Asked[] = [];
  /** Only one set's messages can be the answer, so room is asked for one of them, the first. */
  private roomAsks: RoomAsk[] = [];
  /**
   * `asking`: one set after the other says at once what it has. `waiting`: for all of them. `idle`: nobody could be asked, or
   * all came back early; asked again at the next tick.
   */
  private state: 'asking' | 'waiting' | 'idle' = 'idle';
  private askedMs = 0;
  /** How many sets are waited for. */
  private open = 0;
  /** Some set is not waited for that has, or may get, a leader. */
  private lacks = false;

  constructor(
    private readonly context: ProxyContext,
    private readonly stream: ReceiveStream,
    private caller: Caller,
    private readonly wanted: ReceiveRequest,
    private group: ConsumerGroup,
    private topic: Topic,
    private readonly endMs: number,
  ) {
    this.key = pollKey(wanted);
  }

  get connection(): number {
    return this.stream.call.connection;
  }

  get clientId(): string {
    return this.caller.clientId;
  }

  start(): void {
    if (!this.stream.open) {
      this.stream.abandon();
      return;
    }
    this.context.polls.add(this);
    this.stream.call.onCancel(() => {
      if (this.over) return;
      this.finish();
      this.stream.abandon();
    });
    this.ask();
  }

  tick(nowMs: number, changed: boolean): void {
    if (this.over || (changed && this.revised())) return;
    if (this.state === 'idle') {
      if (nowMs >= this.endMs) this.endNow();
      else this.ask();
    } else if (nowMs >= this.endMs + overdueMs) this.endNow();
    else if (this.state === 'waiting' ? changed || this.lacks : nowMs >= this.askedMs + askMsMax) this.moveAlong(nowMs);
  }

  endNow(): void {
    if (this.over) return;
    this.finish();
    this.stream.nothing();
  }

  private finish(): void {
    this.over = true;
    this.context.polls.delete(this);
    this.cancelAsked();
  }

  private cancelAsked(): void {
    for (const asked of this.asked) {
      if (asked.done) continue;
      asked.done = true;
      asked.cancel?.();
    }
    this.asked = [];
  }

  private ask(): void {
    this.state = 'asking';
    this.askedMs = this.context.clock.monotonicMs();
    this.asked = [];
    this.roomAsks = [];
    this.open = 0;
    const sets = this.sets();
    if (sets.length > 1) this.probe(sets, 0);
    else this.waitFor(sets);
  }

  /**
   * Broker sets that have a leader, the named one first. In an orderly group an attempt goes to the named one only: if it
   * comes again, that set has to know it.
   */
  private sets(): string[] {
    const { directory, links } = this.context.parts;
    const { attemptId = '', broker } = this.wanted;
    if (this.group.fifo && attemptId !== '' && directory.brokerSet(broker)) return links.link(broker) ? [broker] : [];
    const sets: string[] = [];
    for (const { name } of directory.brokerSets()) if (links.link(name)) sets.push(name);
    if (sets.length > 1) {
      const { chance } = this.context.parts;
      const named = sets.indexOf(this.wanted.broker);
      // Some clients only ever name one: under a lasting backlog the others would never have their turn.
      const first = named >= 0 && chance.next() >= 0.5 ? named : Math.floor(chance.next() * sets.length);
      sets.push(...sets.splice(0, first));
    }
    return sets;
  }

  /** One set after the other, without waiting. */
  private probe(sets: readonly string[], index: number): void {
    if (index === sets.length) {
      this.waitFor(sets);
      return;
    }
    this.askOne(sets[index] as string, 0, () => {
      if (this.state === 'asking') this.probe(sets, index + 1);
      else this.cameBack();
    });
  }

  /** A set has got a leader, or the one that is asked is silent: the others are waited for all the same. */
  private moveAlong(nowMs: number): void {
    const leftMs = Math.floor(this.endMs - nowMs);
    if (leftMs <= earlyMs) return;
    this.state = 'waiting';
    this.lacks = false;
    this.asked = this.asked.filter(({ done }) => !done);
    const others = this.sets().filter((set) => !this.asked.some((asked) => asked.set === set));
    this.open = this.asked.length + others.length;
    for (const set of others) {
      this.askOne(set, leftMs, () => this.cameBack());
      if (this.over) return;
    }
  }

  private waitFor(sets: readonly string[]): void {
    const leftMs = this.endMs - this.context.clock.monotonicMs();
    if (leftMs <= 0 && sets.length !== 1) {
      this.endNow(); // More than one have been asked just now.
      return;
    }
    this.open = sets.length;
    this.state = this.open === 0 ? 'idle' : 'waiting';
    this.lacks = false;
    for (const set of sets) {
      this.askOne(set, Math.max(0, Math.floor(leftMs)), () => this.cameBack());
      if (this.over) return;
    }
  }

  /** One set came back with nothing; before its time if leaders are changing. */
  private cameBack(): void {
    this.open -= 1;
    this.lacks = true;
    if (this.open > 0) return;
    if (this.context.clock.monotonicMs() >= this.endMs - earlyMs) this.endNow();
    else this.state = 'idle';
  }

  private askOne(set: string, waitMs: number, nothing: () => void): void {
    const link = this.context.parts.links.link(set);
    if (!link) {
      nothing();
      return;
    }
    const asked: Asked = { set, done: false, cancel: undefined };
    this.asked.push(asked);
    asked.cancel = link.receive(this.call(set, waitMs, asked), (error, result) => {
      if (asked.done) {
        this.giveBack(result);
        return;
      }
      asked.done = true;
      if (error) {
        if (passes(error) && this.context.parts.links.link(set) !== link) this.context.polls.wake();
        this.failed(error, nothing);
      } else if (!result || result.messages.length === 0) nothing();
      else this.deliver(result.messages);
      if (!this.over && this.roomAsks.length > 0) this.nextRoom(asked);
    });
  }

  private askRoom(ask: RoomAsk): boolean {
    this.roomAsks.push(ask);
    return this.roomAsks.length === 1 && this.stream.call.reserve(ask.bytes, ask.granted);
  }

  /** The set has no messages after all: the next one's turn. */
  private nextRoom(asked: Asked): void {
    const [first] = this.roomAsks;
    this.roomAsks = this.roomAsks.filter((ask) => ask.asked !== asked);
    const [next] = this.roomAsks;
    if (next && first?.asked === asked && this.stream.call.reserve(next.bytes, next.granted)) next.granted();
  }

  private call(set: string, waitMs: number, asked: Asked): ReceiveCall {
    const { wanted, context } = this;
    return {
      groupId: this.group.id,
      topicId: this.topic.id,
      queueId: set === wanted.broker ? wanted.queueId : -1,
      messagesMax: Math.min(Math.max(wanted.batchSize, 1), context.limits.receiveBatchMax),
      bytesMax: context.limits.receiveBytesMax,
      filter: wanted.filter,
      invisibleMs: wanted.autoRenew ? context.limits.autoRenewLeaseMs : (wanted.invisibleMs ?? 0),
      autoRenew: wanted.autoRenew,
      clientId: this.clientId,
      waitMs,
      attemptId: wanted.attemptId === '' ? undefined : wanted.attemptId,
      connection: `${context.proxyId}/${this.connection}`,
      askRoom: (bytes, granted) => this.askRoom({ asked, bytes, granted }),
    };
  }

  private failed(error: MqError, nothing: () => void): void {
    if (passes(error) || error.code === 'TIMEOUT' || error.code === 'CANCELLED') {
      nothing();
      return;
    }
    if (gone.has(error.code) && this.revised()) return;
    this.finish();
    this.stream.fail(error, this.wanted.pollMs);
  }

  /**
   * What it waits for may have been deleted, made again under the same name, or closed to readers, or to this caller. True: it is
   * answered so, or asks anew for what has the name now.
   */
  private revised(): boolean {
    const { context, wanted } = this;
    const group = context.parts.directory.group(wanted.group);
    const topic = context.routes.find(wanted.topic)?.topic;
    try {
      if (!topic) throw new MqError('TOPIC_NOT_FOUND', `topic "${wanted.topic}" does not exist any more`);
      if (!group) {
        throw new MqError('CONSUMER_GROUP_NOT_FOUND', `consumer group "${wanted.group}" does not exist any more`);
      }
      checkReadable(topic);
      if (!this.caller.principal.current) {
        this.caller = context.renewed(this.caller);
        rules.consume(this.caller, wanted.group, wanted.topic);
      }
    } catch (caught) {
      this.finish();
      // Who may not any more hears it at once; who asks again then waits a moment for the same answer.
      this.stream.fail(caught, MqError.from(caught).code === 'UNAUTHORIZED' ? 0 : wanted.pollMs);
      return true;
    }
    const isAnother = group.id !== this.group.id || topic.id !== this.topic.id;
    this.group = group;
    this.topic = topic;
    if (!isAnother) return false;
    this.cancelAsked();
    this.ask();
    return true;
  }

  private deliver(messages: readonly Delivered[]): void {
    this.finish();
    if (!this.stream.open) {
      this.stream.abandon();
      this.giveBack({ messages });
      return;
    }
    const { context } = this;
    const items: Uint8Array[][] = [];
    for (const delivered of messages) {
      try {
        items.push(
          deliveredMessage(
            messageTag,
            delivered,
            context.handles.write(delivered.receipt),
            this.deadLetterTopic(delivered),
          ),
        );
      } catch (caught) {
        // It stays leased and comes again; the others must not suffer for it.
        context.parts.log(`message at offset ${delivered.receipt.offset} can't be delivered`, caught);
      }
    }
    if (items.length === 0) this.stream.nothing();
    else {
      const receipts = messages.map(({ receipt }) => receipt);
      const { clientId, wanted, stream } = this;
      stream.deliver(items, context.answers.begin(clientId, stream.call.connection, wanted.attemptId, receipts));
    }
  }

  /** A dead letter still names the topic it was sent to; its reader must acknowledge it where it found it. */
  private deadLetterTopic({ receipt, originTopicId }: Delivered): string | undefined {
    return originTopicId === receipt.topicId ? undefined : this.topic.name;
  }

  private giveBack(result: ReceiveResult | undefined): void {
    this.context.answers.giveBack(result?.messages.map(({ receipt }) => receipt) ?? []);
  }
}

/** The leader does not know what is asked for any more. */
const gone: ReadonlySet<string> = new Set(['TOPIC_NOT_FOUND', 'CONSUMER_GROUP_NOT_FOUND']);
/** How long after its time a link's answer is still waited for. */
const overdueMs = 50;
/** A set that does not say in this time what it has is waited for beside the others. */
const askMsMax = 250;
/** So much before its end a poll that came back empty is not sent again. */
const earlyMs = 20;
