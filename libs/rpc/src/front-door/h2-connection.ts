/**
 * One HTTP/2 connection of a front door, from the preface to the end: frames in, calls, frames out.
 *
 * In:  socket chunk ─► FrameReader ─► (here) ─► DoorCall ─► handler
 * Out: handler ─► DoorCall ─► (here: windows, frame sizes) ─► Outbox ─► one write a turn
 *
 * Data goes to the outbox only while the caller's windows allow it and the socket keeps up; until then it waits with
 * its call. So what one connection can make us hold is bounded by the limits, whatever it sends or refuses to read.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '@cometmq/shared';
import type { DeadlineWheel } from '../deadline-wheel.js';
import { grpcStatus } from '../grpc-server.js';
import type { FailureLog, GrpcStatusCode, MessageBytes } from '../grpc-server.js';
import { parseGrpcTimeout } from '../grpc-timeout.js';
import { ByteBudget } from '../http2/byte-budget.js';
import {
  defaultWindowBytes,
  flag,
  frameBytesMin,
  frameHeaderBytes,
  frameType,
  H2Failure,
  h2Error,
  setting,
  windowBytesMax,
} from '../http2/constants.js';
import type { H2ErrorCode } from '../http2/constants.js';
import { FrameReader } from '../http2/frame-reader.js';
import type { FrameSink } from '../http2/frame-reader.js';
import { HpackDecoder } from '../http2/hpack-decoder.js';
import type { RequestHeaders } from '../http2/hpack-decoder.js';
import { encodeGrpcMessage, okBlockBytesMax, ResponseHeaders } from '../http2/response-headers.js';
import { defaultHpackTableBytes, readSettings, settingsPayload } from '../http2/settings.js';
import type { Route } from '../routes.js';
import { Allowance } from './allowance.js';
import { Arrivals } from './arrivals.js';
import type { MutableCounters } from './counters.js';
import { DoorCall } from './door-call.js';
import type { CallHost } from './door-call.js';
import type { FrontDoorLimits } from './limits.js';
import { Outbox } from './outbox.js';
import type { BlockPool, OutboxOwner } from './outbox.js';

/** What all connections of a server share. */
export interface ConnectionHost {
  readonly clock: Clock;
  readonly limits: FrontDoorLimits;
  readonly routes: ReadonlyMap<string, Route>;
  readonly counters: MutableCounters;
  readonly budget: ByteBudget;
  readonly blocks: BlockPool;
  readonly deadlines: DeadlineWheel<DoorCall>;
  readonly log: FailureLog;
  /** `connection.flush` shall run at the end of this turn of the event loop. */
  flushLater(connection: H2Connection): void;
  /** The socket is closed. */
  closed(connection: H2Connection): void;
}

/** Framed bytes that may wait for the socket before data stays with its call. */
const socketBytesMax = 1_024 * 1_024;
/** Framed bytes that may wait at all: above it the peer lets us answer and never reads. */
const socketBytesHardMax = 4 * socketBytesMax;
/** What one call may send before the next one's turn. */
const turnBytes = 65_536;
/** What may wait of one call's messages before `write` says stop. */
const callQueueBytes = 131_072;
const callPrefixBytes = 5;
/** How long a peer may take to read our last words. */
const lingerMs = 1_000;
/** A window opened by less than this makes tiny frames. */
const smallIncrement = 64;

const nothing = Buffer.alloc(0);

export class H2Connection implements FrameSink, CallHost, OutboxOwner {
  readonly messageBytesMax: number;
  readonly budget: ByteBudget;
  closed = false;

  private readonly calls = new Map<number, DoorCall>();
  private readonly reader: FrameReader;
  private readonly decoder: HpackDecoder;
  private readonly answers = new ResponseHeaders();
  private readonly out: Outbox;
  private readonly limits: FrontDoorLimits;

  private lastStreamId = 0;
  private draining = false;
  private endDue = false;
  private socketGone = false;

  // What the peer may send.
  private receiveWindow: number;
  private credit = 0;
  // What we may send.
  private sendWindow = defaultWindowBytes;
  private callSendWindow = defaultWindowBytes;
  private frameBytesMax = frameBytesMin;
  private queuedBytes = 0;
  /** Calls with bytes to send that only the connection or the socket holds up, in turn. */
  private readonly waiting: DoorCall[] = [];

