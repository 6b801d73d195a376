/** Looks for whoever leads, follows it, and finds out when it is gone. */
import { type Attached, type FollowHello, NotLeader } from '@cometmq/client';
import { type Epoch, featureLevelMax, type LogPosition, memberId, type MemberId, type Promised } from '@cometmq/model';
import { failureFacts, MqError, sleep } from '@cometmq/shared';

import { Following } from './following.js';
import type { MemberMoves, MemberSelf } from './member-self.js';
import type { FollowingRole } from './roles.js';

/** Between two tries to find the leader. */
const followAgainMs = 50;
/** And where a leader takes this member again and again, and nothing comes of it: up to so long. */
const followAgainMsMax = 1_000;
/** A stream that has lasted so long was worth it. */
const worthMs = 1_000;
/** Between the two looks whether nobody listens at the leader's address. */
const refusedTwiceMs = 50;
/** Before a snapshot that could not be copied is asked for again. */
const copyAgainMs = 500;

export class FindingLeader {
  private suspecting = false;
  private attachedMs = 0;
  /** Streams, one after the other, that ended as soon as they had begun. */
  private vain = 0;
  /** The last refusal that was told of. */
  private refusal: string | undefined;

  constructor(
    private readonly self: MemberSelf,
    private readonly moves: Pick<MemberMoves, 'stand' | 'fail' | 'look' | 'seen'>,
    private readonly promise: (promise: Promised) => Promise<void>,
    /** The set may have changed: whose turn it is to stand is reckoned anew. */
    private readonly rankAnew: () => void,
  ) {}

  /** This member follows from now on. `becoming`: until then the store is not a follower's. */
  begin(becoming: Promise<void> | undefined): void {
    const { self } = this;
    const isReady = becoming === undefined && self.turns.isFree;
    const ready: Promise<unknown> = becoming ?? self.turns.done;
    const role: FollowingRole = { is: 'following', ready, isReady, stream: undefined, turn: 0, timer: undefined };
    self.role = role;
    if (isReady) {
      this.connect();
      return;
    }
    ready.then(
      () => {
        role.isReady = true;
        if (self.role === role) this.connect();
      },
      (caught: unknown) => this.moves.fail(MqError.from(caught)),
    );
  }

  /** Opens the stream to whoever is most likely to lead. */
  connect(): void {
    const { self } = this;
    const { role } = self;
    if (role.is !== 'following' || !role.isReady || role.stream || role.timer || self.stopped) return;
    const leaders = self.knowledge.leaders(self.me);
    const leader = leaders[role.turn % Math.max(1, leaders.length)];
    if (!leader) return;
    const stream: Following = new Following(
      {
        store: self.parts.store,
        outline: () => self.outline(),
        promise: this.promise,
        withStore: (act) => self.turns.take(act),
        attached: (what) => this.attached(role, what, leader.address),
        beat: (beat) => {
          if (self.role !== role || role.stream !== stream) return;
          self.knowledge.heartbeat(beat);
          this.rankAnew();
          if (stream.attached) self.turn.heard(beat.progress);
        },
        handOver: () => this.moves.stand('handedOver'),
        snapshotNeeded: (oldest) => {
          if (self.role === role && role.stream === stream) void this.copySnapshot(role, stream, oldest);
        },
        closed: (error, refused) => this.lost(role, stream, error, refused),
        halt: (why) => this.moves.fail(why),
      },
      leader,
      self.parts.peers.peer(leader.address),
      this.hello(),
      self.notes.promised,
    );
    role.stream = stream;
  }

  private hello(): FollowHello {
    const { self } = this;
    const { store, settings } = self.parts;
    return {
      brokerSet: settings.brokerSet,
      member: self.me,
      address: settings.address(),
      bootId: store.term.bootId,
      salt: store.salt,
      log: self.tail(),
      featureLevel: featureLevelMax,
      membersWanted: settings.membersWanted,
    };
  }

  private attached(role: FollowingRole, { leader, epoch, state }: Attached, address: string): void {
    const { self } = this;
    if (self.role !== role) return;
    role.turn = 0;
    this.attachedMs = self.parts.clock.monotonicMs();
    this.refusal = undefined;
    self.attachedTo = { member: leader, address, epoch };
    self.knowledge.setAddress(leader, address);
    self.knowledge.told({ member: leader, address, epoch });
    this.moves.seen(state);
    self.turn.step('settled');
    self.parts.log.info({ leader, epoch }, 'the broker follows');
    this.moves.look(); // The leader compares this process's presence when it takes it in.
  }

