/**
 * The server port over @grpc/grpc-js, for specs: what our own HTTP/2 is held against. It has none of the front door's guards,
 * so no program of ours listens by it.
 *
 * grpc-js computes deadlines in 32 bits, so that one of years may end its call at once; such headers are taken away
 * before it sees them.
 */
import { Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { assert, MqError, throwAssertion } from '@cometmq/shared';
import type { Clock, ErrorCode } from '@cometmq/shared';
import { grpcStatus } from '../grpc-server.js';
import type {
  CallContext,
  FailureLog,
  GrpcMethod,
  GrpcServer,
  GrpcService,
  GrpcStatusCode,
  Headers,
  MessageBytes,
  MessageSink,
  MessageSource,
  UnaryReply,
} from '../grpc-server.js';
import { parseGrpcTimeout } from '../grpc-timeout.js';
import { codeTrailer } from '../status.js';
import { refusalOf, rolesIn } from '../tls/process-tls.js';
import type { ProcessCallers, ProcessTls } from '../tls/process-tls.js';
import { asIs, wholeMessage } from '../grpc-js/bytes.js';

export interface GrpcJsServerOptions {
  readonly name?: string;
  /** All addresses, unless given. */
  readonly host?: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly services: readonly GrpcService[];
  readonly clock: Clock;
  readonly log: FailureLog;
  /** Without it, plain text; whoever reaches the port is let in. */
  readonly tls?: { readonly process: ProcessTls; readonly callers: ProcessCallers } | undefined;
  /** Default: 130 MiB. */
  readonly messageBytesMax?: number;
  /** How long `stop` lets open calls go on. Default: 5 s. */
  readonly stopMs?: number;
}

type AnyCall =
  ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

const MiB = 1_024 * 1_024;
const windowBytes = 8 * MiB;
const defaultMessageBytesMax = 130 * MiB;

export class GrpcJsServer implements GrpcServer {
  readonly name: string;
  private readonly server: Server;
  private readonly stoppingActs: (() => void)[] = [];
  private boundPort: number;
  private started = false;

  constructor(private readonly options: GrpcJsServerOptions) {
    this.name = options.name ?? 'internal gRPC server';
    this.boundPort = options.port;
    this.server = new Server({
      'grpc.max_receive_message_length': options.messageBytesMax ?? defaultMessageBytesMax,
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': 10_000,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc-node.flow_control_window': windowBytes,
      'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
      'grpc.enable_channelz': 0,
    });
    for (const service of options.services) this.add(service);
  }

  get port(): number {
    return this.boundPort;
  }

  async start(): Promise<void> {
    const { host, port, tls } = this.options;
    const credentials = tls?.process.serverCredentials ?? ServerCredentials.createInsecure();
    const address = `${host ?? '[::]'}:${port}`;
    this.boundPort = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync(address, credentials, (cause, bound) => {
        if (cause) reject(new MqError('CONFIG', `can't listen on ${address}: ${cause.message}`, { cause }));
        else resolve(bound);
      });
    });
    this.started = true;
    dropEndlessDeadlines(this.server);
  }

  onStopping(act: () => void): void {
    this.stoppingActs.push(act);
  }

  async stop(): Promise<void> {
    if (!this.started) return;
    this.started = false;
    for (const act of this.stoppingActs) act();
    const { clock, stopMs } = this.options;
    const force = clock.after(stopMs ?? 5_000, () => this.server.forceShutdown());
    await new Promise<void>((resolve) => this.server.tryShutdown(() => resolve()));
    force.cancel();
  }

  private add(service: GrpcService): void {
    const definition: Record<string, ServiceDefinition[string]> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const [name, method] of Object.entries(service.methods)) {
      definition[name] = {
        path: `/${service.name}/${name}`,
        requestStream: method.kind === 'bidi',
        responseStream: method.kind !== 'unary',
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      };
      implementation[name] = this.handler(`/${service.name}/${name}`, method);
    }
    this.server.addService(definition, implementation);
  }

  private handler(path: string, method: GrpcMethod): UntypedServiceImplementation[string] {
    const { clock, log, tls } = this.options;
    const encrypted = tls !== undefined;
    const { requestBytesMax = Infinity } = method;
    const admits = (call: JsCall): boolean => {
      const refused = tls && refusalOf(path, rolesIn(call.certificate), tls.callers);
      if (refused) call.fail(grpcStatus.PERMISSION_DENIED, refused.reason, refused.code);
      return refused === undefined;
    };
    const fits = (call: JsCall, request: Uint8Array): boolean => {
      if (request.length <= requestBytesMax) return true;
      call.fail(grpcStatus.RESOURCE_EXHAUSTED, `a message of ${request.length} bytes: at most ${requestBytesMax}`);
      return false;
    };
    const guarded = (call: JsCall, act: () => void): void => {
      try {
        act();
      } catch (caught) {
        throwAssertion(caught);
        log(`${path} failed`, caught);
        call.fail(grpcStatus.INTERNAL, 'internal error');
      }
    };
    switch (method.kind) {
      case 'unary':
        return (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
          const mine = new JsUnaryCall(call, clock, encrypted, done);
          if (admits(mine) && fits(mine, call.request)) guarded(mine, () => method.handler(call.request, mine, mine));
        };
      case 'serverStream':
        return (call: ServerWritableStream<Buffer, Buffer>) => {
          const mine = new JsStreamCall(call, clock, encrypted);
          if (admits(mine) && fits(mine, call.request)) guarded(mine, () => method.handler(call.request, mine, mine));
        };
      case 'bidi':
        return (call: ServerDuplexStream<Buffer, Buffer>) => {
          const mine = new JsStreamCall(call, clock, encrypted);
          if (!admits(mine)) return;
          const input = new JsSource(
            call,
            (message) => fits(mine, message),
            (act) => guarded(mine, act),
          );
          guarded(mine, () => method.handler(mine, input, mine));
        };
    }
  }
}

