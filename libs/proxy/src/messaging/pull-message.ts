/**
 * PullMessage: reads a queue from an offset on, and waits for messages if there are none. No lease is given, and no
 * progress is kept: the client says where it has got to (UpdateOffset).
 *
 * The stream: a status, the messages, the offset to go on from. Nothing there: MESSAGE_NOT_FOUND, and how far was looked.
 * An offset outside the queue: ILLEGAL_OFFSET, and the nearest one inside.
 */
import type { BrokerLink, Done, PulledMessage, PullResult } from '@cometmq/client';
import {
  type ConsumerGroup,
  type FilterExpression,
  type QueueOffset,
  deliveredMessage,
  epoch,
  logPosition,
  queueOffset,
} from '@cometmq/model';
import { PullMessageRequest } from '@cometmq/proto';
import type { CallContext, MessageSink, ServerStreamHandler } from '@cometmq/rpc';
import { MqError, putVarint, varintBytes } from '@cometmq/shared';

import type { Caller } from '../caller.js';
import { type ProxyContext, LeaderCall, RpcMeter } from '../proxy-context.js';
import { rules } from '../rules.js';
import { type Outcome, ok, outcomeOf, statusOnly, wireCode } from '../status.js';
import type { WaitingPoll } from '../client-polls.js';
import { decode, failureOf } from './cold-call.js';
import { pollingMs } from './polling-time.js';
import { checkReadable, type PullQueue, pullQueue } from './pull-queue.js';
import { durationMs, filterExpression } from './receive-request.js';

export function pullMessage(context: ProxyContext): ServerStreamHandler {
  const meter = new RpcMeter('PullMessage', context);
  return (bytes, call, out) => {
    const stream = new PullStream(context, meter, call, out);
    begin(context, meter, stream, bytes, call).catch((caught: unknown) => stream.fail(caught));
  };
}

async function begin(
  context: ProxyContext,
  meter: RpcMeter,
  stream: PullStream,
  bytes: Uint8Array,
  call: CallContext,
): Promise<void> {
  const caller = context.callerOf(meter, call, bytes, stream.startMs);
  const request = decode(context, PullMessageRequest, bytes);
  const [groupName, topicName] = [request.group?.name ?? '', request.messageQueue?.topic?.name ?? ''];
  rules.consume(caller, groupName, topicName);
  context.admit(caller, topicName, groupName, 1, bytes.length);
  const { filterExpression: wish, longPollingTimeout: timeout, offset, batchSize } = request;
  const filter = filterExpression(wish?.type ?? 0, wish?.expression ?? '');
  context.checkFilter(filter);
  if (context.polls.size >= context.limits.pollsMax) {
    context.counters.throttled.polls += 1;
    throw new MqError('TOO_MANY_REQUESTS', `too many polls wait on this node (${context.polls.size}); try again later`);
  }
  const [queue, group] = await Promise.all([
    pullQueue(context, request.messageQueue, call.peer),
    context.names.group(request.group?.name, call.peer),
  ]);
  const remainingMs = call.deadlineMs === undefined ? undefined : call.deadlineMs - stream.startMs;
  const wantedMs = timeout && durationMs(timeout.seconds, timeout.nanos);
  const waitMs = context.draining ? 0 : pollingMs(wantedMs, remainingMs, context.limits.pollMsMax);
  const messagesMax = Math.min(Math.max(batchSize, 1), context.limits.receiveBatchMax);
  new Pull(context, stream, caller, { queue, group, filter, offset, messagesMax, waitMs }).begin();
}

interface Wanted {
  readonly queue: PullQueue;
  readonly group: ConsumerGroup;
  readonly filter: FilterExpression;
  readonly offset: number;
  readonly messagesMax: number;
  readonly waitMs: number;
}

/** The answer's stream. Says each thing once, whoever wants it said. */
class PullStream {
  readonly startMs: number;
  private ended = false;

