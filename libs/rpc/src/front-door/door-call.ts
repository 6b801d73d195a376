/**
 * One call on a front door: the handler's view of it (context, sink, source) and its HTTP/2 stream in one object, so
 * that a call costs one allocation and no closure.
 *
 *   request side   data ─► message ─► request, or the bidi handler; `remoteEnded` when the caller has sent all
 *   answer side    queue of bytes that wait for windows ─► frames; then the trailers
 *
 * `done` means the handler has no more say: it ended the call or the caller is gone. The connection forgets the call
 * once its trailers are out.
 */
import { throwAssertion } from '@cometmq/shared';
import type { ErrorCode } from '@cometmq/shared';
import { noSlot } from '../deadline-wheel.js';
import type { WheelEntry } from '../deadline-wheel.js';
import { grpcStatus } from '../grpc-server.js';
import type {
  CallContext,
  GrpcStatusCode,
  Headers,
  MessageBytes,
  MessageSink,
  MessageSource,
  UnaryReply,
} from '../grpc-server.js';
import { MessageAssembler } from '../http2/message-assembler.js';
import type { MessageReceiver } from '../http2/message-assembler.js';
import type { MemoryAccount } from '../memory/memory-account.js';
import type { MemoryAsk, MemoryPool } from '../memory/memory-pool.js';
import type { Route } from '../routes.js';
import type { SendingCall } from './send-scheduler.js';

/** What a call needs of the connection it came by. */
export interface CallHost {
  readonly nowMs: number;
  readonly peer: string;
  readonly encrypted: boolean;
  readonly connection: number;
  readonly messageBytesMax: number;
  /** What came of requests without being announced: pieces, and messages not taken in. Refused where it is too much. */
  readonly pieces: MemoryAccount;
  /** Large requests that were announced, and those being worked on. These wait. Another account, or what waits for room would fill it. */
  readonly requests: MemoryAccount;
  readonly requestPool: MemoryPool;
  /** What waits to be sent or may be, of this connection, and of all. */
  readonly answers: MemoryAccount;
  readonly answerPool: MemoryPool;
  /** Response headers, at once. */
  open(call: DoorCall): void;
  /** Headers if they are still due, the message, status OK. */
  reply(call: DoorCall, message: MessageBytes): void;
  /** False: enough is waiting. */
  write(call: DoorCall, message: MessageBytes, borrowed?: boolean): boolean;
  /** Trailers, after all that waits. */
  finish(call: DoorCall, status: GrpcStatusCode, message: string, code?: ErrorCode): void;
  /** There is room for a large message: so many bytes of it may be sent. */
  widen(call: DoorCall, bytes: number): void;
  /** What the caller sent has been taken in: it may send more. */
  consumed(call: DoorCall): void;
  /** The whole request is there, and the deadline starts to count. */
  dispatched(call: DoorCall): void;
  /** What came is not gRPC, and is whole. */
  answerPlainly(call: DoorCall): void;
  handlerFailed(call: DoorCall, cause: unknown): void;
  /** What comes after it on its connection is read after others. */
  giveWay(): void;
  deadlinePassed(call: DoorCall): void;
}

/** What a kept message costs beside its bytes. */
const inboxEntryBytes = 256;
/** A request from this size on is counted while it is worked on; smaller ones are bounded by the number of calls. */
const countedBytesMin = 16_384;
/** While others wait, who has room for a message must send it at this rate, after a while. */
const slowBytesPerSecond = 65_536;
const patienceMs = 5_000;