  // The frame of data being read.
  private dataCall: DoorCall | undefined;
  private dataFlowBytes = 0;
  private dataBytes = 0;
  private dataEndsCall = false;

  private readonly resets: Allowance;
  private readonly arrivals = new Arrivals();
  private readonly pings: Allowance;
  private readonly controls: Allowance;

  private nowMs: number;
  private checkedMs: number;
  private activeMs: number;
  private writtenMs: number;
  private framesChecked = -1;
  private midwaySinceMs: number | undefined;
  /** Calls whose request is not whole yet. */
  private unfinished = 0;

  constructor(
    private readonly socket: Socket | TLSSocket,
    private readonly host: ConnectionHost,
    readonly peer: string,
    readonly encrypted: boolean,
    readonly connection: number,
  ) {
    const limits = host.limits;
    this.limits = limits;
    this.messageBytesMax = limits.messageBytesMax;
    this.budget = new ByteBudget(limits.connectionHeldBytesMax, host.budget);
    this.receiveWindow = limits.connectionWindowBytes;
    this.reader = new FrameReader(this, {
      frameBytesMax: frameBytesMin,
      headerBlockBytesMax: limits.headerBlockBytesMax,
    });
    this.decoder = new HpackDecoder({ tableBytesMax: defaultHpackTableBytes, listBytesMax: limits.headerListBytesMax });
    this.out = new Outbox(socket, host.blocks, this);
    this.resets = new Allowance(limits.resetsBurst, limits.resetsPerSecond);
    this.pings = new Allowance(limits.pingsBurst, limits.pingsPerSecond);
    this.controls = new Allowance(limits.controlsBurst, limits.controlsPerSecond);
    this.nowMs = host.clock.monotonicMs();
    this.checkedMs = this.nowMs;
    this.activeMs = this.nowMs;
    this.writtenMs = this.nowMs;
    this.greet();
    socket.on('data', (chunk: Buffer) => this.received(chunk));
    socket.on('close', () => this.socketClosed());
    socket.on('end', () => this.socketClosed()); // Half a connection is no use to gRPC.
  }

  /** Bytes the socket delivered; the preface has been taken off. */
  received(chunk: Buffer, from = 0): void {
    this.host.counters.bytesIn += chunk.length - from;
    if (this.closed) return;
    this.nowMs = this.host.clock.monotonicMs();
    try {
      this.reader.feed(chunk, from);
    } catch (caught) {
      if (caught instanceof H2Failure) this.breakOff(caught.code, caught.message);
      else this.ownFault(caught);
    }
  }

  /** Says goodbye to new calls; closes once the open ones have ended. */
  drain(): void {
    if (this.closed || this.draining) return;
    this.draining = true;
    this.goAway(h2Error.NO_ERROR, 'the server is stopping');
    this.closeWhenDone();
  }

  /** Closes now; open calls are cancelled. */
  abort(): void {
    this.closed = true;
    this.socket.destroy();
    this.socketClosed();
  }

  /** Sends what has gathered in this turn. */
  flush(): void {
    if (this.socketGone) return;
    if (this.arrivals.wantPing && !this.closed) this.askForArrivals();
    this.out.flush();
  }

  /** To be called about once a second: refills allowances and looks for what takes too long. */
  check(nowMs: number): void {
    const seconds = (nowMs - this.checkedMs) / 1_000;
    this.checkedMs = nowMs;
    this.nowMs = nowMs;
    this.resets.refill(seconds);
    this.pings.refill(seconds);
    this.controls.refill(seconds);
    if (this.closed) return;
    if (!this.out.busy) {
      this.writtenMs = nowMs;
    } else if (nowMs - this.writtenMs > this.limits.stalledMs) {
      this.abort();
      return;
    }
    const moved = this.reader.frames !== this.framesChecked;
    this.framesChecked = this.reader.frames;
    if (moved || this.calls.size > 0) this.activeMs = nowMs;
    if (moved || !this.reader.midway) this.midwaySinceMs = this.reader.midway ? nowMs : undefined;
    if (this.midwaySinceMs !== undefined && nowMs - this.midwaySinceMs > this.limits.greetingMs) {
      this.breakOff(h2Error.ENHANCE_YOUR_CALM, 'a frame took too long');
    } else if (nowMs - this.activeMs > this.limits.idleMs) {
      this.drain();
    } else if (this.unfinished > 0) {
      this.endSlowRequests(nowMs);
    }
  }

