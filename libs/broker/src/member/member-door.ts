/**
 * What the other members ask of this one, answered by a `SetMember`: calls for another set are refused, followers' streams
 * belong to a term and end with it, and what they ask for is shipped.
 */
import {
  NotLeader,
  type Attached,
  type FetchedPart,
  type FetchRequest,
  type FollowerEvents,
  type FollowerOutlet,
  type FollowHello,
  type Heartbeat,
  type LogBytes,
  type MemberStatus,
  type PeerDigest,
  type PeerDoor,
  type Peers,
  type PromiseAnswer,
  type ReadMessage,
  type MessagePlace,
  type TransferCall,
} from '@cometmq/client';
import type { Ask, Epoch, LogPosition, MemberId } from '@cometmq/model';
import { MqError, type Clock, type Timer } from '@cometmq/shared';

import type { LeadTerm, SetMember } from './set-member.js';
import { Shipping, type Shipment, type ShipTo } from './shipping.js';

/** Commits come by the thousand; what is said of them, no more often than this: each costs a frame there and one back. */
const beatMsMin = 100;

export interface TransferTaking {
  /** @throws MqError NOT_LEADER, STALE_LAYOUT */
  takeTransfer(call: TransferCall): Promise<void>;
}

export class MemberDoor implements PeerDoor {
  private led: LedTerm | undefined;

  constructor(
    private readonly brokerSet: string,
    private readonly member: SetMember,
    private readonly peers: Peers,
    private readonly clock: Clock,
    /** Takes messages of other sets; left out: none. */
    private readonly transfers?: TransferTaking,
  ) {}

  follow(hello: FollowHello, out: FollowerOutlet): FollowerEvents {
    this.check(hello.brokerSet);
    const { leading, candidacy } = this.member;
    if (leading) return this.termOf(leading).open(hello, out);
    if (!candidacy) throw this.notLeader();
    // It was promised an epoch, and its term can't begin without those who promised: none of them should have to come again.
    return new EarlyFollower(out, candidacy, (term) => {
      if (!term) throw this.notLeader();
      return this.termOf(term).open(hello, out);
    });
  }

  private notLeader(): NotLeader {
    return new NotLeader('this member does not lead', this.member.knownLeader);
  }

  async askPromise(brokerSet: string, ask: Ask): Promise<PromiseAnswer> {
    this.check(brokerSet);
    return this.member.promise(ask);
  }
  fetch(request: FetchRequest): AsyncIterable<FetchedPart> {
    this.check(request.brokerSet);
    return this.member.fetch(request);
  }
  snapshot(brokerSet: string, epoch: Epoch): AsyncIterable<Uint8Array> {
    this.check(brokerSet);
    return this.member.snapshot(epoch);
  }
  segmentBytes(
    brokerSet: string,
    from: LogPosition,
    end: LogPosition,
    uncommitted?: boolean,
  ): AsyncIterable<Uint8Array> {
    this.check(brokerSet);
    return this.member.segmentBytes(from, end, uncommitted);
  }
  async digest(brokerSet: string, from: LogPosition, end: LogPosition): Promise<PeerDigest> {
    this.check(brokerSet);
    return this.member.digest(from, end);
  }
  async prepareHandOver(brokerSet: string, epoch: Epoch): Promise<void> {
    this.check(brokerSet);
    await this.member.prepareHandOver(epoch);
  }
  async handOver(brokerSet: string, epoch: Epoch): Promise<void> {
    this.check(brokerSet);
    await this.member.handOver(epoch);
  }
  async elect(brokerSet: string, to: MemberId | undefined): Promise<void> {
    this.check(brokerSet);
    await this.member.handOverLead(to);
  }
  async removeMember(brokerSet: string, member: MemberId): Promise<void> {
    this.check(brokerSet);
    await this.member.removeMember(member);
  }
  mayLeave(brokerSet: string, member: MemberId): Promise<string | undefined> {
    this.check(brokerSet);
    return Promise.resolve(this.member.mayLeave(member));
  }
  async status(brokerSet: string): Promise<MemberStatus> {
    this.check(brokerSet);
    return this.member.status();
  }
  async takeTransfer(call: TransferCall): Promise<void> {
    this.check(call.brokerSet);
    if (!this.transfers) throw new MqError('UNSUPPORTED', 'this member takes no messages of other broker sets');
    await this.transfers.takeTransfer(call);
  }
  readMessages(brokerSet: string, places: readonly MessagePlace[]): AsyncIterable<ReadMessage> {
    this.check(brokerSet);
    return this.member.readMessages(places);
  }