  constructor(
    private readonly context: ProxyContext,
    private readonly meter: RpcMeter,
    readonly call: CallContext,
    private readonly out: MessageSink,
  ) {
    this.startMs = context.clock.monotonicMs();
  }

  get open(): boolean {
    return !this.ended && !this.call.cancelled && this.out.open;
  }

  fail(caught: unknown): void {
    this.say(outcomeOf(failureOf(this.context, this.meter.method, caught)), undefined);
  }

  abandon(): void {
    if (this.ended) return;
    this.ended = true;
    this.meter.done(this.startMs, wireCode.CANCELLED, this.call);
  }

  /** A status without messages. */
  say(outcome: Outcome, nextOffset: QueueOffset | undefined): void {
    this.deliver(outcome, [], nextOffset);
  }

  /** Writes as fast as the client reads. */
  deliver(outcome: Outcome, messages: readonly Uint8Array[][], nextOffset: QueueOffset | undefined): void {
    if (this.ended) return;
    const items: (Uint8Array | Uint8Array[])[] = [statusOnly(outcome), ...messages];
    if (nextOffset !== undefined) items.push(offsetItem(nextOffset));
    let next = 0;
    const goOn = (): void => {
      let flowing = true;
      while (!this.ended && flowing && next < items.length) {
        flowing = this.out.write(items[next] as Uint8Array);
        next += 1;
      }
      if (this.ended || next < items.length) return;
      this.ended = true;
      this.out.end();
      this.meter.done(this.startMs, outcome.code, this.call);
    };
    this.call.onCancel(() => this.abandon());
    this.out.onDrain(goOn);
    goOn();
  }
}

/** PullMessageResponse: status = 1, message = 2, next_offset = 3. */
const messageTag = 0x12;

function offsetItem(offset: QueueOffset): Buffer {
  const out = Buffer.allocUnsafe(1 + varintBytes(offset));
  out[0] = 0x18;
  putVarint(out, 1, offset);
  return out;
}

/** One pull that waits, through changes of leaders. */
class Pull extends LeaderCall<PullResult> implements WaitingPoll {
  readonly key: string;
  private readonly endMs: number;
  private over = false;
  private cancel: (() => void) | undefined;

  constructor(
    context: ProxyContext,
    private readonly stream: PullStream,
    private caller: Caller,
    private readonly wanted: Wanted,
  ) {
    super(context, stream.startMs + wanted.waitMs);
    this.endMs = this.giveUpMs;
    this.key = `pull ${wanted.group.name} ${wanted.queue.topic.name}`;
  }

  get connection(): number {
    return this.stream.call.connection;
  }

  get clientId(): string {
    return this.caller.clientId;
  }

  begin(): void {
    if (!this.stream.open) {
      this.stream.abandon();
      return;
    }
    this.context.polls.add(this);
    this.stream.call.onCancel(() => {
      if (this.finish()) this.stream.abandon();
    });
    this.start();
  }

  tick(nowMs: number, changed: boolean): void {
    if (changed && this.refused()) return;
    if (nowMs < this.endMs + overdueMs || !this.finish()) return;
    // Whether there is a message is not known: "none" would be taken for the queue's end.
    this.stream.fail(new MqError('TIMEOUT', 'the broker is slow to read; try again'));
  }

  /** What it waits for is no more, or its user may not read here any more, and is told so: also while nobody leads. */
  private refused(): boolean {
    const { group, queue } = this.wanted;
    const { directory } = this.context.parts;
    try {
      const topic = directory.topicById(queue.topic.id);
      if (!topic) throw new MqError('TOPIC_NOT_FOUND', `topic "${queue.topic.name}" does not exist any more`);
      if (!directory.groupById(group.id)) {
        throw new MqError('CONSUMER_GROUP_NOT_FOUND', `consumer group "${group.name}" does not exist any more`);
      }
      checkReadable(topic);
      if (this.caller.principal.current) return false;
      this.caller = this.context.renewed(this.caller);
      rules.consume(this.caller, group.name, queue.topic.name);
      return false;
    } catch (caught) {
      if (this.finish()) this.stream.fail(caught);
      return true;
    }
  }

