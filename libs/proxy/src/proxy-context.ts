/**
 * What all calls of the front context share: the parts they stand on, what is in flight, and how a call is measured.
 */
import type { BrokerLink, BrokerLinks, Directory, Done, NameService } from '@cometmq/client';
import { compileFilter } from '@cometmq/filter';
import { type FilterExpression, MiB, PendingHandles, ReceiptHandles } from '@cometmq/model';
import type { CallContext, FailureLog } from '@cometmq/rpc';
import { type Access, type AuditLog, hostOf, type Principal, Quotas } from '@cometmq/auth';
import { type Chance, type Clock, MqError } from '@cometmq/shared';

import { AnswersUnderWay } from './answers-under-way.js';
import { CommandDelivery, type CommandWriter } from './command-delivery.js';
import { MessagingCounters, type RpcSeries } from './counters.js';
import type { Advertised, MessagingLimits } from './limits.js';
import { LiteMemory } from './lite-memory.js';
import { FirstUses } from './first-uses.js';
import { Names } from './names.js';
import { ratesOf, type Rates } from './rates.js';
import { ok, wireCode, wireCodeName } from './status.js';
import { giveUpMs, type Parked, Parking } from './parking.js';
import { type CommandStream, cutText, SessionRegistry } from './sessions.js';
import type { MessageTraces } from './tracing.js';
import { TopicRoutes } from './topic-routes.js';
import { ClientPolls } from './client-polls.js';
import type { Caller } from './caller.js';

export interface ProxyParts {
  readonly nameService: NameService;
  readonly directory: Directory;
  readonly links: BrokerLinks;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly limits: MessagingLimits;
  readonly advertised: Advertised;
  /** Which of the cluster's proxies this is; made up when left out. */
  readonly proxyId?: string | undefined;
  readonly log: FailureLog;
  /** How callers are known. */
  readonly access: Access;
  /** Where it is recorded who was refused; left out: nowhere. */
  readonly audit?: AuditLog | undefined;
  /** Who is told of each message that carries a trace context; left out: nobody, at no cost. */
  readonly traces?: MessageTraces | undefined;
}

/** Checked expressions that are remembered, and their characters: a consumer repeats its own in every poll. */
const filtersMax = 2_000;
const filterLengthsMax = 4 * MiB;

export class ProxyContext {
  /** Which of the cluster's proxies this is. */
  readonly proxyId: string;
  readonly routes: TopicRoutes;
  readonly names: Names;
  readonly parking: Parking;
  readonly sessions: SessionRegistry;
  readonly commands: CommandDelivery;
  readonly polls: ClientPolls;
  readonly lite: LiteMemory;
  /** Messages that may not have reached their client yet. */
  readonly answers: AnswersUnderWay;
  /** Open Telemetry streams. */
  readonly streams = new Set<CommandStream>();
  /** Bytes of settings that these keep. */
  settingsBytes = 0;
  readonly counters = new MessagingCounters();
  readonly quotas = new Quotas();
  /** Undefined: no limit is set. */
  private readonly rates: Rates | undefined;
  /** Sends under way, and the bytes of their requests. */
  readonly sends = { inFlight: 0, bytes: 0, arrivals: 0 };
  /** Requests that wait for their topic to be known or made, by its name: those that come later stay behind them. */
  readonly firstUses = new Map<string, Promise<unknown>>();
  /** Acknowledgements, changes of leases and the like under way. */
  calls = 0;
  /** Errors of receives that are held back for a moment. */
  delayedErrors = 0;
  /** Stopping: long polls end at once, heartbeats fail, what has begun is finished. */
  draining = false;
  private readonly checkedFilters = new Set<string>();
  private filterLengths = 0;
  private handlesMade:
    { readonly secret: Uint8Array; readonly handles: ReceiptHandles; readonly pending: PendingHandles } | undefined;

  /** @param commandWord how a broker's command is put to a client */
  constructor(
    readonly parts: ProxyParts,
    commandWord: (context: ProxyContext, ...command: Parameters<CommandWriter>) => ReturnType<CommandWriter>,
  ) {
    const { nameService, directory, links, clock, chance, limits } = parts;
    this.routes = new TopicRoutes(directory);
    this.names = new Names(
      nameService,
      directory,
      this.routes,
      clock,
      new FirstUses(clock, limits.creationsPerAddressMax),
    );
    this.rates = ratesOf(limits);
    this.parking = new Parking(clock);
    this.polls = new ClientPolls(clock);
    this.lite = new LiteMemory(directory, links, clock);
    this.answers = new AnswersUnderWay(clock, links, limits.autoRenewLeaseMs, (messages) => {
      this.counters.handedBack += messages;
    });
    const proxyId = parts.proxyId ?? `proxy-${Math.floor(chance.next() * 2 ** 48).toString(16)}`;
    this.proxyId = proxyId;
    const unconfirmedOf = (broker: string) => this.answers.unconfirmedOf(broker);
    this.sessions = new SessionRegistry({ directory, links, clock, limits, proxyId, unconfirmedOf });
    this.commands = new CommandDelivery({ directory, links, proxyId }, this.sessions, (...command) =>
      commandWord(this, ...command),
    );
  }

