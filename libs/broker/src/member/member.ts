/**
 * A member of a broker set: opens its store, follows who leads, stands when nobody does, leads, and follows again. The
 * steps of libs/replication decide; here they meet the store, the other members and the set registry.
 *
 *   opening → following ⇄ standing → leading → following …          failed: for good
 *
 * Whom it promises is decided at once and told when it is durable. What changes the log or what was folded of it, other
 * than records of the leader, is done by one at a time (`withStore`), each of which looks again whether it is still wanted.
 */
import {
  type Attached,
  type FailoverPhases,
  type FetchedPart,
  type FetchRequest,
  type FollowHello,
  type KnownLeader,
  type KnownSet,
  type MemberClaim,
  type MemberStatus,
  NotLeader,
  type Peers,
  type PeerDigest,
  type PromiseAnswer,
  type SetReading,
  type SetRegistry,
  standsStill,
  type KnownTerm,
} from '@cometmq/client';
import {
  type Ask,
  type Epoch,
  featureLevelMax,
  type LogOutline,
  type LogPosition,
  type LogTail,
  memberId,
  type MemberId,
  type MetadataVersion,
  type Promised,
  type SetState,
  type StandReason,
} from '@cometmq/model';
import { answerTo, isMember, leaderLimits, type LeaderLimits, Standing, standingLimits } from '@cometmq/replication';
import { assert, type Clock, failureFacts, MqError, sleep, type Timer } from '@cometmq/shared';
import type { MessageStore, TermNote } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { Adoption } from './adoption.js';
import { durable, Election, type ElectionPhases } from './election.js';
import { Following } from './following.js';
import { Leading } from './leading.js';
import { Comparing, type Difference } from './comparing.js';
import { Mending } from './mending.js';
import { asKnownLeader, SetKnowledge } from './set-knowledge.js';
import type { SetMember } from './set-member.js';
import { statusWords } from './status-words.js';

export interface MemberSettings {
  /** The name of the broker set. */
  readonly brokerSet: string;
  /** The member's place; the set's name where it has only one. */
  readonly place: string;
  readonly membersWanted: number;
  readonly durability: LeaderLimits['durability'];
  readonly leaseMs: number;
  /** How long it stays, when it is told to stop, for a reason why its set needs it. */
  readonly restartWaitMs: number;
  /** host:port of its internal service; empty: in this process. */
  readonly address: () => string;
}

/** What decides while this member leads. */
export interface RunningTerm {
  /** Nothing more is decided: the lead is being handed over. What is asked for meanwhile waits. */
  hold(): void;
  /** It goes on after all. */
  release(): void;
  /** Nothing of it gets into the log any more. What waits for it is told; what was held stays so. */
  end(error: MqError): void;
  /** What was held is told where to go on. */
  refuseHeld(error: MqError): void;
}

export interface MemberParts {
  readonly settings: MemberSettings;
  readonly store: MessageStore;
  readonly registry: SetRegistry;
  readonly peers: Peers;
  readonly adoption: Adoption;
  readonly clock: Clock;
  readonly log: Logger;
  readonly writable: () => boolean;
  /** Under which the log was written, as far as it says so. */
  readonly metadata: () => MetadataVersion | undefined;
  /** It leads, and all that its log holds is committed and folded: decisions begin. */
  readonly begin: (leading: Leading) => RunningTerm;
  readonly onFatal: (error: MqError) => void;
}

type Role =
  | { readonly is: 'opening' }
  | FollowingRole
  | { readonly is: 'standing'; readonly election: Election }
  | LeadingRole
  | { readonly is: 'failed'; readonly why: MqError };

interface FollowingRole {
  readonly is: 'following';
  /** Resolves when the store is a follower's. */
  readonly ready: Promise<unknown>;
  isReady: boolean;
  stream: Following | undefined;
  /** Which of those that may lead is tried next. */
  turn: number;
  timer: Timer | undefined;
}

interface LeadingRole {
  readonly is: 'leading';
  readonly leading: Leading;
  term: RunningTerm | undefined;
}

const tickMs = 50;
/** Between two tries to find the leader. */
const followAgainMs = 50;
/** Between the two looks whether nobody listens at the leader's address. */
const refusedTwiceMs = 50;
/** How old the last sign of a leader may be for a candidate to be refused. */
const heardMs = 2_500;
const openAgainMs = 500;
/** How long a hand-over may take. */
const handOverMsMax = 3_000;
/** How often a member that is told to stop asks whether it may. */
const askLeaveMs = 200;
/** How long is waited for a member to be out of the set. */
const removeMsMax = 5_000;
const noEpoch = 0 as Epoch;

export class Member implements SetMember {
  private role: Role = { is: 'opening' };
  private id: MemberId | undefined;
  private promised: Promised = { epoch: noEpoch, to: undefined };
  private knowledge = new SetKnowledge(undefined, noEpoch);
  private standing: Standing | undefined;
  private standingRank = -1;
  private attachedTo: KnownLeader | undefined;
  private lastFailover: FailoverPhases | undefined;
  private note: TermNote = {};
  /** The registry has said how the set is. */
  private hasRead = false;
  /** Why nobody may stand, as it was read last. */
  private still: string | undefined;
  private stillTold = false;
  private storeWork: Promise<unknown> = Promise.resolve();
  private storeUsers = 0;
  /** What was said of the snapshot that is being copied; undefined: none is. */
  private copying: string | undefined;
  private timer: Timer | undefined;
  private announcing: Promise<void> | undefined;
  private announcedMs = -Infinity;
  private stopped = false;
  private suspecting = false;
  private noLeaderSinceMs: number;
  /** Who handed over, and waits for this member to lead. */
  private readonly takeOvers: { readonly resolve: () => void; readonly reject: (error: MqError) => void }[] = [];
  private readonly starting = Promise.withResolvers<void>();
  private started = false;
  private mending: Mending | undefined;
  private comparing: Comparing | undefined;