class JsHeaders implements Headers {
  constructor(private readonly metadata: Metadata) {}

  get(name: string): string | undefined {
    const value = this.metadata.get(name)[0];
    return typeof value === 'string' ? value : undefined;
  }
}

/** What unary and streaming calls have in common. */
abstract class JsCall implements CallContext {
  readonly connection = 0;
  readonly headers: Headers;
  readonly peer: string;
  readonly deadlineMs: number | undefined;
  protected done = false;
  private gone = false;
  private cancelActs: (() => void)[] = [];

  constructor(
    private readonly call: AnyCall,
    clock: Clock,
    readonly encrypted: boolean,
  ) {
    this.headers = new JsHeaders(call.metadata);
    this.peer = call.getPeer();
    const deadline = call.getDeadline();
    const wallMs = deadline instanceof Date ? deadline.getTime() : deadline;
    this.deadlineMs = Number.isFinite(wallMs) ? clock.monotonicMs() + (wallMs - clock.wallMs()) : undefined;
    const emitter: NodeJS.EventEmitter = call; // The three kinds of call type their events differently.
    emitter.on('cancelled', () => this.cancel());
  }

  abstract fail(status: GrpcStatusCode, message: string, code?: ErrorCode): void;

  get cancelled(): boolean {
    return this.gone || this.call.cancelled;
  }

  /** The caller's, where an authority of ours has signed it. */
  get certificate(): { readonly subjectaltname?: string } {
    return this.call.getAuthContext().sslPeerCertificate ?? {};
  }

  giveWay(): void {
    // grpc-js reads all of its connections alike.
  }

  onCancel(act: () => void): void {
    if (this.cancelled) act();
    else this.cancelActs.push(act);
  }

  /** Our own processes read what they ask for; what unknownMembers leave unread is bounded where they are met. */
  reserve(): boolean {
    return true;
  }

