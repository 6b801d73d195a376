/**
 * One HTTP/2 connection to another process of ours, from the preface to the end: calls out, answers in.
 *
 *   Out: owner ─► ClientCall ─► SendScheduler (windows, frame sizes) ─► Outbox ─► one write a turn
 *   In:  socket ─► one buffer, used again and again ─► FrameReader ─► ClientCall, which copies what it keeps
 *
 * What is said before the connection stands waits in the socket. An answer that is not taken in is not asked for further:
 * a call holds at most its window beside the message that is coming. A connection of which nothing is heard is asked by a
 * ping whether anybody is there.
 */
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { hostAndPort, MqError, OwnStalls } from '@cometmq/shared';
import type { Clock, Timer } from '@cometmq/shared';
import { SendScheduler } from '../front-door/send-scheduler.js';
import type { SendSchedulerHost } from '../front-door/send-scheduler.js';
import { grpcStatus } from '../grpc-server.js';
import type { MessageBytes } from '../grpc-server.js';
import { H2Failure, defaultWindowBytes, h2Error, preface, setting } from '../http2/constants.js';
import { FrameReader } from '../http2/frame-reader.js';
import type { FrameSink } from '../http2/frame-reader.js';
import { FrameWriter } from '../http2/frame-writer.js';
import { HpackDecoder } from '../http2/hpack-decoder.js';
import type { RequestHeaders } from '../http2/hpack-decoder.js';
import { requestBlock } from '../http2/request-block.js';
import { defaultHpackTableBytes, readSettings } from '../http2/settings.js';
import { MemoryAccount } from '../memory/memory-account.js';
import type { CallOptions } from '../rpc-channel.js';
import { BlockPool, Outbox } from '../sockets/outbox.js';
import type { OutboxOwner } from '../sockets/outbox.js';
import { knownAddresses } from '../sockets/known-addresses.js';
import { codeTrailer, errorOf } from '../status.js';
import { nameOfRole } from '../tls/process-tls.js';
import type { ChannelTls } from '../tls/process-tls.js';
import { ClientCall } from './client-call.js';
import type { ClientCallHost } from './client-call.js';

export interface ConnectionOptions {
  /** `host:port`. */
  readonly address: string;
  readonly clock: Clock;
  /** Plain text without it. */
  readonly tls?: ChannelTls | undefined;
}

export interface ConnectionEvents {
  /** The other side speaks HTTP/2. */
  begun(): void;
  /** No more calls may begin on it; open ones go on. */
  leaving(): void;
  /** It is over, and so are its calls. */
  closed(why: MqError): void;
}

const MiB = 1_024 * 1_024;
const callWindowBytes = 8 * MiB;
const connectionWindowBytes = 16 * MiB;
const frameBytesMax = MiB;
const messageBytesMax = 256 * MiB;
const headerBytesMax = 65_536;
const readBytes = 128 * 1_024;
/** What may wait of one call's messages before `write` says stop. */
const callQueueBytes = 1 * MiB;
/** Nothing was heard for so long: a ping. So long later: nobody is there. */
const quietMs = 10_000;
const pingAnswerMs = 5_000;
/** From the first packet to the first frame of the other side. One that has moved is looked for anew after it. */
const beginMsMax = 5_000;
const lookMs = 1_000;
/** Data waits with its call; so many frames of the connection itself wait only where the other side reads nothing. */
const socketBytesHardMax = 4 * MiB;
const lingerMs = 1_000;
const streamIdMax = 2 ** 31 - 1;
const pingPayload = Buffer.from('cometmq.');
const blocks = new BlockPool();

export class ClientConnection implements FrameSink, OutboxOwner, ClientCallHost, SendSchedulerHost<ClientCall> {
  readonly messageBytesMax = messageBytesMax;
  closed = false;
  readonly holdsBack = false;
  nowMs: number;

