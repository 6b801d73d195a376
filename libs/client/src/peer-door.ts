import type { Ask, Epoch, LogPosition, MemberId } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

import type {
  Attached,
  FetchedPart,
  FetchRequest,
  FollowHello,
  Heartbeat,
  MemberStatus,
  PeerDigest,
  PromiseAnswer,
  TransferCall,
} from './peers.js';
import type { MessagePlace, ReadMessage } from './read-message.js';

/** The far end of `Peer`: what one member of a broker set offers to the others, whatever carries the calls. */
export interface PeerDoor {
  /**
   * A member opens its stream: what there is to say goes to `out`, what it says comes to what is answered.
   * @throws MqError the stream ends with it
   */
  follow(hello: FollowHello, out: FollowerOutlet): FollowerEvents;
  askPromise(brokerSet: string, ask: Ask): Promise<PromiseAnswer>;
  fetch(request: FetchRequest): AsyncIterable<FetchedPart>;
  snapshot(brokerSet: string, epoch: Epoch): AsyncIterable<Uint8Array>;
  segmentBytes(
    brokerSet: string,
    from: LogPosition,
    end: LogPosition,
    uncommitted?: boolean,
  ): AsyncIterable<Uint8Array>;
  digest(brokerSet: string, from: LogPosition, end: LogPosition): Promise<PeerDigest>;
  prepareHandOver(brokerSet: string, epoch: Epoch): Promise<void>;
  handOver(brokerSet: string, epoch: Epoch): Promise<void>;
  elect(brokerSet: string, to: MemberId | undefined): Promise<void>;
  removeMember(brokerSet: string, member: MemberId): Promise<void>;
  mayLeave(brokerSet: string, member: MemberId): Promise<string | undefined>;
  status(brokerSet: string): Promise<MemberStatus>;
  takeTransfer(call: TransferCall): Promise<void>;
  /**
   * Messages that the leader leaves to the other members to read, in the order of their places; in place of one that can't
   * be read here, why.
   * @throws MqError BAD_REQUEST where more is asked for than is answered
   */
  readMessages(brokerSet: string, places: readonly MessagePlace[]): AsyncIterable<ReadMessage>;
}

/** Whole records of the log, in the pieces of memory that they lie in. They may change once the call that was given them returns. */
export interface LogBytes {
  readonly from: LogPosition;
  readonly end: LogPosition;
  readonly pieces: readonly Uint8Array[];
}

/** What a leader says to one follower. `attached` comes first and names the session that all else belongs to. */
export interface FollowerOutlet {
  attached(what: Attached): void;
  batch(bytes: LogBytes): void;
  /** What is given to several followers one after the other, the very same object, costs the wire's form of it once. */
  heartbeat(beat: Heartbeat): void;
  snapshotNeeded(oldest: LogPosition): void;
  handOver(): void;
  /** False: enough waits to be taken by the network; `FollowerEvents.drained` says when it is less. */
  readonly hasRoom: boolean;
  /** Ends the stream. `FollowerEvents.closed` is not called any more. */
  end(error?: MqError): void;
}

/** What a follower says, and what happens to its stream. */
export interface FollowerEvents {
  follow(session: number, from: LogPosition): void;
  ack(session: number, end: LogPosition): void;
  refuse(session: number, epoch: Epoch, why: string): void;
  /** It stops, and soon nobody listens at its address. */
  leaving(): void;
  drained(): void;
  /** Once: the follower or the network has ended the stream. */
  closed(): void;
}
