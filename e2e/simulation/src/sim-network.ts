/**
 * gRPC between simulated processes: the real channels' port on one side, the real handlers on the other, and between them
 * wires that take their time. What is said on one connection keeps its order; lines between machines are cut one way or
 * both (what is said then waits, as TCP repeats it), are slow, and lose their connections.
 */
import type {
  CallContext,
  CallOptions,
  DuplexStream,
  GrpcService,
  GrpcStatusCode,
  IncomingStream,
  MessageBytes,
  MessageSink,
  MessageSource,
  RpcChannel,
  UnaryReply,
} from '@cometmq/rpc';
import { errorOf, failedCall, grpcStatus, onlyMessageOf } from '@cometmq/rpc';
import { MqError, type ErrorCode, type Prng } from '@cometmq/shared';

import type { SimClock, SimProcess } from './sim-clock.js';
import type { Effect } from './tally.js';

/** Who speaks: a process, and the machine it runs on. */
export interface Speaker {
  readonly host: string;
  readonly process: SimProcess;
}

/** From one machine to another. */
interface Line {
  isCut: boolean;
  /** What every message takes at least. */
  slowMs: number;
  readonly held: (() => void)[];
}

/** What is said on it keeps its order. */
interface Way {
  readonly line: Line;
  lastMs: number;
}

interface Server {
  readonly process: SimProcess;
  /** By path. */
  readonly methods: ReadonlyMap<string, GrpcService['methods'][string]>;
}

/** What may be under way before a writer is told to wait. */
const windowBytes = 256 * 1024;

export class SimNetwork {
  private readonly servers = new Map<string, Server>();
  private readonly lines = new Map<string, Line>();
  private readonly connections = new Set<Connection>();
  private made = 0;

  constructor(
    private readonly clock: SimClock,
    private readonly chance: Prng,
    private readonly met: (effect: Effect) => void,
  ) {}

  listen({ host, process }: Speaker, services: readonly GrpcService[]): void {
    const methods = services.flatMap((service) =>
      Object.entries(service.methods).map(([name, method]) => [`/${service.name}/${name}`, method] as const),
    );
    this.servers.set(host, { process, methods: new Map(methods) });
  }

  /** The process on this machine is gone, and the machine says so. */
  gone(host: string): void {
    this.servers.delete(host);
    for (const each of [...this.connections]) if (each.from.host === host || each.to === host) each.lose();
  }

  channel(from: Speaker, to: string): RpcChannel {
    return new SimChannel(this, from, to);
  }

  /** Whether nobody listens there; a machine that says nothing in time refuses nothing. */
  refuses({ host, process }: Speaker, to: string, msMax: number): Promise<boolean> {
    return new Promise((resolve) => {
      process.after(msMax, () => resolve(false));
      this.send(this.way(host, to), () => {
        const refused = !this.servers.has(to);
        this.send(this.way(to, host), () => process.arrives(() => resolve(refused)));
      });
    });
  }

  /** From now on nothing that `from` says arrives at `to`. */
  cut(from: string, to: string): void {
    this.line(from, to).isCut = true;
  }
  slow(from: string, to: string, ms: number): void {
    this.line(from, to).slowMs = ms;
  }
  /** What was held up arrives, and everything is as fast as it was. */
  heal(): void {
    for (const line of this.lines.values()) {
      line.isCut = false;
      line.slowMs = 0;
      for (const act of line.held.splice(0)) act();
    }
  }
  /** Connections between the two break; new ones can be made at once. */
  breakConnections(a: string, b: string): void {
    for (const each of [...this.connections]) {
      const { from, to } = each;
      if (!((from.host === a && to === b) || (from.host === b && to === a))) continue;
      this.met('a connection was lost');
      each.lose();
    }
  }

  /** Calls that are not over. */
  get openCalls(): number {
    let open = 0;
    for (const { calls } of this.connections) open += calls.size;
    return open;
  }