  private termOf(leading: LeadTerm): LedTerm {
    if (this.led?.term === leading) return this.led;
    const led = new LedTerm(leading, this.peers, this.clock, () => this.member.knownLeader);
    this.led = led;
    leading.onOver(() => {
      led.end();
      if (this.led === led) this.led = undefined;
    });
    return led;
  }

  private check(brokerSet: string): void {
    if (brokerSet === this.brokerSet) return;
    throw new MqError('NOT_FOUND', `this is a member of ${this.brokerSet}, not of "${brokerSet}"`);
  }
}

/** The streams of one term. */
class LedTerm {
  private readonly streams = new Map<MemberId, FollowerStream>();
  private readonly shipping: Shipping;
  private over = false;
  private unwatch: (() => void) | undefined;
  private beatMs = 0;
  private beatTimer: Timer | undefined;

  constructor(
    readonly term: LeadTerm,
    private readonly peers: Peers,
    private readonly clock: Clock,
    private readonly knownLeader: () => SetMember['knownLeader'],
  ) {
    this.shipping = new Shipping(term.log);
  }

  open(hello: FollowHello, out: FollowerOutlet): FollowerEvents {
    if (this.over) throw this.deposed();
    const attached = this.term.attach(hello);
    const stream = new FollowerStream(this.term, this.shipping, hello, attached, out, () => this.gone(stream));
    const before = this.streams.get(hello.member);
    this.streams.set(hello.member, stream);
    before?.close(new MqError('CONFLICT', `${hello.member} has opened another stream`));
    this.unwatch ??= this.term.onBeat((beat) => this.beatSoon(beat));
    out.attached(attached);
    out.heartbeat(this.term.beat());
    return stream;
  }

  end(): void {
    this.over = true;
    this.quiet();
    const error = this.deposed();
    for (const stream of this.streams.values()) stream.close(error);
    this.streams.clear();
    this.shipping.end();
  }

  private deposed(): NotLeader {
    return new NotLeader('this member does not lead any more', this.knownLeader());
  }

  private gone(stream: FollowerStream): void {
    if (this.over || this.streams.get(stream.member) !== stream) return;
    this.streams.delete(stream.member);
    if (this.streams.size === 0) this.quiet();
    void this.tellLeft(stream);
  }

  private async tellLeft({ member, address, session, leaves }: FollowerStream): Promise<void> {
    const refuses = leaves || (address !== '' && (await this.peers.peer(address).refuses()));
    // A stream that was opened meanwhile says more than the one that is over.
    if (!this.over && !this.streams.has(member)) this.term.left(member, session, refuses);
  }

  private beatSoon(beat: Heartbeat): void {
    if (this.beatTimer) return;
    const leftMs = this.beatMs + beatMsMin - this.clock.monotonicMs();
    if (leftMs <= 0) this.beat(beat);
    else {
      this.beatTimer = this.clock.after(leftMs, () => {
        this.beatTimer = undefined;
        this.beat(this.term.beat());
      });
    }
  }

  private beat(beat: Heartbeat): void {
    this.beatMs = this.clock.monotonicMs();
    for (const stream of this.streams.values()) stream.beat(beat);
  }

  private quiet(): void {
    this.unwatch?.();
    this.unwatch = undefined;
    this.beatTimer?.cancel();
    this.beatTimer = undefined;
  }
}