  private readonly socket: Socket;
  private readonly calls = new Map<number, ClientCall>();
  private readonly timers = new Map<ClientCall, Timer>();
  private readonly reader = new FrameReader(this, { frameBytesMax, headerBlockBytesMax: headerBytesMax });
  private readonly decoder = new HpackDecoder({
    tableBytesMax: defaultHpackTableBytes,
    listBytesMax: headerBytesMax,
  });
  private readonly out: Outbox;
  private readonly writer: FrameWriter;
  private readonly sending: SendScheduler<ClientCall>;
  private readonly authority: string;
  private nextStreamId = 1;
  private isLeaving = false;
  private hasBegun = false;
  private heardMs: number;
  private beganMs: number;
  private readonly stalls: OwnStalls;
  private askedMs: number | undefined;
  private timer: Timer;
  private why: MqError | undefined;
  private gone = false;
  private readonly onFlush = (): void => {
    if (!this.gone) this.out.flush();
  };

  // What the other side may send.
  private receiveWindow = connectionWindowBytes;
  private credit = 0;
  // The frame of data being read.
  private dataCall: ClientCall | undefined;
  private dataFlowBytes = 0;
  private dataEndsCall = false;

  constructor(
    private readonly options: ConnectionOptions,
    private readonly events: ConnectionEvents,
  ) {
    this.nowMs = this.heardMs = this.beganMs = options.clock.monotonicMs();
    this.authority = serverNameOf(options.tls) ?? options.address;
    this.socket = this.open();
    const memory = new MemoryAccount(Infinity);
    this.out = new Outbox(this.socket, blocks, this, memory);
    this.writer = new FrameWriter(this.out);
    this.sending = new SendScheduler<ClientCall>(this, this.out, this.writer, memory, { queuedBytes: 0 });
    this.out.append(preface, 0, preface.length);
    this.writer.settings([
      [setting.ENABLE_PUSH, 0],
      [setting.INITIAL_WINDOW_SIZE, callWindowBytes],
      [setting.MAX_FRAME_SIZE, frameBytesMax],
      [setting.MAX_HEADER_LIST_SIZE, headerBytesMax],
    ]);
    this.writer.windowUpdate(0, connectionWindowBytes - defaultWindowBytes);
    this.socket.on('error', (cause: Error) => (this.why ??= brokenBy(cause, this.hasBegun)));
    this.socket.on('close', () => this.socketClosed());
    this.socket.on('end', () => this.socket.destroy()); // Half a connection is no use to gRPC.
    this.stalls = new OwnStalls(lookMs, this.nowMs);
    this.timer = options.clock.after(lookMs, this.look);
  }

  /** False: another connection is needed for new calls. */
  get takesCalls(): boolean {
    return !this.closed && !this.isLeaving && this.nextStreamId <= streamIdMax;
  }

  get idle(): boolean {
    return this.calls.size === 0;
  }

  begin(path: string, { deadlineMs, headers = {} }: CallOptions): ClientCall {
    const call = new ClientCall(this, this.nextStreamId, callWindowBytes, this.sending.callWindow);
    this.nextStreamId += 2;
    this.calls.set(call.streamId, call);
    const { clock, tls } = this.options;
    const timeoutMs = deadlineMs === undefined ? undefined : deadlineMs - clock.monotonicMs();
    const head = { path, authority: this.authority, secure: tls !== undefined, timeoutMs, headers };
    this.writer.request(call.streamId, requestBlock(head));
    if (timeoutMs !== undefined) {
      const passed = (): void => this.fail(call, new MqError('TIMEOUT', 'the deadline has passed'));
      this.timers.set(call, clock.after(timeoutMs, passed));
    }
    return call;
  }

  /** Open calls are cancelled; what has been said still goes out. */
  close(): void {
    if (this.closed) return;
    for (const call of [...this.calls.values()]) call.cancel();
    this.why ??= new MqError('CANCELLED', 'the channel was closed');
    this.closeSoon();
  }

  // ---- what calls say

  write(call: ClientCall, message: MessageBytes): boolean {
    this.sending.send(call, message);
    if (call.queuedBytes < callQueueBytes) return true;
    call.drainWanted = true;
    return false;
  }

  end(call: ClientCall): void {
    if (call.queuedBytes > 0) call.endDue = true;
    else this.writeEnd(call);
  }

