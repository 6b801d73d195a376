/**
 * Which call may send how much when. Data goes to the outbox only while the caller's windows allow it and the socket
 * keeps up; until then it waits with its call, and calls that only the connection or the socket holds up take turns.
 *
 *   message ─► room in all windows, nothing waits before it ─► outbox, in one frame
 *              else ─► the call's queue ─► in turn, so much a turn ─► outbox
 *
 * What waits is counted in `memory`, as is what the handlers have asked room for and what the socket holds.
 */
import { defaultWindowBytes, frameBytesMin, H2Failure, h2Error, windowBytesMax } from '../http2/constants.js';
import { messagePrefixBytes, writeMessagePrefix } from '../http2/frame-writer.js';
import type { FrameWriter } from '../http2/frame-writer.js';
import type { MessageBytes } from '../grpc-server.js';
import type { MemoryAccount } from '../memory/memory-account.js';
import type { Outbox } from '../sockets/outbox.js';

/** The answer side of a call. */
export interface SendingCall {
  readonly streamId: number;
  sendWindow: number;
  /** What waits, from `queueOffset` of the first on. */
  readonly queue: Uint8Array[];
  queueOffset: number;
  queuedBytes: number;
  /** In line for its turn. */
  waiting: boolean;
  /** Of what waits something was sent last, or began to wait. */
  movedMs: number;
}

export interface SendSchedulerHost<Call> {
  readonly nowMs: number;
  /** All that waited with the call has been sent. */
  sent(call: Call): void;
}

/** Framed bytes that may wait for the socket before data stays with its call. */
const socketBytesMax = 1_024 * 1_024;
/** What one call may send before the next one's turn. */
const turnBytes = 65_536;

export class SendScheduler<Call extends SendingCall> {
  /** What a call that begins now may send. */
  callWindow = defaultWindowBytes;
  frameBytesMax = frameBytesMin;
  queuedBytes = 0;
  /** Frames of data sent: honest peers answer each with window updates and pings. */
  dataFrames = 0;
  private window = defaultWindowBytes;
  private readonly line: Call[] = [];

  constructor(
    private readonly host: SendSchedulerHost<Call>,
    private readonly out: Outbox,
    private readonly writer: FrameWriter,
    private readonly memory: MemoryAccount,
    private readonly counters: { queuedBytes: number },
  ) {}

  /** @param borrowed the message's bytes may change once this has returned */
  send(call: Call, message: MessageBytes, borrowed = false): void {
    let length = 0;
    if (message instanceof Uint8Array) length = message.length;
    else for (const chunk of message) length += chunk.length;
    const flowBytes = length + messagePrefixBytes;
    if (
      call.queuedBytes === 0 &&
      flowBytes <= this.window &&
      flowBytes <= call.sendWindow &&
      flowBytes <= this.frameBytesMax &&
      this.out.pendingBytes < socketBytesMax
    ) {
      this.window -= flowBytes;
      call.sendWindow -= flowBytes;
      this.dataFrames += 1;
      this.writer.messageHead(call.streamId, length);
      if (message instanceof Uint8Array) this.put(message, borrowed);
      else for (const chunk of message) this.put(chunk, borrowed);
      return;
    }
    const prefix = Buffer.allocUnsafe(messagePrefixBytes);
    writeMessagePrefix(prefix, 0, length);
    call.queue.push(prefix);
    const stays = call.queuedBytes > 0 || flowBytes > this.window || flowBytes > call.sendWindow;
    for (const chunk of message instanceof Uint8Array ? [message] : message) {
      if (chunk.length === 0) continue;
      if (borrowed) call.queue.push(new Uint8Array(chunk));
      else call.queue.push(stays ? unpinned(chunk) : chunk);
    }
    if (call.queuedBytes === 0) call.movedMs = this.host.nowMs;
    this.addQueued(call, flowBytes);
    if (!call.waiting) {
      this.pump(call);
      this.wait(call);
    }
  }

  private put(chunk: Uint8Array, borrowed: boolean): void {
    if (borrowed) this.out.copy(chunk);
    else this.out.append(chunk, 0, chunk.length);
  }

