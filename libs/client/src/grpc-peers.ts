import type { Ask, Epoch, LogPosition, MemberId } from '@cometmq/model';
import { internal } from '@cometmq/proto';
import type { IncomingStream, MessageBytes, RpcChannel } from '@cometmq/rpc';
import { MqError, type Clock, type Timer } from '@cometmq/shared';

import { CloseQuestions } from './close-questions.js';
import { NotLeader, type KnownLeader } from './not-leader.js';
import {
  attachedFromWire,
  fetchedPartFromWire,
  fetchToWire,
  heartbeatFromWire,
  helloToWire,
  promiseFromWire,
  replicationPaths,
  statusFromWire,
  transferToWire,
} from './peer-frames.js';
import {
  peerLimits,
  type FetchedPart,
  type FetchRequest,
  type FollowHello,
  type FollowListener,
  type FollowStream,
  type MemberStatus,
  type Peer,
  type PeerDigest,
  type PeerLimits,
  type Peers,
  type PromiseAnswer,
  type TransferCall,
} from './peers.js';

export interface GrpcPeersOptions {
  readonly connect: (address: string) => RpcChannel;
  /** Whether the machine at the address answers a connection with a refusal. */
  readonly refuses: (address: string, msMax: number) => Promise<boolean>;
  readonly clock: Clock;
  readonly limits?: PeerLimits;
}

/**
 * `Peers` over gRPC. Each stream has a connection of its own, and so have questions that do not follow one another closely:
 * what it says of the other's life is then of now, no back-off of an earlier attempt stands in its way, and a bulk transfer
 * holds up no heartbeat.
 */
export class GrpcPeers implements Peers {
  private readonly peers = new Map<string, Peer>();

  constructor(private readonly options: GrpcPeersOptions) {}

  peer(address: string): Peer {
    const known = this.peers.get(address) ?? new GrpcPeer(address, this.options);
    this.peers.set(address, known);
    return known;
  }
}

class GrpcPeer implements Peer {
  private readonly limits: PeerLimits;
  private readonly questions: CloseQuestions;

  constructor(
    private readonly address: string,
    private readonly options: GrpcPeersOptions,
  ) {
    this.limits = options.limits ?? peerLimits;
    this.questions = new CloseQuestions(() => options.connect(address), options.clock);
  }

  follow(hello: FollowHello, listener: FollowListener): FollowStream {
    const { address, options, limits } = this;
    return new GrpcFollow(options.connect(address), hello, listener, options.clock, limits, () => this.refuses());
  }

  async askPromise(brokerSet: string, ask: Ask): Promise<PromiseAnswer> {
    const request = internal.PromiseRequest.encode({ brokerSet, ...ask }).finish();
    const answer = await this.ask(replicationPaths.askPromise, request, this.limits.promiseMs);
    return promiseFromWire(internal.PromiseResponse.decode(answer));
  }

  async *fetch(request: FetchRequest): AsyncIterable<FetchedPart> {
    const { partMs } = this.limits;
    const bytes = internal.FetchRequest.encode(fetchToWire(request)).finish();
    for await (const part of this.parts(replicationPaths.fetch, bytes, partMs)) {
      yield fetchedPartFromWire(internal.FetchedPart.decode(part));
    }
  }

  async *snapshot(brokerSet: string, epoch: Epoch): AsyncIterable<Uint8Array> {
    const request = internal.SnapshotRequest.encode({ brokerSet, epoch }).finish();
    for await (const part of this.parts(replicationPaths.snapshot, request, this.limits.snapshotMs)) {
      yield internal.LogBytes.decode(part).bytes;
    }
  }

  async *segmentBytes(
    brokerSet: string,
    from: LogPosition,
    end: LogPosition,
    uncommitted = false,
  ): AsyncIterable<Uint8Array> {
    const request = internal.SegmentBytesRequest.encode({ brokerSet, from, end, uncommitted }).finish();
    for await (const part of this.parts(replicationPaths.segmentBytes, request, this.limits.partMs)) {
      yield internal.LogBytes.decode(part).bytes;
    }
  }

  async digest(brokerSet: string, from: LogPosition, end: LogPosition): Promise<PeerDigest> {
    const request = internal.DigestRequest.encode({ brokerSet, from, end }).finish();
    const answer = await this.ask(replicationPaths.digest, request, this.limits.partMs);
    const { wholeFrom, digest } = internal.DigestResponse.decode(answer);
    return { wholeFrom: wholeFrom as LogPosition, digest };
  }

  async prepareHandOver(brokerSet: string, epoch: Epoch): Promise<void> {
    const request = internal.HandOverRequest.encode({ brokerSet, epoch }).finish();
    await this.ask(replicationPaths.prepareHandOver, request, this.limits.statusMs);
  }