  /** @internal */
  server(host: string): Server | undefined {
    return this.servers.get(host);
  }

  /** @internal */
  way(from: string, to: string): Way {
    return { line: this.line(from, to), lastMs: 0 };
  }
  /** Arrives later, after all that went this way before. @internal */
  send(way: Way, arrive: () => void): void {
    const { line } = way;
    const { nowMs } = this.clock;
    const late = this.chance.below(100) === 0 ? this.chance.next() * 200 : this.chance.next() * 2;
    way.lastMs = Math.max(way.lastMs, nowMs + 0.1 + late + line.slowMs);
    if (line.slowMs > 0) this.met('a message took longer on a slow line');
    this.clock.after(way.lastMs - nowMs, () => {
      if (!line.isCut) {
        arrive();
        return;
      }
      this.met('a message was held up by a line that was cut');
      line.held.push(arrive);
    });
  }

  /** @internal */
  connect(from: Speaker, to: string): Connection {
    const connection = new Connection(this, from, to, (this.made += 1), () => this.connections.delete(connection));
    this.connections.add(connection);
    return connection;
  }

  private line(from: string, to: string): Line {
    const key = `${from}>${to}`;
    const known = this.lines.get(key) ?? { isCut: false, slowMs: 0, held: [] };
    this.lines.set(key, known);
    return known;
  }
}

class Connection {
  isOpen = true;
  readonly calls = new Set<SimCall>();
  private server: Server | undefined;
  private readonly there: Way;
  private readonly back: Way;

  constructor(
    private readonly network: SimNetwork,
    readonly from: Speaker,
    readonly to: string,
    readonly number: number,
    private readonly onLost: () => void,
  ) {
    this.there = network.way(from.host, to);
    this.back = network.way(to, from.host);
  }

  /** To the far end, in a turn of its process. */
  ask(act: (server: Server) => void): void {
    this.network.send(this.there, () => {
      if (!this.isOpen) return;
      const server = (this.server ??= this.network.server(this.to));
      if (server) server.process.arrives(() => act(server));
      else this.answer(() => this.lose());
    });
  }

  /** To the one that called, in a turn of its process. */
  answer(act: () => void): void {
    this.network.send(this.back, () => {
      if (this.isOpen) this.from.process.arrives(act);
    });
  }

  /** Each end's machine tells its own side; what was under way is lost. */
  lose(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.onLost();
    const { server, from, calls } = this;
    for (const call of [...calls]) {
      from.process.soon(() => call.failed(new MqError('UNAVAILABLE', `the connection to ${this.to} broke`)));
      server?.process.soon(() => call.far?.abandon());
    }
    calls.clear();
  }
}

class SimChannel implements RpcChannel {
  private connection: Connection | undefined;
  private closed = false;

  constructor(
    private readonly network: SimNetwork,
    private readonly from: Speaker,
    private readonly to: string,
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
    for (const call of [...(this.connection?.calls ?? [])]) call.cancel();
  }

  private begin(path: string, request: MessageBytes | undefined, options: CallOptions = {}): DuplexStream {
    if (this.closed) return failedCall(new MqError('UNAVAILABLE', 'the channel is closed'));
    if (!this.connection?.isOpen) this.connection = this.network.connect(this.from, this.to);
    return new SimCall(this.connection, path, request, options);
  }
}

/** The caller's end. */
class SimCall implements DuplexStream {
  far: FarEnd | undefined;
  private readonly incoming: Inbox;
  private readonly timer;
  private isOver = false;
  private failure: MqError | undefined;
  private endAct: ((error?: MqError) => void) | undefined;
  private readonly window;