  private endSlowRequests(nowMs: number): void {
    for (const call of [...this.calls.values()]) {
      if (call.remoteClosed || call.done || call.route.method.kind === 'bidi') continue;
      const dueMs = Math.min(call.openedMs + this.limits.requestMs, call.deadlineMs ?? Infinity);
      if (nowMs > dueMs) call.fail(grpcStatus.DEADLINE_EXCEEDED, 'the request was not sent in time');
    }
  }

  /** The wheel found this call's deadline passed. */
  deadlinePassed(call: DoorCall): void {
    if (this.calls.get(call.streamId) !== call) return;
    this.host.counters.deadlinesPassed += 1;
    const answered = call.done;
    this.dropQueue(call);
    this.writeTrailers(call, grpcStatus.DEADLINE_EXCEEDED, 'the deadline has passed');
    this.forget(call);
    if (!answered) call.gone();
  }

  // ---- frames that come in ---------------------------------------------------------------------------------------

  dataBegins(streamId: number, flowBytes: number, endStream: boolean): void {
    this.receiveWindow -= flowBytes;
    if (this.receiveWindow < 0) throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'the connection window is passed');
    this.credit += flowBytes;
    if (this.credit * 2 >= this.limits.connectionWindowBytes) {
      this.writeWindowUpdate(0, this.credit);
      this.receiveWindow += this.credit;
      this.credit = 0;
    }
    this.dataCall = undefined;
    this.dataFlowBytes = flowBytes;
    this.dataBytes = 0;
    this.dataEndsCall = endStream;
    const call = this.calls.get(streamId);
    if (call === undefined) {
      if (streamId % 2 === 0 || (streamId > this.lastStreamId && !this.draining)) {
        throw new H2Failure(h2Error.PROTOCOL_ERROR, `data on stream ${streamId}, which is not open`);
      }
      return; // A call that has ended; the caller did not know yet.
    }
    if (call.remoteClosed) {
      this.resetCall(call, h2Error.STREAM_CLOSED);
      return;
    }
    call.receiveWindow -= flowBytes;
    if (call.receiveWindow < 0) throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'a stream window is passed');
    this.dataCall = call;
  }

  dataPiece(chunk: Buffer, from: number, to: number): void {
    this.dataBytes += to - from;
    const call = this.dataCall;
    if (call !== undefined && !call.done) call.data(chunk, from, to);
  }

  dataEnds(): void {
    const call = this.dataCall;
    this.dataCall = undefined;
    if (this.dataBytes === 0 && !this.dataEndsCall) this.spend(this.controls, 'empty frames of data');
    if (call === undefined || this.calls.get(call.streamId) !== call) return;
    if (this.dataEndsCall) {
      this.requestEnded(call);
      return;
    }
    call.credit += this.dataFlowBytes;
    call.frameEnded();
    this.consumed(call);
  }

  headers(streamId: number, endStream: boolean, block: Buffer, from: number, to: number): void {
    const headers = this.decoder.decode(block, from, to); // Always, or the tables would go apart.
    if (streamId % 2 === 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'a client opened an even stream');
    const known = this.calls.get(streamId);
    if (known !== undefined) {
      if (known.remoteClosed || !endStream) this.resetCall(known, h2Error.PROTOCOL_ERROR);
      else this.requestEnded(known);
      return;
    }
    if (streamId <= this.lastStreamId) {
      this.spend(this.controls, 'headers on ended streams');
      return;
    }
    if (this.draining || this.calls.size >= this.limits.streamsMax) {
      if (!this.draining) this.lastStreamId = streamId;
      this.host.counters.callsRefused += 1;
      this.writeReset(streamId, h2Error.REFUSED_STREAM);
      this.spend(this.resets, 'calls above the limit');
      return;
    }
    this.lastStreamId = streamId;
    this.openCall(streamId, endStream, headers);
  }

  reset(streamId: number, _code: number): void {
    if (streamId === 0 || streamId % 2 === 0 || (streamId > this.lastStreamId && !this.draining)) {
      throw new H2Failure(h2Error.PROTOCOL_ERROR, 'RST_STREAM of a stream that was never open');
    }
    this.spend(this.resets, 'resets');
    const call = this.calls.get(streamId);
    if (call !== undefined) this.cancel(call);
    else this.arrivals.reset(streamId);
  }

  settings(payload: Buffer, from: number, to: number): void {
    this.spend(this.controls, 'settings');
    readSettings(payload, from, to, (id, value) => this.setting(id, value));
    const at = this.head(0);
    this.putHead(at, 0, frameType.SETTINGS, flag.ACK, 0);
  }

  settingsAcknowledged(): void {
    this.spend(this.controls, 'settings');
  }

  ping(payload: Buffer, from: number): void {
    this.spend(this.pings, 'pings');
    const block = this.out.reserve(frameHeaderBytes + 8);
    const at = this.out.offset;
    payload.copy(block, at + frameHeaderBytes, from, from + 8);
    this.putHead(at, 8, frameType.PING, flag.ACK, 0);
    this.checkSocketBytes();
  }

  pingAnswered(payload: Buffer, from: number): void {
    if (!this.arrivals.answered(payload, from)) {
      this.spend(this.controls, 'answers to no ping');
      return;
    }
    if (this.arrivals.wantPing) this.flushDue();
    if (this.draining) this.closeWhenDone();
  }

  goingAway(): void {
    this.draining = true;
    this.closeWhenDone();
  }

  windowUpdate(streamId: number, increment: number): void {
    if (increment < smallIncrement) this.spend(this.controls, 'tiny window updates');
    if (streamId === 0) {
      if (increment === 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'a window update by nothing');
      this.sendWindow += increment;
      if (this.sendWindow > windowBytesMax)
        throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'the connection window overflows');
      this.pumpWaiting();
      return;
    }
    const call = this.calls.get(streamId);
    if (call === undefined) {
      if (streamId % 2 === 0 || (streamId > this.lastStreamId && !this.draining)) {
        throw new H2Failure(h2Error.PROTOCOL_ERROR, 'a window update of a stream that was never open');
      }
      return;
    }
    if (increment === 0) {
      this.resetCall(call, h2Error.PROTOCOL_ERROR);
    } else if (call.sendWindow + increment > windowBytesMax) {
      this.resetCall(call, h2Error.FLOW_CONTROL_ERROR);
    } else {
      call.sendWindow += increment;
      this.wake(call);
    }
  }

  ignored(): void {
    this.spend(this.controls, 'frames of no use');
  }

  private setting(id: number, value: number): void {
    switch (id) {
      case setting.HEADER_TABLE_SIZE:
        this.answers.tableLimit(value);
        break;
      case setting.INITIAL_WINDOW_SIZE: {
        const change = value - this.callSendWindow;
        this.callSendWindow = value;
        for (const call of [...this.calls.values()]) {
          call.sendWindow += change;
          if (call.sendWindow > windowBytesMax)
            throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'a stream window overflows');
          if (change > 0) this.wake(call);
        }
        break;
      }
      case setting.MAX_FRAME_SIZE:
        this.frameBytesMax = value;
        break;
    }
  }

  private spend(allowance: Allowance, what: string): void {
    if (allowance.spend()) return;
    this.host.counters.floods += 1;
    throw new H2Failure(h2Error.ENHANCE_YOUR_CALM, `too many ${what}`);
  }

  // ---- calls -----------------------------------------------------------------------------------------------------

  private openCall(streamId: number, endStream: boolean, headers: RequestHeaders): void {
    if (headers.path === undefined || headers.method === undefined || headers.malformed) {
      if (!headers.tooLarge) {
        this.refuse(streamId);
        this.countedReset(streamId, h2Error.PROTOCOL_ERROR);
        return;
      }
    }
    if (headers.tooLarge) {
      const most = this.limits.headerListBytesMax;
      this.refuseWith(streamId, endStream, grpcStatus.RESOURCE_EXHAUSTED, `headers of more than ${most} bytes`);
      return;
    }
    if (headers.method !== 'POST' || headers.contentType?.startsWith('application/grpc') !== true) {
      this.refuse(streamId);
      this.writeHttpStatus(streamId, headers.method === 'POST' ? 415 : 405, endStream);
      return;
    }
    const route = this.host.routes.get(headers.path ?? '');
    if (route === undefined) {
      this.refuseWith(streamId, endStream, grpcStatus.UNIMPLEMENTED, `unknown method ${headers.path ?? ''}`);
      return;
    }
    if (this.queuedBytes > this.limits.connectionQueuedBytesMax) {
      this.refuseWith(streamId, endStream, grpcStatus.RESOURCE_EXHAUSTED, 'too many answers wait to be read');
      return;
    }
    const timeoutMs = parseGrpcTimeout(headers.timeout);
    const call = new DoorCall(
      this,
      streamId,
      route,
      headers,
      this.nowMs,
      timeoutMs === undefined ? undefined : this.nowMs + timeoutMs,
      this.limits.streamWindowBytes,
      this.callSendWindow,
    );
    this.calls.set(streamId, call);
    this.host.counters.callsOpen += 1;
    this.host.counters.callsTotal += 1;
    this.unfinished += 1;
    if (route.method.kind === 'bidi') call.begin();
    if (endStream) this.requestEnded(call);
  }

  private requestEnded(call: DoorCall): void {
    if (call.remoteClosed) return;
    this.unfinished -= 1;
    call.remoteEnded();
  }

  private refuse(streamId: number): void {
    this.host.counters.callsRefused += 1;
    this.lastStreamId = streamId;
  }

  private refuseWith(streamId: number, endStream: boolean, status: GrpcStatusCode, message: string): void {
    this.refuse(streamId);
    this.putStatus(streamId, true, status, message);
    if (!endStream) this.writeReset(streamId, h2Error.NO_ERROR);
  }

  /** A stream ended because of what the peer did counts like a reset of its own. */
  private resetCall(call: DoorCall, code: H2ErrorCode): void {
    this.countedReset(call.streamId, code);
    this.cancel(call);
  }

  private countedReset(streamId: number, code: H2ErrorCode): void {
    this.host.counters.protocolErrors += 1;
    this.writeReset(streamId, code);
    this.spend(this.resets, 'resets');
  }

  private cancel(call: DoorCall): void {
    const answered = call.done;
    this.dropQueue(call);
    this.forget(call);
    call.takeArrivalListener()?.(false); // Also of an answer that is whole: its end did not go out.
    if (answered) return;
    this.host.counters.callsCancelled += 1;
    call.gone();
  }

  /** The call's stream is closed on both sides. */
  private forget(call: DoorCall): void {
    if (!this.calls.delete(call.streamId)) return;
    this.host.counters.callsOpen -= 1;
    if (!call.remoteClosed) this.unfinished -= 1;
    this.host.deadlines.remove(call);
    call.forget();
    if (this.draining) this.closeWhenDone();
  }

  consumed(call: DoorCall): void {
    if (call.remoteClosed || call.holdsBack || call.credit * 2 < this.limits.streamWindowBytes) return;
    if (this.calls.get(call.streamId) !== call) return;
    this.writeWindowUpdate(call.streamId, call.credit);
    call.receiveWindow += call.credit;
    call.credit = 0;
  }

  dispatched(call: DoorCall): void {
    if (call.deadlineMs !== undefined) this.host.deadlines.add(call, call.deadlineMs);
  }

  handlerFailed(call: DoorCall, cause: unknown): void {
    this.host.counters.handlerFailures += 1;
    this.host.log(`${call.route.path} failed`, cause);
  }

  // ---- answers ---------------------------------------------------------------------------------------------------

  open(call: DoorCall): void {
    if (call.headersSent || this.closed) return;
    this.putOpening(call);
  }

  reply(call: DoorCall, message: MessageBytes): void {
    if (this.calls.get(call.streamId) !== call || this.closed) return;
    if (!call.headersSent) this.putOpening(call);
    this.sendMessage(call, message);
    this.finishCall(call, grpcStatus.OK, '');
  }

  write(call: DoorCall, message: MessageBytes): boolean {
    if (this.calls.get(call.streamId) !== call || this.closed) return false;
    if (!call.headersSent) this.putOpening(call);
    this.sendMessage(call, message);
    if (call.queuedBytes === 0) return true;
    if (call.queuedBytes < callQueueBytes && this.queuedBytes < this.limits.connectionQueuedBytesMax / 4) return true;
    call.drainWanted = true;
    return false;
  }

  finish(call: DoorCall, status: GrpcStatusCode, message: string): void {
    if (this.calls.get(call.streamId) !== call || this.closed) return;
    this.finishCall(call, status, message);
  }

  private finishCall(call: DoorCall, status: GrpcStatusCode, message: string): void {
    if (call.queuedBytes > 0) {
      call.endStatus = status;
      call.endMessage = message;
      return;
    }
    this.writeTrailers(call, status, message);
    this.forget(call);
  }

  private sendMessage(call: DoorCall, message: MessageBytes): void {
    let length = 0;
    if (message instanceof Uint8Array) length = message.length;
    else for (const chunk of message) length += chunk.length;
    const flowBytes = length + callPrefixBytes;
    if (
      call.queuedBytes === 0 &&
      flowBytes <= this.sendWindow &&
      flowBytes <= call.sendWindow &&
      flowBytes <= this.frameBytesMax &&
      this.out.pendingBytes < socketBytesMax
    ) {
      this.sendWindow -= flowBytes;
      call.sendWindow -= flowBytes;
      const block = this.out.reserve(frameHeaderBytes + callPrefixBytes);
      const at = this.out.offset;
      writeHead(block, at, flowBytes, frameType.DATA, 0, call.streamId);
      writePrefix(block, at + frameHeaderBytes, length);
      this.out.advance(at + frameHeaderBytes + callPrefixBytes);
      if (message instanceof Uint8Array) this.out.append(message, 0, length);
      else for (const chunk of message) this.out.append(chunk, 0, chunk.length);
      return;
    }
    const prefix = Buffer.allocUnsafe(callPrefixBytes);
    writePrefix(prefix, 0, length);
    call.queue.push(prefix);
    if (message instanceof Uint8Array) {
      if (length > 0) call.queue.push(message);
    } else {
      for (const chunk of message) if (chunk.length > 0) call.queue.push(chunk);
    }
    this.addQueued(call, flowBytes);
    if (!call.waiting) {
      this.pump(call, turnBytes);
      this.wait(call);
    }
  }

  /** Sends of what waits with a call as much as windows, socket and its turn allow. */
  private pump(call: DoorCall, turn: number): void {
    let left = turn;
    while (call.queuedBytes > 0 && left > 0 && this.out.pendingBytes < socketBytesMax) {
      const count = Math.min(this.sendWindow, call.sendWindow, this.frameBytesMax, call.queuedBytes);
      if (count <= 0) return;
      const block = this.out.reserve(frameHeaderBytes);
      const at = this.out.offset;
      writeHead(block, at, count, frameType.DATA, 0, call.streamId);
      this.out.advance(at + frameHeaderBytes);
      this.moveQueued(call, count);
      this.sendWindow -= count;
      call.sendWindow -= count;
      left -= count;
    }
  }

  private moveQueued(call: DoorCall, bytes: number): void {
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

  private addQueued(call: DoorCall, bytes: number): void {
    call.queuedBytes += bytes;
    this.queuedBytes += bytes;
    this.host.counters.queuedBytes += bytes;
  }

  private dropQueue(call: DoorCall): void {
    this.addQueued(call, -call.queuedBytes);
    call.queue.length = 0;
    call.queueOffset = 0;
  }

  /** Puts a call in line if it is not its own window that holds it up. */
  private wait(call: DoorCall): void {
    if (call.waiting || call.queuedBytes === 0 || call.sendWindow <= 0) return;
    call.waiting = true;
    this.waiting.push(call);
  }

  /** Its window has grown. */
  private wake(call: DoorCall): void {
    if (call.queuedBytes === 0 || call.waiting) return;
    this.wait(call);
    this.pumpWaiting();
  }

  private pumpWaiting(): void {
    while (this.waiting.length > 0 && this.sendWindow > 0 && this.out.pendingBytes < socketBytesMax && !this.closed) {
      const call = this.waiting.shift();
      if (call === undefined) return;
      call.waiting = false;
      if (call.queuedBytes === 0) continue; // It was cancelled meanwhile.
      this.pump(call, turnBytes);
      if (call.queuedBytes > 0) {
        this.wait(call);
      } else if (call.endStatus !== -1) {
        this.writeTrailers(call, call.endStatus, call.endMessage);
        this.forget(call);
      } else {
        call.drained();
      }
    }
  }

  private writeTrailers(call: DoorCall, status: GrpcStatusCode, message: string): void {
    if (status === grpcStatus.OK && call.headersSent) {
      const block = this.out.reserve(frameHeaderBytes + okBlockBytesMax);
      const at = this.out.offset;
      const end = this.answers.writeOk(block, at + frameHeaderBytes);
      const flags = flag.END_STREAM | flag.END_HEADERS;
      writeHead(block, at, end - at - frameHeaderBytes, frameType.HEADERS, flags, call.streamId);
      this.out.advance(end);
    } else {
      this.putStatus(call.streamId, !call.headersSent, status, message);
    }
    if (!call.remoteClosed) this.writeReset(call.streamId, h2Error.NO_ERROR); // Nothing more is wanted.
    const arrival = call.takeArrivalListener();
    if (arrival && status === grpcStatus.OK) this.arrivals.add(call.streamId, arrival);
    else arrival?.(false);
  }

  private putOpening(call: DoorCall): void {
    call.headersSent = true;
    const block = this.out.reserve(frameHeaderBytes + okBlockBytesMax);
    const at = this.out.offset;
    const end = this.answers.writeOpening(block, at + frameHeaderBytes);
    writeHead(block, at, end - at - frameHeaderBytes, frameType.HEADERS, flag.END_HEADERS, call.streamId);
    this.out.advance(end);
  }

  /** Trailers with a status, alone or behind what was sent. */
  private putStatus(streamId: number, opening: boolean, status: GrpcStatusCode, message: string): void {
    const text = message === '' ? nothing : encodeGrpcMessage(message);
    const block = this.out.reserve(frameHeaderBytes + 2 * okBlockBytesMax + text.length);
    const at = this.out.offset;
    let end = at + frameHeaderBytes;
    if (opening) end = this.answers.writeOpening(block, end);
    end = this.answers.writeStatus(block, end, status, text);
    const flags = flag.END_STREAM | flag.END_HEADERS;
    writeHead(block, at, end - at - frameHeaderBytes, frameType.HEADERS, flags, streamId);
    this.out.advance(end);
    this.checkSocketBytes();
  }

  private writeHttpStatus(streamId: number, httpStatus: number, endStream: boolean): void {
    const block = this.out.reserve(frameHeaderBytes + okBlockBytesMax);
    const at = this.out.offset;
    const end = this.answers.writeHttpStatus(block, at + frameHeaderBytes, httpStatus);
    const flags = flag.END_STREAM | flag.END_HEADERS;
    writeHead(block, at, end - at - frameHeaderBytes, frameType.HEADERS, flags, streamId);
    this.out.advance(end);
    if (!endStream) this.writeReset(streamId, h2Error.NO_ERROR);
    this.checkSocketBytes();
  }

  // ---- frames of the connection ----------------------------------------------------------------------------------

  private greet(): void {
    const payload = settingsPayload([
      [setting.MAX_CONCURRENT_STREAMS, this.limits.streamsMax],
      [setting.INITIAL_WINDOW_SIZE, this.limits.streamWindowBytes],
      [setting.MAX_HEADER_LIST_SIZE, this.limits.headerListBytesMax],
    ]);
    const block = this.out.reserve(frameHeaderBytes + payload.length);
    const at = this.out.offset;
    payload.copy(block, at + frameHeaderBytes);
    this.putHead(at, payload.length, frameType.SETTINGS, 0, 0);
    const more = this.limits.connectionWindowBytes - defaultWindowBytes;
    if (more > 0) this.writeWindowUpdate(0, more);
  }

  private askForArrivals(): void {
    const block = this.out.reserve(frameHeaderBytes + 8);
    const at = this.out.offset;
    this.arrivals.ask(block, at + frameHeaderBytes);
    this.putHead(at, 8, frameType.PING, 0, 0);
  }

  private writeWindowUpdate(streamId: number, increment: number): void {
    this.putNumber(frameType.WINDOW_UPDATE, streamId, increment);
  }

  private writeReset(streamId: number, code: H2ErrorCode): void {
    this.putNumber(frameType.RST_STREAM, streamId, code);
  }

  private putNumber(type: number, streamId: number, value: number): void {
    const block = this.out.reserve(frameHeaderBytes + 4);
    const at = this.out.offset;
    block.writeUInt32BE(value, at + frameHeaderBytes);
    this.putHead(at, 4, type, 0, streamId);
    this.checkSocketBytes();
  }

  private head(payloadBytes: number): number {
    this.out.reserve(frameHeaderBytes + payloadBytes);
    return this.out.offset;
  }

  /** The head of a frame whose payload stands behind it in the block already. */
  private putHead(at: number, length: number, type: number, flags: number, streamId: number): void {
    writeHead(this.out.reserve(0), at, length, type, flags, streamId);
    this.out.advance(at + frameHeaderBytes + length);
  }

  private checkSocketBytes(): void {
    if (this.out.pendingBytes <= socketBytesHardMax || this.closed) return;
    this.host.counters.floods += 1;
    this.abort();
  }

  // ---- the end ---------------------------------------------------------------------------------------------------

  private goAway(code: H2ErrorCode, reason: string): void {
    const text = Buffer.from(reason.slice(0, 200), 'latin1');
    const block = this.out.reserve(frameHeaderBytes + 8 + text.length);
    const at = this.out.offset;
    block.writeUInt32BE(this.lastStreamId, at + frameHeaderBytes);
    block.writeUInt32BE(code, at + frameHeaderBytes + 4);
    text.copy(block, at + frameHeaderBytes + 8);
    this.putHead(at, 8 + text.length, frameType.GOAWAY, 0, 0);
  }

  /** The peer broke a rule. */
  private breakOff(code: H2ErrorCode, reason: string): void {
    if (this.closed) return;
    this.host.counters.protocolErrors += 1;
    this.goAway(code, reason);
    this.closeSoon();
  }

  /** A bug of ours in the connection's own code: it must not take the others along. */
  private ownFault(caught: unknown): void {
    this.host.log(`connection of ${this.peer} failed`, caught);
    this.goAway(h2Error.INTERNAL_ERROR, 'internal error');
    this.closeSoon();
  }

  /** Draining: the end comes when nobody is served any more, and what was answered last has arrived. */
  private closeWhenDone(): void {
    if (this.calls.size > 0) return;
    if (this.arrivals.size === 0) this.closeSoon();
    else this.host.clock.after(lingerMs, () => this.closeSoon());
  }

  /** Sends what is in the outbox, ends, and waits a little for the peer to read it. */
  private closeSoon(): void {
    if (this.closed) return;
    this.closed = true;
    this.cancelAll();
    this.out.flush();
    if (this.out.pendingBytes === 0) this.socket.end();
    else this.endDue = true;
    this.host.clock.after(lingerMs, () => this.socket.destroy());
  }

  private cancelAll(): void {
    for (const call of [...this.calls.values()]) this.cancel(call);
    this.waiting.length = 0;
  }

  private socketClosed(): void {
    if (this.socketGone) return;
    this.socketGone = true;
    this.closed = true;
    this.cancelAll();
    this.arrivals.lost();
    this.socket.destroy();
    this.host.closed(this);
  }

  // ---- the outbox ------------------------------------------------------------------------------------------------

  flushDue(): void {
    this.host.flushLater(this);
  }

  written(bytes: number): void {
    this.writtenMs = this.host.clock.monotonicMs();
    this.host.counters.bytesOut += bytes;
    if (this.closed) {
      if (this.endDue && this.out.pendingBytes === 0) this.socket.end();
      return;
    }
    if (this.waiting.length > 0) this.pumpWaiting();
  }
}

function writeHead(into: Buffer, at: number, length: number, type: number, flags: number, streamId: number): void {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  into[at + 5] = streamId >>> 24;
  into[at + 6] = streamId >>> 16;
  into[at + 7] = streamId >>> 8;
  into[at + 8] = streamId;
}

/** gRPC's prefix of a message that is not compressed. */
function writePrefix(into: Buffer, at: number, length: number): void {
  into[at] = 0;
  into[at + 1] = length >>> 24;
  into[at + 2] = length >>> 16;
  into[at + 3] = length >>> 8;
  into[at + 4] = length;
}
