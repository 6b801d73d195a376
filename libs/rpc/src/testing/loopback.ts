/**
 * A channel to services in the same process, without sockets: for specs and the simulation. Every step happens in a
 * microtask of its own, in order, so that nothing answers from inside the call that asked; there are no other queues.
 */
import { MqError } from '@cometmq/shared';
import type { Clock, ErrorCode } from '@cometmq/shared';
import { failedCall } from '../channel/failed-call.js';
import { onlyMessageOf } from '../channel/only-message.js';
import { grpcStatus } from '../grpc-server.js';
import type {
  CallContext,
  GrpcService,
  GrpcStatusCode,
  MessageBytes,
  MessageSink,
  MessageSource,
  UnaryReply,
} from '../grpc-server.js';
import { routesOf } from '../routes.js';
import type { Route } from '../routes.js';
import type { CallOptions, DuplexStream, IncomingStream, RpcChannel } from '../rpc-channel.js';
import { errorOf } from '../status.js';

export function loopback(services: readonly GrpcService[], clock: Clock): RpcChannel {
  return new LoopbackChannel(routesOf(services), clock);
}

class LoopbackChannel implements RpcChannel {
  private readonly calls = new Set<LoopbackCall>();
  private closed = false;

  constructor(
    private readonly routes: ReadonlyMap<string, Route>,
    private readonly clock: Clock,
  ) {}

  unary(path: string, request: MessageBytes, options?: CallOptions): Promise<Uint8Array> {
    return onlyMessageOf(this.begin(path, request, options));
  }

  serverStream(path: string, request: MessageBytes, options?: CallOptions): IncomingStream {
    return this.begin(path, request, options);
  }

  bidi(path: string, options?: CallOptions): DuplexStream {
    return this.begin(path, undefined, options);
  }

  close(): void {
    this.closed = true;
    for (const call of [...this.calls]) call.cancel();
  }

  private begin(path: string, request: MessageBytes | undefined, options: CallOptions = {}): DuplexStream {
    if (this.closed) return failedCall(new MqError('UNAVAILABLE', 'the channel is closed'));
    const call = new LoopbackCall(options, this.clock, () => this.calls.delete(call));
    this.calls.add(call);
    queueMicrotask(() => call.start(this.routes.get(path), request));
    return call;
  }
}

/** Both ends of a call in one: what the caller holds, and what `far` gives the handler. */
class LoopbackCall implements DuplexStream {
  private readonly toCaller = new Pipe();
  private readonly toHandler = new Pipe();
  private readonly far: FarEnd;
  private over = false;
  private failure: MqError | undefined;
  private endAct: ((error?: MqError) => void) | undefined;

  constructor(options: CallOptions, clock: Clock, onOver: () => void) {
    const finish = (failure: MqError | undefined): void => {
      if (this.over) return;
      this.over = true;
      timer?.cancel();
      onOver();
      this.failure = failure;
      this.toCaller.onEnd(() => this.endAct?.(failure));
      this.toCaller.end();
    };
    this.far = new FarEnd(options, this.toCaller, finish);
    const timer =
      options.deadlineMs === undefined
        ? undefined
        : clock.after(options.deadlineMs - clock.monotonicMs(), () =>
            this.far.abandon(new MqError('TIMEOUT', 'the deadline has passed')),
          );
  }

  start(route: Route | undefined, request: MessageBytes | undefined): void {
    if (this.over) return;
    if (route === undefined) {
      this.far.fail(grpcStatus.UNIMPLEMENTED, 'unknown method');
      return;
    }
    const { method } = route;
    try {
      if (method.kind === 'bidi') method.handler(this.far, this.toHandler, this.far);
      else method.handler(whole(request ?? []), this.far, this.far);
    } catch {
      this.far.fail(grpcStatus.INTERNAL, 'internal error');
    }
  }

  write(message: MessageBytes): boolean {
    if (!this.over) this.toHandler.push(whole(message));
    return true;
  }

