/**
 * `Peers` over a network that a spec owns: who listens where, which lines are cut one way or both, how slow each is, which
 * connections are lost. A line keeps its order; what is said on one that is cut waits, as TCP repeats it, and what was
 * asked ends by its deadline meanwhile.
 */
import type { Ask, Epoch, LogPosition, MemberId } from '@cometmq/model';
import { MqError, type Clock, type Timer } from '@cometmq/shared';

import type { FollowerEvents, FollowerOutlet, LogBytes, PeerDoor } from '../peer-door.js';
import {
  peerLimits,
  type Attached,
  type FetchedPart,
  type FetchRequest,
  type FollowHello,
  type FollowListener,
  type FollowStream,
  type Heartbeat,
  type MemberStatus,
  type Peer,
  type PeerDigest,
  type PeerLimits,
  type Peers,
  type PromiseAnswer,
  type TransferCall,
} from '../peers.js';

/** What may be on its way to a follower before its outlet has no room. */
const roomBytes = 1024 * 1024;

export class FakeNetwork {
  private readonly doors = new Map<string, PeerDoor>();
  private readonly lines = new Map<string, Line>();
  private readonly connections = new Set<Connection>();

  constructor(
    readonly clock: Clock,
    readonly limits: PeerLimits = peerLimits,
    /** How long one message takes, where `setDelay` says nothing else. */
    private readonly delayMs: () => number = () => 0,
  ) {}

  /** Who speaks from `from`. */
  peersAt(from: string): Peers {
    const peers = new Map<string, Peer>();
    return {
      peer: (address) => {
        const known = peers.get(address) ?? new FakePeer(this, from, address);
        peers.set(address, known);
        return known;
      },
    };
  }

  listen(address: string, door: PeerDoor): void {
    this.doors.set(address, door);
  }

  /** The process at the address ends: connections close, and its machine refuses new ones. */
  unlisten(address: string): void {
    this.doors.delete(address);
    for (const each of [...this.connections]) if (each.from === address || each.to === address) each.lose();
  }

  /** From now on nothing that `from` says arrives at `to`. */
  cut(from: string, to: string): void {
    this.line(from, to).cut();
  }

  cutBoth(a: string, b: string): void {
    this.cut(a, b);
    this.cut(b, a);
  }

  /** What was held up arrives. */
  heal(from: string, to: string): void {
    this.line(from, to).heal();
  }

  healAll(): void {
    for (const line of this.lines.values()) line.heal();
  }

  setDelay(from: string, to: string, ms: number): void {
    this.line(from, to).delayMs = ms;
  }

  /** Open connections between the two break; new ones can be made at once. */
  loseConnections(a: string, b: string): void {
    for (const each of [...this.connections]) {
      if ((each.from === a && each.to === b) || (each.from === b && each.to === a)) each.lose();
    }
  }

  /** How many connections are open: a leak shows here. */
  get open(): number {
    return this.connections.size;
  }

  doorAt(address: string): PeerDoor | undefined {
    return this.doors.get(address);
  }

  line(from: string, to: string): Line {
    const key = `${from}>${to}`;
    const known = this.lines.get(key) ?? new Line(this.clock, this.delayMs);
    this.lines.set(key, known);
    return known;
  }

  connect(from: string, to: string, onLost: (refused: boolean) => void): Connection {
    const connection = new Connection(this, from, to, onLost, () => this.connections.delete(connection));
    this.connections.add(connection);
    return connection;
  }
}

/** One direction between two addresses. */
class Line {
  delayMs: number | undefined;
  private readonly waiting: (() => void)[] = [];
  private arrived = 0;
  private isCut = false;

  constructor(
    private readonly clock: Clock,
    private readonly usualMs: () => number,
  ) {}

  /** Each arrival hands on the oldest message, so that order holds whatever the delays. */
  send(act: () => void): void {
    this.waiting.push(act);
    const ms = this.delayMs ?? this.usualMs();
    if (ms > 0) this.clock.after(ms, this.arrive);
    else this.clock.soon(this.arrive);
  }

  cut(): void {
    this.isCut = true;
  }