  constructor(private readonly parts: MemberParts) {
    this.noLeaderSinceMs = parts.clock.monotonicMs();
    this.starting.promise.catch(() => undefined); // Whoever starts it is told.
  }

  get me(): MemberId {
    assert(this.id !== undefined, 'a member that was opened has an id');
    return this.id;
  }
  get leading(): Leading | undefined {
    return this.role.is === 'leading' ? this.role.leading : undefined;
  }
  get knownLeader(): KnownLeader | undefined {
    if (this.role.is === 'leading' && !this.role.leading.isOver) {
      return { member: this.me, address: this.parts.settings.address(), epoch: this.role.leading.epoch };
    }
    if (this.attachedTo) return this.attachedTo;
    const [likely] = this.id === undefined ? [] : this.knowledge.leaders(this.me);
    return likely && asKnownLeader(likely);
  }
  /** Why it can do nothing for the set; undefined: it leads, or follows who does. */
  get unready(): string | undefined {
    const { role } = this;
    switch (role.is) {
      case 'leading':
        return role.term ? undefined : 'the start of its term is not committed yet';
      case 'following':
        return role.stream?.attached ? undefined : this.status().says;
      case 'failed':
        return role.why.reason;
      default:
        return 'the broker does not lead yet';
    }
  }

  // ---- its life

  /**
   * Opens the store and finds its set. Resolves when it leads, where it is to be alone; else when it knows its place.
   * @throws MqError DATA_FOLDER, METADATA_MISMATCH, CORRUPT_RECORD: says what to do
   */
  async start(): Promise<void> {
    const { store, settings } = this.parts;
    this.note = store.term.read();
    this.id = memberId(`${settings.place}/${store.incarnation}`);
    this.promised = this.note.promised ?? this.promised;
    const heard = Math.max(this.promised.epoch, store.epoch, this.note.state?.epoch ?? 0) as Epoch;
    this.knowledge = new SetKnowledge(this.note.state, heard);
    const reading = await this.open();
    this.follow();
    if (reading) this.read(reading);
    this.rankAnew();
    this.tick();
    const { peers, clock, log } = this.parts;
    this.mending = new Mending({
      ...{ brokerSet: settings.brokerSet, store, peers, clock, log },
      others: () => this.otherAddresses(),
    });
    this.comparing = new Comparing({
      ...{ brokerSet: settings.brokerSet, store, peers, clock, log },
      others: () => this.otherAddresses(),
    });
    if (settings.membersWanted > 1) this.begun();
    await this.starting.promise;
  }

  /** Somebody says that the set has this epoch. */
  heardOf(epoch: number): void {
    if (epoch > this.knowledge.heard || (!this.attachedTo && this.role.is === 'following')) this.look();
  }

  /**
   * Before it stops: hands the lead over, where it has it and somebody can take it. With a `restartWaitMs` it stays until its
   * set can do without it, but not longer than that for the same reason.
   */
  async prepareToLeave(): Promise<void> {
    const { restartWaitMs } = this.parts.settings;
    if (restartWaitMs > 0) await this.turnToLeave(restartWaitMs);
    if (this.role.is !== 'leading' || !this.role.term || this.role.leading.successors.length === 0) return;
    await this.handOverLead().catch((caught: unknown) => {
      this.parts.log.warn(failureFacts(caught), 'the lead could not be handed over');
    });
  }

  /** Who leads lets one go at a time; a leader that may go hands over, and then asks as a follower. */
  private async turnToLeave(waitMs: number): Promise<void> {
    const { clock, log } = this.parts;
    let why: string | undefined;
    for (let sinceMs = clock.monotonicMs(); clock.monotonicMs() - sinceMs < waitMs; await sleep(clock, askLeaveMs)) {
      if (this.role.is === 'failed' || (this.knowledge.state?.members.length ?? 1) === 1) return;
      const whyNot = await this.whyStay();
      if (whyNot === undefined) {
        if (this.role.is !== 'leading') return;
        await this.handOverLead().catch((caught: unknown) => log.debug(failureFacts(caught), 'no hand-over yet'));
        continue;
      }
      if (whyNot === why) continue;
      log.info({ why: whyNot }, 'the broker is told to stop and goes on serving: its set needs it');
      why = whyNot;
      sinceMs = clock.monotonicMs();
    }
    log.warn({ why }, 'the broker stops although its set needs it: it has waited for long enough');
  }