export class DoorCall
  implements CallContext, UnaryReply, MessageSink, MessageSource, MessageReceiver, WheelEntry, SendingCall
{
  dueMs = 0;
  wheelSlot = noSlot;
  wheelNext: WheelEntry | undefined = undefined;
  wheelBefore: WheelEntry | undefined = undefined;

  cancelled = false;
  done = false;
  /** The caller has sent its last byte. */
  remoteClosed = false;
  resetByPeer = false;
  headersSent = false;

  // The request side's flow control.
  receiveWindow: number;
  /** Bytes taken in since the last WINDOW_UPDATE. */
  credit = 0;

  // The answer side: bytes that wait, and the status behind them.
  sendWindow: number;
  readonly queue: Uint8Array[] = [];
  queueOffset = 0;
  queuedBytes = 0;
  endStatus: GrpcStatusCode | -1 = -1;
  endMessage = '';
  endCode: ErrorCode | undefined = undefined;
  /** In the connection's list of calls that wait for it. */
  waiting = false;
  movedMs = 0;
  drainWanted = false;
  /** Not 0: the request is not gRPC, and gets this answer once it is whole. */
  httpStatus = 0;
  /** Bytes of data still to come, where the caller said how many; -1 where it didn't. */
  contentLeft = -1;
  /** SegmentSpace set aside for what is still to be written. */
  private reservedBytes = 0;
  private roomAsk: MemoryAsk | undefined = undefined;

  private request: Uint8Array | undefined = undefined;
  private heldBytes = 0;
  private assembler: MessageAssembler | undefined = undefined;
  /** Of the large message that is coming, or being worked on. */
  private admittedBytes = 0;
  private admittedMs = 0;
  private inboxAdmittedBytes = 0;
  private requestAsk: MemoryAsk | undefined = undefined;
  /** The message that was under way at the last look, by its number, and since which look. */
  private midwayMessage = 0;
  private midwayMs = 0;

  private inbox: Uint8Array[] = [];
  private paused = false;
  private delivering = false;
  private endTold = false;
  private messageListener: ((message: Uint8Array) => void) | undefined = undefined;
  private endListener: (() => void) | undefined = undefined;
  private drainListener: (() => void) | undefined = undefined;
  private cancelListener: (() => void) | undefined = undefined;
  private arrivalListener: ((arrived: boolean) => void) | undefined = undefined;
  private moreCancelListeners: (() => void)[] | undefined = undefined;

  constructor(
    private readonly host: CallHost,
    readonly streamId: number,
    readonly route: Route,
    readonly headers: Headers,
    readonly openedMs: number,
    readonly deadlineMs: number | undefined,
    receiveWindow: number,
    sendWindow: number,
  ) {
    this.receiveWindow = receiveWindow;
    this.sendWindow = sendWindow;
  }

  get peer(): string {
    return this.host.peer;
  }

  get encrypted(): boolean {
    return this.host.encrypted;
  }

  get connection(): number {
    return this.host.connection;
  }

  get open(): boolean {
    return !this.done;
  }

  private get messageBytesMax(): number {
    return Math.min(this.host.messageBytesMax, this.route.method.requestBytesMax ?? Infinity);
  }

  onCancel(act: () => void): void {
    if (this.cancelled) {
      this.guarded(act);
    } else if (this.cancelListener === undefined) {
      this.cancelListener = act;
    } else {
      (this.moreCancelListeners ??= []).push(act);
    }
  }

  giveWay(): void {
    this.host.giveWay();
  }

  reserve(bytes: number, granted: () => void): boolean {
    if (this.done) return false;
    if (this.roomAsk !== undefined) this.host.answerPool.withdraw(this.host.answers, this.roomAsk);
    this.roomAsk = undefined;
    const ask = {
      bytes,
      granted: () => {
        this.roomAsk = undefined;
        this.reservedBytes += bytes;
        this.guarded(granted);
      },
    };
    if (this.host.answerPool.ask(this.host.answers, ask)) {
      this.reservedBytes += bytes;
      return true;
    }
    this.roomAsk = ask;
    return false;
  }

  // ---- what the handler says -------------------------------------------------------------------------------------

  send(message: MessageBytes): void {
    if (this.done) return;
    this.done = true;
    this.host.reply(this, message);
    if (this.reservedBytes > 0 || this.roomAsk !== undefined) this.unreserve();
  }

  write(message: MessageBytes, borrowed = false): boolean {
    if (this.done) return false;
    const flowing = this.host.write(this, message, borrowed);
    if (this.reservedBytes > 0) this.written(message);
    return flowing;
  }

  /** It is counted where it waits now, or is gone. */
  private written(message: MessageBytes): void {
    let length = 0;
    if (message instanceof Uint8Array) length = message.length;
    else for (const chunk of message) length += chunk.length;
    const bytes = Math.min(length, this.reservedBytes);
    this.reservedBytes -= bytes;
    this.host.answers.give(bytes);
  }

  private unreserve(): void {
    if (this.roomAsk !== undefined) this.host.answerPool.withdraw(this.host.answers, this.roomAsk);
    this.roomAsk = undefined;
    this.host.answers.give(this.reservedBytes);
    this.reservedBytes = 0;
  }

  onDrain(act: () => void): void {
    this.drainListener = act;
  }

  onArrival(act: (arrived: boolean) => void): void {
    this.arrivalListener = act;
  }

  end(): void {
    if (this.done) return;
    this.done = true;
    this.host.finish(this, grpcStatus.OK, '');
    this.unreserve();
  }

  fail(status: GrpcStatusCode, message: string, code?: ErrorCode): void {
    if (this.done) return;
    this.done = true;
    this.host.finish(this, status, message, code);
    this.unreserve();
  }

  onMessage(act: (message: Uint8Array) => void): void {
    this.messageListener = act;
    this.deliver();
  }

  onEnd(act: () => void): void {
    this.endListener = act;
    this.deliver();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.deliver();
    this.host.consumed(this);
  }

  // ---- what the connection tells ---------------------------------------------------------------------------------

  /** Not to be asked for more: what came last is not taken in yet. */
  get holdsBack(): boolean {
    return this.inbox.length > 0 || this.requestAsk !== undefined;
  }

  /** Data of this call: most requests are one message that is one piece, and need no assembler. */
  data(chunk: Buffer, from: number, to: number): void {
    if (this.httpStatus !== 0) return;
    if (this.assembler === undefined) {
      const bytes = to - from - 5;
      const { messageBytesMax } = this;
      if (bytes >= 0 && bytes <= messageBytesMax && chunk[from] === 0 && chunk.readUInt32BE(from + 1) === bytes) {
        this.message(chunk.subarray(from + 5, to));
        return;
      }
      this.assembler = new MessageAssembler(this, messageBytesMax, this.host.pieces);
    }
    this.assembler.push(chunk, from, to);
  }

  admit(bytes: number): boolean {
    const admitted = (): void => {
      this.requestAsk = undefined;
      this.admittedBytes += bytes;
      this.admittedMs = this.host.nowMs;
      this.host.widen(this, bytes);
    };
    const ask = {
      bytes,
      granted: () => {
        admitted();
        this.assembler?.admitted();
      },
    };
    if (this.host.requestPool.ask(this.host.requests, ask)) admitted();
    else this.requestAsk = ask;
    return this.requestAsk === undefined;
  }

  withdraw(): void {
    if (this.requestAsk !== undefined) this.host.requestPool.withdraw(this.host.requests, this.requestAsk);
    this.requestAsk = undefined;
  }

  /** It has room for a message that it does not send: for too long by itself, or so slowly that others wait for it. */
  dawdles(nowMs: number, msMax: number): boolean {
    if (this.assembler?.midway !== true) return false;
    if (this.admittedBytes === 0) return this.lingers(nowMs, msMax, this.assembler.begun);
    const ms = nowMs - this.admittedMs;
    if (ms > msMax) return true;
    return ms > patienceMs && this.host.requestPool.short && this.assembler.bytes < (ms / 1_000) * slowBytesPerSecond;
  }

  /** It keeps what came of a message without having asked for room, and what others could use, for too long. */
  private lingers(nowMs: number, msMax: number, message: number): boolean {
    if (message !== this.midwayMessage || this.paused || this.holdsBack) {
      this.midwayMessage = message;
      this.midwayMs = nowMs;
    }
    return nowMs - this.midwayMs > msMax;
  }

  message(bytes: Uint8Array): void {
    if (this.done) return;
    if (this.route.method.kind === 'bidi') {
      if (this.messageListener !== undefined && !this.paused && this.inbox.length === 0 && !this.delivering) {
        this.deliverOne(bytes);
        this.letGoOfAdmitted();
      } else if (this.admittedBytes > 0) {
        this.inboxAdmittedBytes += this.admittedBytes; // It keeps its room until the inbox is empty.
        this.admittedBytes = 0;
        this.inbox.push(bytes);
      } else if (this.hold(bytes.length + inboxEntryBytes)) {
        this.inbox.push(unshared(bytes));
      }
    } else if (this.request === undefined) {
      this.request = bytes;
    } else {
      this.cutOff(grpcStatus.INTERNAL, 'more than one request message');
    }
  }

  broken(status: GrpcStatusCode, reason: string): void {
    this.cutOff(status, reason);
  }

  /** Ends it with a status that its handler has not said: that hears of it as of a caller who is gone. */
  cutOff(status: GrpcStatusCode, reason: string): void {
    if (this.done) return;
    this.fail(status, reason);
    this.gone();
  }

  /** A frame of data has ended, and more will come: what waits for it must not hold on to the socket's chunk. */
  frameEnded(): void {
    if (this.request === undefined || this.heldBytes > 0 || this.admittedBytes > 0 || this.done) return;
    if (this.hold(this.request.length + inboxEntryBytes)) this.request = unshared(this.request);
  }

  remoteEnded(): void {
    if (this.remoteClosed) return;
    this.remoteClosed = true;
    if (this.done) return;
    if (this.httpStatus !== 0) {
      this.host.answerPlainly(this);
    } else if (this.assembler?.midway === true) {
      this.cutOff(grpcStatus.INTERNAL, 'the request ends within a message');
    } else if (this.route.method.kind === 'bidi') {
      this.deliver();
    } else if (this.request === undefined) {
      this.cutOff(grpcStatus.INTERNAL, 'the request has no message');
    } else {
      this.dispatch(this.request);
    }
  }

  /** Bidi: the handler starts with the headers. */
  begin(): void {
    const method = this.route.method;
    if (method.kind !== 'bidi') return;
    this.host.dispatched(this);
    this.host.open(this);
    try {
      method.handler(this, this, this);
    } catch (caught) {
      this.handlerFailed(caught);
    }
  }

  private dispatch(request: Uint8Array): void {
    const method = this.route.method;
    this.request = undefined;
    this.letGo(this.heldBytes);
    if (request.length >= countedBytesMin && this.admittedBytes === 0) {
      this.admittedBytes = request.length; // It is here, and stays as long as it is worked on.
      this.host.requests.add(request.length);
    }
    this.host.dispatched(this);
    try {
      if (method.kind === 'unary') {
        method.handler(request, this, this);
      } else if (method.kind === 'serverStream') {
        this.host.open(this); // Some clients (tonic) return the call to their user only when the headers are there.
        method.handler(request, this, this);
      }
    } catch (caught) {
      this.handlerFailed(caught);
    }
  }

  private deliver(): void {
    if (this.delivering) return;
    this.delivering = true;
    let taken = 0;
    while (taken < this.inbox.length && this.messageListener !== undefined && !this.paused && !this.done) {
      const message = this.inbox[taken];
      taken += 1;
      if (message === undefined) break;
      this.letGo(message.length + inboxEntryBytes);
      this.deliverOne(message);
    }
    if (taken > 0) this.inbox.splice(0, taken);
    if (this.inbox.length === 0 && this.inboxAdmittedBytes > 0) this.letGoOfAdmitted();
    this.delivering = false;
    if (this.remoteClosed && !this.endTold && !this.done && !this.paused && this.inbox.length === 0) {
      if (this.endListener === undefined) return;
      this.endTold = true;
      this.guarded(this.endListener);
    }
  }

  private deliverOne(message: Uint8Array): void {
    try {
      this.messageListener?.(message);
    } catch (caught) {
      this.handlerFailed(caught);
    }
  }

  /** Told by the timer. */
  deadlinePassed(): void {
    this.host.deadlinePassed(this);
  }

  /** There is room again after a refused write. */
  drained(): void {
    if (this.done || !this.drainWanted) return;
    this.drainWanted = false;
    if (this.drainListener !== undefined) this.guarded(this.drainListener);
  }

  /** Who wants to know whether the answer arrives; told by whoever takes it. */
  takeArrivalListener(): ((arrived: boolean) => void) | undefined {
    const act = this.arrivalListener;
    this.arrivalListener = undefined;
    return act;
  }

  /** The connection has let go of the call: everything held is given back. */
  forget(): void {
    this.done = true;
    if (this.reservedBytes > 0 || this.roomAsk !== undefined) this.unreserve();
    this.queue.length = 0;
    this.queuedBytes = 0;
    this.inbox = [];
    this.request = undefined;
    this.letGo(this.heldBytes);
    this.letGoOfAdmitted();
    if (this.requestAsk !== undefined) this.withdraw();
    this.assembler?.drop();
  }

  /** The caller is gone; the connection has forgotten the call. */
  gone(): void {
    this.cancelled = true;
    const first = this.cancelListener;
    const more = this.moreCancelListeners;
    this.cancelListener = undefined;
    this.moreCancelListeners = undefined;
    if (first !== undefined) this.guarded(first);
    if (more !== undefined) for (const act of more) this.guarded(act);
  }

  private hold(bytes: number): boolean {
    if (this.host.pieces.take(bytes)) {
      this.heldBytes += bytes;
      return true;
    }
    this.cutOff(grpcStatus.RESOURCE_EXHAUSTED, 'too many bytes of unread messages are held; try again');
    return false;
  }

  private letGo(bytes: number): void {
    const given = Math.min(bytes, this.heldBytes);
    if (given === 0) return;
    this.heldBytes -= given;
    this.host.pieces.give(given);
  }

  private letGoOfAdmitted(): void {
    this.host.requests.give(this.admittedBytes + this.inboxAdmittedBytes);
    this.admittedBytes = 0;
    this.inboxAdmittedBytes = 0;
  }

  private guarded(act: () => void): void {
    try {
      act();
    } catch (caught) {
      this.handlerFailed(caught);
    }
  }

  private handlerFailed(caught: unknown): void {
    throwAssertion(caught);
    this.host.handlerFailed(this, caught);
    this.cutOff(grpcStatus.INTERNAL, 'internal error');
  }
}

/** The bytes alone, if they share their memory with much else. */
function unshared(bytes: Uint8Array): Uint8Array {
  return bytes.length * 2 < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes;
}
