/**
 * The gRPC server that faces clients: HTTP/2 in plain TypeScript on sockets, TLS and plain text on one port.
 *
 *   socket ─► Greeting (PROXY, TLS, preface) ─► H2Connection ─► DoorCall ─► handler
 *
 * It tells callers nothing of our inside: no error codes beside gRPC's, no stack, no cause. One timer serves all
 * deadlines and timeouts, and runs only while somebody is connected.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { MqError } from '@cometmq/shared';
import type { Clock, Timer } from '@cometmq/shared';
import { DeadlineWheel } from '../deadline-wheel.js';
import type { FailureLog, GrpcServer, GrpcService } from '../grpc-server.js';
import { ByteBudget } from '../http2/byte-budget.js';
import { MemoryPool } from '../memory/memory-pool.js';
import { routesOf } from '../routes.js';
import type { Route } from '../routes.js';
import { selfSignedIdentity } from '../tls-identity.js';
import type { TlsIdentity } from '../tls-identity.js';
import { MutableCounters } from './counters.js';
import type { FrontDoorCounters } from './counters.js';
import type { DoorCall } from './door-call.js';
import { Greeting } from './greeting.js';
import type { GreetingHost, ListenMode } from './greeting.js';
import { H2Connection } from './h2-connection.js';
import type { ConnectionHost } from './h2-connection.js';
import { defaultFrontDoorLimits } from './limits.js';
import type { FrontDoorLimits } from './limits.js';
import { BlockPool } from './outbox.js';

export interface FrontDoorOptions {
  readonly name?: string;
  /** All addresses, unless given. */
  readonly host?: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly services: readonly GrpcService[];
  readonly clock: Clock;
  readonly log: FailureLog;
  /** Default: both. */
  readonly mode?: ListenMode;
  /** Default: a self-signed certificate made at the start. */
  readonly identity?: TlsIdentity;
  /** Believe PROXY headers. Only behind a load balancer: they say who the caller is. Default: false. */
  readonly proxyProtocol?: boolean;
  /** How long `stop` lets open calls go on. Default: 5 s. */
  readonly stopMs?: number;
  readonly limits?: Partial<FrontDoorLimits>;
}

const tickMs = 50;
const checkMs = 1_000;

export class FrontDoorServer implements GrpcServer, ConnectionHost, GreetingHost {
  readonly name: string;
  readonly clock: Clock;
  readonly log: FailureLog;
  readonly limits: FrontDoorLimits;
  readonly routes: ReadonlyMap<string, Route>;
  readonly counters = new MutableCounters();
  readonly budget: ByteBudget;
  readonly answerPool: MemoryPool;
  readonly blocks = new BlockPool();
  readonly deadlines: DeadlineWheel<DoorCall>;
  readonly mode: ListenMode;
  readonly proxyProtocol: boolean;
  secureContext: SecureContext | undefined;

  private readonly connections = new Set<H2Connection>();
  private readonly greetings = new Set<Greeting>();
  private readonly stoppingActs: (() => void)[] = [];
  private listener: Server | undefined;
  private boundPort: number;
  private timer: Timer | undefined;
  private checkedMs: number;
  private dirty: H2Connection[] = [];
  private stopping = false;
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
    this.limits = { ...defaultFrontDoorLimits, ...options.limits };
    this.routes = routesOf(options.services);
    this.budget = new ByteBudget(this.limits.serverHeldBytesMax);
    this.answerPool = new MemoryPool(this.limits.serverQueuedBytesMax, setImmediate);
    this.mode = options.mode ?? 'both';
    this.proxyProtocol = options.proxyProtocol ?? false;
    this.boundPort = options.port;
    this.checkedMs = options.clock.monotonicMs();
    this.deadlines = new DeadlineWheel<DoorCall>(tickMs, this.checkedMs);
  }

  get port(): number {
    return this.boundPort;
  }

  /** What has been seen so far; a copy. */
  get seen(): FrontDoorCounters {
    this.counters.heldBytes = this.budget.bytes;
    this.counters.answerBytes = this.answerPool.account.bytes;
    return { ...this.counters };
  }

  async start(): Promise<void> {
    if (this.mode !== 'plaintext-only') {
      this.useIdentity(this.options.identity ?? (await selfSignedIdentity(this.clock.wallMs())));
    }
    const listener = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) =>
      this.accept(socket),
    );
    this.listener = listener;
    await new Promise<void>((resolve, reject) => {
      listener.once('error', (cause) => {
        reject(new MqError('CONFIG', `can't listen on port ${this.options.port}: ${cause.message}`, { cause }));
      });
      listener.listen({ port: this.options.port, host: this.options.host }, () => resolve());
    });
    listener.on('error', (cause) => this.log('accepting connections failed', cause));
    this.boundPort = (listener.address() as AddressInfo).port;
  }

  /** From now on new connections get this certificate; those that are open keep theirs. */
  useIdentity(identity: TlsIdentity): void {
    try {
      this.secureContext = createSecureContext({
        cert: identity.certPem,
        key: identity.keyPem,
        minVersion: 'TLSv1.2',
      });
    } catch (cause) {
      throw new MqError('CONFIG', 'the TLS certificate and key are no matching PEM pair', { cause });
    }
  }

  onStopping(act: () => void): void {
    this.stoppingActs.push(act);
  }

  async stop(): Promise<void> {
    const listener = this.listener;
    if (listener === undefined) return;
    this.listener = undefined;
    this.stopping = true;
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
    if (this.stopping || this.connections.size + this.greetings.size >= this.limits.connectionsMax) {
      this.counters.connectionsRefused += 1;
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    this.counters.connectionsTotal += 1;
    this.counters.connectionsOpen += 1;
    this.greetings.add(new Greeting(socket, this, this.clock.monotonicMs()));
    this.arm();
  }

  admitted(greeting: Greeting, socket: Socket, peer: string, encrypted: boolean, rest: Buffer, from: number): void {
    this.greetings.delete(greeting);
    const connection = new H2Connection(socket, this, peer, encrypted, (this.connectionNumber += 1));
    this.connections.add(connection);
    if (this.stopping) connection.drain();
    else connection.received(rest, from);
  }

  rejected(greeting: Greeting, why: 'tls' | 'protocol' | 'gone'): void {
    if (!this.greetings.delete(greeting)) return;
    this.counters.connectionsOpen -= 1;
    if (why === 'protocol') this.counters.protocolErrors += 1;
    if (why === 'tls') this.counters.tlsFailures += 1;
  }

  closed(connection: H2Connection): void {
    if (!this.connections.delete(connection)) return;
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
      for (const connection of [...this.connections]) connection.check(nowMs);
      for (const greeting of [...this.greetings]) {
        if (nowMs - greeting.startedMs > this.limits.greetingMs) greeting.abort();
      }
    }
    if (this.connections.size + this.greetings.size > 0) this.arm();
  }
}
