/**
 * One call of a channel: what its owner holds, and its HTTP/2 stream in one object.
 *
 *   answers   data ─► message ─► the listener, or the inbox while nobody listens or all is paused; then the end
 *   requests  queue of bytes that wait for windows ─► frames; then the end of the stream
 *
 * The bytes of a message are its owner's: they are copied out of what the socket reads into. An owner that gives them back
 * has the next message in the same memory, which then is no garbage for each message that is large.
 */
import { MqError } from '@cometmq/shared';
import { grpcStatus } from '../grpc-server.js';
import type { MessageBytes } from '../grpc-server.js';
import type { SendingCall } from '../front-door/send-scheduler.js';
import type { DuplexStream } from '../rpc-channel.js';
import { errorOf } from '../status.js';

/** What a call needs of its connection. */
export interface ClientCallHost {
  readonly messageBytesMax: number;
  /** False: enough waits. */
  write(call: ClientCall, message: MessageBytes): boolean;
  /** Behind all that waits. */
  end(call: ClientCall): void;
  /** Messages have been taken in: the other side may send more. */
  consumed(call: ClientCall): void;
  /** Nothing more is wanted of it. */
  giveUp(call: ClientCall): void;
}

const prefixBytes = 5;
/** Larger ones get memory of their own, which goes when they go. */
const pooledBytesMax = 2_048;

export class ClientCall implements DuplexStream, SendingCall {
  // What is to be sent.
  sendWindow: number;
  readonly queue: Uint8Array[] = [];
  queueOffset = 0;
  queuedBytes = 0;
  waiting = false;
  movedMs = 0;
  drainWanted = false;
  /** `end` was called, and the end of the stream is not written yet. */
  endDue = false;
  endWritten = false;
  private ended = false;

  // What comes.
  receiveWindow: number;
  /** Bytes of data since the last WINDOW_UPDATE. */
  credit = 0;
  /** The headers of the answer are there. */
  answered = false;
  private prefixLength = 0;
  private flags = 0;
  private size = 0;
  private whole: Buffer | undefined;
  private filled = 0;
  /** Memory of the message that was handed over last, if it has it for itself. */
  private handed: ArrayBufferLike | undefined;
  /** Given back, and not in use. */
  private spare: Buffer | undefined;
  private givesBack = false;
  private inbox: Uint8Array[] = [];
  private paused = false;
  private delivering = false;

  private over = false;
  private failure: MqError | undefined;
  private endTold = false;
  private messageAct: ((message: Uint8Array) => void) | undefined;
  private endAct: ((error?: MqError) => void) | undefined;
  private drainAct: (() => void) | undefined;

  constructor(
    private readonly host: ClientCallHost,
    readonly streamId: number,
    receiveWindow: number,
    sendWindow: number,
  ) {
    this.receiveWindow = receiveWindow;
    this.sendWindow = sendWindow;
  }

  // ---- what its owner says

  onMessage(act: (message: Uint8Array) => void): void {
    this.messageAct = act;
    this.deliver();
  }

  onEnd(act: (error?: MqError) => void): void {
    this.endAct = act;
    this.deliver();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.deliver();
    if (!this.over) this.host.consumed(this);
  }

  giveBack(bytes: Uint8Array): void {
    if (bytes.buffer !== this.handed || this.over) return;
    this.spare = Buffer.from(this.handed);
    this.handed = undefined;
    this.givesBack = true;
  }

  cancel(): void {
    if (this.over) return;
    this.host.giveUp(this);
    this.over = true;
    this.failure = new MqError('CANCELLED', 'the caller gave up');
    this.whole = undefined;
    this.inbox = [];
    queueMicrotask(() => this.deliver()); // Its owner may be in the middle of something.
  }

  write(message: MessageBytes): boolean {
    if (this.over || this.ended) return false;
    return this.host.write(this, message);
  }

  onDrain(act: () => void): void {
    this.drainAct = act;
  }

  end(): void {
    if (this.over || this.ended) return;
    this.ended = true;
    this.host.end(this);
  }

  // ---- what its connection says

  /** Not to be asked for more: what came last is not taken in yet. */
  get holdsBack(): boolean {
    return this.paused || this.inbox.length > 0;
  }

  get isOver(): boolean {
    return this.over;
  }