  /** The leader has let go of what this member lacks: all that it has is taken instead. */
  private async copySnapshot(role: FollowingRole, stream: Following, oldest: LogPosition): Promise<void> {
    const { self } = this;
    const { store, peers, settings, log, clock } = self.parts;
    const { leader } = stream;
    const epoch = self.attachedTo?.epoch ?? leader.epoch;
    stream.close();
    role.stream = undefined;
    role.isReady = false;
    log.warn(
      { leader: leader.member, oldest },
      'the leader has let go of what this member lacks: a snapshot is copied',
    );
    self.copying = `copies a snapshot of ${leader.member}`;
    let againMs = 0;
    try {
      const info = await self.turns.take(async () => {
        if (self.role !== role) return undefined;
        const pieces = peers.peer(leader.address).snapshot(settings.brokerSet, epoch as Epoch);
        return store.snapshots.install(pieces, ({ bytes }) => (self.copying += ` of ${bytes} bytes`));
      });
      if (info) log.info({ position: info.position, bytes: info.bytes }, 'a snapshot was taken');
    } catch (caught) {
      const error = MqError.from(caught);
      if (error.code === 'DISK_FAILED') {
        this.moves.fail(error);
        return;
      }
      log.warn(failureFacts(error), 'the snapshot could not be copied; trying again');
      againMs = copyAgainMs;
    } finally {
      self.copying = undefined;
    }
    await sleep(clock, againMs);
    if (self.role !== role) return;
    role.isReady = true;
    self.attachedTo = undefined;
    this.connect();
  }

  private lost(role: FollowingRole, stream: Following, error: MqError | undefined, refused: boolean): void {
    const { self } = this;
    if (self.role !== role || role.stream !== stream) return;
    const { clock, log } = self.parts;
    const wasAttached = self.attachedTo !== undefined;
    const { leader } = stream;
    role.stream = undefined;
    role.turn += 1;
    if (wasAttached) {
      this.vain = clock.monotonicMs() - this.attachedMs < worthMs ? this.vain + 1 : 0;
      self.attachedTo = undefined;
      self.noLeaderSinceMs = clock.monotonicMs();
      log.warn({ leader: leader.member, ...(error && failureFacts(error)) }, 'the stream to the leader is over');
    } else if (error && !error.retry) this.refused(leader.member, error);
    else log.debug({ leader: leader.member, ...(error && failureFacts(error)) }, 'no stream to a leader');
    if (error?.code === 'DATA_FOLDER') {
      this.moves.fail(error);
      return;
    }
    const againMs = Math.min(followAgainMs * 2 ** Math.max(0, this.vain - 1), followAgainMsMax);
    role.timer = clock.after(againMs, () => {
      role.timer = undefined;
      if (self.role === role) this.connect();
    });
    if (error?.code === 'NOT_LEADER') this.gaveUp(leader.member, error, wasAttached);
    else if (refused || wasAttached) void this.suspect(role, leader.member, leader.address);
    this.moves.look();
  }

  /** It leads, and does not take this member: a person has to look. Told once, until a leader takes it. */
  private refused(leader: MemberId, error: MqError): void {
    if (this.refusal === error.reason) return;
    this.refusal = error.reason;
    this.self.parts.log.warn({ leader, ...failureFacts(error) }, 'the leader refuses this member; trying again');
  }

  /** It says itself that it does not lead. */
  private gaveUp(member: MemberId, error: MqError, wasAttached: boolean): void {
    const { knowledge, turn } = this.self;
    const leader = error instanceof NotLeader ? error.leader : undefined;
    if (leader && leader.member !== member) {
      knowledge.told({
        ...{ member: memberId(leader.member), address: leader.address, epoch: leader.epoch as Epoch },
      });
    } else if (wasAttached) this.moves.stand(turn.step('refused'));
  }

  /** Whether nobody listens at the leader's address, asked twice. */
  private async suspect(role: FollowingRole, member: MemberId, address: string): Promise<void> {
    const { self } = this;
    const { peers, clock } = self.parts;
    if (this.suspecting || member !== self.knowledge.state?.leader) return;
    this.suspecting = true;
    try {
      const peer = peers.peer(address);
      if (!(await peer.refuses())) return;
      await sleep(clock, refusedTwiceMs);
      if (!(await peer.refuses())) return;
    } finally {
      this.suspecting = false;
    }
    if (self.role !== role || role.stream?.attached || member !== self.knowledge.state.leader) return;
    this.moves.stand(self.turn.step('refused'));
  }
}
