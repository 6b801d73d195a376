/**
 * A member of a broker set as the others call it: the far end of `Peer` (libs/client), whatever carries the calls. The
 * member decides; the door translates, and ships the log to those who follow.
 */
import type { Attached, FetchedPart, FetchRequest, FollowHello, Heartbeat, PromiseAnswer } from '@cometmq/client';
import type { KnownLeader, MemberStatus, PeerDigest, ReadMessage, MessagePlace } from '@cometmq/client';
import type { Ask, Epoch, LogPosition, MemberId } from '@cometmq/model';

import type { ShippedLog } from './shipping.js';

export interface SetMember {
  /** What followers' streams belong to; undefined: it does not lead. The start record may still wait for its commit. */
  readonly leading: LeadTerm | undefined;
  /** It stands for the lead: resolves with the term it has won, or with nothing. Undefined: it does not stand. */
  readonly candidacy: Promise<LeadTerm | undefined> | undefined;
  /** Who leads instead, as far as this member has heard. */
  readonly knownLeader: KnownLeader | undefined;
  /** Durable before it is answered. */
  promise(ask: Ask): Promise<PromiseAnswer>;
  /** @throws MqError CONFLICT where the candidate is not the one it has promised this epoch */
  fetch(request: FetchRequest): AsyncIterable<FetchedPart>;
  /** @throws MqError CONFLICT where it does not lead in this epoch */
  snapshot(epoch: Epoch): AsyncIterable<Uint8Array>;
  /** @throws MqError NOT_FOUND */
  segmentBytes(from: LogPosition, end: LogPosition, uncommitted?: boolean): AsyncIterable<Uint8Array>;
  /** @throws MqError NOT_FOUND where it lacks the end, CORRUPT_RECORD */
  digest(from: LogPosition, end: LogPosition): Promise<PeerDigest>;
  /** The leader of `epoch` is about to hand over: all that a candidate needs is made ready. @throws MqError CONFLICT */
  prepareHandOver(epoch: Epoch): Promise<void>;
  /** The leader of `epoch` gives its consent: this member stands at once. Resolves when it leads. */
  handOver(epoch: Epoch): Promise<void>;
  /** An operator wants another to lead: `to`, or whoever is best. @throws MqError NOT_LEADER, CONFLICT, TIMEOUT */
  handOverLead(to?: MemberId): Promise<void>;
  /** An operator wants a member out of the set whose volume is lost. @throws MqError NOT_LEADER, NOT_FOUND, CONFLICT */
  removeMember(member: MemberId): Promise<void>;
  /** Whether the set can do without a member now: why not, in words. @throws MqError NOT_LEADER */
  mayLeave(member: MemberId): string | undefined;
  status(): MemberStatus;
  /** What a proxy reads here that the leader has sent to it. @throws MqError UNAVAILABLE, BAD_REQUEST */
  readMessages(places: readonly MessagePlace[]): AsyncIterable<ReadMessage>;
}

/** One term of leadership, as the streams of its followers see it. They end with it. */
export interface LeadTerm {
  readonly epoch: Epoch;
  /** What is shipped: bytes of the log as it grows, batches when they set out for the disk. */
  readonly log: ShippedLog;
  /**
   * A follower's stream has opened: what it is told first. @throws MqError DATA_FOLDER (its log is of another set),
   * UNSUPPORTED (it can't read what is written here)
   */
  attach(hello: FollowHello): Attached;
  /** Both know from where: from now on it counts, and what it asks for is shipped. Its acknowledgements are of what was sent. */
  joined(member: MemberId, session: number, from: LogPosition, follower: LedFollower): void;
  acked(member: MemberId, session: number, end: LogPosition): void;
  /** It has promised `epoch`. */
  refused(member: MemberId, session: number, epoch: Epoch, why: string): void;
  /** Its stream is over, and no other has taken its place. `refuses`: nobody listens at its address either. */
  left(member: MemberId, session: number, refuses: boolean): void;
  /** What is to be said now. */
  beat(): Heartbeat;
  /** Called every 200 ms and with each commit. Answers how to stop it. */
  onBeat(listener: (beat: Heartbeat) => void): () => void;
  /** Called once when the term is over, at once if it is. */
  onOver(act: () => void): void;
}

/** What the leader may want of a follower. */
export interface LedFollower {
  readonly address: string;
  /** It is wanted to take over. */
  handOver(): void;
  /** Its stream is closed. */
  close(): void;
}
