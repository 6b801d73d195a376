/**
 * The gRPC server that faces clients: HTTP/2 in plain TypeScript on sockets, TLS and plain text on one port.
 *
 *   socket ─► Greeting (PROXY, TLS, preface) ─► H2Connection ─► DoorCall ─► handler
 *
 * It tells callers nothing of our inside: no error codes beside gRPC's, no stack, no cause. To those that are processes
 * of our own (`internal`) it tells an error's code. One timer serves all deadlines and timeouts, and runs only while
 * somebody is connected.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { SecureContext, Server as TlsServer } from 'node:tls';
import { MqError, OwnStalls, peerText, processPlaces } from '@cometmq/shared';
import type { Clock, SocketPlaces, Timer } from '@cometmq/shared';
import { DeadlineWheel } from '../deadline-wheel.js';
import type { FailureLog, GrpcServer, GrpcService } from '../grpc-server.js';
import { MemoryAccount } from '../memory/memory-account.js';
import { MemoryPool } from '../memory/memory-pool.js';
import { routesOf } from '../routes.js';
import type { Route } from '../routes.js';
import { selfSignedIdentity } from '../tls/tls-identity.js';
import type { TlsIdentity } from '../tls/tls-identity.js';
import { Admission } from '../sockets/admission.js';
import type { RefusalReason } from '../sockets/admission.js';
import { AddressBook } from '../sockets/address-book.js';
import type { PeerAddress } from '../sockets/address-book.js';
import { Allowance } from '../sockets/allowance.js';
import { secureContextOf } from '../tls/tls-context.js';
import { MutableCounters } from './counters.js';
import type { CutReason, FrontDoorCounters } from './counters.js';
import type { DoorCall } from './door-call.js';
import { Greeting } from '../sockets/greeting.js';
import type { GreetingEnd, GreetingHost, ListenMode } from '../sockets/greeting.js';
import { H2Connection } from './h2-connection.js';
import type { ProcessCallers, ProcessTls } from '../tls/process-tls.js';
import { IdentityWatch } from '../tls/identity-watch.js';
import type { Tell } from '../tls/identity-watch.js';
import type { ConnectionHost } from './h2-connection.js';
import { LastInTurn } from './last-in-turn.js';
import { defaultFrontDoorLimits, internalLimits } from './limits.js';
import type { FrontDoorLimits } from './limits.js';
import { BlockPool } from '../sockets/outbox.js';

export interface FrontDoorOptions {
  readonly name?: string;
  /** All addresses, unless given. */
  readonly host?: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly services: readonly GrpcService[];
  readonly clock: Clock;
  readonly log: FailureLog;
  /** Told what callers did that they should not, in measure, and of certificates that are renewed. */
  readonly tell?: Tell;
  /** Default: both. */
  readonly mode?: ListenMode;
  /** As a function it is asked again now and then, and a renewed one is served. Default: self-signed, made at the start. */
  readonly identity?: TlsIdentity | (() => TlsIdentity);
  /** Believe PROXY headers. Only behind a load balancer: they say who the caller is. Default: false. */
  readonly proxyProtocol?: boolean;
  /** How long `stop` lets open calls go on. Default: 5 s. */
  readonly stopMs?: number;
  readonly limits?: Partial<FrontDoorLimits>;
  /** Default: those of the process. */
  readonly places?: SocketPlaces;
  /** Its callers are processes of our own: errors go to them with their code, and `internalLimits` hold. */
  readonly internal?: {
    /** Without it, plain text, and whoever reaches the port is let in. */
    readonly tls?: { readonly process: ProcessTls; readonly callers: ProcessCallers } | undefined;
  };
}

const tickMs = 50;
const checkMs = 1_000;
/** Lines about callers, so that many of them make no flood of the log. */
const warningsBurst = 20;
const warningsPerSecond = 1;