  heal(): void {
    this.isCut = false;
    for (; this.arrived > 0; this.arrived -= 1) this.clock.soon(this.arrive);
  }

  private readonly arrive = (): void => {
    if (this.isCut) this.arrived += 1;
    else this.waiting.shift()?.();
  };
}

/** What both ends may say until either is gone. */
class Connection {
  /** Until the caller closes it, or it is lost. */
  private isOpen = true;
  /** Until the far end hears that it is closed, or it is lost: what was said before still arrives. */
  private isFarOpen = true;
  /** At the far end: it is over. */
  onFarLost: (() => void) | undefined;

  constructor(
    private readonly network: FakeNetwork,
    readonly from: string,
    readonly to: string,
    private readonly onLost: (refused: boolean) => void,
    private readonly onClosed: () => void,
  ) {}

  get open(): boolean {
    return this.isOpen;
  }

  /** To the far end. */
  ask(act: (door: PeerDoor) => void): void {
    if (!this.isOpen) return;
    this.network.line(this.from, this.to).send(() => {
      if (!this.isFarOpen) return;
      const door = this.network.doorAt(this.to);
      if (door) act(door);
      else this.answer(() => this.lose());
    });
  }

  /** Back to who called. */
  answer(act: () => void): void {
    this.network.line(this.to, this.from).send(() => {
      if (this.isOpen) act();
    });
  }

  /** The caller has done with it: the far end hears of it when the line lets it. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.onClosed();
    this.network.line(this.from, this.to).send(() => this.farLost());
  }

  /** Each end's machine tells its own side. */
  lose(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.onClosed();
    this.onLost(this.network.doorAt(this.to) === undefined);
    this.farLost();
  }

  private farLost(): void {
    this.isFarOpen = false;
    const act = this.onFarLost;
    this.onFarLost = undefined;
    act?.();
  }
}

class FakePeer implements Peer {
  constructor(
    private readonly network: FakeNetwork,
    private readonly from: string,
    private readonly to: string,
  ) {}

  follow(hello: FollowHello, listener: FollowListener): FollowStream {
    return new FakeFollow(this.network, this.from, this.to, hello, listener);
  }

  askPromise(brokerSet: string, ask: Ask): Promise<PromiseAnswer> {
    return this.call(this.network.limits.promiseMs, (door) => door.askPromise(brokerSet, ask));
  }

  fetch(request: FetchRequest): AsyncIterable<FetchedPart> {
    const { partMs } = this.network.limits;
    return this.parts(
      partMs,
      partMs,
      (door) => door.fetch(request),
      (part) => ({ ...part, bytes: part.bytes.slice() }),
    );
  }

  snapshot(brokerSet: string, epoch: Epoch): AsyncIterable<Uint8Array> {
    const { snapshotMs, partMs } = this.network.limits;
    return this.parts(
      snapshotMs,
      partMs,
      (door) => door.snapshot(brokerSet, epoch),
      (bytes) => bytes.slice(),
    );
  }

  segmentBytes(
    brokerSet: string,
    from: LogPosition,
    end: LogPosition,
    uncommitted?: boolean,
  ): AsyncIterable<Uint8Array> {
    const { partMs } = this.network.limits;
    return this.parts(
      partMs,
      partMs,
      (door) => door.segmentBytes(brokerSet, from, end, uncommitted),
      (bytes) => bytes.slice(),
    );
  }

  digest(brokerSet: string, from: LogPosition, end: LogPosition): Promise<PeerDigest> {
    return this.call(this.network.limits.partMs, (door) => door.digest(brokerSet, from, end));
  }

  prepareHandOver(brokerSet: string, epoch: Epoch): Promise<void> {
    return this.call(this.network.limits.statusMs, (door) => door.prepareHandOver(brokerSet, epoch));
  }

  handOver(brokerSet: string, epoch: Epoch): Promise<void> {
    return this.call(this.network.limits.handOverMs, (door) => door.handOver(brokerSet, epoch));
  }

  elect(brokerSet: string, to: MemberId | undefined): Promise<void> {
    return this.call(this.network.limits.handOverMs, (door) => door.elect(brokerSet, to));
  }

