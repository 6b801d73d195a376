/** How our own processes call one another's gRPC services. Every failure is an MqError, with the code it was given there. */
import type { MqError } from '@cometmq/shared';
import type { MessageBytes } from './grpc-server.js';

export interface CallOptions {
  /** Monotonic clock time of this process at which to give up with TIMEOUT, as in `CallContext`. Never, if left out. */
  readonly deadlineMs?: number | undefined;
  /** ASCII metadata, names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface IncomingStream {
  /** Messages that come before this is set are kept. What it throws ends the call: `onEnd` then says it. */
  onMessage(act: (message: Uint8Array) => void): void;
  /** Once, after the last message: without an error if the other side ended the call well. */
  onEnd(act: (error?: MqError) => void): void;
  pause(): void;
  resume(): void;
  /** The message that came last, of which these are bytes, is not needed any more: its memory may be used for the next one. */
  giveBack(bytes: Uint8Array): void;
  /** Gives the call up; `onEnd` then says CANCELLED. */
  cancel(): void;
}

export interface DuplexStream extends IncomingStream {
  /** False: enough is waiting, stop until `onDrain`. The message given is taken all the same. */
  write(message: MessageBytes): boolean;
  onDrain(act: () => void): void;
  /** No more will be written. */
  end(): void;
}

/**
 * A connection to one address, made when first needed and made anew when it breaks. Paths are `/package.Service/Method`.
 * Calls made while there is no connection fail with UNAVAILABLE once an attempt to connect has failed. None throws, whatever
 * the address: what can't be made is a call that ends with an error.
 */
export interface RpcChannel {
  unary(path: string, request: MessageBytes, options?: CallOptions): Promise<Uint8Array>;
  serverStream(path: string, request: MessageBytes, options?: CallOptions): IncomingStream;
  bidi(path: string, options?: CallOptions): DuplexStream;
  /** Open calls end with an error; new ones are refused. */
  close(): void;
}
