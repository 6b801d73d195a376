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
import { TLSSocket } from 'node:tls';
import { throwAssertion } from '@cometmq/shared';
import type { Clock, ErrorCode } from '@cometmq/shared';
import type { DeadlineWheel } from '../deadline-wheel.js';
import { grpcStatus } from '../grpc-server.js';
import type { FailureLog, GrpcStatusCode, MessageBytes } from '../grpc-server.js';
import { parseGrpcTimeout } from '../grpc-timeout.js';
import { defaultWindowBytes, H2Failure, h2Error, setting } from '../http2/constants.js';
import type { H2ErrorCode } from '../http2/constants.js';
import { FrameReader } from '../http2/frame-reader.js';
import type { FrameSink } from '../http2/frame-reader.js';
import { FrameWriter } from '../http2/frame-writer.js';
import { HpackDecoder } from '../http2/hpack-decoder.js';
import type { RequestHeaders } from '../http2/hpack-decoder.js';
import { defaultHpackTableBytes, readSettings } from '../http2/settings.js';
import { MemoryAccount } from '../memory/memory-account.js';
import type { MemoryPool } from '../memory/memory-pool.js';
import type { Route } from '../routes.js';
import type { Member, PeerAddress } from '../sockets/address-book.js';
import { Allowance } from '../sockets/allowance.js';
import { refusalOf, rolesIn } from '../tls/process-tls.js';
import type { ProcessCallers, ProcessRole } from '../tls/process-tls.js';
import { Arrivals } from './arrivals.js';
import type { CutReason, MutableCounters } from './counters.js';
import { DoorCall } from './door-call.js';
import type { CallHost } from './door-call.js';
import { Effort, effort } from './effort.js';
import { EndedStreams } from './ended-streams.js';
import type { LastInTurn } from './last-in-turn.js';
import type { FrontDoorLimits } from './limits.js';
import { Liveness } from './liveness.js';
import { Outbox } from '../sockets/outbox.js';
import type { BlockPool, OutboxOwner } from '../sockets/outbox.js';
import { SendScheduler } from './send-scheduler.js';
import type { SendSchedulerHost } from './send-scheduler.js';

/** What all connections of a server share. */
export interface ConnectionHost {
  readonly clock: Clock;
  readonly limits: FrontDoorLimits;
  /** Callers are told the codes of errors. */
  readonly internal: boolean;
  /** Whose each call is; undefined: everybody's. */
  readonly callers: ProcessCallers | undefined;
  readonly routes: ReadonlyMap<string, Route>;
  readonly counters: MutableCounters;
  readonly requestPool: MemoryPool;
  readonly answerPool: MemoryPool;
  readonly blocks: BlockPool;
  readonly deadlines: DeadlineWheel<DoorCall>;
  readonly log: FailureLog;
  /** `connection.flush` shall run at the end of this turn of the event loop. */
  flushLater(connection: H2Connection): void;
  /** `connection.goOn` shall run when others had their turn. */
  readonly lastInTurn: LastInTurn;
  /** For requests that are not gRPC; has no handler that is called. */
  readonly notGrpc: Route;
  /** It is ended though its peer has not closed it; to be counted and told. */
  cut(peer: string, reason: CutReason, why: string): void;
  /** The socket is closed. */
  closed(connection: H2Connection): void;
}

/** Framed bytes that may wait at all: above it the peer lets us answer and never reads. */
const socketBytesHardMax = 4 * 1_024 * 1_024;
/** What may wait of one call's messages before `write` says stop. */
const callQueueBytes = 131_072;
/** How long a peer may take to read our last words. */
const lingerMs = 1_000;
/** A frame of data below this that does not end its request is next to nothing. */
const smallDataBytes = 256;
/** A list of headers above this costs something by itself. */
const longListBytes = 8_192;
/** Calls of one connection that may be refused for their number before others have their turn. */
const refusalsInTurn = 4;
/** After one that was, its connection comes last for so long. */
const givesWayMs = 100;
const notGrpcText = Buffer.from('This port speaks gRPC.\n', 'latin1');