  mayLeave(brokerSet: string, member: MemberId): Promise<string | undefined> {
    return this.call(this.network.limits.statusMs, (door) => door.mayLeave(brokerSet, member));
  }

  removeMember(brokerSet: string, member: MemberId): Promise<void> {
    return this.call(this.network.limits.handOverMs, (door) => door.removeMember(brokerSet, member));
  }

  status(brokerSet: string): Promise<MemberStatus> {
    return this.call(this.network.limits.statusMs, (door) => door.status(brokerSet));
  }

  takeTransfer(call: TransferCall): Promise<void> {
    return this.call(this.network.limits.transferMs, (door) => door.takeTransfer(call));
  }

  refuses(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const { clock, limits } = this.network;
    const connection = this.network.connect(this.from, this.to, (refused) => end(refused));
    const timer = clock.after(limits.probeMs, () => end(false));
    const end = (refused: boolean): void => {
      timer.cancel();
      connection.close();
      resolve(refused);
    };
    connection.ask(() => connection.answer(() => end(false)));
    return promise;
  }

  private call<T>(msMax: number, act: (door: PeerDoor) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const connection = this.network.connect(this.from, this.to, (refused) => end(() => reject(lost(this.to, refused))));
    const timer = this.network.clock.after(msMax, () => end(() => reject(late(this.to))));
    const end = (settle: () => void): void => {
      timer.cancel();
      connection.close();
      settle();
    };
    connection.ask((door) => {
      const answered = async (): Promise<T> => act(door);
      answered().then(
        (value) => connection.answer(() => end(() => resolve(value))),
        (caught: unknown) => {
          const error = MqError.from(caught);
          connection.answer(() => end(() => reject(error)));
        },
      );
    });
    return promise;
  }

  /** The far end is asked for a part when the one before it has been taken. */
  private async *parts<T>(
    firstMs: number,
    nextMs: number,
    open: (door: PeerDoor) => AsyncIterable<T>,
    copy: (part: T) => T,
  ): AsyncIterable<T> {
    const { clock } = this.network;
    let settle: { resolve(part: IteratorResult<T>): void; reject(error: MqError): void } | undefined;
    let failure: MqError | undefined;
    let source: AsyncIterator<T> | undefined;
    const fail = (error: MqError): void => {
      failure = error;
      settle?.reject(error);
    };
    const connection = this.network.connect(this.from, this.to, (refused) => fail(lost(this.to, refused)));
    connection.onFarLost = () => void source?.return?.();
    try {
      for (let msMax = firstMs; ; msMax = nextMs) {
        if (failure) throw failure;
        const next = Promise.withResolvers<IteratorResult<T>>();
        settle = next;
        const timer = clock.after(msMax, () => fail(late(this.to)));
        connection.ask((door) => {
          const took = async (): Promise<IteratorResult<T>> => (source ??= open(door)[Symbol.asyncIterator]()).next();
          took().then(
            (part) =>
              connection.answer(() => next.resolve(part.done ? part : { done: false, value: copy(part.value) })),
            (caught: unknown) => {
              const error = MqError.from(caught);
              connection.answer(() => next.reject(error));
            },
          );
        });
        const part = await next.promise.finally(() => timer.cancel());
        if (part.done) return;
        yield part.value;
      }
    } finally {
      connection.close();
    }
  }
}

class FakeFollow implements FollowStream {
  private readonly connection: Connection;
  private events: FollowerEvents | undefined;
  private outlet: FakeOutlet | undefined;
  private silence: Timer | undefined;
  private session = 0;
  private ended = false;

  constructor(
    private readonly network: FakeNetwork,
    from: string,
    private readonly to: string,
    hello: FollowHello,
    private readonly listener: FollowListener,
  ) {
    this.connection = network.connect(from, to, (refused) => {
      // Never from inside `follow`, nor from inside what broke the connection.
      network.clock.soon(() => this.closed(lost(to, refused), refused));
    });
    this.connection.ask((door) => this.opened(door, hello));
    this.heard();
  }

