/** RpcChannel over @grpc/grpc-js. */
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { CallOptions as JsOptions, ChannelCredentials, ServiceError, StatusObject } from '@grpc/grpc-js';
import { MqError } from '@cometmq/shared';
import type { Clock } from '@cometmq/shared';
import { failedCall } from '../channel/failed-call.js';
import { grpcStatus } from '../grpc-server.js';
import type { MessageBytes } from '../grpc-server.js';
import type { CallOptions, DuplexStream, IncomingStream, RpcChannel } from '../rpc-channel.js';
import { codeTrailer, errorOf } from '../status.js';
import { nameOfRole } from '../tls/process-tls.js';
import type { ChannelTls } from '../tls/process-tls.js';
import { asIs, wholeMessage } from './bytes.js';

export interface GrpcJsChannelOptions {
  /** `host:port`, or any target grpc-js knows. */
  readonly address: string;
  readonly clock: Clock;
  /** Plain text without it. */
  readonly tls?: ChannelTls | undefined;
}

/** The streams of grpc-js as far as they are used here; a server stream lacks the writing half. */
interface JsStream {
  on(event: 'data', act: (message: Buffer) => void): unknown;
  on(event: 'status', act: (status: StatusObject) => void): unknown;
  on(event: 'error', act: (error: ServiceError) => void): unknown;
  on(event: 'end', act: () => void): unknown;
  readonly readableEnded: boolean;
  pause(): unknown;
  resume(): unknown;
  cancel(): void;
}

interface JsDuplex extends JsStream {
  on(event: 'data', act: (message: Buffer) => void): unknown;
  on(event: 'status', act: (status: StatusObject) => void): unknown;
  on(event: 'error', act: (error: ServiceError) => void): unknown;
  on(event: 'end' | 'drain', act: () => void): unknown;
  write(message: Buffer): boolean;
  end(): unknown;
}

export class GrpcJsChannel implements RpcChannel {
  private readonly client: Client;
  private readonly clock: Clock;
  /** Calls under way; grpc-js itself would let them go on after `close`. */
  private readonly open = new Set<{ cancel(): void }>();
  private closed = false;

  constructor(options: GrpcJsChannelOptions) {
    this.clock = options.clock;
    const { tls } = options;
    const serverName = tls && ('process' in tls ? nameOfRole(tls.to) : tls.serverName);
    this.client = new Client(options.address, credentialsOf(tls), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.enable_retries': 0, // Whether to try again is the caller's business.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_channelz': 0,
      'grpc-node.flow_control_window': 8 * 1_024 * 1_024,
      'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
      ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
    });
  }

  unary(path: string, request: MessageBytes, options: CallOptions = {}): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.closed) throw channelClosed();
      const bytes = wholeMessage(request);
      const done = (error: ServiceError | null, answer?: Buffer): void => {
        this.open.delete(call);
        if (error !== null) reject(errorFrom(error));
        else if (answer === undefined) reject(new MqError('INTERNAL', 'an answer without a message'));
        else resolve(answer);
      };
      const call = this.client.makeUnaryRequest(
        path,
        asIs,
        asIs,
        bytes,
        metadataOf(options),
        this.jsOptions(options),
        done,
      );
      this.open.add(call);
    });
  }

  serverStream(path: string, request: MessageBytes, options: CallOptions = {}): IncomingStream {
    if (this.closed) return failedCall(channelClosed());
    const bytes = wholeMessage(request);
    const metadata = metadataOf(options);
    const call = this.client.makeServerStreamRequest(path, asIs, asIs, bytes, metadata, this.jsOptions(options));
    return this.tracked(new JsIncoming(call, (stream) => this.open.delete(stream)));
  }

  bidi(path: string, options: CallOptions = {}): DuplexStream {
    if (this.closed) return failedCall(channelClosed());
    const call = this.client.makeBidiStreamRequest(path, asIs, asIs, metadataOf(options), this.jsOptions(options));
    return this.tracked(new JsOutgoing(call, (stream) => this.open.delete(stream)));
  }

  close(): void {
    this.closed = true;
    for (const call of [...this.open]) call.cancel();
    this.client.close();
  }

  private tracked<T extends JsIncoming>(stream: T): T {
    this.open.add(stream);
    return stream;
  }

  private jsOptions(options: CallOptions): JsOptions {
    if (options.deadlineMs === undefined) return {};
    return { deadline: this.clock.wallMs() + (options.deadlineMs - this.clock.monotonicMs()) };
  }
}