export class H2Connection implements FrameSink, CallHost, Member, OutboxOwner, SendSchedulerHost<DoorCall> {
  readonly messageBytesMax: number;
  readonly pieces: MemoryAccount;
  readonly requests: MemoryAccount;
  readonly requestPool: MemoryPool;
  readonly answers: MemoryAccount;
  readonly answerPool: MemoryPool;
  closed = false;
  nowMs: number;

  private readonly calls = new Map<number, DoorCall>();
  private readonly reader: FrameReader;
  private readonly decoder: HpackDecoder;
  private readonly out: Outbox;
  private readonly writer: FrameWriter;
  private readonly sending: SendScheduler<DoorCall>;
  private readonly limits: FrontDoorLimits;

  /** What its certificate says the caller is, where it must say. */
  private readonly roles: readonly ProcessRole[];
  private lastStreamId = 0;
  private draining = false;
  private endDue = false;
  private socketGone = false;

  // What the peer may send.
  private receiveWindow: number;
  private credit = 0;
  // The frame of data being read.
  private dataCall: DoorCall | undefined;
  private dataFlowBytes = 0;
  private dataBytes = 0;
  private dataEndsCall = false;

  private readonly arrivals = new Arrivals();
  private readonly effort: Effort;
  private readonly endedStreams = new EndedStreams();

  // Of a caller that asks for more than it may.
  private refusals = 0;
  private givesWayUntilMs = -Infinity;
  private held: Buffer | undefined;

  private readonly liveness: Liveness;
  /** Calls whose request is not whole yet. */
  private unfinished = 0;

  constructor(
    private readonly socket: Socket | TLSSocket,
    private readonly host: ConnectionHost,
    readonly peer: string,
    readonly encrypted: boolean,
    readonly connection: number,
    readonly address: PeerAddress,
  ) {
    const limits = host.limits;
    this.limits = limits;
    this.roles = host.callers && socket instanceof TLSSocket ? rolesIn(socket.getPeerCertificate()) : [];
    this.messageBytesMax = limits.messageBytesMax;
    this.requestPool = host.requestPool;
    this.pieces = new MemoryAccount(limits.connectionHeldBytesMax / 2, address.pieces);
    this.requests = new MemoryAccount(limits.connectionHeldBytesMax / 2, address.requests);
    this.receiveWindow = limits.connectionWindowBytes;
    this.reader = new FrameReader(this, {
      frameBytesMax: limits.frameBytesMax,
      headerBlockBytesMax: limits.headerBlockBytesMax,
    });
    this.decoder = new HpackDecoder({ tableBytesMax: defaultHpackTableBytes, listBytesMax: limits.headerListBytesMax });
    this.answerPool = host.answerPool;
    this.answers = new MemoryAccount(limits.connectionQueuedBytesMax, address.answers);
    this.out = new Outbox(socket, host.blocks, this, this.answers);
    this.writer = new FrameWriter(this.out);
    this.sending = new SendScheduler<DoorCall>(this, this.out, this.writer, this.answers, host.counters);
    this.nowMs = host.clock.monotonicMs();
    const own = new Allowance(limits.effortBurst, limits.effortPerSecond, this.nowMs);
    this.effort = new Effort(own, address.effort, this.sending);
    this.liveness = new Liveness(limits, this.nowMs);
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
    this.liveness.heard(this.nowMs);
    if (this.nowMs >= this.givesWayUntilMs || !this.hold(chunk, from)) this.read(chunk, from);
  }

  get holdsBack(): boolean {
    return this.refusals >= refusalsInTurn;
  }

  /** A call of it was refused for the number of calls: what comes after it is read when others had their turn. */
  giveWay(): void {
    this.refusals += 1;
    this.givesWayUntilMs = this.nowMs + givesWayMs;
  }

