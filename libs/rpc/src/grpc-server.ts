/**
 * The port every gRPC service of the system is written against: bytes in, bytes out, callbacks instead of promises.
 *
 * A call ends exactly once: by `send`, by `end`, by `fail`, or because the caller is gone (`cancelled`). Whatever a
 * handler says after the caller is gone has no effect and is no error; it can't know in time.
 * Messages are encoded protobuf without gRPC's five-byte prefix. Those that come in share memory with what the socket
 * delivered (up to 64 KiB around them): copy what is kept for long. Those that go out are not copied and must not
 * change until the call has ended.
 */
import type { ErrorCode, Component } from '@cometmq/shared';

/** The status codes of gRPC: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const grpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type GrpcStatusCode = (typeof grpcStatus)[keyof typeof grpcStatus];

/** One encoded message, whole or as the chunks it consists of, in order. */
export type MessageBytes = Uint8Array | readonly Uint8Array[];

/** ASCII metadata of a call. */
export interface Headers {
  /** `name` in lower case. Of a header sent twice, the first. */
  get(name: string): string | undefined;
}

export interface CallContext {
  readonly headers: Headers;
  /** `ip:port` of the caller; an IPv6 address stands in brackets. */
  readonly peer: string;
  readonly encrypted: boolean;
  /** The same number for all calls of one connection, and another for every other. 0: not known. */
  readonly connection: number;
  /** Monotonic clock time at which the caller gives up; undefined where it set none, or one that means "never". */
  readonly deadlineMs: number | undefined;
  /**
   * The caller is gone: it cancelled, its deadline passed, or its connection broke. Or the transport has ended the call, as
   * what the caller sent can't be taken.
   */
  readonly cancelled: boolean;
  /** Runs `act` once when the caller goes; at once if it has gone already. Not after a call that ended well. */
  onCancel(act: () => void): void;
  /** It is refused as its caller asks for more than it may: what comes after it on its connection is read after others. */
  giveWay(): void;
  /**
   * Asks for room for about so many bytes of answer, before they are read. True: they are set aside for this call until
   * it has written as much, or has ended. False: too much is waiting already to be taken by this caller, or by all; once
   * there is room it is set aside and `granted` is run, unless the call has ended by then. A newer ask takes an older one back.
   */
  reserve(bytes: number, granted: () => void): boolean;
}

/** How a handler says that a call failed. */
export interface Failing {
  /** `code` travels to callers inside the system only, who get the same MqError back; a front door drops it. */
  fail(status: GrpcStatusCode, message: string, code?: ErrorCode): void;
}

export interface UnaryReply extends Failing {
  send(message: MessageBytes): void;
}

export interface MessageSink extends Failing {
  /**
   * False: enough is waiting, stop until `onDrain`. The message given is taken all the same. `borrowed`: its bytes may change
   * once this call has returned, so they are copied within it, into memory that is used again.
   */
  write(message: MessageBytes, borrowed?: boolean): boolean;
  /** Runs `act` each time that writing may go on after a `false`. One listener; a later one replaces it. */
  onDrain(act: () => void): void;
  /**
   * Asks whether what is written arrives: true once the caller's end has confirmed all of it after the call ended well;
   * false once it is sure that no confirmation comes: the call failed or was cancelled, the caller gave it up before it had all,
   * or its connection broke. Told once. One listener, set before `end`.
   */
  onArrival(act: (arrived: boolean) => void): void;
  /** Ends the call well. */
  end(): void;
  /** False once the call has ended, whoever ended it. */
  readonly open: boolean;
}

export interface MessageSource {
  /** Messages that come before this is set are kept, and given at once when it is. */
  onMessage(act: (message: Uint8Array) => void): void;
  /** The caller will send no more. Not called when the call is cancelled. */
  onEnd(act: () => void): void;
  /** No more messages until `resume`; the caller is slowed down by flow control. */
  pause(): void;
  resume(): void;
}

export type UnaryHandler = (request: Uint8Array, call: CallContext, reply: UnaryReply) => void;
export type ServerStreamHandler = (request: Uint8Array, call: CallContext, out: MessageSink) => void;
export type BidiHandler = (call: CallContext, input: MessageSource, out: MessageSink) => void;

export type GrpcMethod = {
  /** Of one request message; a larger one ends its call with RESOURCE_EXHAUSTED. Left out: what the server allows. */
  readonly requestBytesMax?: number;
} & (
  | { readonly kind: 'unary'; readonly handler: UnaryHandler }
  | { readonly kind: 'serverStream'; readonly handler: ServerStreamHandler }
  | { readonly kind: 'bidi'; readonly handler: BidiHandler }
);

export interface GrpcService {
  /** With its package: `apache.rocketmq.v2.MessagingService`. */
  readonly name: string;
  readonly methods: Readonly<Record<string, GrpcMethod>>;
}

export interface GrpcServer extends Component {
  /** The port listened on; the one asked for until `start`. */
  readonly port: number;
  /** Runs `act` when stopping begins, while calls are still open: the moment to answer long polls. */
  onStopping(act: () => void): void;
}

/** What went wrong inside, for the log. Never for the client. */
export type FailureLog = (message: string, cause: unknown) => void;