  onDrain(): void {
    // There is always room.
  }

  end(): void {
    this.toHandler.end();
  }

  onMessage(act: (message: Uint8Array) => void): void {
    this.toCaller.onMessage(act);
  }

  onEnd(act: (error?: MqError) => void): void {
    this.endAct = act;
    if (this.over) this.toCaller.onEnd(() => act(this.failure));
  }

  pause(): void {
    this.toCaller.pause();
  }

  resume(): void {
    this.toCaller.resume();
  }

  giveBack(): void {
    // Nothing is used again.
  }

  cancel(): void {
    this.far.abandon(new MqError('CANCELLED', 'the caller gave up'));
  }
}

class FarEnd implements CallContext, UnaryReply, MessageSink {
  readonly headers: { get(name: string): string | undefined };
  readonly peer = '127.0.0.1:0';
  readonly encrypted = false;
  readonly connection = 1;
  readonly deadlineMs: number | undefined;
  cancelled = false;
  open = true;
  private readonly cancelActs: (() => void)[] = [];
  private arrivalAct: ((arrived: boolean) => void) | undefined;

  constructor(
    options: CallOptions,
    private readonly out: Pipe,
    private readonly finish: (failure: MqError | undefined) => void,
  ) {
    this.headers = { get: (name) => options.headers?.[name] };
    this.deadlineMs = options.deadlineMs;
  }

  onCancel(act: () => void): void {
    if (this.cancelled) act();
    else this.cancelActs.push(act);
  }

  giveWay(): void {
    // There is one connection only.
  }

  reserve(): boolean {
    return true;
  }

  send(message: MessageBytes): void {
    this.write(message);
    this.end();
  }

  write(message: MessageBytes, borrowed = false): boolean {
    if (this.open) this.out.push(borrowed ? Buffer.from(whole(message)) : whole(message));
    return this.open;
  }

  onDrain(): void {
    // There is always room.
  }

  onArrival(act: (arrived: boolean) => void): void {
    this.arrivalAct = act;
  }

  end(): void {
    if (!this.open) return;
    this.open = false;
    this.finish(undefined);
    this.arrivalAct?.(true);
  }

  fail(status: GrpcStatusCode, message: string, code?: ErrorCode): void {
    if (!this.open) return;
    this.open = false;
    this.finish(errorOf(status, message, code));
    this.arrivalAct?.(false);
  }

  /** The caller is gone. */
  abandon(failure: MqError): void {
    if (!this.open) return;
    this.open = false;
    this.cancelled = true;
    this.finish(failure);
    this.arrivalAct?.(false);
    for (const act of this.cancelActs) act();
  }
}

/** Messages one way, in order, each given in a microtask. */
class Pipe implements MessageSource {
  private readonly messages: Uint8Array[] = [];
  private ended = false;
  private endTold = false;
  private paused = false;
  private scheduled = false;
  private messageAct: ((message: Uint8Array) => void) | undefined;
  private endAct: (() => void) | undefined;

  push(message: Uint8Array): void {
    this.messages.push(message);
    this.schedule();
  }

  end(): void {
    this.ended = true;
    this.schedule();
  }

  onMessage(act: (message: Uint8Array) => void): void {
    this.messageAct = act;
    this.schedule();
  }

  onEnd(act: () => void): void {
    this.endAct = act;
    this.schedule();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => this.deliver());
  }

  private deliver(): void {
    this.scheduled = false;
    if (this.paused) return;
    if (this.messages.length > 0 && this.messageAct !== undefined) {
      const message = this.messages.shift();
      this.schedule();
      if (message !== undefined) this.messageAct(message);
    } else if (this.ended && !this.endTold && this.endAct !== undefined) {
      // Who never asked for messages is told of the end all the same.
      this.endTold = true;
      this.endAct();
    }
  }
}

function whole(message: MessageBytes): Uint8Array {
  return message instanceof Uint8Array ? message : Buffer.concat(message);
}