  async handOver(brokerSet: string, epoch: Epoch): Promise<void> {
    const request = internal.HandOverRequest.encode({ brokerSet, epoch }).finish();
    await this.ask(replicationPaths.handOver, request, this.limits.handOverMs);
  }

  async elect(brokerSet: string, to: MemberId | undefined): Promise<void> {
    const request = internal.ElectRequest.encode({ brokerSet, to }).finish();
    await this.ask(replicationPaths.elect, request, this.limits.handOverMs);
  }

  async removeMember(brokerSet: string, member: MemberId): Promise<void> {
    const request = internal.RemoveMemberRequest.encode({ brokerSet, member }).finish();
    await this.ask(replicationPaths.removeMember, request, this.limits.handOverMs);
  }

  async mayLeave(brokerSet: string, member: MemberId): Promise<string | undefined> {
    const request = internal.MayLeaveRequest.encode({ brokerSet, member }).finish();
    return internal.MayLeaveResponse.decode(await this.ask(replicationPaths.mayLeave, request, this.limits.statusMs))
      .whyNot;
  }

  async status(brokerSet: string): Promise<MemberStatus> {
    const request = internal.MemberStatusRequest.encode({ brokerSet }).finish();
    const answer = await this.ask(replicationPaths.status, request, this.limits.statusMs);
    return statusFromWire(internal.MemberStatus.decode(answer));
  }

  async takeTransfer(call: TransferCall): Promise<void> {
    const request = internal.TakeTransferRequest.encode(transferToWire(call)).finish();
    await this.ask(replicationPaths.takeTransfer, request, this.limits.transferMs);
  }

  refuses(): Promise<boolean> {
    return this.options.refuses(this.address, this.limits.probeMs);
  }

  private ask(path: string, request: MessageBytes, msMax: number): Promise<Uint8Array> {
    return this.questions.ask(path, request, msMax);
  }

  private async *parts(path: string, request: MessageBytes, firstMs: number): AsyncIterable<Uint8Array> {
    const channel = this.options.connect(this.address);
    try {
      const { clock } = this.options;
      yield* new Parts(channel.serverStream(path, request), clock, this.address).read(firstMs, this.limits.partMs);
    } finally {
      channel.close();
    }
  }
}

/** Messages of a stream one by one, as fast as they are taken; the next one must come in time. */
class Parts {
  private readonly waiting: Uint8Array[] = [];
  private over: { readonly error: MqError | undefined } | undefined;
  private wake: (() => void) | undefined;

  constructor(
    private readonly stream: IncomingStream,
    private readonly clock: Clock,
    private readonly address: string,
  ) {
    stream.onMessage((part) => {
      this.waiting.push(part);
      stream.pause();
      this.wake?.();
    });
    stream.onEnd((error) => {
      this.over ??= { error };
      this.wake?.();
    });
  }

  async *read(firstMs: number, nextMs: number): AsyncIterable<Uint8Array> {
    for (let msMax = firstMs; ;) {
      const part = this.waiting.shift();
      if (part) {
        yield part;
        msMax = nextMs;
      } else if (this.over) {
        if (this.over.error) throw this.over.error;
        return;
      } else {
        await this.more(msMax);
      }
    }
  }

  private more(msMax: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.clock.after(msMax, () => {
        this.over ??= { error: new MqError('TIMEOUT', `${this.address} sent nothing for ${msMax} ms`) };
        this.wake?.();
      });
      this.wake = () => {
        timer.cancel();
        this.wake = undefined;
        resolve();
      };
      this.stream.resume(); // What has arrived already may be handed over within this call.
    });
  }
}

/** What has arrived is read in much less. */
const readMs = 50;
/** An acknowledgement that says nothing new only tells the leader that somebody listens: so often is enough. */
const sameAckMs = 100;

interface Ack {
  readonly session: number;
  readonly end: LogPosition;
}

class GrpcFollow implements FollowStream {
  private readonly stream;
  private timer: Timer;
  private heardMs: number;
  private session = 0;
  private leader: KnownLeader | undefined;
  private over = false;
  /** By its owner, who wants to hear of nothing any more. */
  private closed = false;
  /** Not said yet: one sync makes several batches durable, and of what is said in one go the last counts. */
  private ackDue: Ack | undefined;
  private acked: Ack | undefined;
  private ackedMs = 0;