  /** Reads some of what was held back. */
  goOn(): void {
    const chunk = this.held;
    if (chunk === undefined) return;
    this.held = undefined;
    this.nowMs = this.host.clock.monotonicMs();
    this.read(chunk, 0);
    if (this.held === undefined) this.socket.resume();
  }

  private read(chunk: Buffer, from: number): void {
    try {
      for (let at = from; at < chunk.length && !this.closed;) {
        this.refusals = 0;
        at = this.reader.feed(chunk, at);
        if (at < chunk.length && !this.closed && this.hold(chunk, at)) return;
      }
    } catch (caught) {
      if (caught instanceof H2Failure) this.breakOff(caught.code, caught.message);
      else this.ownFault(caught);
    }
  }

  /** The socket is not read meanwhile, so there is at most what it delivers at once. False: too many wait already. */
  private hold(chunk: Buffer, from: number): boolean {
    if (!this.host.lastInTurn.join(this)) return false;
    this.held = chunk.subarray(from);
    this.socket.pause();
    return true;
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
    if (this.arrivals.wantPing && !this.closed) this.sendPing();
    this.out.flush();
  }

  get idle(): boolean {
    return this.calls.size === 0;
  }

  displace(): void {
    if (this.closed) return;
    this.cut('displaced', 'all places are taken');
    this.goAway(h2Error.ENHANCE_YOUR_CALM, 'all places are taken');
    this.closeSoon();
  }

  /** Instead of `check`, where this process stood still since the one before. */
  stoodStill(nowMs: number): void {
    this.nowMs = nowMs;
    this.liveness.stoodStill(nowMs);
  }

  /** To be called about once a second: looks for what takes too long. */
  check(nowMs: number): void {
    this.nowMs = nowMs;
    if (this.closed) return;
    const verdict = this.liveness.look({
      nowMs,
      socketBusy: this.out.busy,
      frames: this.reader.frames,
      midway: this.reader.midway || !this.reader.begun,
      callsOpen: this.calls.size > 0,
      pingOutMs: this.arrivals.outSinceMs,
    });
    switch (verdict) {
      case 'stalled':
        this.cut('unread', `the socket has taken nothing for ${this.limits.stalledMs} ms`);
        this.abort();
        return;
      case 'silent':
        this.cut('silent', 'nothing was heard for a while, and a ping was not answered');
        this.abort();
        return;
      case 'slow':
        this.breakOff(h2Error.ENHANCE_YOUR_CALM, 'a frame took too long', 'slow');
        return;
      case 'idle':
        this.drain();
        return;
      case 'ask':
        this.sendPing();
        break;
      case 'fine':
        break;
    }
    if (this.unfinished > 0) this.endSlowRequests(nowMs);
    if (this.sending.queuedBytes > 0) this.endUnread(nowMs);
  }

  /** The caller has closed its window on an answer and keeps it so. */
  private endUnread(nowMs: number): void {
    for (const call of [...this.calls.values()]) {
      if (call.queuedBytes === 0 || nowMs - call.movedMs <= this.limits.unreadMs) continue;
      this.writeReset(call.streamId, h2Error.CANCEL);
      this.cancel(call);
    }
  }

  private endSlowRequests(nowMs: number): void {
    for (const call of [...this.calls.values()]) {
      if (call.remoteClosed || call.done) continue;
      if (call.dawdles(nowMs, this.limits.requestMs)) {
        call.cutOff(grpcStatus.DEADLINE_EXCEEDED, 'the message was not sent in time');
        continue;
      }
      if (call.route.method.kind === 'bidi') continue;
      const dueMs = Math.min(call.openedMs + this.limits.requestMs, call.deadlineMs ?? Infinity);
      if (nowMs > dueMs) call.cutOff(grpcStatus.DEADLINE_EXCEEDED, 'the request was not sent in time');
    }
  }