export class FrontDoorServer implements GrpcServer, ConnectionHost, GreetingHost {
  readonly name: string;
  readonly clock: Clock;
  readonly log: FailureLog;
  readonly limits: FrontDoorLimits;
  readonly internal: boolean;
  readonly callers: ProcessCallers | undefined;
  readonly routes: ReadonlyMap<string, Route>;
  readonly counters = new MutableCounters();
  readonly requestPool: MemoryPool;
  private readonly pieces: MemoryAccount;
  readonly answerPool: MemoryPool;
  readonly blocks = new BlockPool();
  readonly lastInTurn = new LastInTurn(setImmediate);
  readonly deadlines: DeadlineWheel<DoorCall>;
  readonly mode: ListenMode;
  readonly proxyProtocol: boolean;
  readonly notGrpc: Route;
  secureContext: SecureContext | undefined;

  private readonly connections = new Set<H2Connection>();
  private readonly greetings = new Set<Greeting>();
  private readonly stoppingActs: (() => void)[] = [];
  private listener: Server | undefined;
  /** Where all are to speak TLS and show a certificate: shakes hands with who has a place, and listens nowhere itself. */
  private handshakes: TlsServer | undefined;
  private readonly shaking = new Map<string, Greeting>();
  private boundPort: number;
  private timer: Timer | undefined;
  private checkedMs: number;
  private readonly stalls: OwnStalls;
  private dirty: H2Connection[] = [];
  private stopping = false;
  private readonly addresses: AddressBook;
  private readonly admission: Admission;
  private readonly places: SocketPlaces;
  private readonly warnings: Allowance;
  private unsaid = 0;
  private identityWatch: IdentityWatch | undefined;
  private connectionNumber = 0;
  private emptied: (() => void) | undefined;
  private readonly flushAll = (): void => {
    const due = this.dirty;
    this.dirty = [];
    for (const connection of due) connection.flush();
  };

  constructor(private readonly options: FrontDoorOptions) {
    this.name = options.name ?? 'front door';
    this.clock = options.clock;
    this.log = options.log;
    this.internal = options.internal !== undefined;
    this.callers = options.internal?.tls?.callers;
    this.limits = { ...(this.internal ? internalLimits : defaultFrontDoorLimits), ...options.limits };
    this.routes = routesOf(options.services);
    this.pieces = new MemoryAccount(this.limits.serverHeldBytesMax / 2);
    this.requestPool = new MemoryPool(this.limits.serverHeldBytesMax / 2, setImmediate);
    this.answerPool = new MemoryPool(this.limits.serverQueuedBytesMax, setImmediate);
    const { limits } = this;
    const share = limits.addressMemoryShare;
    this.addresses = new AddressBook(
      {
        connectionsMax: limits.addressConnectionsMax,
        connectionsPerSecond: limits.addressConnectionsPerSecond,
        effortBurst: limits.addressEffortFactor * limits.effortBurst,
        effortPerSecond: limits.addressEffortFactor * limits.effortPerSecond,
        answerBytesMax: share * limits.serverQueuedBytesMax,
        requestBytesMax: (share * limits.serverHeldBytesMax) / 2,
      },
      this.answerPool.account,
      this.requestPool.account,
      this.pieces,
    );
    this.places = options.places ?? processPlaces();
    this.admission = new Admission(limits, this.addresses, this.places);
    this.notGrpc = { path: '', method: { kind: 'unary', handler: (_request, _call, reply) => reply.send([]) } };
    this.mode = this.internal ? 'plaintext-only' : (options.mode ?? 'both');
    this.proxyProtocol = options.proxyProtocol ?? false;
    this.boundPort = options.port;
    this.checkedMs = options.clock.monotonicMs();
    this.stalls = new OwnStalls(checkMs, this.checkedMs);
    this.warnings = new Allowance(warningsBurst, warningsPerSecond, this.checkedMs);
    this.deadlines = new DeadlineWheel<DoorCall>(tickMs, this.checkedMs);
  }

  get port(): number {
    return this.boundPort;
  }

  /** What has been seen so far; a copy. */
  get seen(): FrontDoorCounters {
    this.counters.connectionsOpening = this.greetings.size;
    this.counters.heldBytes = this.requestPool.account.bytes + this.pieces.bytes;
    this.counters.answerBytes = this.answerPool.account.bytes;
    return { ...this.counters, refused: { ...this.counters.refused }, cut: { ...this.counters.cut } };
  }