  /** Bytes that are no message, for what is not gRPC. */
  sendPlain(call: Call, bytes: Uint8Array): void {
    call.queue.push(bytes);
    if (call.queuedBytes === 0) call.movedMs = this.host.nowMs;
    this.addQueued(call, bytes.length);
    if (call.waiting) return;
    this.pump(call);
    this.wait(call);
  }

  /** Forgets what waits with a call. */
  drop(call: Call): void {
    this.addQueued(call, -call.queuedBytes);
    call.queue.length = 0;
    call.queueOffset = 0;
  }

  dropAll(): void {
    this.line.length = 0;
  }

  /** The connection's window grows. */
  connectionWindow(increment: number): void {
    this.window += increment;
    if (this.window > windowBytesMax) {
      throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'the connection window overflows');
    }
    this.pumpLine();
  }

  /** A call's window grows. False: beyond what is allowed. */
  callWindowGrows(call: Call, increment: number): boolean {
    if (call.sendWindow + increment > windowBytesMax) return false;
    call.sendWindow += increment;
    this.wake(call);
    return true;
  }

  /** SETTINGS changed what each call may send at first, and with it what the open ones may. */
  initialWindow(bytes: number, open: Iterable<Call>): void {
    const change = bytes - this.callWindow;
    this.callWindow = bytes;
    for (const call of open) {
      call.sendWindow += change;
      if (call.sendWindow > windowBytesMax) {
        throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'a stream window overflows');
      }
      if (change > 0) this.wake(call);
    }
  }

  /** The socket has taken what it had. */
  pumpLine(): void {
    while (this.line.length > 0 && this.window > 0 && this.out.pendingBytes < socketBytesMax) {
      const call = this.line.shift();
      if (call === undefined) return;
      call.waiting = false;
      if (call.queuedBytes === 0) continue; // It was cancelled meanwhile.
      this.pump(call);
      if (call.queuedBytes > 0) this.wait(call);
      else this.host.sent(call);
    }
  }

  private wake(call: Call): void {
    if (call.queuedBytes === 0 || call.waiting) return;
    this.wait(call);
    this.pumpLine();
  }

  /** Puts a call in line if it is not its own window that holds it up. */
  private wait(call: Call): void {
    if (call.waiting || call.queuedBytes === 0 || call.sendWindow <= 0) return;
    call.waiting = true;
    this.line.push(call);
  }

  /** Sends of what waits with a call as much as windows, socket and its turn allow. */
  private pump(call: Call): void {
    let left = turnBytes;
    while (call.queuedBytes > 0 && left > 0 && this.out.pendingBytes < socketBytesMax) {
      const count = Math.min(this.window, call.sendWindow, this.frameBytesMax, call.queuedBytes);
      if (count <= 0) return;
      this.writer.dataHead(call.streamId, count);
      this.moveQueued(call, count);
      this.window -= count;
      call.sendWindow -= count;
      this.dataFrames += 1;
      call.movedMs = this.host.nowMs;
      left -= count;
    }
  }

  private moveQueued(call: Call, bytes: number): void {
    let left = bytes;
    let spent = 0;
    while (left > 0) {
      const piece = call.queue[spent];
      if (piece === undefined) break;
      const from = call.queueOffset;
      const to = Math.min(piece.length, from + left);
      this.out.append(piece, from, to);
      left -= to - from;
      if (to === piece.length) {
        spent += 1;
        call.queueOffset = 0;
      } else {
        call.queueOffset = to;
      }
    }
    if (spent > 0) call.queue.splice(0, spent);
    this.addQueued(call, -bytes);
  }

  private addQueued(call: Call, bytes: number): void {
    call.queuedBytes += bytes;
    this.queuedBytes += bytes;
    this.counters.queuedBytes += bytes;
    if (bytes > 0) this.memory.add(bytes);
    else this.memory.give(-bytes);
  }
}

/** What stays for long must not keep much else in memory: a small message may be part of a frame or read of megabytes. */
function unpinned(bytes: Uint8Array): Uint8Array {
  const { byteLength } = bytes.buffer;
  return byteLength > pinBytesMax && bytes.length * 4 < byteLength ? new Uint8Array(bytes) : bytes;
}
const pinBytesMax = 65_536;