  /** The wheel found this call's deadline passed. */
  deadlinePassed(call: DoorCall): void {
    if (this.calls.get(call.streamId) !== call) return;
    this.host.counters.deadlinesPassed += 1;
    const answered = call.done;
    this.sending.drop(call);
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
      this.lateData(streamId, endStream);
      return;
    }
    if (call.remoteClosed) {
      this.resetCall(call, h2Error.STREAM_CLOSED);
      return;
    }
    call.receiveWindow -= flowBytes;
    if (call.receiveWindow < 0) throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'a stream window is passed');
    this.dataCall = call;
  }

  /** Of a call that has ended: the caller did not know yet, or had ended it itself. */
  private lateData(streamId: number, endStream: boolean): void {
    this.spend(effort.late, 'frames on ended streams');
    if (!this.endedStreams.has(streamId)) {
      if (streamId <= this.lastStreamId) this.countedReset(streamId, h2Error.STREAM_CLOSED);
    } else if (endStream) {
      this.endedStreams.delete(streamId);
    }
  }

  dataPiece(chunk: Buffer, from: number, to: number): void {
    this.dataBytes += to - from;
    const call = this.dataCall;
    if (call !== undefined && !call.done) call.data(chunk, from, to);
  }

  dataEnds(): void {
    const call = this.dataCall;
    this.dataCall = undefined;
    if (this.dataBytes < smallDataBytes && !this.dataEndsCall) {
      if (this.dataBytes === 0) this.spend(effort.emptyData, 'empty frames of data');
      else this.spend(effort.smallData, 'small frames of data');
    }
    if (call === undefined || this.calls.get(call.streamId) !== call) return;
    if (call.contentLeft !== -1 && !this.countContent(call)) return;
    if (this.dataEndsCall) {
      this.requestEnded(call);
      return;
    }
    call.credit += this.dataFlowBytes;
    call.frameEnded();
    this.consumed(call);
  }

  /** False: it is not as many bytes as the caller said, and its stream is reset. */
  private countContent(call: DoorCall): boolean {
    const left = call.contentLeft - this.dataBytes;
    if (left < 0 || (this.dataEndsCall && left > 0)) {
      this.resetCall(call, h2Error.PROTOCOL_ERROR);
      return false;
    }
    call.contentLeft = left;
    return true;
  }

  headers(streamId: number, endStream: boolean, block: Buffer, from: number, to: number, dependsOn: number): void {
    const headers = this.decoder.decode(block, from, to); // Always, or the tables would go apart.
    if (headers.bytes > longListBytes) this.spend((effort.headerKiB * headers.bytes) / 1_024, 'long lists of headers');
    if (streamId % 2 === 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'a client opened an even stream');
    const known = this.calls.get(streamId);
    if (known !== undefined) {
      this.trailers(known, endStream, headers);
    } else if (streamId <= this.lastStreamId) {
      this.spend(effort.late, 'frames on ended streams');
      if (this.endedStreams.has(streamId)) return;
      throw new H2Failure(h2Error.STREAM_CLOSED, `headers on stream ${streamId}, which is closed`);
    } else if (this.draining || this.calls.size >= this.limits.streamsMax) {
      this.refuse(streamId, endStream);
      this.writeReset(streamId, h2Error.REFUSED_STREAM);
    } else if (dependsOn === streamId) {
      this.refuse(streamId, endStream);
      this.countedReset(streamId, h2Error.PROTOCOL_ERROR);
    } else {
      this.openCall(streamId, endStream, headers);
    }
  }

  private trailers(call: DoorCall, endStream: boolean, headers: RequestHeaders): void {
    if (call.remoteClosed) this.resetCall(call, h2Error.STREAM_CLOSED);
    else if (!endStream || headers.pseudoSeen || headers.malformed || call.contentLeft > 0)
      this.resetCall(call, h2Error.PROTOCOL_ERROR);
    else this.requestEnded(call);
  }

  priority(streamId: number, dependsOn: number): void {
    this.spend(effort.idle, 'frames of no use');
    if (dependsOn !== streamId) return; // Nobody goes by priorities any more.
    const call = this.calls.get(streamId);
    if (call === undefined) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'a stream that depends on itself');
    this.resetCall(call, h2Error.PROTOCOL_ERROR);
  }

  reset(streamId: number, _code: number): void {
    if (streamId === 0 || streamId % 2 === 0 || (streamId > this.lastStreamId && !this.draining)) {
      throw new H2Failure(h2Error.PROTOCOL_ERROR, 'RST_STREAM of a stream that was never open');
    }
    const call = this.calls.get(streamId);
    this.spend(call === undefined || call.done ? effort.late : effort.reset, 'resets');
    if (call !== undefined) {
      call.resetByPeer = true;
      this.cancel(call);
    } else {
      this.endedStreams.delete(streamId);
      this.arrivals.reset(streamId);
    }
  }

  settings(payload: Buffer, from: number, to: number): void {
    this.spend(effort.settings + effort.settingsOfCall * this.calls.size, 'settings');
    this.writer.settingsAck(); // Before what they let us send.
    readSettings(payload, from, to, (id, value) => this.setting(id, value));
  }

  settingsAcknowledged(): void {
    this.spend(effort.idle, 'settings');
  }

  ping(payload: Buffer, from: number): void {
    this.spend(effort.ping, 'pings');
    this.writer.pingAck(payload, from);
    this.checkSocketBytes();
  }

  pingAnswered(payload: Buffer, from: number): void {
    if (!this.arrivals.answered(payload, from)) {
      this.spend(effort.idle, 'answers to no ping');
      return;
    }
    this.liveness.ponged();
    if (this.arrivals.wantPing) this.flushDue();
    if (this.draining) this.closeWhenDone();
  }

  goingAway(streamId: number): void {
    if (streamId !== 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'GOAWAY on a stream');
    this.spend(effort.settings, 'frames of no use');
    this.draining = true;
    this.closeWhenDone();
  }

  windowUpdate(streamId: number, increment: number): void {
    this.spend(effort.windowUpdate, 'window updates');
    if (streamId === 0) {
      if (increment === 0) throw new H2Failure(h2Error.PROTOCOL_ERROR, 'a window update by nothing');
      this.sending.connectionWindow(increment);
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
    } else if (!this.sending.callWindowGrows(call, increment)) {
      this.resetCall(call, h2Error.FLOW_CONTROL_ERROR);
    }
  }

  ignored(): void {
    this.spend(effort.idle, 'frames of no use');
  }

  private setting(id: number, value: number): void {
    switch (id) {
      case setting.HEADER_TABLE_SIZE:
        this.writer.tableLimit(value);
        break;
      case setting.INITIAL_WINDOW_SIZE:
        this.sending.initialWindow(value, [...this.calls.values()]);
        break;
      case setting.MAX_FRAME_SIZE:
        this.sending.frameBytesMax = value;
        break;
    }
  }

  private spend(price: number, what: string): void {
    this.effort.spend(price, what, this.nowMs);
  }

  // ---- calls -----------------------------------------------------------------------------------------------------

  private openCall(streamId: number, endStream: boolean, headers: RequestHeaders): void {
    if (headers.tooLarge) {
      const most = this.limits.headerListBytesMax;
      this.refuseWith(streamId, endStream, grpcStatus.RESOURCE_EXHAUSTED, `headers of more than ${most} bytes`);
      return;
    }
    const { contentLength } = headers;
    if (!headers.complete || (endStream && contentLength !== undefined && contentLength > 0)) {
      this.refuse(streamId, endStream);
      this.countedReset(streamId, h2Error.PROTOCOL_ERROR);
      return;
    }
    let route: Route | undefined = this.host.notGrpc;
    let httpStatus = 0;
    if (headers.method !== 'POST') httpStatus = 405;
    else if (headers.contentType?.startsWith('application/grpc') !== true) httpStatus = 415;
    else route = this.host.routes.get(headers.path ?? '');
    if (route === undefined) {
      this.refuseWith(streamId, endStream, grpcStatus.UNIMPLEMENTED, `unknown method ${headers.path ?? ''}`);
      return;
    }
    const refused = this.host.callers && refusalOf(route.path, this.roles, this.host.callers);
    if (refused !== undefined) {
      this.refuseWith(streamId, endStream, grpcStatus.PERMISSION_DENIED, refused.reason, refused.code);
      return;
    }
    if (this.tooMuchQueued) {
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
      this.sending.callWindow,
    );
    if (httpStatus !== 0) {
      this.host.counters.callsRefused += 1;
      call.httpStatus = httpStatus;
    }
    if (contentLength !== undefined) call.contentLeft = contentLength;
    this.lastStreamId = streamId;
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

  /** Of its own, or a share of what is too much in all. */
  private get tooMuchQueued(): boolean {
    const bytes = this.sending.queuedBytes;
    return bytes > this.limits.connectionQueuedBytesMax || (bytes > callQueueBytes && this.answerPool.account.full);
  }

  /** A call that no handler will see. */
  private refuse(streamId: number, endStream: boolean): void {
    this.host.counters.callsRefused += 1;
    if (!this.draining) {
      this.lastStreamId = streamId;
      if (!endStream) this.endedStreams.add(streamId);
    }
    this.spend(effort.refusal, 'calls that are refused');
  }

  private refuseWith(
    streamId: number,
    endStream: boolean,
    status: GrpcStatusCode,
    message: string,
    code?: ErrorCode,
  ): void {
    this.refuse(streamId, endStream);
    this.putStatus(streamId, true, status, message, code);
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
    this.spend(effort.reset, 'broken streams');
  }

  private cancel(call: DoorCall): void {
    const answered = call.done;
    this.sending.drop(call);
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
    if (!call.remoteClosed) {
      this.unfinished -= 1;
      if (!call.resetByPeer) this.endedStreams.add(call.streamId);
    }
    this.host.deadlines.remove(call);
    call.forget();
    if (this.draining) this.closeWhenDone();
  }

  widen(call: DoorCall, bytes: number): void {
    const increment = bytes - call.receiveWindow;
    if (increment <= 0 || call.remoteClosed || this.calls.get(call.streamId) !== call) return;
    this.writeWindowUpdate(call.streamId, increment);
    call.receiveWindow += increment;
    call.credit -= increment; // Lent to this message: what comes of it pays it back.
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
    this.sending.send(call, message);
    this.finishCall(call, grpcStatus.OK, '', undefined);
  }

  write(call: DoorCall, message: MessageBytes, borrowed = false): boolean {
    if (this.calls.get(call.streamId) !== call || this.closed) return false;
    if (!call.headersSent) this.putOpening(call);
    this.sending.send(call, message, borrowed);
    if (call.queuedBytes === 0) return true;
    const much =
      call.queuedBytes >= callQueueBytes || this.sending.queuedBytes >= this.limits.connectionQueuedBytesMax / 4;
    if (!much && !this.answerPool.account.full) return true;
    call.drainWanted = true;
    return false;
  }

  finish(call: DoorCall, status: GrpcStatusCode, message: string, code?: ErrorCode): void {
    if (this.calls.get(call.streamId) !== call || this.closed) return;
    this.finishCall(call, status, message, this.host.internal ? code : undefined);
  }

  answerPlainly(call: DoorCall): void {
    this.writer.httpStatus(call.streamId, call.httpStatus);
    call.endStatus = grpcStatus.UNIMPLEMENTED;
    this.sending.sendPlain(call, notGrpcText);
    if (call.queuedBytes === 0) this.sent(call);
  }

  private finishCall(call: DoorCall, status: GrpcStatusCode, message: string, code: ErrorCode | undefined): void {
    if (call.queuedBytes > 0) {
      call.endStatus = status;
      call.endMessage = message;
      call.endCode = code;
      return;
    }
    this.writeTrailers(call, status, message, code);
    this.forget(call);
  }

  sent(call: DoorCall): void {
    if (call.endStatus !== -1) {
      this.writeTrailers(call, call.endStatus, call.endMessage, call.endCode);
      this.forget(call);
    } else {
      call.drained();
    }
  }

  private writeTrailers(call: DoorCall, status: GrpcStatusCode, message: string, code?: ErrorCode): void {
    if (call.httpStatus !== 0) this.writer.dataEnd(call.streamId);
    else if (status === grpcStatus.OK && call.headersSent) this.writer.okTrailers(call.streamId);
    else this.putStatus(call.streamId, !call.headersSent, status, message, code);
    if (!call.remoteClosed) this.writeReset(call.streamId, h2Error.NO_ERROR); // Nothing more is wanted.
    const arrival = call.takeArrivalListener();
    if (arrival && status === grpcStatus.OK) this.arrivals.add(call.streamId, arrival);
    else arrival?.(false);
  }

  private putOpening(call: DoorCall): void {
    call.headersSent = true;
    this.writer.opening(call.streamId);
  }

  /** Trailers with a status, alone or behind what was sent. */
  private putStatus(streamId: number, alone: boolean, status: GrpcStatusCode, message: string, code?: ErrorCode): void {
    this.writer.statusTrailers(streamId, alone, status, message, code);
    this.checkSocketBytes();
  }

  // ---- frames of the connection ----------------------------------------------------------------------------------

  private greet(): void {
    this.writer.settings([
      [setting.MAX_CONCURRENT_STREAMS, this.limits.streamsMax],
      [setting.INITIAL_WINDOW_SIZE, this.limits.streamWindowBytes],
      [setting.MAX_HEADER_LIST_SIZE, this.limits.headerListBytesMax],
      [setting.MAX_FRAME_SIZE, this.limits.frameBytesMax],
    ]);
    const more = this.limits.connectionWindowBytes - defaultWindowBytes;
    if (more > 0) this.writer.windowUpdate(0, more);
  }

  private sendPing(): void {
    this.writer.ping(this.arrivals.ask(this.nowMs));
  }

  private writeWindowUpdate(streamId: number, increment: number): void {
    this.writer.windowUpdate(streamId, increment);
    this.checkSocketBytes();
  }

  private writeReset(streamId: number, code: H2ErrorCode): void {
    this.writer.reset(streamId, code);
    this.checkSocketBytes();
  }

  private checkSocketBytes(): void {
    if (this.out.pendingBytes <= socketBytesHardMax || this.closed) return;
    this.cut('unread', `${this.out.pendingBytes} bytes of answers wait for the socket`);
    this.abort();
  }

  private cut(reason: CutReason, why: string): void {
    this.host.cut(this.peer, reason, why);
  }

  // ---- the end ---------------------------------------------------------------------------------------------------

  private goAway(code: H2ErrorCode, reason: string): void {
    this.writer.goAway(this.lastStreamId, code, reason);
  }

  /** The peer broke a rule. */
  private breakOff(code: H2ErrorCode, why: string, reason?: CutReason): void {
    if (this.closed) return;
    this.host.counters.protocolErrors += 1;
    this.cut(reason ?? (code === h2Error.ENHANCE_YOUR_CALM ? 'flood' : 'protocol'), why);
    this.goAway(code, why);
    this.closeSoon();
  }

  /** A bug of ours in the connection's own code: it must not take the others along. */
  private ownFault(caught: unknown): void {
    throwAssertion(caught);
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
    this.sending.dropAll();
  }

  private socketClosed(): void {
    if (this.socketGone) return;
    this.socketGone = true;
    this.closed = true;
    this.held = undefined;
    this.cancelAll();
    this.arrivals.lost();
    this.out.drop();
    this.socket.destroy();
    this.host.closed(this);
  }

  // ---- the outbox ------------------------------------------------------------------------------------------------

  flushDue(): void {
    this.host.flushLater(this);
  }

  written(bytes: number): void {
    this.liveness.written(this.host.clock.monotonicMs());
    this.host.counters.bytesOut += bytes;
    if (this.closed) {
      if (this.endDue && this.out.pendingBytes === 0) this.socket.end();
      return;
    }
    this.sending.pumpLine();
  }
}
