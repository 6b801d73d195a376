/**
 * Doubles for specs: a broker set that keeps what it is sent and answers when it is told to,
 * and calls as the server would make them.
 */
import type {
  AckCall,
  BrokerLink,
  BrokerLinks,
  ChangeInvisibleCall,
  ChangeInvisibleResult,
  ClientCommand,
  ClientGoneCall,
  CommandAnswer,
  DeadLetterCall,
  Delivered,
  Done,
  EndTransactionCall,
  HandBackCall,
  LiteSyncCall,
  OffsetsCall,
  OffsetsResult,
  PullCall,
  PullResult,
  RecallCall,
  RecallResult,
  ReceiveCall,
  ReceiveResult,
  SendCall,
  SendResult,
  SessionReport,
} from '@cometmq/client';
import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import {
  Envelope,
  MessageType,
  type PendingPlace,
  type Receipt,
  epoch,
  groupId,
  logPosition,
  queueId,
  queueOffset,
  topicId,
} from '@cometmq/model';
import type {
  CallContext,
  GrpcMethod,
  GrpcStatusCode,
  MessageBytes,
  MessageSink,
  MessageSource,
  UnaryReply,
} from '@cometmq/rpc';
import type { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { type MessagingParts, type MessagingService, createMessagingService } from './messaging/messaging-service.js';

interface Waiting {
  readonly call: ReceiveCall;
  readonly done: Done<ReceiveResult>;
}

/**
 * The leader of a broker set. Sends succeed at once unless `holdSends`; receives wait until `deliver`, or end empty
 * when their time is up. `fault` names an error for a call.
 */
export class FakeBroker implements BrokerLink {
  readonly sent: SendCall[] = [];
  readonly acked: AckCall[] = [];
  readonly changed: ChangeInvisibleCall[] = [];
  readonly handedBack: HandBackCall[] = [];
  readonly deadLetters: DeadLetterCall[] = [];
  readonly reports: SessionReport[] = [];
  readonly gone: ClientGoneCall[] = [];
  readonly receives: ReceiveCall[] = [];
  readonly recalls: RecallCall[] = [];
  readonly ended: EndTransactionCall[] = [];
  readonly pulls: PullCall[] = [];
  readonly offsetCalls: OffsetsCall[] = [];
  readonly liteSyncs: LiteSyncCall[] = [];
  readonly commandAnswers: CommandAnswer[] = [];
  /** By proxy id: says something to a client of that proxy. */
  readonly tell = new Map<string, (command: ClientCommand) => void>();
  /** What a pull, a question for offsets and a recall are answered. */
  pulled: PullResult = {
    messages: [],
    nextOffset: queueOffset(0),
    firstOffset: queueOffset(0),
    endOffset: queueOffset(0),
  };
  /** Pulls are not answered. */
  holdsPulls = false;
  offset: OffsetsResult = { offset: undefined };
  recalled: RecallResult = { messageId: 'recalled' };
  readonly held: (() => void)[] = [];
  readonly waiting = new Set<Waiting>();
  holdSends = false;
  fault: (kind: keyof BrokerLink) => MqError | undefined = () => undefined;
  private nextOffset = 0;

  constructor(
    readonly name: string,
    private readonly clock: ManualClock,
  ) {}

  send(call: SendCall, done: Done<SendResult>): void {
    const error = this.fault('send');
    if (error) {
      done(error, undefined);
      return;
    }
    this.sent.push(call);
    const pending = this.pending(call);
    const answer = (): void => done(undefined, { offset: queueOffset(pending ? 0 : this.nextOffset++), pending });
    if (this.holdSends) this.held.push(answer);
    else queueMicrotask(answer);
  }

  /** Delayed and half messages wait. */
  private pending({ topicId, envelope }: SendCall): PendingPlace | undefined {
    const { type, dueMs = 0 } = new Envelope(envelope);
    if (type !== MessageType.delay && type !== MessageType.transaction) return undefined;
    return { topicId, position: logPosition(4096 + 1000 * this.sent.length), size: 500, dueMs };
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    this.receives.push(call);
    const error = this.fault('receive');
    if (error) {
      done(error, undefined);
      return () => undefined;
    }
    const waiting: Waiting = { call, done };
    this.waiting.add(waiting);
    const timer = this.clock.after(call.waitMs, () => {
      if (this.waiting.delete(waiting)) done(undefined, { messages: [] });
    });
    return () => {
      timer.cancel();
      this.waiting.delete(waiting);
    };
  }

  /** Gives messages to the poll that has waited longest. False: nobody waits. */
  deliver(...messages: Delivered[]): boolean {
    const [first] = this.waiting;
    if (!first) return false;
    this.waiting.delete(first);
    first.done(undefined, { messages });
    return true;
  }

  ack(call: AckCall, done: Done<void>): void {
    this.answer('ack', () => this.acked.push(call), done);
  }
  changeInvisible(call: ChangeInvisibleCall, done: Done<ChangeInvisibleResult>): void {
    this.changed.push(call);
    done(this.fault('changeInvisible'), { receipt: call.receipt });
  }
  handBack(call: HandBackCall, done: Done<void>): void {
    this.answer('handBack', () => this.handedBack.push(call), done);
  }
  deadLetter(call: DeadLetterCall, done: Done<void>): void {
    this.answer('deadLetter', () => this.deadLetters.push(call), done);
  }
  reportSessions(report: SessionReport): void {
    this.reports.push(report);
  }
  clientGone(call: ClientGoneCall, done: Done<void>): void {
    this.answer('clientGone', () => this.gone.push(call), done);
  }
  recall(call: RecallCall, done: Done<RecallResult>): void {
    this.recalls.push(call);
    done(this.fault('recall'), this.recalled);
  }
  endTransaction(call: EndTransactionCall, done: Done<void>): void {
    this.answer('endTransaction', () => this.ended.push(call), done);
  }
  pull(call: PullCall, done: Done<PullResult>): () => void {
    this.pulls.push(call);
    if (this.holdsPulls) return () => undefined;
    done(this.fault('pull'), this.pulled);
    return () => undefined;
  }
  offsets(call: OffsetsCall, done: Done<OffsetsResult>): void {
    this.offsetCalls.push(call);
    done(this.fault('offsets'), this.offset);
  }
  syncLite(call: LiteSyncCall, done: Done<void>): void {
    this.answer('syncLite', () => this.liteSyncs.push(call), done);
  }
  onCommand(proxyId: string, listener: (command: ClientCommand) => void): () => void {
    this.tell.set(proxyId, listener);
    return () => this.tell.delete(proxyId);
  }
  commandAnswered(answer: CommandAnswer): void {
    this.commandAnswers.push(answer);
  }

  private answer(kind: keyof BrokerLink, keep: () => void, done: Done<void>): void {
    const error = this.fault(kind);
    if (!error) keep();
    done(error, undefined);
  }

  receipt(change: Partial<Receipt> = {}): Receipt {
    return {
      broker: this.name,
      groupId: groupId(1),
      topicId: topicId(1),
      queueId: queueId(2),
      offset: queueOffset(300),
      leaseEpoch: epoch(1),
      leasePosition: logPosition(4096),
      generation: 0,
      attempt: 1,
      ...change,
    };
  }

  /** What was sent, as it would come out again. */
  delivered(index: number, receipt: Partial<Receipt> = {}): Delivered {
    const call = this.sent[index];
    if (!call) throw new RangeError(`message ${index} was not sent`);
    return {
      receipt: this.receipt({ topicId: call.topicId, queueId: call.queueId, ...receipt }),
      payload: Buffer.concat([call.envelope, ...call.message]),
      storedMs: 1_700_000_123_456,
      originTopicId: call.topicId,
    };
  }
}

/** A caller: what it sends as headers, and what it hears. */
export class FakeCall implements CallContext, UnaryReply, MessageSink, MessageSource {
  readonly items: Buffer[] = [];
  readonly peer = '10.1.2.3:4567';
  readonly encrypted = false;
  cancelled = false;
  ended = false;
  /** Set to answer or to break; else what is written arrives when the call has ended. */
  holdsArrival = false;
  arrival: ((arrived: boolean) => void) | undefined;
  failure: GrpcStatusCode | undefined;
  /** It was refused for the number of calls of its caller. */
  gaveWay = false;
  /** How many items are taken before the caller stops reading. */
  room = Infinity;
  /** Bytes of answers there is room for; what is asked for beyond waits for `giveRoom`. */
  roomBytes = Infinity;
  reservedBytes = 0;
  private roomWaits: { readonly bytes: number; readonly granted: () => void } | undefined;
  private readonly cancels: (() => void)[] = [];
  private drain: (() => void) | undefined;
  private paused = false;
  private readonly said: Uint8Array[] = [];
  private message: ((message: Uint8Array) => void) | undefined;
  private inputEnd: (() => void) | undefined;
  private readonly waiters: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(
    readonly deadlineMs: number | undefined,
    private readonly sentHeaders: Readonly<Record<string, string>>,
    readonly connection = 1,
  ) {}

  readonly headers = { get: (name: string): string | undefined => this.sentHeaders[name] };

  onCancel(act: () => void): void {
    if (this.cancelled) act();
    else this.cancels.push(act);
  }
  giveWay(): void {
    this.gaveWay = true;
  }
  cancel(): void {
    if (this.ended) return;
    this.cancelled = true;
    this.arrival?.(false);
    for (const act of this.cancels.splice(0)) act();
  }
  reserve(bytes: number, granted: () => void): boolean {
    if (!this.open) return false;
    if (bytes > this.roomBytes) {
      this.roomWaits = { bytes, granted };
      return false;
    }
    this.roomBytes -= bytes;
    this.reservedBytes += bytes;
    return true;
  }
  get waitsForRoom(): boolean {
    return this.open && this.roomWaits !== undefined;
  }
  giveRoom(bytes: number): void {
    this.roomBytes += bytes;
    const ask = this.roomWaits;
    if (ask === undefined || !this.open || ask.bytes > this.roomBytes) return;
    this.roomWaits = undefined;
    this.roomBytes -= ask.bytes;
    this.reservedBytes += ask.bytes;
    ask.granted();
  }
  get open(): boolean {
    return !this.ended && !this.cancelled;
  }
  send(message: MessageBytes): void {
    this.write(message);
    this.end();
  }
  write(message: MessageBytes): boolean {
    if (!this.open) return false;
    this.items.push(Buffer.concat(message instanceof Uint8Array ? [message] : message));
    this.room -= 1;
    this.tell();
    return this.room > 0;
  }
  onDrain(act: () => void): void {
    this.drain = act;
  }
  read(items: number): void {
    this.room = items;
    this.drain?.();
  }
  onArrival(act: (arrived: boolean) => void): void {
    this.arrival = act;
  }
  end(): void {
    this.ended = true;
    if (!this.holdsArrival) this.arrival?.(true);
    this.tell();
  }
  fail(status: GrpcStatusCode): void {
    this.failure = status;
    this.end();
  }
  onMessage(act: (message: Uint8Array) => void): void {
    this.message = act;
  }
  onEnd(act: () => void): void {
    this.inputEnd = act;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
    while (!this.paused && this.said.length > 0) this.message?.(this.said.shift() as Uint8Array);
  }
  /** What was said and is not taken in yet. */
  get heldBack(): number {
    return this.said.length;
  }
  say(message: Uint8Array): void {
    this.said.push(message);
    if (!this.paused) this.resume();
  }
  hangUp(): void {
    this.inputEnd?.();
  }

  /** Resolves when so many items have come, or the call has ended. */
  until(count: number): Promise<void> {
    if (this.items.length >= count || this.ended) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push({ count, resolve }));
  }
  untilEnd(): Promise<void> {
    return this.until(Infinity);
  }
  private tell(): void {
    for (const { count, resolve } of this.waiters) if (this.items.length >= count || this.ended) resolve();
  }
}