  get clock(): Clock {
    return this.parts.clock;
  }
  get limits(): MessagingLimits {
    return this.parts.limits;
  }

  /** @throws MqError UNAVAILABLE before the directory has come */
  get handles(): ReceiptHandles {
    return this.signed().handles;
  }
  /** Recall handles and transaction ids. @throws MqError UNAVAILABLE before the directory has come */
  get pendingHandles(): PendingHandles {
    return this.signed().pending;
  }

  private signed(): { readonly handles: ReceiptHandles; readonly pending: PendingHandles } {
    const { secret } = this.parts.directory;
    if (this.handlesMade?.secret !== secret) {
      this.handlesMade = { secret, handles: new ReceiptHandles(secret), pending: new PendingHandles(secret) };
    }
    return this.handlesMade;
  }

  /** @throws MqError ILLEGAL_FILTER_EXPRESSION */
  checkFilter(filter: FilterExpression): void {
    const key = filter.type + filter.expression;
    if (this.checkedFilters.has(key)) return;
    compileFilter(filter);
    this.filterLengths += key.length;
    if (this.checkedFilters.size >= filtersMax || this.filterLengths > filterLengthsMax) {
      this.checkedFilters.clear();
      this.filterLengths = key.length;
    }
    this.checkedFilters.add(key);
  }

  /**
   * How every call begins: who calls is known, may use this client's session, and is noted as alive.
   * @throws MqError CLIENT_ID_REQUIRED, UNAUTHORIZED, TOO_MANY_REQUESTS
   */
  callerOf(meter: RpcMeter, call: CallContext, request: Uint8Array, nowMs: number): Caller {
    const clientId = clientIdOf(call);
    const principal = this.principalOf(meter, call, request);
    try {
      this.sessions.touch(clientId, principal.name, nowMs, meter.isWork);
    } catch (caught) {
      call.giveWay();
      throw caught;
    }
    return { principal, clientId, peer: call.peer, protocol: 'grpc', call, denied: meter.denied };
  }

  private principalOf(meter: RpcMeter, call: CallContext, request: Uint8Array): Principal {
    try {
      return this.parts.access.principalOf(call, meter.path, request);
    } catch (caught) {
      call.giveWay();
      void this.parts.audit?.record({
        ...{ how: 'none', from: hostOf(call.peer), operation: meter.method, decision: 'refused' },
        reason: MqError.from(caught).reason,
      });
      throw caught;
    }
  }

  /**
   * What sends and polls cost their user, topic, group and address. What ends work, acknowledgements above all, is never refused for it.
   * @throws MqError TOO_MANY_REQUESTS
   */
  admit(caller: Caller, topic: string, group: string | undefined, requests: number, bytes: number): void {
    const { principal, peer, call } = caller;
    let spent: 'quota' | 'rate' = 'quota';
    try {
      if (principal.user?.quota !== undefined) this.quotas.take(principal, requests, bytes, this.clock.monotonicMs());
      spent = 'rate';
      this.rates?.take({ topic, group, peer }, requests, bytes, this.clock.monotonicMs());
    } catch (caught) {
      this.counters.throttled[spent] += 1;
      call.giveWay();
      throw caught;
    }
  }

  /** The caller as its user is now. @throws MqError UNAUTHORIZED */
  renewed(caller: Caller): Caller {
    if (caller.principal.current) return caller;
    const principal = this.parts.access.renewed(caller.principal);
    if (principal) return { ...caller, principal };
    throw new MqError('UNAUTHORIZED', `user ${caller.principal.name} is disabled or deleted, or has another secret`);
  }

  giveUpMs(call: CallContext, nowMs = this.clock.monotonicMs()): number {
    return giveUpMs(nowMs, call.deadlineMs, this.limits.requestMsMax);
  }

  /** Tries a call again later; soon where the set has another leader than the one that was asked. */
  park(call: Parked, broker: string, asked: BrokerLink | undefined): void {
    this.counters.parked += 1;
    this.parking.park(call);
    if (asked && this.parts.links.link(broker) !== asked) this.parking.wake();
  }

  /** Counts a call in. @throws MqError TOO_MANY_REQUESTS */
  enter(): void {
    if (this.calls >= this.limits.callsMax) {
      this.counters.throttled.calls += 1;
      throw new MqError('TOO_MANY_REQUESTS', `${this.calls} calls are under way on this node; try again later`);
    }
    this.calls += 1;
  }

  /** Counts out one that was counted in. */
  leave(): void {
    this.calls -= 1;
  }