  constructor(
    private readonly connection: Connection,
    path: string,
    request: MessageBytes | undefined,
    options: CallOptions,
  ) {
    const { process } = connection.from;
    this.incoming = new Inbox(process);
    this.window = new Window(process);
    connection.calls.add(this);
    const sent = request && whole(request);
    connection.ask((server) => {
      this.far = new FarEnd(connection, this, server.process, options);
      this.far.start(server, path, sent);
    });
    this.timer =
      options.deadlineMs === undefined
        ? undefined
        : process.after(options.deadlineMs - process.monotonicMs(), () =>
            this.giveUp(new MqError('TIMEOUT', 'no answer in time')),
          );
  }

  write(message: MessageBytes): boolean {
    if (this.isOver) return true;
    const bytes = whole(message);
    const goesOn = this.window.took(bytes.byteLength);
    this.connection.ask(() => {
      this.far?.incoming.push(bytes, () => this.window.gave(bytes.byteLength));
    });
    return goesOn;
  }
  onDrain(act: () => void): void {
    this.window.drained = act;
  }
  end(): void {
    if (!this.isOver) this.connection.ask(() => this.far?.incoming.end());
  }
  onMessage(act: (message: Uint8Array) => void): void {
    this.incoming.onMessage(act);
  }
  onEnd(act: (error?: MqError) => void): void {
    this.endAct = act;
    if (this.isOver) this.incoming.onEnd(() => act(this.failure));
  }
  pause(): void {
    this.incoming.pause();
  }
  resume(): void {
    this.incoming.resume();
  }
  /** What comes in their place is nothing that was sent. */
  giveBack(bytes: Uint8Array): void {
    bytes.fill(0xff);
  }
  cancel(): void {
    this.giveUp(new MqError('CANCELLED', 'the caller gave up'));
  }

  /** A message of the far end. */
  heard(message: Uint8Array, taken: () => void): void {
    if (!this.isOver) this.incoming.push(message, taken);
  }
  /** The far end says that this is all. */
  ended(failure: MqError | undefined): void {
    const { far } = this;
    if (!this.isOver && far?.waitsForArrival) this.connection.ask(() => far.arrived(failure === undefined));
    this.failed(failure);
  }
  failed(failure: MqError | undefined): void {
    if (this.isOver) return;
    this.isOver = true;
    this.failure = failure;
    this.timer?.cancel();
    this.connection.calls.delete(this);
    this.incoming.onEnd(() => this.endAct?.(failure));
    this.incoming.end();
  }

  private giveUp(failure: MqError): void {
    if (this.isOver) return;
    this.incoming.clear();
    this.connection.ask(() => this.far?.abandon());
    // Never from inside what gave it up.
    this.connection.from.process.soon(() => this.failed(failure));
  }
}

/** The handler's end. */
class FarEnd implements CallContext, UnaryReply, MessageSink {
  readonly headers: { get(name: string): string | undefined };
  readonly peer: string;
  readonly encrypted = false;
  readonly connection: number;
  readonly deadlineMs: number | undefined;
  readonly incoming: Inbox;
  cancelled = false;
  open = true;
  private readonly cancelActs: (() => void)[] = [];
  private arrivalAct: ((arrived: boolean) => void) | undefined;
  private readonly window;

  constructor(
    private readonly way: Connection,
    private readonly near: SimCall,
    process: SimProcess,
    options: CallOptions,
  ) {
    this.headers = { get: (name) => options.headers?.[name] };
    this.peer = `${way.from.host}:1`;
    this.connection = way.number;
    this.deadlineMs = options.deadlineMs;
    this.incoming = new Inbox(process);
    this.window = new Window(process);
  }

  start({ methods }: Server, path: string, request: Uint8Array | undefined): void {
    const method = methods.get(path);
    if (!method) this.fail(grpcStatus.UNIMPLEMENTED, `unknown method ${path}`);
    else if (method.kind === 'bidi') method.handler(this, this.incoming, this);
    else method.handler(request ?? new Uint8Array(0), this, this);
  }

  giveWay(): void {
    // Nobody asks for more than it may.
  }