  constructor(
    private readonly channel: RpcChannel,
    hello: FollowHello,
    private readonly listener: FollowListener,
    private readonly clock: Clock,
    private readonly limits: PeerLimits,
    private readonly refuses: () => Promise<boolean>,
  ) {
    this.stream = channel.bidi(replicationPaths.follow);
    this.stream.onMessage((message) => {
      if (!this.over) this.said(message);
    });
    this.stream.onEnd((error) => void this.ended(error));
    this.say({ $case: 'hello', value: helloToWire(hello) });
    this.heardMs = clock.monotonicMs();
    this.timer = clock.after(limits.followSilentMs, this.listen);
  }

  follow(session: number, from: LogPosition): void {
    this.say({ $case: 'follow', value: { session, from } });
  }
  ack(session: number, end: LogPosition): void {
    const { ackDue, acked } = this;
    const isSame = ackDue === undefined && acked?.session === session && acked.end === end;
    if (isSame && this.clock.monotonicMs() - this.ackedMs < sameAckMs) return;
    if (ackDue === undefined) queueMicrotask(() => this.sayAck());
    this.ackDue = { session, end };
  }
  taken(bytes: Uint8Array): void {
    this.stream.giveBack(bytes);
  }
  refuse(session: number, epoch: Epoch, why: string): void {
    this.say({ $case: 'refuse', value: { session, epoch, why } });
  }

  leave(): void {
    this.say({ $case: 'leaving', value: true });
    this.close();
  }

  /** What was said before still arrives. */
  close(): void {
    this.closed = true;
    if (this.over) return;
    this.sayAck();
    this.over = true;
    this.timer.cancel();
    this.stream.end();
    this.timer = this.clock.after(this.limits.promiseMs, () => this.channel.close());
  }

  private sayAck(): void {
    const ack = this.ackDue;
    if (ack === undefined) return;
    this.ackDue = undefined;
    this.acked = ack;
    this.ackedMs = this.clock.monotonicMs();
    this.say({ $case: 'ack', value: ack });
  }

  private say(says: internal.FollowerSays['says']): void {
    if (this.over) return;
    this.sayAck(); // In the order in which it was said.
    // What a follower says is small, and answers what it was sent: it can't pile up.
    this.stream.write(internal.FollowerSays.encode({ says }).finish());
  }

  private said(message: Uint8Array): void {
    this.heardMs = this.clock.monotonicMs();
    const { session, listener } = this;
    let says: internal.LeaderSays['says'];
    try {
      says = internal.LeaderSays.decode(message).says;
    } catch (caught) {
      void this.ended(
        new MqError('CORRUPT_RECORD', 'the leader sent what is no message of its stream', { cause: caught }),
      );
      return;
    }
    switch (says?.$case) {
      case 'attached':
        this.session = says.value.session;
        listener.attached(attachedFromWire(says.value));
        return;
      case 'batch':
        listener.batch(session, says.value.from as LogPosition, says.value.bytes);
        return;
      case 'heartbeat':
        listener.heartbeat(session, heartbeatFromWire(says.value));
        return;
      case 'snapshotNeeded':
        listener.snapshotNeeded(session, says.value as LogPosition);
        return;
      case 'handOver':
        listener.handOver(session);
        return;
      case 'notLeader':
        this.leader = says.value;
        return;
      case undefined: // Of a later version.
    }
  }

  /**
   * One timer for the whole stream: it looks how long ago the last word was. Where this process stood still itself, what
   * came meanwhile is yet to be read.
   */
  private readonly listen = (): void => {
    const leftMs = this.heardMs + this.limits.followSilentMs - this.clock.monotonicMs();
    if (leftMs > 0) this.timer = this.clock.after(leftMs, this.listen);
    else this.timer = this.clock.after(readMs, this.giveUp);
  };

  private readonly giveUp = (): void => {
    if (this.heardMs + this.limits.followSilentMs > this.clock.monotonicMs()) this.listen();
    else void this.ended(new MqError('TIMEOUT', `the leader said nothing for ${this.limits.followSilentMs} ms`));
  };

  private async ended(error: MqError | undefined): Promise<void> {
    this.timer.cancel();
    this.channel.close();
    if (this.over) return;
    this.over = true;
    // A transport that breaks says so in several ways; what a leader says by itself comes with its code.
    const broke = error !== undefined && ['UNAVAILABLE', 'CANCELLED', 'INTERNAL'].includes(error.code);
    const refused = broke && (await this.refuses());
    if (this.closed) return; // While it was asked.
    this.listener.closed(broke ? unavailable(error) : this.named(error), refused);
  }

  private named(error: MqError | undefined): MqError | undefined {
    return error?.code === 'NOT_LEADER' ? new NotLeader(error.reason, this.leader) : error;
  }
}

function unavailable(error: MqError): MqError {
  return error.code === 'UNAVAILABLE' ? error : new MqError('UNAVAILABLE', error.reason, { cause: error });
}