  endNow(): void {
    const { offset } = this.wanted;
    if (this.finish()) this.stream.say(nothingNew, offset < 0 ? queueOffset(0) : queueOffset(offset));
  }

  /** Its client may have gone while it was parked. */
  override retry(): void {
    if (!this.over) this.start();
  }

  protected get broker(): string {
    return this.wanted.queue.broker;
  }

  protected ask(link: BrokerLink, done: Done<PullResult>): void {
    const { queue, group, filter, offset, messagesMax } = this.wanted;
    this.cancel = link.pull(
      {
        groupId: group.id,
        topicId: queue.topic.id,
        queueId: queue.queueId,
        offset: queueOffset(Math.max(0, offset)),
        messagesMax,
        bytesMax: this.context.limits.receiveBytesMax,
        filter,
        clientId: this.clientId,
        waitMs: Math.max(0, Math.floor(this.endMs - this.context.clock.monotonicMs())),
        askRoom: this.askRoom,
      },
      done,
    );
  }

  private readonly askRoom = (bytes: number, granted: () => void): boolean => this.stream.call.reserve(bytes, granted);

  protected answered(error: MqError | undefined, result: PullResult | undefined): void {
    if (error?.code === 'TIMEOUT' || error?.code === 'UNAVAILABLE' || error?.code === 'NOT_LEADER') {
      this.endNow(); // Nobody to ask at the moment: as if there were nothing.
      return;
    }
    if (!this.finish()) return;
    if (error || !result) {
      this.stream.fail(error ?? new MqError('INTERNAL', 'the broker has not answered'));
      return;
    }
    const { offset } = this.wanted;
    const { messages, nextOffset, firstOffset, endOffset } = result;
    if (messages.length > 0) this.deliver(messages, nextOffset);
    else if (offset < firstOffset || offset > endOffset) {
      const nearest = offset < firstOffset ? firstOffset : endOffset;
      const message = `offset ${offset} is outside the queue, which holds ${firstOffset} to ${endOffset}`;
      this.stream.say({ code: wireCode.ILLEGAL_OFFSET, message }, nearest);
    } else this.stream.say(nothingNew, nextOffset);
  }

  private deliver(messages: readonly PulledMessage[], nextOffset: QueueOffset): void {
    const { queue, group } = this.wanted;
    const items: Uint8Array[][] = [];
    for (const { offset, payload, storedMs, originTopicId } of messages) {
      // As delivered, but without a handle: there is no lease to name.
      const receipt = {
        broker: queue.broker,
        groupId: group.id,
        topicId: queue.topic.id,
        queueId: queue.queueId,
        offset,
        leaseEpoch: epoch(0),
        leasePosition: logPosition(0),
        generation: 0,
        attempt: 1,
      };
      const renamed = originTopicId === queue.topic.id ? undefined : queue.topic.name;
      try {
        items.push(deliveredMessage(messageTag, { receipt, payload, storedMs }, '', renamed));
      } catch (caught) {
        this.context.parts.log(`message at offset ${offset} can't be delivered`, caught);
      }
    }
    this.stream.deliver(items.length > 0 ? ok : nothingNew, items, nextOffset);
  }

  /** False: it was over before. */
  private finish(): boolean {
    if (this.over) return false;
    this.over = true;
    this.context.polls.delete(this);
    this.cancel?.();
    return true;
  }
}

const nothingNew: Outcome = { code: wireCode.MESSAGE_NOT_FOUND, message: 'no message from this offset on' };
/** How long after its time a link's answer is still waited for. */
/** Later than that the broker is slow: half of what clients add to their time. */
const overdueMs = 1_000;