/** A follower that came before the one it follows has won: it is let in, or sent away, as soon as that is known. */
class EarlyFollower implements FollowerEvents {
  private stream: FollowerEvents | undefined;
  private over = false;

  constructor(
    private readonly out: FollowerOutlet,
    candidacy: Promise<LeadTerm | undefined>,
    open: (term: LeadTerm | undefined) => FollowerEvents,
  ) {
    void candidacy.then((term) => {
      if (this.over) return;
      try {
        this.stream = open(term);
      } catch (caught) {
        this.end(MqError.from(caught));
      }
    });
  }

  follow(session: number, from: LogPosition): void {
    if (this.stream) this.stream.follow(session, from);
    else this.end(new MqError('BAD_REQUEST', 'a member that follows waits until it is told from where'));
  }
  ack(session: number, end: LogPosition): void {
    this.stream?.ack(session, end);
  }
  refuse(session: number, epoch: Epoch, why: string): void {
    this.stream?.refuse(session, epoch, why);
  }
  leaving(): void {
    this.stream?.leaving();
  }
  drained(): void {
    this.stream?.drained();
  }
  closed(): void {
    this.over = true;
    this.stream?.closed();
  }

  private end(error: MqError): void {
    this.over = true;
    this.out.end(error);
  }
}

class FollowerStream implements FollowerEvents, ShipTo {
  readonly member: MemberId;
  readonly address: string;
  readonly session: number;
  private shipment: Shipment | undefined;
  private over = false;
  /** It has said that it stops. */
  leaves = false;
  /** A heartbeat waits until the network takes more. */
  private beatWaits = false;

  constructor(
    private readonly term: LeadTerm,
    private readonly shipping: Shipping,
    hello: FollowHello,
    attached: Attached,
    private readonly out: FollowerOutlet,
    private readonly onGone: () => void,
  ) {
    this.member = hello.member;
    this.address = hello.address;
    this.session = attached.session;
  }

  // ---- what the follower says

  follow(session: number, from: LogPosition): void {
    if (!this.isOf(session)) return;
    if (from > this.term.log.appendEnd) throw new MqError('BAD_REQUEST', `the log has not come to position ${from}`);
    this.shipment?.end();
    this.term.joined(this.member, session, from, {
      address: this.address,
      handOver: () => this.out.handOver(),
      close: () => this.close(undefined),
    });
    if (!this.over) this.shipment = this.shipping.begin(from, this);
  }

  ack(session: number, end: LogPosition): void {
    if (!this.isOf(session) || !this.shipment) return;
    this.shipment.ack(end);
    this.term.acked(this.member, session, end);
  }

  refuse(session: number, epoch: Epoch, why: string): void {
    if (this.isOf(session)) this.term.refused(this.member, session, epoch, why);
  }

  leaving(): void {
    this.leaves = true;
  }

  drained(): void {
    if (this.beatWaits && !this.over) this.beat(this.term.beat());
    this.shipment?.drained();
  }

  closed(): void {
    if (this.over) return;
    this.over = true;
    this.shipment?.end();
    this.onGone();
  }

  // ---- what is said to it

  batch(bytes: LogBytes): void {
    this.out.batch(bytes);
  }
  snapshotNeeded(oldest: LogPosition): void {
    this.out.snapshotNeeded(oldest);
  }
  get hasRoom(): boolean {
    return this.out.hasRoom;
  }
  failed(error: MqError): void {
    this.close(error);
  }

  /** Of those that a slow network keeps waiting only the last is worth saying. */
  beat(beat: Heartbeat): void {
    this.beatWaits = !this.out.hasRoom;
    if (!this.beatWaits) this.out.heartbeat(beat);
  }

  close(error: MqError | undefined): void {
    if (this.over) return;
    this.out.end(error);
    this.closed();
  }

  private isOf(session: number): boolean {
    return !this.over && session === this.session;
  }
}
