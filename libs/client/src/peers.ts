import type {
  Ask,
  Audience,
  Epoch,
  LetterFacts,
  LogOutline,
  LogPosition,
  LogTail,
  MemberId,
  PendingPast,
  QueueId,
  Refusal,
  SetState,
  StandReason,
  TopicId,
} from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

/**
 * How members of a broker set speak to each other. A member dials another at its own address, never through anything that
 * could answer for somebody else. All calls end by their deadline; none is repeated by itself.
 */
export interface Peers {
  /** Nothing is dialled before something is asked. The same address gives the same peer. */
  peer(address: string): Peer;
}

export interface Peer {
  /** Opens the stream to a leader. `listener` is never called from inside `follow`. */
  follow(hello: FollowHello, listener: FollowListener): FollowStream;
  /** @throws MqError UNAVAILABLE, TIMEOUT */
  askPromise(brokerSet: string, ask: Ask): Promise<PromiseAnswer>;
  /**
   * Whole records of the other's log from `from` to its end, in order, for a candidate that it has promised `epoch`.
   * @throws MqError CONFLICT where the promise does not hold any more
   */
  fetch(request: FetchRequest): AsyncIterable<FetchedPart>;
  /** The views of the other's log at one position, as `MessageStore.snapshot` gives them. */
  snapshot(brokerSet: string, epoch: Epoch): AsyncIterable<Uint8Array>;
  /**
   * Bytes [from, end) as they lie in the other's log, to mend a damaged copy. `uncommitted`: also what is not known to be
   * committed there. @throws MqError NOT_FOUND
   */
  segmentBytes(
    brokerSet: string,
    from: LogPosition,
    end: LogPosition,
    uncommitted?: boolean,
  ): AsyncIterable<Uint8Array>;
  /** What [from, end) of the other's log says, to be held against this one's. @throws MqError NOT_FOUND where it lacks the end */
  digest(brokerSet: string, from: LogPosition, end: LogPosition): Promise<PeerDigest>;
  /**
   * The leader is about to hand over: the one that is asked gets ready, while nothing waits yet.
   * @throws MqError CONFLICT where it could not take over
   */
  prepareHandOver(brokerSet: string, epoch: Epoch): Promise<void>;
  /** The leader gives its consent: the one that is asked stands at once. Resolves when it leads. */
  handOver(brokerSet: string, epoch: Epoch): Promise<void>;
  /**
   * An operator has the leader hand over to `to`, or to whoever is best. Resolves when another leads.
   * @throws MqError NOT_LEADER, CONFLICT where nobody is in sync who could, TIMEOUT where it still leads
   */
  elect(brokerSet: string, to: MemberId | undefined): Promise<void>;
  /**
   * An operator says that a member's volume is lost: the leader takes it out of the set, and another may take its place.
   * @throws MqError NOT_LEADER, NOT_FOUND where it is no member, CONFLICT where it can't be spared
   */
  removeMember(brokerSet: string, member: MemberId): Promise<void>;
  /**
   * Asked of the leader by a member that is told to stop: whether the set can do without it now. One at a time may, while
   * all others are in sync, until it is back. @returns why not, in words; undefined: it may
   * @throws MqError NOT_LEADER
   */
  mayLeave(brokerSet: string, member: MemberId): Promise<string | undefined>;
  status(brokerSet: string): Promise<MemberStatus>;
  /**
   * Hands messages over to another broker set, as this one leaves. Resolves when they are committed there; what is there
   * already is not taken again.
   * @throws MqError NOT_LEADER; STALE_LAYOUT where that set takes no such messages any more, and has none of these
   */
  takeTransfer(call: TransferCall): Promise<void>;
  /**
   * Whether the machine at the address says that nobody listens there, asked by a connection of its own. A machine that
   * says nothing, or a name that is not known, refuses nothing: it may only be cut off.
   */
  refuses(): Promise<boolean>;
}

/** Messages of one transfer, in its order. */
export interface TransferCall {
  /** The one that gets them. */
  readonly brokerSet: string;
  readonly from: string;
  /** Which log of that set, and which state of it, where it was set back. */
  readonly log: number;
  /** Where in it the transfer stands. */
  readonly transfer: LogPosition;
  readonly messages: readonly TransferredMessage[];
}

export interface TransferredMessage {
  readonly index: number;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly tagHash: number;
  readonly groupHash: number;
  readonly audience: Audience;
  /** As it lies in the other set's log. */
  readonly payload: Uint8Array;
  /** Of one that no queue shows: what it was. */
  readonly past?: PendingPast | undefined;
  /** Of a dead letter. */
  readonly letter?: LetterFacts | undefined;
}

export interface FollowHello {
  readonly brokerSet: string;
  readonly member: MemberId;
  readonly address: string;
  readonly bootId: string;
  /** What checksums of its log begin from; undefined: its log has not begun. */
  readonly salt: number | undefined;
  readonly log: LogTail;
  /** Of the record formats that it can read. */
  readonly featureLevel: number;
  /** As this member is set up; 0: it does not say. */
  readonly membersWanted: number;
}

/** How long a call waits for what comes next, at the most. */
export interface PeerLimits {
  /** A follower's stream on which nothing comes for so long is given up. */
  readonly followSilentMs: number;
  /** A promise is one sync away. */
  readonly promiseMs: number;
  readonly statusMs: number;
  /** The other has to become leader. */
  readonly handOverMs: number;
  /** The next part of a log, or the first of a snapshot, which has to be made. */
  readonly partMs: number;
  readonly snapshotMs: number;
  /** Messages of another set, until they are committed. */
  readonly transferMs: number;
  /** Whether somebody listens. */
  readonly probeMs: number;
}