export interface ProxyFixture {
  readonly clock: ManualClock;
  readonly nameService: FakeNameService;
  readonly directory: Directory;
  readonly brokers: Map<string, FakeBroker>;
  readonly broker: FakeBroker;
  readonly messaging: MessagingService;
  /** Broker sets whose leader can't be reached. */
  readonly doubtful: Set<string>;
  addBroker(name: string): FakeBroker;
  /** Another leader of the set takes over, which has been heard of before the name service says it. */
  takeOver(name: string): FakeBroker;
  /** Calls a method; for a two-way stream the request is its first item. */
  call(method: string, request: Uint8Array | undefined, options?: CallOptions): FakeCall;
  stop(): Promise<void>;
}

export interface CallOptions {
  readonly clientId?: string | undefined;
  readonly language?: string;
  readonly version?: string;
  /** From now; undefined: no deadline. */
  readonly timeoutMs?: number | undefined;
  readonly room?: number;
  readonly connection?: number;
  /** Beside those that every client sends. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether what is written arrives is said by the spec. */
  readonly holdsArrival?: boolean;
}

/** A front context with one broker set, `broker-0`. */
export async function openProxy(change: Partial<MessagingParts> = {}): Promise<ProxyFixture> {
  const clock = new ManualClock();
  const nameService = new FakeNameService({ queues: 4, wallMs: 0 });
  nameService.createsTopics = false;
  const brokers = new Map<string, FakeBroker>();
  const doubtful = new Set<string>();
  const listeners = new Set<(brokerSet: string) => void>();
  const links: BrokerLinks = {
    link: (name) => (nameService.sets.get(name)?.leader === undefined ? undefined : brokers.get(name)),
    doubtful: (name) => doubtful.has(name),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const takeOver = (name: string): FakeBroker => {
    const made = new FakeBroker(name, clock);
    brokers.set(name, made);
    for (const listener of listeners) listener(name);
    return made;
  };
  const addBroker = (name: string): FakeBroker => {
    const made = new FakeBroker(name, clock);
    brokers.set(name, made);
    nameService.putSet({ name });
    return made;
  };
  const broker = addBroker('broker-0');
  const directory = new Directory(nameService, clock);
  await directory.start();
  const messaging = createMessagingService({
    nameService,
    directory,
    links,
    clock,
    chance: { next: () => 0.5 },
    ...change,
  });
  await messaging.start();
  const call = (method: string, request: Uint8Array | undefined, options: CallOptions = {}): FakeCall => {
    const { clientId = 'client-1', language = 'JAVA', version = '5.0.8', timeoutMs } = options;
    const headers = {
      ...{ 'x-mq-client-id': clientId, 'x-mq-language': language, 'x-mq-client-version': version },
      ...options.headers,
    };
    const deadlineMs = 'timeoutMs' in options && timeoutMs !== undefined ? clock.monotonicMs() + timeoutMs : undefined;
    const made = new FakeCall(deadlineMs, headers, options.connection);
    made.room = options.room ?? Infinity;
    made.holdsArrival = options.holdsArrival ?? false;
    invoke(messaging.service.methods[method], request, made);
    return made;
  };
  return {
    clock,
    nameService,
    directory,
    brokers,
    broker,
    messaging,
    doubtful,
    addBroker,
    takeOver,
    call,
    stop: async () => {
      await messaging.stop();
      await directory.stop();
    },
  };
}

function invoke(method: GrpcMethod | undefined, request: Uint8Array | undefined, call: FakeCall): void {
  if (method?.kind === 'unary') method.handler(request ?? new Uint8Array(0), call, call);
  else if (method?.kind === 'serverStream') method.handler(request ?? new Uint8Array(0), call, call);
  else if (method?.kind === 'bidi') {
    method.handler(call, call, call);
    if (request) call.say(request);
  } else throw new RangeError('no such method');
}