  consumed(call: ClientCall): void {
    if (call.holdsBack || call.credit * 2 < callWindowBytes || this.calls.get(call.streamId) !== call) return;
    this.writer.windowUpdate(call.streamId, call.credit);
    call.receiveWindow += call.credit;
    call.credit = 0;
  }

  giveUp(call: ClientCall): void {
    if (this.calls.get(call.streamId) !== call) return;
    this.writer.reset(call.streamId, h2Error.CANCEL);
    this.forget(call);
  }

  // ---- the scheduler and the outbox

  sent(call: ClientCall): void {
    if (call.endDue) this.writeEnd(call);
    else call.drained();
  }

  private writeEnd(call: ClientCall): void {
    call.endDue = false;
    call.endWritten = true;
    this.writer.dataEnd(call.streamId);
  }

  flushDue(): void {
    this.options.clock.soon(this.onFlush);
  }

  written(): void {
    if (this.closed) {
      if (this.out.pendingBytes === 0) this.socket.end();
      return;
    }
    this.nowMs = this.options.clock.monotonicMs();
    this.sending.pumpLine();
  }

  // ---- frames that come in

  dataBegins(streamId: number, flowBytes: number, endStream: boolean): void {
    this.receiveWindow -= flowBytes;
    if (this.receiveWindow < 0) throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'the connection window is passed');
    this.credit += flowBytes;
    if (this.credit * 2 >= connectionWindowBytes) {
      this.writer.windowUpdate(0, this.credit);
      this.receiveWindow += this.credit;
      this.credit = 0;
    }
    this.dataFlowBytes = flowBytes;
    this.dataEndsCall = endStream;
    const call = this.calls.get(streamId);
    this.dataCall = call;
    if (call === undefined) {
      this.checkOurs(streamId);
      return;
    }
    call.receiveWindow -= flowBytes;
    if (call.receiveWindow < 0) throw new H2Failure(h2Error.FLOW_CONTROL_ERROR, 'a stream window is passed');
    if (!call.answered) {
      this.fail(call, new MqError('INTERNAL', 'the answer has no headers'));
      this.dataCall = undefined;
    }
  }

  dataPiece(chunk: Buffer, from: number, to: number): void {
    const call = this.dataCall;
    if (call === undefined || call.isOver) return;
    const error = call.data(chunk, from, to);
    if (error !== undefined) this.fail(call, error);
  }

  dataEnds(): void {
    const call = this.dataCall;
    this.dataCall = undefined;
    if (call === undefined || this.calls.get(call.streamId) !== call) return;
    if (this.dataEndsCall) {
      this.fail(call, new MqError('INTERNAL', 'the answer has no trailers'));
      return;
    }
    call.credit += this.dataFlowBytes;
    this.consumed(call);
  }

  headers(streamId: number, endStream: boolean, block: Buffer, from: number, to: number): void {
    const headers = this.decoder.decode(block, from, to); // Always, or the tables would go apart.
    const call = this.calls.get(streamId);
    if (call === undefined) {
      this.checkOurs(streamId);
      return;
    }
    if (!call.answered) {
      const status = headers.get(':status');
      if (status !== undefined && status.startsWith('1')) return; // More will come.
      call.answered = true;
      if (status !== '200') {
        this.fail(call, errorOf(statusOfHttp(status), `the answer has HTTP status ${status ?? '(none)'}`));
        return;
      }
    }
    if (endStream) this.trailers(call, headers);
  }

  private trailers(call: ClientCall, headers: RequestHeaders): void {
    const status = Number(headers.get('grpc-status') ?? grpcStatus.UNKNOWN);
    this.forget(call, true);
    call.trailers(status, decodedMessage(headers.get('grpc-message') ?? ''), headers.get(codeTrailer));
  }

  priority(): void {
    // Says nothing to a client.
  }

  reset(streamId: number, code: number): void {
    this.checkOurs(streamId);
    const call = this.calls.get(streamId);
    if (call === undefined) return;
    this.forget(call);
    call.finish(errorOf(statusOfReset(code), `the other side reset the call (HTTP/2 error ${code})`));
  }

  settings(payload: Buffer, from: number, to: number): void {
    this.writer.settingsAck(); // Before what they let us send.
    readSettings(payload, from, to, (id, value) => {
      if (id === setting.INITIAL_WINDOW_SIZE) this.sending.initialWindow(value, [...this.calls.values()]);
      else if (id === setting.MAX_FRAME_SIZE) this.sending.frameBytesMax = Math.min(value, frameBytesMax);
    });
    if (this.hasBegun) return;
    this.hasBegun = true;
    this.events.begun();
  }

  settingsAcknowledged(): void {
    // Ours are such that nothing depends on when they are known.
  }

  ping(payload: Buffer, from: number): void {
    this.writer.pingAck(payload, from);
  }

  pingAnswered(): void {
    // That something was heard is enough.
  }

  goingAway(): void {
    this.leave();
  }

  windowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.sending.connectionWindow(increment);
      return;
    }
    const call = this.calls.get(streamId);
    if (call === undefined) this.checkOurs(streamId);
    else if (!this.sending.callWindowGrows(call, increment)) {
      this.fail(call, new MqError('INTERNAL', 'the window of a call overflows'));
    }
  }

  ignored(): void {
    // Of a later HTTP/2.
  }

  /** It may be of a call that has ended here and not there yet. */
  private checkOurs(streamId: number): void {
    if (streamId % 2 === 1 && streamId < this.nextStreamId) return;
    throw new H2Failure(h2Error.PROTOCOL_ERROR, `a frame of stream ${streamId}, which was never open`);
  }

  // ---- the end

  /** From this side: the other one is told to stop. */
  private fail(call: ClientCall, error: MqError): void {
    this.giveUp(call);
    call.finish(error);
  }

  /** @param answered the other side has said all; where this one has not, it is told that it won't */
  private forget(call: ClientCall, answered = false): void {
    if (!this.calls.delete(call.streamId)) return;
    this.timers.get(call)?.cancel();
    this.timers.delete(call);
    this.sending.drop(call);
    if (answered && !call.endWritten) this.writer.reset(call.streamId, h2Error.NO_ERROR);
    if (this.isLeaving && this.calls.size === 0) this.closeSoon();
  }

  private leave(): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    this.events.leaving();
    if (this.calls.size === 0) this.closeSoon();
  }

  private readonly look = (): void => {
    const { clock } = this.options;
    this.nowMs = clock.monotonicMs();
    if (this.stalls.stoodStill(this.nowMs)) this.heardMs = this.beganMs = this.nowMs; // What came is yet to be read.
    if (this.askedMs !== undefined && this.nowMs - Math.max(this.askedMs, this.heardMs) > pingAnswerMs) {
      this.breakOff(new MqError('UNAVAILABLE', `nothing is heard of ${this.options.address}`));
      return;
    }
    if (!this.hasBegun && this.nowMs - this.beganMs > beginMsMax) {
      this.breakOff(new MqError('UNAVAILABLE', `no connection: ${this.options.address} does not answer`));
      return;
    }
    if (this.out.pendingBytes > socketBytesHardMax) {
      this.breakOff(new MqError('UNAVAILABLE', `${this.options.address} takes nothing of what is sent`));
      return;
    }
    if (this.nowMs - this.heardMs < quietMs) this.askedMs = undefined;
    else if (this.askedMs === undefined) {
      this.askedMs = this.nowMs;
      this.writer.ping(pingPayload);
    }
    this.timer = clock.after(lookMs, this.look);
  };

  private received(chunk: Buffer): void {
    if (this.closed) return;
    this.nowMs = this.heardMs = this.options.clock.monotonicMs();
    try {
      this.reader.feed(chunk);
    } catch (caught) {
      if (!(caught instanceof H2Failure)) throw caught;
      this.writer.goAway(0, caught.code, caught.message);
      this.out.flush();
      this.breakOff(new MqError('INTERNAL', `${this.options.address} broke HTTP/2: ${caught.message}`));
    }
  }

  private breakOff(why: MqError): void {
    this.why ??= why;
    this.socket.destroy();
    this.socketClosed();
  }

  /** Sends what is in the outbox, and waits a little for the other side to read it. */
  private closeSoon(): void {
    if (this.closed) return;
    this.closed = true;
    this.timer.cancel();
    this.sending.dropAll();
    this.out.flush();
    if (this.out.pendingBytes === 0) this.socket.end();
    this.options.clock.after(lingerMs, () => this.socket.destroy());
    this.events.closed(this.why ?? unavailable('the connection was closed'));
  }

  private socketClosed(): void {
    if (this.gone) return;
    this.gone = true;
    const told = this.closed;
    this.closed = true;
    this.timer.cancel();
    this.sending.dropAll();
    this.out.drop();
    const why = this.why ?? unavailable('the connection broke');
    for (const call of [...this.calls.values()]) {
      this.forget(call);
      call.finish(why);
    }
    if (!told) this.events.closed(why);
  }

  private open(): Socket {
    const { address, tls } = this.options;
    const at = hostAndPort(address);
    if (at === undefined)
      throw new MqError('UNAVAILABLE', `no connection: ${JSON.stringify(address)} must be host:port`);
    if (tls === undefined) {
      return connect({
        ...at,
        lookup: knownAddresses.lookup,
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafeSlow(readBytes),
          callback: (bytes, buffer) => {
            this.received((buffer as Buffer).subarray(0, bytes));
            return true;
          },
        },
      });
    }
    const socket = connectTls({
      ...at,
      lookup: knownAddresses.lookup,
      ALPNProtocols: ['h2'],
      ...tlsOptions(tls, at.host),
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.received(chunk));
    return socket;
  }
}