export const peerLimits: PeerLimits = {
  followSilentMs: 2_000,
  promiseMs: 1_000,
  statusMs: 2_000,
  handOverMs: 10_000,
  partMs: 5_000,
  snapshotMs: 60_000,
  transferMs: 10_000,
  probeMs: 200,
};

/** What a follower says. Each belongs to the session that the leader has named. */
export interface FollowStream {
  /** Send from here on: both logs are the same below it. */
  follow(session: number, from: LogPosition): void;
  /** Durable here up to `end`, without a gap from where this session began. */
  ack(session: number, end: LogPosition): void;
  /** The bytes of the batch that came last are not needed any more: others may come in their place. */
  taken(bytes: Uint8Array): void;
  /** It has promised a later epoch. */
  refuse(session: number, epoch: Epoch, why: string): void;
  /** This member stops: the leader need not find out by itself that nobody listens here. Closes the stream. */
  leave(): void;
  close(): void;
}

export interface FollowListener {
  attached(what: Attached): void;
  /** Whole records of the leader's log, [from, from + length). The bytes are the listener's own until it says `taken`. */
  batch(session: number, from: LogPosition, bytes: Uint8Array): void;
  /** Every 200 ms, and soon after each commit. */
  heartbeat(session: number, beat: Heartbeat): void;
  /** The leader has let go of what this member lacks: a snapshot has to be fetched first. */
  snapshotNeeded(session: number, oldest: LogPosition): void;
  /** The leader wants this member to take over. */
  handOver(session: number): void;
  /**
   * Once; nothing comes after it, and not at all after `close`. An error of the leader's is as it was thrown there (NOT_LEADER,
   * DATA_FOLDER …), the network's are UNAVAILABLE and TIMEOUT (nothing was heard for `peerLimits.followSilentMs`).
   * `refused`: the machine at the address says that nobody listens there.
   */
  closed(error: MqError | undefined, refused: boolean): void;
}

export interface Attached {
  readonly session: number;
  readonly leader: MemberId;
  readonly epoch: Epoch;
  /** What the leader's log holds, its own start record included. */
  readonly log: LogOutline;
  readonly salt: number;
  readonly state: SetState;
  readonly featureLevel: number;
}

export interface Heartbeat {
  readonly epoch: Epoch;
  readonly commitEnd: LogPosition;
  readonly durableEnd: LogPosition;
  /** Moves only when the leader's event loop turned and a sync finished. */
  readonly progress: number;
  readonly state: SetState;
  /** Where the members are, as the leader knows it: an election must not need the name service to find them. */
  readonly addresses: readonly MemberAddress[];
}

export interface MemberAddress {
  readonly member: MemberId;
  readonly address: string;
}

/** The same on every member that has all of a range. */
export interface PeerDigest {
  /** From here on the other has all that ever stood in its log. */
  readonly wholeFrom: LogPosition;
  /** Undefined: it has not all of the range. */
  readonly digest: { readonly records: number; readonly sum: number } | undefined;
}

/** A longer range is not looked at in one call. */
export const digestBytesMax = 128 * 1024 * 1024;

export type PromiseAnswer =
  | { readonly kind: 'promised'; readonly from: MemberId; readonly log: LogTail }
  | { readonly kind: 'refused'; readonly from: MemberId; readonly refusal: Refusal };

export interface FetchRequest {
  readonly brokerSet: string;
  readonly candidate: MemberId;
  readonly epoch: Epoch;
  /** The candidate's log: what both have is not sent. */
  readonly log: LogOutline;
}

/** The first part says where they agree; the candidate cuts its log there before it takes the bytes. */
export interface FetchedPart {
  readonly commonEnd: LogPosition;
  readonly from: LogPosition;
  readonly bytes: Uint8Array;
}

/** What a member says of itself, for people and for `comet cluster health`. */
export interface MemberStatus {
  readonly brokerSet: string;
  readonly member: MemberId;
  readonly role: 'opening' | 'standing' | 'following' | 'leading' | 'failed';
  /** In words, where there is something to say: "no leader since 3 s: waiting for …". */
  readonly says: string;
  readonly epoch: Epoch;
  readonly leader: MemberId | undefined;
  readonly appendEnd: LogPosition;
  readonly durableEnd: LogPosition;
  readonly commitEnd: LogPosition;
  readonly state: SetState | undefined;
  /** Of each follower, where it leads. */
  readonly followers: readonly FollowerStatus[];
  /** Since its process began. */
  readonly lastFailover: FailoverPhases | undefined;
  /** The last times it took over, as far as it remembers; the oldest first. */
  readonly failovers: readonly FailoverPhases[];
  /** As this member is set up; 0: it does not say. */
  readonly membersWanted: number;
  /** It leads, and can commit nothing now. */
  readonly stalled: boolean;
  /** Since the registry has told it of its set; undefined: it has not. */
  readonly registryAgeMs: number | undefined;
  /** Its disk takes no new messages. */
  readonly diskFull: boolean;
}

export interface FollowerStatus {
  readonly member: MemberId;
  readonly inSync: boolean;
  readonly lagBytes: number;
  readonly lagMs: number;
}

/** How long each phase of a take-over took, and when it was over (wall time). */
export interface FailoverPhases {
  readonly reason: StandReason;
  readonly epoch: Epoch;
  readonly atMs: number;
  readonly noticeMs: number;
  readonly promiseMs: number;
  readonly fetchMs: number;
  readonly transactionMs: number;
  readonly startRecordMs: number;
  readonly foldMs: number;
}