  /** Data of this call. Undefined: all is well. */
  data(chunk: Buffer, from: number, to: number): MqError | undefined {
    let at = from;
    while (at < to && !this.over) {
      if (this.whole === undefined) {
        at = this.readPrefix(chunk, at, to);
        if (this.prefixLength < prefixBytes) return undefined;
        const error = this.begin();
        if (error !== undefined) return error;
      }
      const { whole } = this;
      if (whole === undefined) continue;
      const count = Math.min(this.size - this.filled, to - at);
      chunk.copy(whole, this.filled, at, at + count);
      this.filled += count;
      at += count;
      if (this.filled === this.size) this.message(whole);
    }
    return undefined;
  }

  drained(): void {
    if (!this.drainWanted || this.over) return;
    this.drainWanted = false;
    this.drainAct?.();
  }

  /** The answer ended by its trailers. */
  trailers(status: number, message: string, code: string | undefined): void {
    if (status !== grpcStatus.OK) this.finish(errorOf(status, message, code));
    else if (this.prefixLength > 0) this.finish(new MqError('INTERNAL', 'the answer ends within a message'));
    else this.finish(undefined);
  }

  /** Told once what came before has been taken. */
  finish(failure: MqError | undefined): void {
    if (this.over) return;
    this.over = true;
    this.failure = failure;
    this.whole = this.spare = undefined;
    this.deliver();
  }

  private readPrefix(chunk: Buffer, from: number, to: number): number {
    let at = from;
    if (this.prefixLength === 0) {
      this.flags = chunk[at] ?? 0;
      this.size = 0;
      this.prefixLength = 1;
      at += 1;
    }
    while (this.prefixLength < prefixBytes && at < to) {
      this.size = this.size * 256 + (chunk[at] ?? 0);
      this.prefixLength += 1;
      at += 1;
    }
    return at;
  }

  private begin(): MqError | undefined {
    const { size } = this;
    if (this.flags !== 0) return new MqError('UNSUPPORTED', 'compressed messages are not supported');
    if (size > this.host.messageBytesMax) {
      return new MqError('TOO_MANY_REQUESTS', `a message of ${size} bytes: at most ${this.host.messageBytesMax}`);
    }
    this.filled = 0;
    this.whole = size <= pooledBytesMax ? Buffer.allocUnsafe(size) : this.memoryFor(size);
    if (size === 0) this.message(this.whole);
    return undefined;
  }

  private memoryFor(size: number): Buffer {
    const { spare } = this;
    this.spare = undefined;
    if (spare && spare.length >= size) return spare.subarray(0, size);
    // Where it comes back it should do for those that are somewhat larger too.
    return Buffer.allocUnsafeSlow(this.givesBack ? 2 ** Math.ceil(Math.log2(size)) : size).subarray(0, size);
  }

  private message(bytes: Buffer): void {
    this.whole = undefined;
    this.prefixLength = 0;
    this.handed = bytes.length > pooledBytesMax ? bytes.buffer : undefined;
    if (this.messageAct !== undefined && !this.paused && this.inbox.length === 0 && !this.delivering) {
      this.hand(bytes, this.messageAct);
    } else this.inbox.push(bytes);
  }

  /** Who can't make anything of a message has no use for the next ones: that ends the call, and nothing else. */
  private hand(bytes: Uint8Array, act: (message: Uint8Array) => void): void {
    try {
      act(bytes);
    } catch (caught) {
      this.failure = MqError.from(caught); // Also where the other side has said all, and well.
      this.host.giveUp(this);
      this.over = true;
      this.whole = undefined;
      this.inbox = [];
      this.deliver();
    }
  }

  private deliver(): void {
    if (this.delivering) return;
    this.delivering = true;
    let taken = 0;
    while (taken < this.inbox.length && this.messageAct !== undefined && !this.paused) {
      const message = this.inbox[taken] as Uint8Array;
      taken += 1;
      this.hand(message, this.messageAct);
    }
    if (taken > 0) this.inbox.splice(0, taken);
    this.delivering = false;
    if (!this.over || this.endTold || this.endAct === undefined) return;
    // Who paused hears of a good end when it has taken what came before, and of a failure at once.
    if (this.inbox.length > 0 && this.failure === undefined) return;
    this.inbox = [];
    this.endTold = true;
    this.endAct(this.failure);
  }
}