  follow(session: number, from: LogPosition): void {
    this.say((events) => events.follow(session, from));
  }
  ack(session: number, end: LogPosition): void {
    this.say((events) => events.ack(session, end));
  }
  /** What comes in their place is nothing that was sent. */
  taken(bytes: Uint8Array): void {
    bytes.fill(0xff);
  }
  refuse(session: number, epoch: Epoch, why: string): void {
    this.say((events) => events.refuse(session, epoch, why));
  }
  leave(): void {
    this.say((events) => events.leaving());
    this.close();
  }

  close(): void {
    this.ended = true;
    this.silence?.cancel();
    this.connection.close();
  }

  private say(act: (events: FollowerEvents) => void): void {
    this.connection.ask(() => {
      const { events, outlet } = this;
      if (!events || !outlet || outlet.ended) return;
      try {
        act(events);
      } catch (caught) {
        outlet.end(MqError.from(caught));
        events.closed();
      }
    });
  }

  private opened(door: PeerDoor, hello: FollowHello): void {
    const outlet = new FakeOutlet(
      this.connection,
      (act) => this.hear(act),
      (error) => this.closedFromFar(error),
    );
    this.outlet = outlet;
    outlet.onSession = (session) => (this.session = session);
    try {
      const events = door.follow(hello, outlet);
      this.events = events;
      outlet.onDrained = () => events.drained();
      this.connection.onFarLost = () => {
        if (!outlet.ended) events.closed();
      };
    } catch (caught) {
      outlet.end(MqError.from(caught));
    }
  }

  private hear(act: (listener: FollowListener, session: number) => void): void {
    if (this.ended) return;
    this.heard();
    act(this.listener, this.session);
  }

  private heard(): void {
    this.silence?.cancel();
    this.silence = this.network.clock.after(this.network.limits.followSilentMs, () => {
      this.connection.close();
      this.closed(late(this.to), false);
    });
  }

  private closedFromFar(error: MqError | undefined): void {
    this.connection.close();
    this.closed(error, false);
  }

  private closed(error: MqError | undefined, refused: boolean): void {
    if (this.ended) return;
    this.ended = true;
    this.silence?.cancel();
    this.listener.closed(error, refused);
  }
}

/** At the leader's end. */
class FakeOutlet implements FollowerOutlet {
  onSession: ((session: number) => void) | undefined;
  onDrained: (() => void) | undefined;
  ended = false;
  private onTheWay = 0;
  private full = false;

  constructor(
    private readonly connection: Connection,
    private readonly hear: (act: (listener: FollowListener, session: number) => void) => void,
    private readonly closed: (error: MqError | undefined) => void,
  ) {}

  get hasRoom(): boolean {
    return this.onTheWay < roomBytes;
  }

  attached(what: Attached): void {
    this.tell((listener) => {
      this.onSession?.(what.session);
      listener.attached(what);
    });
  }
  batch({ from, pieces }: LogBytes): void {
    const bytes = Buffer.concat(pieces);
    this.onTheWay += bytes.length;
    if (!this.hasRoom) this.full = true;
    this.tell((listener, session) => {
      this.onTheWay -= bytes.length;
      listener.batch(session, from, bytes);
      if (!this.full || !this.hasRoom) return;
      this.full = false;
      this.connection.ask(() => this.onDrained?.());
    });
  }
  heartbeat(beat: Heartbeat): void {
    this.tell((listener, session) => listener.heartbeat(session, beat));
  }
  snapshotNeeded(oldest: LogPosition): void {
    this.tell((listener, session) => listener.snapshotNeeded(session, oldest));
  }
  handOver(): void {
    this.tell((listener, session) => listener.handOver(session));
  }
  end(error?: MqError): void {
    if (this.ended) return;
    this.ended = true;
    this.connection.answer(() => this.closed(error));
  }

  private tell(act: (listener: FollowListener, session: number) => void): void {
    if (this.ended) return;
    this.connection.answer(() => this.hear(act));
  }
}

function lost(to: string, refused: boolean): MqError {
  return new MqError('UNAVAILABLE', refused ? `nobody listens at ${to}` : `the connection to ${to} broke`);
}

function late(to: string): MqError {
  return new MqError('TIMEOUT', `${to} did not answer in time`);
}