  private cancel(): void {
    if (this.done || this.gone) return;
    this.gone = true;
    this.done = true;
    for (const act of this.cancelActs) act();
    this.cancelActs = [];
  }
}

class JsUnaryCall extends JsCall implements UnaryReply {
  constructor(
    call: ServerUnaryCall<Buffer, Buffer>,
    clock: Clock,
    encrypted: boolean,
    private readonly answer: sendUnaryData<Buffer>,
  ) {
    super(call, clock, encrypted);
  }

  send(message: MessageBytes): void {
    if (this.done) return;
    this.done = true;
    this.answer(null, wholeMessage(message));
  }

  override fail(status: GrpcStatusCode, message: string, code?: ErrorCode): void {
    if (this.done) return;
    this.done = true;
    this.answer({ code: status, details: message, metadata: trailers(code) });
  }
}

class JsStreamCall extends JsCall implements MessageSink {
  private drainAct: (() => void) | undefined;
  private arrivalAct: ((arrived: boolean) => void) | undefined;

  constructor(
    private readonly stream: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
    clock: Clock,
    encrypted: boolean,
  ) {
    super(stream, clock, encrypted);
    const emitter: NodeJS.EventEmitter = stream;
    emitter.on('drain', () => this.drainAct?.());
    stream.sendMetadata(new Metadata()); // Headers at once, as every adapter of the port.
  }

  get open(): boolean {
    return !this.done;
  }

  write(message: MessageBytes, borrowed = false): boolean {
    if (this.done) return false;
    if (!borrowed) return this.stream.write(wholeMessage(message));
    return this.stream.write(Buffer.concat(message instanceof Uint8Array ? [message] : message));
  }

  onDrain(act: () => void): void {
    this.drainAct = act;
  }

  /** grpc-js says nothing of it: what was given to the transport counts as arrived. */
  onArrival(act: (arrived: boolean) => void): void {
    this.arrivalAct = act;
    this.onCancel(() => act(false));
  }

  end(): void {
    if (this.done) return;
    this.done = true;
    this.stream.end();
    this.arrivalAct?.(true);
  }

  override fail(status: GrpcStatusCode, message: string, code?: ErrorCode): void {
    if (this.done) return;
    this.done = true;
    this.arrivalAct?.(false);
    this.stream.emit('error', { code: status, details: message, metadata: trailers(code) });
  }
}

/** grpc-js can't tell a connection that breaks from a caller that has sent all: `onEnd` may come for both. */
class JsSource implements MessageSource {
  constructor(
    private readonly stream: ServerDuplexStream<Buffer, Buffer>,
    private readonly fits: (message: Uint8Array) => boolean,
    private readonly guarded: (act: () => void) => void,
  ) {}

  onMessage(act: (message: Uint8Array) => void): void {
    this.stream.on('data', (message: Buffer) => {
      if (this.fits(message)) this.guarded(() => act(message));
    });
  }

  onEnd(act: () => void): void {
    this.stream.on('end', () => this.guarded(act));
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }
}

function trailers(code: ErrorCode | undefined): Metadata {
  const metadata = new Metadata();
  if (code !== undefined) metadata.set(codeTrailer, code);
  return metadata;
}

/** grpc-js keeps its HTTP/2 servers to itself, so this looks them up by name; a spec fails when that changes. */
function dropEndlessDeadlines(server: Server): void {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  assert(servers instanceof Map, 'grpc-js keeps a map of its HTTP/2 servers');
  for (const http2Server of servers.keys() as Iterable<NodeJS.EventEmitter>) {
    http2Server.prependListener('stream', (_stream: unknown, headers: Record<string, string | undefined>) => {
      const timeout = headers['grpc-timeout'];
      if (timeout !== undefined && parseGrpcTimeout(timeout) === undefined) delete headers['grpc-timeout'];
    });
  }
}