  onCancel(act: () => void): void {
    if (this.cancelled) act();
    else this.cancelActs.push(act);
  }
  reserve(): boolean {
    return this.open;
  }
  /** The answer and that there is no more come together. */
  send(message: MessageBytes): void {
    if (!this.open) return;
    this.open = false;
    const bytes = whole(message);
    this.way.answer(() => {
      this.near.heard(bytes, () => undefined);
      this.near.ended(undefined);
    });
  }
  write(message: MessageBytes): boolean {
    if (!this.open) return false;
    const bytes = whole(message);
    const goesOn = this.window.took(bytes.byteLength);
    this.way.answer(() => this.near.heard(bytes, () => this.window.gave(bytes.byteLength)));
    return goesOn;
  }
  onDrain(act: () => void): void {
    this.window.drained = act;
  }
  onArrival(act: (arrived: boolean) => void): void {
    this.arrivalAct = act;
  }
  end(): void {
    if (!this.open) return;
    this.open = false;
    this.way.answer(() => this.near.ended(undefined));
  }
  fail(status: GrpcStatusCode, message: string, code?: ErrorCode): void {
    if (!this.open) return;
    this.open = false;
    const error = errorOf(status, message, code);
    this.way.answer(() => this.near.ended(error));
    this.arrived(false);
  }

  get waitsForArrival(): boolean {
    return this.arrivalAct !== undefined;
  }
  /** The caller has all of it, or it is sure that it never will. */
  arrived(all: boolean): void {
    this.arrivalAct?.(all);
    this.arrivalAct = undefined;
  }
  /** The caller is gone. */
  abandon(): void {
    this.arrived(false);
    if (!this.open) return;
    this.open = false;
    this.cancelled = true;
    for (const act of this.cancelActs) act();
  }
}

/** Messages one way, in order. */
class Inbox implements MessageSource {
  private readonly messages: { readonly bytes: Uint8Array; readonly taken: () => void }[] = [];
  private messageAct: ((message: Uint8Array) => void) | undefined;
  private endAct: (() => void) | undefined;
  private ended = false;
  private paused = false;
  private scheduled = false;

  constructor(private readonly process: SimProcess) {}

  push(bytes: Uint8Array, taken: () => void): void {
    this.messages.push({ bytes, taken });
    this.deliver();
  }
  end(): void {
    this.ended = true;
    this.deliver();
  }
  clear(): void {
    this.messages.length = 0;
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
    if (this.scheduled || (this.messages.length === 0 && !this.ended)) return;
    this.scheduled = true;
    this.process.soon(() => {
      this.scheduled = false;
      this.deliver();
    });
  }

  /** Never from inside what its owner asked for. */
  private deliver(): void {
    while (!this.paused && this.messageAct !== undefined) {
      const message = this.messages.shift();
      if (message === undefined) break;
      message.taken();
      this.messageAct(message.bytes);
    }
    if (!this.ended || (this.messages.length > 0 && this.messageAct !== undefined) || !this.endAct) return;
    const act = this.endAct;
    this.endAct = undefined;
    act();
  }
}

/** What is under way one way. */
class Window {
  drained: (() => void) | undefined;
  private bytes = 0;
  private isFull = false;

  /** @param process whose window this is */
  constructor(private readonly process: SimProcess) {}

  /** False: enough is under way. */
  took(bytes: number): boolean {
    this.bytes += bytes;
    if (this.bytes > windowBytes) this.isFull = true;
    return !this.isFull;
  }
  gave(bytes: number): void {
    this.bytes -= bytes;
    if (!this.isFull || this.bytes > windowBytes / 2) return;
    this.isFull = false;
    this.process.soon(() => this.drained?.());
  }
}

/** A copy: who wrote it may use the bytes for something else by the time they arrive. */
function whole(message: MessageBytes): Uint8Array {
  return message instanceof Uint8Array ? Buffer.from(message) : Buffer.concat(message);
}