function serverNameOf(tls: ChannelTls | undefined): string | undefined {
  return tls && ('process' in tls ? nameOfRole(tls.to) : tls.serverName);
}

function tlsOptions(tls: ChannelTls, host: string): TlsOptions {
  if ('process' in tls) return tls.process.connecting(tls.to);
  const name = tls.serverName ?? host;
  const servername = isIP(name) === 0 ? { servername: name } : {};
  return { ...(tls.caPem !== undefined && { ca: tls.caPem }), ...servername, minVersion: 'TLSv1.2' };
}

function unavailable(reason: string): MqError {
  return new MqError('UNAVAILABLE', reason);
}

/** A name with several addresses was tried at each of them. */
function brokenBy(cause: Error & { readonly errors?: readonly Error[] }, stood: boolean): MqError {
  const reason = (cause.errors ?? [cause]).map(({ message }) => message).join(', ');
  return new MqError('UNAVAILABLE', `${stood ? 'the connection broke' : 'no connection'}: ${reason}`, { cause });
}

/** As gRPC has it: https://grpc.github.io/grpc/core/md_doc_http-grpc-status-mapping.html */
function statusOfHttp(status: string | undefined): number {
  switch (status) {
    case '400':
      return grpcStatus.INTERNAL;
    case '401':
      return grpcStatus.UNAUTHENTICATED;
    case '403':
      return grpcStatus.PERMISSION_DENIED;
    case '404':
      return grpcStatus.UNIMPLEMENTED;
    case '429':
    case '502':
    case '503':
    case '504':
      return grpcStatus.UNAVAILABLE;
    default:
      return grpcStatus.UNKNOWN;
  }
}

function statusOfReset(code: number): number {
  switch (code) {
    case h2Error.REFUSED_STREAM:
      return grpcStatus.UNAVAILABLE;
    case h2Error.CANCEL:
      return grpcStatus.CANCELLED;
    case h2Error.ENHANCE_YOUR_CALM:
      return grpcStatus.RESOURCE_EXHAUSTED;
    case h2Error.INADEQUATE_SECURITY:
      return grpcStatus.PERMISSION_DENIED;
    default:
      return grpcStatus.INTERNAL;
  }
}

/** `grpc-message` as UTF-8; what is no such text is shown as it came. */
function decodedMessage(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