  async start(): Promise<void> {
    if (this.mode !== 'plaintext-only') {
      await this.startIdentity(this.options.identity);
    }
    const { tls } = this.options.internal ?? {};
    if (tls !== undefined) this.handshakes = this.newHandshakes(tls);
    const listener = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) => {
      this.accept(socket);
    });
    this.listener = listener;
    await new Promise<void>((resolve, reject) => {
      listener.once('error', (cause) => {
        reject(new MqError('CONFIG', `can't listen on port ${this.options.port}: ${cause.message}`, { cause }));
      });
      listener.listen({ port: this.options.port, host: this.options.host }, () => resolve());
    });
    listener.on('error', (cause) => this.log('accepting connections failed', cause));
    this.boundPort = (listener.address() as AddressInfo).port;
    const { max } = this.places;
    if (max < this.limits.connectionsMax) {
      const facts = { connections: max, wanted: this.limits.connectionsMax };
      this.options.tell?.('warn', 'the process may open few files (ulimit -n), and takes fewer connections', facts);
    }
  }

  private newHandshakes({ process }: { readonly process: ProcessTls }): TlsServer {
    const server = createTlsServer({
      ...process.accepting(),
      // Asked with each connection; ours all say whom they look for.
      SNICallback: (_name, done) => done(null, process.context),
      ALPNProtocols: ['h2'],
      handshakeTimeout: this.limits.greetingMs,
    });
    server.on('secureConnection', (socket) => {
      const greeting = this.shaking.get(peerText(socket.remoteAddress, socket.remotePort));
      if (greeting === undefined) socket.destroy();
      else greeting.secured(socket);
    });
    return server.on('tlsClientError', (_cause, socket) => socket.destroy());
  }

  /** From now on new connections get this certificate; those that are open keep theirs. @throws MqError CONFIG */
  useIdentity(identity: TlsIdentity): void {
    if (identity.certPem === '') throw new MqError('CONFIG', 'the TLS certificate is empty');
    this.secureContext = secureContextOf(identity);
  }

  private async startIdentity(identity: FrontDoorOptions['identity']): Promise<void> {
    if (typeof identity !== 'function') {
      this.useIdentity(identity ?? (await selfSignedIdentity(this.clock.wallMs())));
      return;
    }
    this.identityWatch = new IdentityWatch({
      load: identity,
      use: (renewed) => this.useIdentity(renewed),
      clock: this.clock,
      tell: this.options.tell ?? (() => undefined),
    });
    this.identityWatch.start();
  }

  onStopping(act: () => void): void {
    this.stoppingActs.push(act);
  }

  async stop(): Promise<void> {
    const listener = this.listener;
    if (listener === undefined) return;
    this.listener = undefined;
    this.stopping = true;
    this.identityWatch?.stop();
    const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
    for (const act of this.stoppingActs) act();
    for (const greeting of [...this.greetings]) greeting.abort();
    for (const connection of [...this.connections]) connection.drain();
    const stopMs = this.options.stopMs ?? 5_000;
    await new Promise<void>((resolve) => {
      const timer = this.clock.after(stopMs, resolve);
      this.emptied = () => {
        timer.cancel();
        resolve();
      };
      if (this.connections.size === 0) this.emptied();
    });
    for (const connection of [...this.connections]) connection.abort();
    this.timer?.cancel();
    await closed;
  }

  // ---- connections -----------------------------------------------------------------------------------------------

  private accept(socket: Socket): void {
    const nowMs = this.clock.monotonicMs();
    const peer = peerText(socket.remoteAddress, socket.remotePort);
    // Behind a balancer nobody is known yet: the one address is the balancer's.
    const address = this.proxyProtocol ? undefined : this.addresses.find(peer, nowMs);
    const refusal = this.stopping ? 'stopping' : this.admission.refusal(address, nowMs);
    if (refusal !== undefined) {
      this.refuse(peer, refusal);
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    this.admission.enter();
    this.counters.connectionsTotal += 1;
    this.counters.connectionsOpen += 1;
    const greeting = new Greeting(socket, this, nowMs, peer, this.handshakes !== undefined);
    if (address !== undefined) this.place(greeting, address);
    this.greetings.add(greeting);
    if (this.handshakes !== undefined) {
      // Half-open handshakes have places as all connections have: Node.js counts none of them.
      this.shaking.set(peer, greeting);
      socket.once('close', () => this.shaking.delete(peer));
      this.handshakes.emit('connection', socket);
    }
    this.arm();
  }

  private place(greeting: Greeting, address: PeerAddress): void {
    greeting.address = address;
    address.members.add(greeting);
  }

  /** A balancer has said for whom it speaks. */
  identified(greeting: Greeting, peer: string): boolean {
    const nowMs = this.clock.monotonicMs();
    const address = this.addresses.find(peer, nowMs);
    const refusal = this.admission.refusalOf(address, nowMs);
    if (refusal === undefined) this.place(greeting, address);
    else this.refuse(peer, refusal);
    return refusal === undefined;
  }

  admitted(greeting: Greeting, socket: Socket, encrypted: boolean, rest: Buffer, from: number): void {
    const { peer } = greeting;
    const address = greeting.address ?? this.addresses.find(peer, this.clock.monotonicMs());
    this.greetings.delete(greeting);
    address.members.delete(greeting);
    const connection = new H2Connection(socket, this, peer, encrypted, (this.connectionNumber += 1), address);
    address.members.add(connection);
    this.connections.add(connection);
    if (this.stopping) connection.drain();
    else connection.received(rest, from);
  }

  rejected(greeting: Greeting, why: GreetingEnd): void {
    if (!this.greetings.delete(greeting)) return;
    greeting.address?.members.delete(greeting);
    this.admission.leave(greeting);
    this.counters.connectionsOpen -= 1;
    if (why === 'protocol') {
      this.counters.protocolErrors += 1;
      this.cut(greeting.peer, 'protocol', 'it begins with neither TLS, HTTP/2 nor what else is allowed');
    } else if (why === 'tls') {
      this.counters.tlsFailures += 1;
    } else if (why === 'displaced') {
      this.cut(greeting.peer, 'displaced', 'all places are taken');
    } else if (why === 'slow') {
      this.cut(greeting.peer, 'slow', 'it has not said in time what it speaks');
    }
  }

  cut(peer: string, reason: CutReason, why: string): void {
    this.counters.cut[reason] += 1;
    this.warn('a connection of a client was ended', { peer, reason, why });
  }

  private refuse(peer: string, reason: RefusalReason): void {
    this.counters.refused[reason] += 1;
    this.warn('a connection was refused', { peer, reason });
  }

  private warn(said: string, facts: Readonly<Record<string, unknown>>): void {
    const { tell } = this.options;
    if (tell === undefined) return;
    if (!this.warnings.spend(1, this.clock.monotonicMs())) {
      this.unsaid += 1;
      return;
    }
    tell('warn', said, this.unsaid === 0 ? facts : { ...facts, notTold: this.unsaid });
    this.unsaid = 0;
  }

  closed(connection: H2Connection): void {
    if (!this.connections.delete(connection)) return;
    this.admission.leave(connection);
    connection.address.members.delete(connection);
    this.counters.connectionsOpen -= 1;
    if (this.connections.size === 0) this.emptied?.();
  }

  flushLater(connection: H2Connection): void {
    if (this.dirty.length === 0) setImmediate(this.flushAll);
    this.dirty.push(connection);
  }

  // ---- time ------------------------------------------------------------------------------------------------------

  private arm(): void {
    if (this.timer !== undefined) return;
    this.timer = this.clock.after(tickMs, () => this.tick());
  }

  private tick(): void {
    this.timer = undefined;
    const nowMs = this.clock.monotonicMs();
    this.deadlines.advance(nowMs, (call) => call.deadlinePassed());
    if (nowMs - this.checkedMs >= checkMs) {
      this.checkedMs = nowMs;
      if (this.stalls.stoodStill(nowMs)) for (const connection of this.connections) connection.stoodStill(nowMs);
      else this.check(nowMs);
      this.addresses.sweep(nowMs);
    }
    if (this.connections.size + this.greetings.size > 0) this.arm();
  }

  private check(nowMs: number): void {
    for (const connection of [...this.connections]) connection.check(nowMs);
    for (const greeting of [...this.greetings]) {
      if (nowMs - greeting.startedMs > this.limits.greetingMs) greeting.tooSlow();
    }
  }
}