  /** Undefined: the set can do without this member now. */
  private async whyStay(): Promise<string | undefined> {
    const { peers, settings } = this.parts;
    if (this.role.is === 'leading') return this.role.leading.mayLeave(this.me);
    const leader = this.attachedTo;
    if (!leader) return 'nobody leads its set';
    try {
      return await peers.peer(leader.address).mayLeave(settings.brokerSet, this.me);
    } catch (caught) {
      return `${leader.member} leads and does not answer: ${MqError.from(caught).code}`;
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    const { role } = this;
    if (role.is === 'leading') await this.leave(role.leading);
    else if (role.is === 'following') {
      role.stream?.close();
      role.timer?.cancel();
    } else if (role.is === 'standing') role.election.end();
    this.starting.reject(new MqError('CANCELLED', 'stopped before the lead was taken'));
    this.refuseTakeOvers(new MqError('CANCELLED', 'stopped before the lead was taken'));
    await this.mending?.stop();
    await this.comparing?.stop();
    await this.announcing;
    if (this.id === undefined || role.is === 'failed') return;
    await this.parts.registry.withdrawMember(this.claim()).catch((caught: unknown) => {
      this.parts.log.warn(failureFacts(caught), 'the name service could not be told that the broker leaves');
    });
  }

  /** For good: the process ends. */
  fail(why: MqError): void {
    if (this.role.is === 'failed') return;
    this.dropRole(why);
    this.role = { is: 'failed', why };
    this.timer?.cancel();
    if (this.started) this.parts.onFatal(why);
    else this.starting.reject(why);
  }

  /** What was decided in the term may still become durable, and be answered. */
  private async leave(leading: Leading): Promise<void> {
    const { registry, log } = this.parts;
    leading.end();
    await registry.resignLeadership(this.claim(), leading.epoch).catch((caught: unknown) => {
      log.warn(failureFacts(caught), 'the name service could not be told that the broker leaves');
    });
  }

  /** Undefined: the registry does not answer yet, and others may want this member's word meanwhile. */
  private async open(): Promise<SetReading | undefined> {
    const { registry, adoption, log } = this.parts;
    for (;;) {
      if (this.stopped) throw new MqError('CANCELLED', 'stopped before the lead was taken');
      try {
        adoption.check();
        return await registry.announceMember(this.claim());
      } catch (caught) {
        const error = MqError.from(caught);
        if (await adoption.settles(error)) continue;
        if (!error.retry) throw error;
        log.warn(failureFacts(error), 'the broker set can not be looked up yet; trying again');
        if (this.parts.settings.membersWanted > 1) return undefined;
        await sleep(this.parts.clock, openAgainMs);
      }
    }
  }

  private begun(): void {
    this.started = true;
    this.starting.resolve();
  }

  private readonly tick = (): void => {
    if (this.stopped || this.role.is === 'failed') return;
    const { clock, settings } = this.parts;
    const nowMs = clock.monotonicMs();
    const { role } = this;
    // Who leads has a clock of its own.
    this.timer = clock.after(role.is === 'leading' ? settings.leaseMs / 3 : tickMs, this.tick);
    if (role.is === 'following' && this.standing) this.stand(this.standing.step({ kind: 'tick', nowMs }));
    const everyMs = this.attachedTo ? settings.leaseMs / 3 : Math.min(settings.leaseMs / 6, openAgainMs);
    if (role.is !== 'leading' && nowMs - this.announcedMs >= everyMs) this.look();
  };

  // ---- what is known of the set

  /** Under what it last acted, and what it has promised. */
  get lastTerm(): KnownTerm | undefined {
    const { state } = this.note;
    return state && { state, promised: this.promised };
  }

  claim(): MemberClaim {
    const { settings, store, metadata } = this.parts;
    const { brokerSet, leaseMs, address } = settings;
    const { epoch, appendEnd: end } = store;
    return {
      ...{ brokerSet, member: this.me, address: address(), bootId: store.term.boot.id, leaseMs },
      ...(epoch > 0 && { log: { epoch, end, metadata: metadata() } }),
    };
  }

  private outline(): LogOutline {
    const { epochs, appendEnd: end } = this.parts.store;
    return { epochs, end };
  }
  private tail(): LogTail {
    const { epochs, appendEnd: end } = this.parts.store;
    return { lastEpoch: epochs.at(-1)?.epoch ?? noEpoch, end };
  }

  /** Asks the registry how the set is now: from time to time, and whenever something may have changed. */
  look(): void {
    if (this.stopped || this.announcing || this.role.is === 'opening' || this.role.is === 'failed') return;
    const { registry, clock, adoption, log } = this.parts;
    this.announcedMs = clock.monotonicMs();
    this.announcing = registry
      .announceMember(this.claim())
      .then((reading) => this.read(reading))
      .catch(async (caught: unknown) => {
        const error = MqError.from(caught);
        if (error.code === 'METADATA_MISMATCH') await adoption.mismatched(error);
        else if (error.code === 'DATA_FOLDER') this.fail(error);
        else log.debug(failureFacts(error), 'the name service does not answer');
      })
      .finally(() => (this.announcing = undefined));
  }

  private read(reading: SetReading): void {
    const { state } = reading;
    this.hasRead = true;
    const { adoption, log } = this.parts;
    this.knowledge.read(reading);
    const still = standsStill(this.knownSet(), reading);
    // An answer may be older than what was heard since; the next one is not.
    if (still !== undefined && still === this.still && !this.stillTold) {
      this.stillTold = true;
      log.error({ reason: still }, 'nobody stands for the lead');
    }
    this.still = still;
    if (still !== undefined) return;
    this.stillTold = false;
    adoption.mismatch = undefined;
    if (state) this.acted(reading, state);
    if (state) this.seen(state);
    else this.rankAnew();
    this.connect(); // Where the set is as it was, the leader's address may still be news.
  }

  /** Why nobody may stand; undefined: whoever has a reason to may. */
  private get whyStill(): string | undefined {
    return this.still ?? (this.started ? this.parts.adoption.mismatch : undefined);
  }

  /** The latest that this member has acted under, or heard of. */
  private knownSet(): KnownSet | undefined {
    const { acted } = this.note;
    const { state } = this.knowledge;
    // Of another store than what was acted under, it says nothing here: revisions and epochs rise together in one.
    if (!acted || !state || state.revision <= acted.revision || state.epoch < acted.epoch) return acted;
    return { ...acted, revision: state.revision, epoch: state.epoch };
  }

  /** Under what this member acts from now on, before it does. */
  private acted({ storeId, generation }: SetReading, { revision, epoch, ...rule }: SetState): void {
    const { acted } = this.note;
    const isNew = acted?.storeId !== storeId || acted.revision !== revision || acted.generation !== generation;
    if (!isNew) return;
    const state: SetState = { ...rule, revision, epoch };
    this.writeNote({ acted: { storeId, generation, revision, epoch }, state }).catch((caught: unknown) => {
      this.parts.log.warn(failureFacts(caught), 'what the set is now could not be noted');
    });
  }

  private seen(state: SetState): void {
    if (!this.knowledge.saw(state)) return;
    const { role } = this;
    if (role.is === 'standing') role.election.seen(state.revision);
    if (role.is === 'leading' && state.epoch > role.leading.epoch) {
      this.depose(`${state.leader} leads with epoch ${state.epoch}`);
    }
    this.rankAnew();
    this.connect();
  }

  /** Members take turns by their names; who leads has no turn, since it is the one that is missing. */
  private rankAnew(): void {
    const { state } = this.knowledge;
    const { clock, settings } = this.parts;
    const nowMs = clock.monotonicMs();
    if (!state) {
      // Nobody has made the set yet: who comes first does.
      if (this.hasRead) this.standing ??= new Standing(this.standingLimits(), 0, true, nowMs);
      return;
    }
    if (!isMember(state, this.me)) {
      this.standing = undefined; // A learner: its leader takes it in.
      return;
    }
    const rank = state.members.filter((member) => member !== state.leader).indexOf(this.me);
    if (this.standing && rank === this.standingRank) return;
    const first = this.standing === undefined && !this.started;
    const atOnce = state.members.length === 1 || (first && state.leader === this.me) || settings.membersWanted === 1;
    const before = this.standing;
    this.standingRank = rank;
    this.standing = new Standing(this.standingLimits(), Math.max(0, rank), atOnce, nowMs);
    if (before?.hears(nowMs)) this.standing.step({ kind: 'settled', nowMs });
  }

  private standingLimits(): typeof standingLimits {
    return { ...standingLimits, leaseMs: this.parts.settings.leaseMs };
  }

  private otherAddresses(): string[] {
    const members = this.knowledge.state?.members ?? [];
    const others = members.filter((member) => member !== this.id);
    return others.map((member) => this.knowledge.addressOf(member)).filter((address) => address !== undefined);
  }

  // ---- promises

  async promise(ask: Ask): Promise<PromiseAnswer> {
    const { store, clock } = this.parts;
    const nowMs = clock.monotonicMs();
    const { role } = this;
    if (role.is === 'opening' || role.is === 'failed') throw new MqError('UNAVAILABLE', 'this member is not ready');
    const leads = role.is === 'leading' && role.leading.isServing() && role.leading.isSure() ? this.me : undefined;
    const follows = this.standing?.hears(nowMs, heardMs) ? this.attachedTo : undefined;
    const heard = role.is === 'leading' ? leads : follows && memberId(follows.member);
    this.knowledge.hear(ask.epoch);
    const answer = answerTo(this.promised, ask, heard);
    if ('refusal' in answer) return { kind: 'refused', from: this.me, refusal: answer.refusal };
    this.parts.log.info({ epoch: ask.epoch, to: ask.candidate, reason: ask.reason }, 'an epoch is promised');
    const noted = this.promiseTo(answer.promise);
    const address = this.knowledge.addressOf(ask.candidate);
    if (address !== undefined) this.knowledge.told({ member: ask.candidate, address, epoch: ask.epoch });
    if (this.role.is === 'leading') this.yieldTo(ask, this.role.leading.epoch);
    else this.follow();
    this.standing?.step({ kind: 'promised', nowMs });
    await noted;
    // What is being cut off or copied is waited for. Who led keeps all it wrote, and folds it again in its own time.
    if (role.is !== 'leading' && this.role.is === 'following') await this.role.ready;
    await durable(store, store.appendEnd); // Only what is on disk is promised to hold.
    const { epoch, to } = this.promised;
    if (epoch !== ask.epoch || to !== ask.candidate) {
      return { kind: 'refused', from: this.me, refusal: { why: 'promised', epoch } };
    }
    return { kind: 'promised', from: this.me, log: this.tail() };
  }

  /** Its presence as the leader of an ended term would keep the other one out for a lease. */
  private yieldTo({ candidate, epoch, reason }: Ask, own: Epoch): void {
    const { registry, log } = this.parts;
    this.depose(`${candidate} stands with epoch ${epoch}`);
    if (reason === 'handedOver') return; // It takes over from a leader that is present.
    registry.resignLeadership(this.claim(), own).catch((caught: unknown) => {
      log.debug(failureFacts(caught), 'the name service could not be told that the broker does not lead any more');
    });
  }

  /** Decided at once; durable when it resolves. Whoever led before is not heard any more. */
  private async promiseTo(promise: Promised): Promise<void> {
    assert(promise.epoch >= this.promised.epoch, 'promises only rise');
    this.promised = promise;
    this.knowledge.hear(promise.epoch);
    try {
      await this.writeNote({ promised: promise });
    } catch (caught) {
      const error = MqError.from(caught);
      if (error.code === 'DISK_FAILED') this.fail(error);
      throw error;
    }
  }

  private writeNote(part: TermNote): Promise<void> {
    this.note = { ...this.note, ...part };
    return this.parts.store.term.write(this.note);
  }

  async *fetch({ candidate, epoch, log }: FetchRequest): AsyncIterable<FetchedPart> {
    const { store } = this.parts;
    const check = (): void => {
      if (this.promised.epoch === epoch && this.promised.to === candidate) return;
      throw new MqError('CONFLICT', `epoch ${this.promised.epoch} was promised meanwhile`);
    };
    check();
    const commonEnd = store.replication.commonEnd(log.epochs, log.end);
    yield { commonEnd, from: commonEnd, bytes: new Uint8Array(0) };
    for (let from = commonEnd; from < store.appendEnd;) {
      check();
      const bytes = await store.replication.readBytes(from, fetchBytes);
      if (!bytes || bytes.byteLength === 0)
        throw new MqError('NOT_FOUND', `position ${from} is not kept here any more`);
      check();
      yield { commonEnd, from, bytes };
      from = (from + bytes.byteLength) as LogPosition;
    }
  }

  snapshot(epoch: Epoch): AsyncIterable<Uint8Array> {
    if (this.role.is !== 'leading' || this.role.leading.epoch !== epoch) {
      throw new MqError('CONFLICT', `this member does not lead with epoch ${epoch}`);
    }
    return this.parts.store.snapshots.stream();
  }

  segmentBytes(from: LogPosition, end: LogPosition): AsyncIterable<Uint8Array> {
    return this.parts.store.repairs.records(from, end);
  }

  async digest(from: LogPosition, end: LogPosition): Promise<PeerDigest> {
    const { repairs } = this.parts.store;
    return { wholeFrom: repairs.wholeFrom, digest: await repairs.digest(from, end) };
  }

  /** Where this member's log and another one's are known to differ; undefined: nowhere. */
  get difference(): Difference | undefined {
    return this.comparing?.difference;
  }

  // ---- following

  /** From now on, until it stands or leads. `becoming`: until then the store is not a follower's. */
  private follow(becoming?: Promise<void>): void {
    this.dropRole(undefined);
    const isReady = becoming === undefined && this.storeUsers === 0;
    const ready: Promise<unknown> = becoming ?? this.storeWork;
    const role: FollowingRole = { is: 'following', ready, isReady, stream: undefined, turn: 0, timer: undefined };
    this.role = role;
    this.timer?.cancel();
    this.timer = this.parts.clock.after(tickMs, this.tick);
    if (isReady) {
      this.connect();
      return;
    }
    ready.then(
      () => {
        role.isReady = true;
        if (this.role === role) this.connect();
      },
      (caught: unknown) => this.fail(MqError.from(caught)),
    );
  }

  /** Opens the stream to whoever is most likely to lead. */
  private connect(): void {
    const { role } = this;
    if (role.is !== 'following' || !role.isReady || role.stream || role.timer || this.stopped) return;
    const leaders = this.knowledge.leaders(this.me);
    const leader = leaders[role.turn % Math.max(1, leaders.length)];
    if (!leader) return;
    const { store, settings, peers } = this.parts;
    const hello: FollowHello = {
      brokerSet: settings.brokerSet,
      member: this.me,
      address: settings.address(),
      bootId: store.term.boot.id,
      salt: store.salt,
      log: this.tail(),
      featureLevel: featureLevelMax,
    };
    const stream: Following = new Following(
      {
        store,
        outline: () => this.outline(),
        promise: (promise) => this.promiseTo(promise),
        withStore: (act) => this.withStore(act),
        attached: (what) => this.attached(role, what, leader.address),
        beat: (beat) => {
          if (this.role !== role || role.stream !== stream) return;
          this.knowledge.heartbeat(beat);
          this.rankAnew();
          if (stream.attached)
            this.standing?.step({ kind: 'heard', progress: beat.progress, nowMs: this.parts.clock.monotonicMs() });
        },
        handOver: () => this.stand('handedOver'),
        snapshotNeeded: (oldest) => {
          if (this.role === role && role.stream === stream) void this.copySnapshot(role, stream, oldest);
        },
        closed: (error, refused) => this.lost(role, stream, error, refused),
        halt: (why) => this.fail(why),
      },
      leader,
      peers.peer(leader.address),
      hello,
      this.promised,
    );
    role.stream = stream;
  }

  private attached(role: FollowingRole, { leader, epoch, state }: Attached, address: string): void {
    if (this.role !== role) return;
    role.turn = 0;
    this.attachedTo = { member: leader, address, epoch };
    this.knowledge.setAddress(leader, address);
    this.knowledge.told({ member: leader, address, epoch });
    this.seen(state);
    this.standing?.step({ kind: 'settled', nowMs: this.parts.clock.monotonicMs() });
    this.parts.log.info({ leader, epoch }, 'the broker follows');
    this.look(); // The leader compares this process's presence when it takes it in.
  }

  /** The leader has let go of what this member lacks: all that it has is taken instead. */
  private async copySnapshot(role: FollowingRole, stream: Following, oldest: LogPosition): Promise<void> {
    const { store, peers, settings, log, clock } = this.parts;
    const { leader } = stream;
    const epoch = this.attachedTo?.epoch ?? leader.epoch;
    stream.close();
    role.stream = undefined;
    role.isReady = false;
    log.warn(
      { leader: leader.member, oldest },
      'the leader has let go of what this member lacks: a snapshot is copied',
    );
    this.copying = `copies a snapshot of ${leader.member}`;
    let againMs = 0;
    try {
      const info = await this.withStore(async () => {
        if (this.role !== role) return undefined;
        const pieces = peers.peer(leader.address).snapshot(settings.brokerSet, epoch as Epoch);
        return store.snapshots.install(pieces, ({ bytes }) => (this.copying += ` of ${bytes} bytes`));
      });
      if (info) log.info({ position: info.position, bytes: info.bytes }, 'a snapshot was taken');
    } catch (caught) {
      const error = MqError.from(caught);
      if (error.code === 'DISK_FAILED') {
        this.fail(error);
        return;
      }
      log.warn(failureFacts(error), 'the snapshot could not be copied; trying again');
      againMs = openAgainMs;
    } finally {
      this.copying = undefined;
    }
    await sleep(clock, againMs);
    if (this.role !== role) return;
    role.isReady = true;
    this.attachedTo = undefined;
    this.connect();
  }

  private lost(role: FollowingRole, stream: Following, error: MqError | undefined, refused: boolean): void {
    if (this.role !== role || role.stream !== stream) return;
    const { clock, log } = this.parts;
    const wasAttached = this.attachedTo !== undefined;
    const { leader } = stream;
    role.stream = undefined;
    role.turn += 1;
    if (wasAttached) {
      this.attachedTo = undefined;
      this.noLeaderSinceMs = clock.monotonicMs();
      log.warn({ leader: leader.member, ...(error && failureFacts(error)) }, 'the stream to the leader is over');
    } else log.debug({ leader: leader.member, ...(error && failureFacts(error)) }, 'no stream to a leader');
    if (error?.code === 'DATA_FOLDER') {
      this.fail(error);
      return;
    }
    role.timer = clock.after(followAgainMs, () => {
      role.timer = undefined;
      if (this.role === role) this.connect();
    });
    if (error?.code === 'NOT_LEADER') this.gaveUp(leader.member, error, wasAttached);
    else if (refused || wasAttached) void this.suspect(role, leader.member, leader.address);
    this.look();
  }

  /** It says itself that it does not lead. */
  private gaveUp(member: MemberId, error: MqError, wasAttached: boolean): void {
    const leader = error instanceof NotLeader ? error.leader : undefined;
    if (leader && leader.member !== member) {
      this.knowledge.told({
        ...{ member: memberId(leader.member), address: leader.address, epoch: leader.epoch as Epoch },
      });
    } else if (wasAttached && this.standing) {
      this.stand(this.standing.step({ kind: 'refused', nowMs: this.parts.clock.monotonicMs() }));
    }
  }

  /** Whether nobody listens at the leader's address, asked twice. */
  private async suspect(role: FollowingRole, member: MemberId, address: string): Promise<void> {
    const { peers, clock } = this.parts;
    if (this.suspecting || member !== this.knowledge.state?.leader) return;
    this.suspecting = true;
    try {
      const peer = peers.peer(address);
      if (!(await peer.refuses())) return;
      await sleep(clock, refusedTwiceMs);
      if (!(await peer.refuses())) return;
    } finally {
      this.suspecting = false;
    }
    if (this.role !== role || role.stream?.attached || member !== this.knowledge.state.leader) return;
    this.stand(this.standing?.step({ kind: 'refused', nowMs: clock.monotonicMs() }));
  }

  // ---- standing

  private stand(reason: StandReason | undefined): void {
    const { role } = this;
    if (reason === undefined || role.is !== 'following' || !role.isReady || this.whyStill !== undefined) return;
    if (this.stopped || (reason === 'start' && role.stream?.attached)) return;
    const { parts } = this;
    const { settings, store, registry, peers, clock, log } = parts;
    const founding: SetState = { members: [this.me], quorum: 1, revision: 0, epoch: noEpoch, leader: this.me };
    const set = this.knowledge.state ?? founding;
    if (!isMember(set, this.me)) return;
    // In a hand-over there was a leader all along.
    const noticedMs = reason === 'handedOver' ? 0 : Math.max(0, clock.monotonicMs() - this.noLeaderSinceMs);
    const { promised } = this;
    const { heard } = this.knowledge;
    const election: Election = new Election(
      {
        ...{ brokerSet: settings.brokerSet, me: this.me, store, registry, peers, clock },
        claim: () => this.claim(),
        outline: () => this.outline(),
        addressOf: (member) => this.knowledge.addressOf(member),
        promise: (promise) => this.promiseTo(promise),
        withStore: (act) => this.withStore(act),
        won: (epoch, state, phases) => {
          if (this.role.is === 'standing' && this.role.election === election) {
            void this.lead(this.role, epoch, state, phases, noticedMs);
          }
        },
        lost: (why, highest) => {
          this.knowledge.hear(highest);
          if (this.role.is === 'standing' && this.role.election === election) void this.notElected(why);
        },
      },
      { set, log: this.tail(), promised, heard, reason },
    );
    this.dropRole(undefined);
    this.role = { is: 'standing', election };
    log.info({ reason, epoch: election.epoch }, 'the broker stands for the lead');
    election.start();
  }

  private async notElected(why: MqError): Promise<void> {
    const { adoption, log, clock } = this.parts;
    this.follow();
    const { role } = this;
    this.refuseTakeOvers(why);
    let again = false;
    try {
      again = await adoption.settles(why);
    } catch (caught) {
      log.warn(failureFacts(caught), 'what stands against the lead could not be settled; trying again');
    }
    if (!again && !why.retry && !this.started) {
      this.fail(why);
      return;
    }
    log.warn(failureFacts(why), 'the lead can not be taken yet; trying again');
    if (!again) this.standing?.step({ kind: 'failed', nowMs: clock.monotonicMs() });
    if (this.role === role) this.look();
  }

  // ---- leading

  private async lead(
    role: Role,
    epoch: Epoch,
    state: SetState,
    phases: ElectionPhases,
    noticeMs: number,
  ): Promise<void> {
    const { parts } = this;
    const { store, registry, clock, log, settings, writable, adoption } = parts;
    let startRecord: Promise<void> | undefined;
    let leadMs = 0;
    const leading = await this.withStore(async () => {
      if (this.role !== role) return undefined;
      await store.replication.lead();
      if (this.role !== role) {
        await store.replication.stepDown(store.appendEnd); // Promised to somebody else meanwhile.
        return undefined;
      }
      leadMs = clock.monotonicMs();
      startRecord = store.beginEpoch(epoch, Math.max(clock.wallMs(), store.lastTimestampMs));
      const limits = { ...leaderLimits, membersWanted: settings.membersWanted, durability: settings.durability };
      return new Leading(
        {
          ...{ me: this.me, store, registry, clock, log, limits, leaseMs: settings.leaseMs, writable },
          claim: () => this.claim(),
          outline: () => this.outline(),
          addressOf: (member) => this.knowledge.addressOf(member),
          setAddress: (member, address) => this.knowledge.setAddress(member, address),
          read: (reading) => this.read(reading),
          refusedBy: (error) => void adoption.mismatched(error),
          deposed: (why) => this.depose(why.reason),
          resign: (why) => this.resign(why),
          renewTerm: (above) => this.renewTerm(above),
        },
        ...([epoch, state, store.appendEnd] as const),
      );
    });
    if (!leading || !startRecord) return;
    const next: LeadingRole = { is: 'leading', leading, term: undefined };
    this.role = next;
    this.knowledge.saw(state);
    this.standing?.step({ kind: 'settled', nowMs: clock.monotonicMs() });
    try {
      await startRecord;
    } catch (caught) {
      const error = MqError.from(caught);
      if (!error.retry) this.fail(error);
      return; // Deposed before it decided anything.
    }
    if (this.role !== next) return;
    leading.begun();
    const begunMs = clock.monotonicMs();
    this.lastFailover = {
      ...{ reason: phases.reason, epoch, atMs: clock.wallMs(), noticeMs },
      promiseMs: phases.promisedMs - phases.beganMs,
      fetchMs: phases.fetchedMs - phases.promisedMs,
      transactionMs: phases.takenMs - phases.fetchedMs,
      foldMs: leadMs - phases.takenMs,
      startRecordMs: begunMs - leadMs,
    };
    next.term = parts.begin(leading);
    log.info({ broker: settings.brokerSet, member: this.me, epoch, from: store.appendEnd }, 'the broker leads');
    for (const { resolve } of this.takeOvers.splice(0)) resolve();
    this.begun();
  }

  /** The term is over. What it wrote and the next leader lacks goes when that one says so. */
  private depose(why: string): void {
    const { role } = this;
    if (role.is !== 'leading') return;
    const { store, log, clock } = this.parts;
    log.warn({ epoch: role.leading.epoch, why }, 'the broker does not lead any more');
    const error = new NotLeader(
      `this broker does not lead any more: ${why}`,
      this.knownLeaderAfter(role.leading.epoch),
    );
    role.leading.end();
    role.term?.end(error);
    role.term = undefined;
    store.replication.endTerm(error);
    this.follow(this.withStore(() => store.replication.stepDown(store.appendEnd)));
    this.standing?.step({ kind: 'settled', nowMs: clock.monotonicMs() });
    this.look();
  }

  private knownLeaderAfter(epoch: Epoch): KnownLeader | undefined {
    const [likely] = this.knowledge.leaders(this.me);
    return likely && likely.epoch > epoch ? asKnownLeader(likely) : undefined;
  }

  private resign(why: string): void {
    const { role } = this;
    if (role.is !== 'leading') return;
    const { registry, log, clock } = this.parts;
    const { epoch } = role.leading;
    this.depose(why);
    this.standing?.step({ kind: 'failed', nowMs: clock.monotonicMs() });
    registry.resignLeadership(this.claim(), epoch).catch((caught: unknown) => {
      log.warn(failureFacts(caught), 'the name service could not be told that the broker resigns');
    });
  }

  private renewTerm(above: Epoch): void {
    const { role } = this;
    if (role.is !== 'leading') return;
    this.knowledge.hear(above);
    this.depose(`epoch ${above} was promised to another member`);
    const next = this.role;
    if (next.is !== 'following') return;
    next.ready.then(
      () => {
        if (this.role === next) this.stand('start');
      },
      () => undefined, // Told where it failed.
    );
  }

  // ---- handing over

  /** Asked by the leader: stands at once. Resolves when it leads. */
  async handOver(epoch: Epoch): Promise<void> {
    if (this.role.is !== 'following' || this.attachedTo?.epoch !== epoch) {
      throw new MqError('CONFLICT', `this member does not follow a leader of epoch ${epoch}`);
    }
    const leads = new Promise<void>((resolve, reject) => this.takeOvers.push({ resolve, reject }));
    this.stand(this.standing?.step({ kind: 'handedOver', nowMs: this.parts.clock.monotonicMs() }));
    if (this.isFollowing()) this.refuseTakeOvers(new MqError('CONFLICT', 'this member may not stand for the lead now'));
    await leads;
  }

  private isFollowing(): boolean {
    return this.role.is === 'following';
  }

  private refuseTakeOvers(why: MqError): void {
    for (const { reject } of this.takeOvers.splice(0)) reject(why);
  }

  /**
   * Has another member take over, by this one's consent: nothing is decided meanwhile, and nothing is lost.
   * @throws MqError CONFLICT where it does not lead, or no member is in sync; TIMEOUT: it goes on leading
   */
  async handOverLead(to?: MemberId): Promise<void> {
    const { role } = this;
    if (role.is !== 'leading' || !role.term) throw this.notLeader();
    const { leading, term } = role;
    const { clock, peers, settings, log } = this.parts;
    const successor = leading.successors.find(({ member }) => to === undefined || member === to);
    if (!successor) {
      const who = to === undefined ? 'no other member of the set is' : `${to} is not`;
      throw new MqError('CONFLICT', to === this.me ? `${to} leads already` : `${who} in sync`);
    }
    const endMs = clock.monotonicMs() + handOverMsMax;
    log.info({ to: successor.member }, 'the lead is handed over');
    term.hold();
    try {
      while (!leading.hasAll(successor.member)) {
        if (clock.monotonicMs() > endMs) throw new MqError('TIMEOUT', `${successor.member} does not catch up`);
        await sleep(clock, 2);
        if (this.role !== role) break;
      }
      if (this.role === role) await peers.peer(successor.address).handOver(settings.brokerSet, leading.epoch);
    } catch (caught) {
      if (this.role === role) {
        term.release();
        throw MqError.from(caught);
      }
    }
    if (this.role === role) {
      term.release();
      throw new MqError('TIMEOUT', `${successor.member} has not taken over`);
    }
    // Its consent ended this term; who waits is told where to go on once somebody leads there.
    while (!this.attachedTo && this.role.is !== 'failed' && clock.monotonicMs() < endMs) await sleep(clock, 2);
    term.refuseHeld(new NotLeader(`${successor.member} has taken over the lead`, this.knownLeader));
  }

  mayLeave(member: MemberId): string | undefined {
    if (this.role.is !== 'leading' || !this.role.term) throw this.notLeader();
    return this.role.leading.mayLeave(member);
  }

  async removeMember(member: MemberId): Promise<void> {
    const { role } = this;
    const { clock } = this.parts;
    if (role.is !== 'leading') throw this.notLeader();
    const { leading } = role;
    if (member === this.me) throw new MqError('CONFLICT', `${member} leads: let another one lead before it is removed`);
    if (!isMember(leading.members, member)) throw new MqError('NOT_FOUND', `${member} is no member of the set`);
    leading.remove(member);
    const endMs = clock.monotonicMs() + removeMsMax;
    while (isMember(leading.members, member)) {
      if (this.role !== role) throw this.notLeader();
      if (clock.monotonicMs() > endMs) {
        throw new MqError(
          'TIMEOUT',
          'those that stay have not all that is committed yet; it is removed when they have',
        );
      }
      await sleep(clock, tickMs);
    }
  }

  private notLeader(): NotLeader {
    return new NotLeader('this member does not lead', this.role.is === 'leading' ? undefined : this.knownLeader);
  }

  // ---- for people

  status(): MemberStatus {
    const { store, settings, clock } = this.parts;
    const { role, knowledge } = this;
    const leader = this.knownLeader;
    const leading = this.leading;
    return {
      brokerSet: settings.brokerSet,
      member: this.id ?? memberId(`${settings.place}/?`),
      role: role.is,
      says: statusWords({
        role: role.is,
        failed: role.is === 'failed' ? role.why.reason : undefined,
        copying: this.copying,
        still: this.whyStill,
        protection: leading?.protection,
        begun: role.is === 'leading' && role.term !== undefined,
        attached: role.is === 'following' && role.stream?.attached === true,
        isMember: knowledge.state === undefined || this.id === undefined || isMember(knowledge.state, this.id),
        noLeaderMs: clock.monotonicMs() - this.noLeaderSinceMs,
        leader: leader?.member ?? knowledge.state?.leader,
        members: knowledge.state?.members ?? [],
        missing: leading ? leading.members.members.filter((one) => one !== this.id && !leading.isInSync(one)) : [],
      }),
      epoch: leading?.epoch ?? store.epoch,
      leader: leader && memberId(leader.member),
      appendEnd: store.appendEnd,
      durableEnd: store.replication.durableEnd,
      commitEnd: store.commitEnd,
      state: leading?.members ?? knowledge.state,
      followers: leading?.followers() ?? [],
      lastFailover: this.lastFailover,
    };
  }

  // ---- in common

  /** Whatever it did before is over. */
  private dropRole(why: MqError | undefined): void {
    const { role } = this;
    if (this.attachedTo || role.is === 'leading') this.noLeaderSinceMs = this.parts.clock.monotonicMs();
    this.attachedTo = undefined;
    if (role.is === 'following') {
      role.stream?.close();
      role.stream = undefined;
      role.timer?.cancel();
      role.timer = undefined;
    } else if (role.is === 'standing') role.election.end();
    else if (role.is === 'leading') {
      role.leading.end();
      if (why) role.term?.end(why);
    }
  }

  private withStore<T>(act: () => Promise<T>): Promise<T> {
    this.storeUsers += 1;
    const done = this.storeWork.then(act).finally(() => (this.storeUsers -= 1));
    this.storeWork = done.catch(() => undefined); // Whoever wanted it is told.
    return done;
  }
}

const fetchBytes = 1024 * 1024;
