import { internal } from '@cometmq/proto';
import { MqError, type Clock } from '@cometmq/shared';

import type {
  AckCall,
  BrokerLink,
  ChangeInvisibleCall,
  ChangeInvisibleResult,
  ClientGoneCall,
  DeadLetterCall,
  Done,
  HandBackCall,
  ReceiveCall,
  ReceiveResult,
  SendCall,
  SendResult,
  SessionReport,
} from './broker-link.js';
import {
  deliveredFromWire,
  errorFromWire,
  exchangePath,
  receiptFromWire,
  receiptToWire,
  receiveToWire,
  sendToWire,
  sessionToWire,
  type WireAnswer,
  type WireCall,
} from './link-frames.js';

/** What the link needs of a two-way stream: frames in order, and word of its end. */
export interface FrameStream {
  /** False: enough waits to be written; go on at `onDrain`. */
  write(frame: Uint8Array): boolean;
  onDrain(act: () => void): void;
  onMessage(act: (frame: Uint8Array) => void): void;
  /** Called once, with the reason when it did not end well. */
  onEnd(act: (error?: MqError) => void): void;
  end(): void;
}

/** Answers settle calls; a call that is dropped (cancelled) has none. */
type Settle = (answer: WireAnswer | undefined, error: MqError | undefined) => void;

/** Frames are kept below gRPC's usual message limits whatever the messages' sizes. */
const frameBytesMax = 8 * 1024 * 1024;

/**
 * `BrokerLink` over one two-way stream: calls gather while a frame is on its way and go out together in the next one,
 * with no timer. When the stream breaks, every open call fails with UNAVAILABLE and the next call opens a new one.
 */
export class GrpcBrokerLink implements BrokerLink {
  private stream: FrameStream | undefined;
  private readonly open = new Map<number, Settle>();
  private waiting: WireCall[] = [];
  private waitingBytes = 0;
  private nextId = 1;
  private blocked = false;
  private scheduled = false;
  private closed = false;

  constructor(
    private readonly connect: (path: string) => FrameStream,
    private readonly clock: Clock,
    /** Bytes of calls that wait to be written before new sends are refused. */
    private readonly waitingBytesMax = 64 * 1024 * 1024,
  ) {}

  send(call: SendCall, done: Done<SendResult>): void {
    if (this.waitingBytes > this.waitingBytesMax) {
      done(new MqError('TOO_MANY_REQUESTS', 'the link to the broker is full; send more slowly'), undefined);
      return;
    }
    const wire = sendToWire(call, this.clock.monotonicMs());
    this.call({ $case: 'send', value: wire }, wire.message.length + wire.envelope.length, (answer, error) => {
      if (error) done(error, undefined);
      else done(undefined, { offset: (answer?.send?.offset ?? 0) as SendResult['offset'] });
    });
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    const id = this.call({ $case: 'receive', value: receiveToWire(call) }, 0, (answer, error) => {
      if (error) done(error, undefined);
      else done(undefined, { messages: (answer?.receive?.messages ?? []).map(deliveredFromWire) });
    });
    return () => {
      if (this.open.delete(id)) this.post({ id: 0, call: { $case: 'cancel', value: { id } } }, 0);
    };
  }

  ack(call: AckCall, done: Done<void>): void {
    this.call({ $case: 'ack', value: { receipt: receiptToWire(call.receipt) } }, 0, plain(done));
  }

  changeInvisible(call: ChangeInvisibleCall, done: Done<ChangeInvisibleResult>): void {
    const value = { receipt: receiptToWire(call.receipt), invisibleMs: call.invisibleMs };
    this.call({ $case: 'changeInvisible', value }, 0, (answer, error) => {
      if (error) done(error, undefined);
      else done(undefined, { receipt: answer?.receipt ? receiptFromWire(answer.receipt) : call.receipt });
    });
  }

  handBack(call: HandBackCall, done: Done<void>): void {
    this.call({ $case: 'handBack', value: { receipts: call.receipts.map(receiptToWire) } }, 0, plain(done));
  }

  deadLetter(call: DeadLetterCall, done: Done<void>): void {
    this.call({ $case: 'deadLetter', value: { receipt: receiptToWire(call.receipt) } }, 0, plain(done));
  }

  reportSessions(report: SessionReport): void {
    const value = { proxyId: report.proxyId, sessions: report.sessions.map(sessionToWire) };
    this.post({ id: 0, call: { $case: 'sessions', value } }, 0);
  }

  clientGone(call: ClientGoneCall, done: Done<void>): void {
    this.call({ $case: 'clientGone', value: { ...call } }, 0, plain(done));
  }

  close(): void {
    this.closed = true;
    this.stream?.end();
    this.lost(new MqError('UNAVAILABLE', 'the link to the broker was closed'));
  }

  private call(call: NonNullable<WireCall['call']>, bytes: number, settle: Settle): number {
    const id = this.nextId;
    this.nextId += 1;
    if (this.closed) {
      settle(undefined, new MqError('UNAVAILABLE', 'the link to the broker was closed'));
      return id;
    }
    this.open.set(id, settle);
    this.post({ id, call }, bytes);
    return id;
  }

  private post(call: WireCall, bytes: number): void {
    this.waiting.push(call);
    this.waitingBytes += bytes;
    if (this.scheduled || this.blocked || this.closed) return;
    this.scheduled = true;
    setImmediate(this.flush);
  }

  private readonly flush = (): void => {
    this.scheduled = false;
    while (this.waiting.length > 0 && !this.blocked && !this.closed) {
      const calls = this.takeFrame();
      const stream = this.connected();
      this.blocked = !stream.write(internal.LinkFrame.encode({ calls, answers: [] }).finish());
    }
  };

  private takeFrame(): WireCall[] {
    let bytes = 0;
    let count = 0;
    for (const { call } of this.waiting) {
      if (call?.$case === 'send') bytes += call.value.message.length + call.value.envelope.length;
      if (count > 0 && bytes > frameBytesMax) break;
      count += 1;
    }
    const calls = count === this.waiting.length ? this.waiting : this.waiting.slice(0, count);
    this.waiting = this.waiting.slice(count);
    this.waitingBytes = this.waiting.length === 0 ? 0 : Math.max(0, this.waitingBytes - bytes);
    return calls;
  }

  private connected(): FrameStream {
    if (this.stream) return this.stream;
    const stream = this.connect(exchangePath);
    this.stream = stream;
    this.blocked = false;
    stream.onDrain(() => {
      this.blocked = false;
      this.flush();
    });
    stream.onMessage((frame) => {
      for (const answer of internal.LinkFrame.decode(frame).answers) this.answered(answer);
    });
    stream.onEnd((error) => {
      if (this.stream !== stream) return;
      this.lost(error ?? new MqError('UNAVAILABLE', 'the broker ended the link'));
    });
    return stream;
  }

  private answered(answer: WireAnswer): void {
    const settle = this.open.get(answer.id);
    this.open.delete(answer.id);
    settle?.(answer, answer.error ? errorFromWire(answer.error) : undefined);
  }

  /** The stream is gone: nobody will answer what is open, whether it had been written or not. */
  private lost(cause: MqError): void {
    this.stream = undefined;
    this.blocked = false;
    this.waiting = [];
    this.waitingBytes = 0;
    const settles = [...this.open.values()];
    this.open.clear();
    const error = new MqError('UNAVAILABLE', `the link to the broker broke: ${cause.reason}`);
    for (const settle of settles) settle(undefined, error);
  }
}

function plain(done: Done<void>): Settle {
  return (_, error) => done(error, undefined);
}