class JsIncoming implements IncomingStream {
  private over = false;
  private told = false;
  private listened = false;
  private failure: MqError | undefined;
  private endAct: ((error?: MqError) => void) | undefined;

  constructor(
    private readonly call: JsStream,
    private readonly onOver: (stream: JsIncoming) => void,
  ) {
    // 'status' comes when all has arrived, 'end' when all has been taken; 'error' says what 'status' does, but not always.
    call.on('status', (status) => this.ended(status));
    call.on('error', (error) => this.ended(error));
  }

  onMessage(act: (message: Uint8Array) => void): void {
    this.listened = true;
    this.call.on('data', (message) => {
      if (this.told) return;
      try {
        act(message);
      } catch (caught) {
        this.giveUp(MqError.from(caught));
      }
    });
  }

  onEnd(act: (error?: MqError) => void): void {
    this.endAct = act;
    if (this.told) act(this.failure);
  }

  pause(): void {
    this.call.pause();
  }

  resume(): void {
    this.call.resume();
  }

  giveBack(): void {
    // grpc-js uses nothing again.
  }

  cancel(): void {
    this.call.cancel();
  }

  private ended(status: StatusObject | ServiceError): void {
    if (this.over) return;
    this.over = true;
    this.onOver(this);
    const code: number = status.code;
    this.failure = code === grpcStatus.OK ? undefined : errorFrom(status);
    if (this.failure !== undefined || !this.listened || this.call.readableEnded) this.tell();
    else this.call.on('end', () => this.tell());
  }

  /** Who can't make anything of a message has no use for the next ones: that ends the call, and nothing else. */
  private giveUp(error: MqError): void {
    if (!this.over) this.onOver(this);
    this.over = true;
    this.failure = error;
    this.call.cancel();
    this.tell();
  }

  private tell(): void {
    if (this.told) return;
    this.told = true;
    this.endAct?.(this.failure);
  }
}

class JsOutgoing extends JsIncoming implements DuplexStream {
  constructor(
    private readonly duplex: JsDuplex,
    onOver: (stream: JsIncoming) => void,
  ) {
    super(duplex, onOver);
  }

  write(message: MessageBytes): boolean {
    return this.duplex.write(wholeMessage(message));
  }

  onDrain(act: () => void): void {
    this.duplex.on('drain', act);
  }

  end(): void {
    this.duplex.end();
  }
}

const channelClosed = (): MqError => new MqError('UNAVAILABLE', 'the channel is closed');

function credentialsOf(tls: GrpcJsChannelOptions['tls']): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  if ('process' in tls) return tls.process.channelCredentials;
  return credentials.createSsl(tls.caPem === undefined ? null : Buffer.from(tls.caPem));
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  if (options.headers !== undefined) {
    for (const [name, value] of Object.entries(options.headers)) metadata.set(name, value);
  }
  return metadata;
}

function errorFrom(status: StatusObject | ServiceError): MqError {
  const code = status.metadata?.get(codeTrailer)[0];
  return errorOf(status.code, plainDetails(status.details), typeof code === 'string' ? code : undefined, status);
}

/** grpc-js wraps why a connection failed in words about itself; the reason alone is worth showing. */
function plainDetails(details: string): string {
  const match =
    /^No connection established\. Last error: (?:Error: )?(.+?)(?: \(\d{4}-[-\d]+T[.:\d]+Z\))?\. Resolution note: /.exec(
      details,
    );
  return match ? `no connection: ${match[1]}` : details;
}