  /**
   * A call of its own to a leader, which counts as under way until it has been answered, or could not be begun. For calls
   * that are not hot.
   *
   * @throws MqError TOO_MANY_REQUESTS, and what is answered
   */
  async asks<T>(begin: (done: Done<T>) => void): Promise<T | undefined> {
    this.enter();
    try {
      return await new Promise<T | undefined>((resolve, reject) => {
        begin((error, result) => {
          if (error) reject(error);
          else resolve(result);
        });
      });
    } finally {
      this.leave();
    }
  }
}

/**
 * The client's id, which every call must carry.
 * @throws MqError CLIENT_ID_REQUIRED
 */
export function clientIdOf(call: CallContext): string {
  const id = call.headers.get('x-mq-client-id');
  if (id === undefined || id.trim() === '') {
    throw new MqError('CLIENT_ID_REQUIRED', 'the header x-mq-client-id is missing or blank');
  }
  return cutText(id, clientIdLengthMax);
}
const clientIdLengthMax = 255;

export const messagingServiceName = 'apache.rocketmq.v2.MessagingService';

/** What a client calls that only shows that it is there. */
const lifeSigns = new Set([
  ...['Heartbeat', 'QueryRoute', 'QueryAssignment', 'Telemetry', 'SyncLiteSubscription', 'NotifyClientTermination'],
]);

/**
 * What no client is held to have done wrong: nothing was there, we were at fault, or nobody knows whether it was this client
 * that called, as anybody can use its id.
 */
const blameless: ReadonlySet<number> = new Set([
  ...[ok.code, wireCode.MESSAGE_NOT_FOUND, wireCode.CANCELLED, wireCode.INTERNAL, wireCode.UNAUTHORIZED],
]);

/** Counts the calls of one method, by code and time. Remembers the last code, which is nearly always OK. */
export class RpcMeter {
  /** As it is signed by those who sign it. */
  readonly path: string;
  /** A client that does nothing but calls that are none is idle. */
  readonly isWork: boolean;
  /** Records that a caller may not do what it asked for; undefined: nothing is recorded. */
  readonly denied: Caller['denied'];
  private last: RpcSeries | undefined;

  constructor(
    readonly method: string,
    private readonly context: ProxyContext,
  ) {
    this.path = `/${messagingServiceName}/${method}`;
    this.isWork = !lifeSigns.has(method);
    const { audit } = context.parts;
    this.denied =
      audit &&
      (({ principal, clientId, peer }, reason) =>
        void audit.record({
          ...{ user: principal.name, how: 'signature', from: hostOf(peer), operation: method },
          ...{ target: { clientId }, decision: 'refused', reason },
        }));
  }

  done(startMs: number, code: number, { headers }: CallContext): void {
    if (code !== ok.code && !blameless.has(code)) {
      const clientId = cutText(headers.get('x-mq-client-id') ?? '', clientIdLengthMax);
      this.context.sessions.refusedCall(clientId, this.method, wireCodeName(code));
    }
    if (this.last?.code !== code) this.last = this.context.counters.rpc(this.method, code);
    this.last.latencyMs.record(this.context.clock.monotonicMs() - startMs);
  }
}

/**
 * The errors after which the same call may do later or elsewhere. Nothing was done, or, where a link broke, it is not known
 * whether something was: what is repeated then is stored twice at worst, and messages of a group are not even that.
 */
export function passes(error: MqError): boolean {
  return error.code === 'NOT_LEADER' || error.code === 'UNAVAILABLE' || error.code === 'STALE_LAYOUT';
}

/**
 * One call to the leader of a broker set, repeated while leaders change until its time is up. `ask` makes the call;
 * `answered` gets its outcome, once.
 */
export abstract class LeaderCall<T> implements Parked {
  private lastError: MqError | undefined;

  constructor(
    protected readonly context: ProxyContext,
    readonly giveUpMs: number,
  ) {}

  protected abstract readonly broker: string;
  protected abstract ask(link: BrokerLink, done: (error: MqError | undefined, result: T | undefined) => void): void;
  protected abstract answered(error: MqError | undefined, result: T | undefined): void;

  start(): void {
    const link = this.context.parts.links.link(this.broker);
    if (!link) {
      this.later(new MqError('UNAVAILABLE', `nobody leads the broker set "${this.broker}" at the moment`), link);
      return;
    }
    try {
      this.ask(link, (error, result) => {
        if (error && passes(error)) this.later(error, link);
        else this.answered(error, result);
      });
    } catch (caught) {
      this.answered(MqError.from(caught), undefined);
    }
  }

  retry(): void {
    this.start();
  }

  giveUp(): void {
    this.answered(this.lastError ?? new MqError('TIMEOUT', 'no answer in time'), undefined);
  }

  private later(error: MqError, asked: BrokerLink | undefined): void {
    this.lastError = error;
    if (this.context.clock.monotonicMs() >= this.giveUpMs) this.giveUp();
    else this.context.park(this, this.broker, asked);
  }
}
