/**
 * A member of a broker set: opens its store, follows who leads, stands when nobody does, leads, and follows again. The
 * steps of libs/replication decide; here they meet the store, the other members and the set registry.
 *
 *   opening → following ⇄ standing → leading → following …          failed: for good
 *
 * This is the front: one role at a time, and the way from one to the next. What is done in each stands beside it, by reason:
 * `set-reader` (the registry), `finding-leader` (following), `promising`, `candidacies` (standing), `terms` (leading),
 * `hand-overs`, `leaving`, `log-copies` (what others take). What they share is `member-self`.
 */
import type {
  FetchedPart,
  FetchRequest,
  KnownLeader,
  KnownTerm,
  MemberClaim,
  MemberStatus,
  PeerDigest,
  PromiseAnswer,
  ReadMessage,
  MessagePlace,
} from '@cometmq/client';
import type { Ask, Epoch, LogPosition, MemberId, SetState, StandReason } from '@cometmq/model';
import { MqError, type Timer } from '@cometmq/shared';

import { Candidacies } from './candidacies.js';
import { Comparing, type Difference } from './comparing.js';
import { CutOff } from './cut-off.js';
import { FindingLeader } from './finding-leader.js';
import { FollowerReads } from './follower-reads.js';
import { FullDisk } from './full-disk.js';
import { HandOvers } from './hand-overs.js';
import type { Leading } from './leading.js';
import { Leaving } from './leaving.js';
import { LogCopies } from './log-copies.js';
import type { MemberParts } from './member-parts.js';
import { type MemberMoves, MemberSelf } from './member-self.js';
import { memberStatus } from './member-status.js';
import { Mending } from './mending.js';
import { PreferredLeader } from './preferred-leader.js';
import { Promising } from './promising.js';
import type { SetMember } from './set-member.js';
import { SetReader } from './set-reader.js';
import { Terms } from './terms.js';

const tickMs = 50;

export class Member implements SetMember, MemberMoves {
  private readonly self: MemberSelf;
  private readonly reader: SetReader;
  private readonly finding: FindingLeader;
  private readonly promising: Promising;
  private readonly candidacies: Candidacies;
  private readonly terms: Terms;
  private readonly handOvers: HandOvers;
  private readonly leaving: Leaving;
  private readonly cutOff: CutOff;
  private readonly fullDisk: FullDisk;
  private readonly preferred: PreferredLeader;
  private readonly copies: LogCopies;
  private readonly reads: FollowerReads;
  private mending: Mending | undefined;
  private comparing: Comparing | undefined;
  private timer: Timer | undefined;
  private readonly starting = Promise.withResolvers<void>();

  constructor(private readonly parts: MemberParts) {
    const self = (this.self = new MemberSelf(parts));
    this.reader = new SetReader(self, this, (state) => this.wasRead(state));
    this.promising = new Promising(self, this);
    const promise = this.promising.note.bind(this.promising);
    this.finding = new FindingLeader(self, this, promise, () => this.rankAnew());
    this.terms = new Terms(self, this, this.reader);
    this.handOvers = new HandOvers(self, this);
    this.candidacies = new Candidacies(self, this, this.reader, this.promising, this.handOvers, (role, won) => {
      void this.terms.begin(role, won);
    });
    this.leaving = new Leaving(self, this.handOvers);
    this.cutOff = new CutOff(self, this.reader, this.handOvers);
    this.fullDisk = new FullDisk(self, this.handOvers);
    this.preferred = new PreferredLeader(self, this.handOvers);
    this.copies = new LogCopies(self);
    this.reads = new FollowerReads(self);
    this.starting.promise.catch(() => undefined); // Whoever starts it is told.
  }

  get me(): MemberId {
    return this.self.me;
  }
  get leading(): Leading | undefined {
    return this.self.leading;
  }
  get candidacy(): Promise<Leading | undefined> | undefined {
    const { role } = this.self;
    return role.is === 'standing' ? role.outcome.promise : undefined;
  }
  get knownLeader(): KnownLeader | undefined {
    return this.self.knownLeader;
  }
  /** Under what it last acted, and what it has promised. */
  get lastTerm(): KnownTerm | undefined {
    return this.self.notes.lastTerm;
  }
  /** Where this member's log and another one's are known to differ; undefined: nowhere. */
  get difference(): Difference | undefined {
    return this.comparing?.difference;
  }
  /** Why it can do nothing for the set; undefined: it leads and takes messages, or follows who leads. */
  get unready(): string | undefined {
    const { role } = this.self;
    switch (role.is) {
      case 'leading':
        if (!role.term) return 'the start of its term is not committed yet';
        return role.leading.serves ? undefined : this.status().says;
      case 'following':
        return role.stream?.attached ? undefined : this.status().says;
      case 'failed':
        return role.why.reason;
      default:
        return 'the broker does not lead yet';
    }
  }
  claim(): MemberClaim {
    return this.self.claim();
  }
  status(): MemberStatus {
    return memberStatus(this.self, this.reader.whyStill, this.reader.readMs);
  }

  // ---- its life

  /**
   * Opens the store and finds its set. Resolves when it leads, where it is to be alone; else when it knows its place.
   * @throws MqError DATA_FOLDER, METADATA_MISMATCH, CORRUPT_RECORD: says what to do
   */
  async start(): Promise<void> {
    const { self } = this;
    const { store, peers, clock, log, settings } = this.parts;
    self.opened();
    await this.parts.failovers.open();
    const reading = await this.reader.open();
    this.follow();
    if (reading) this.reader.read(reading);
    this.rankAnew();
    this.tick();
    const ofSet = { brokerSet: settings.brokerSet, store, peers, clock, log, others: () => self.otherAddresses() };
    this.mending = new Mending(ofSet);
    this.comparing = new Comparing(ofSet);
    if (settings.membersWanted > 1) this.begun();
    await this.starting.promise;
  }

  /** Somebody says that the set has this epoch. */
  heardOf(epoch: number): void {
    const { role, attachedTo, knowledge } = this.self;
    if (epoch > knowledge.heard || (!attachedTo && role.is === 'following')) this.look();
  }

  /** Before it stops. */
  prepareToLeave(): Promise<void> {
    return this.leaving.prepare();
  }

  async stop(): Promise<void> {
    const { self } = this;
    self.stopped = true;
    this.timer?.cancel();
    const { role } = self;
    if (role.is === 'leading') await this.leaving.endTerm();
    else if (role.is === 'following') {
      role.stream?.leave();
      role.timer?.cancel();
    } else if (role.is === 'standing') {
      role.election.end();
      role.outcome.resolve(undefined);
    }
    const error = new MqError('CANCELLED', 'stopped before the lead was taken');
    this.starting.reject(error);
    this.handOvers.refuse(error);
    await this.mending?.stop();
    await this.comparing?.stop();
    await this.reader.withdraw();
    await this.parts.failovers.close();
  }

  fail(why: MqError): void {
    const { self } = this;
    if (self.role.is === 'failed') return;
    if (self.stopped && why.code === 'UNAVAILABLE') return; // What was under way ends because it stops.
    this.dropRole(why);
    self.role = { is: 'failed', why };
    this.handOvers.refuse(why);
    this.timer?.cancel();
    if (self.started) this.parts.onFatal(why);
    else this.starting.reject(why);
  }

  leads(): void {
    this.handOvers.taken();
    this.begun();
  }

  private begun(): void {
    this.self.started = true;
    this.starting.resolve();
  }

  private readonly tick = (): void => {
    const { self } = this;
    const { role } = self;
    if (self.stopped || role.is === 'failed') return;
    const { clock, settings } = this.parts;
    this.timer?.cancel(); // Another one may have been begun with the role.
    // Who leads has a clock of its own.
    this.timer = clock.after(role.is === 'leading' ? settings.leaseMs / 3 : tickMs, this.tick);
    if (role.is === 'following') this.stand(self.turn.step('tick'));
    this.reader.lookIfDue();
    void this.cutOff.look();
    void this.fullDisk.look();
    void this.preferred.look();
  };

  /** Its disk has become full. Resolves when another one leads, or it is known that none can. */
  leaveFullDisk(): Promise<void> {
    return this.fullDisk.look();
  }

  // ---- what is known of the set

  look(): void {
    this.reader.look();
  }

  seen(state: SetState): void {
    const { self } = this;
    if (!self.knowledge.saw(state)) return;
    const { role } = self;
    if (role.is === 'standing') role.election.seen(state.revision);
    if (role.is === 'leading' && state.epoch > role.leading.epoch) {
      this.terms.endedByRegistry(`${state.leader} leads with epoch ${state.epoch}`);
    }
    this.terms.named(state);
    this.rankAnew();
    this.finding.connect();
  }

  private wasRead(state: SetState | undefined): void {
    if (state) this.seen(state);
    else this.rankAnew();
    this.finding.connect(); // Where the set is as it was, the leader's address may still be news.
  }

  private rankAnew(): void {
    this.self.turn.reckon(this.me, this.reader.hasRead, this.self.started);
  }

  // ---- as the others call it

  promise(ask: Ask): Promise<PromiseAnswer> {
    return this.promising.promise(ask);
  }
  fetch(request: FetchRequest): AsyncIterable<FetchedPart> {
    return this.copies.fetch(request);
  }
  snapshot(epoch: Epoch): AsyncIterable<Uint8Array> {
    return this.copies.snapshot(epoch);
  }
  segmentBytes(from: LogPosition, end: LogPosition, uncommitted?: boolean): AsyncIterable<Uint8Array> {
    return this.copies.segmentBytes(from, end, uncommitted);
  }
  digest(from: LogPosition, end: LogPosition): Promise<PeerDigest> {
    return this.copies.digest(from, end);
  }
  prepareHandOver(epoch: Epoch): Promise<void> {
    return this.handOvers.prepare(epoch);
  }
  readMessages(places: readonly MessagePlace[]): AsyncIterable<ReadMessage> {
    return this.reads.read(places);
  }
  /** Of what it has read since its start. */
  get followerReads(): Readonly<Record<'messages' | 'bytes', number>> {
    return this.reads.figures;
  }
  handOver(epoch: Epoch): Promise<void> {
    return this.handOvers.take(epoch);
  }
  handOverLead(to?: MemberId): Promise<void> {
    return this.handOvers.give(to);
  }
  removeMember(member: MemberId): Promise<void> {
    return this.handOvers.remove(member);
  }
  mayLeave(member: MemberId): string | undefined {
    return this.handOvers.mayLeave(member);
  }

  // ---- from one role to the next

  follow(becoming?: Promise<void>): void {
    this.dropRole(undefined);
    // Whatever it stood for, or led for too short a time: who handed over goes on leading, or looks for who does.
    this.handOvers.refuse(new MqError('CONFLICT', 'this member does not stand for the lead any more'));
    this.timer?.cancel();
    this.timer = this.parts.clock.after(tickMs, this.tick);
    this.finding.begin(becoming);
  }

  stand(reason: StandReason | undefined): void {
    this.candidacies.stand(reason);
  }

  depose(why: string, tellInMs?: number): void {
    this.terms.depose(why, tellInMs);
  }

  dropRole(why: MqError | undefined): void {
    const { self } = this;
    const { role } = self;
    if (self.attachedTo || role.is === 'leading') self.noLeaderSinceMs = this.parts.clock.monotonicMs();
    self.attachedTo = undefined;
    if (role.is === 'following') {
      if (why) role.stream?.leave();
      else role.stream?.close(); // It stands, or follows another one: it is there, and must not be left out.
      role.stream = undefined;
      role.timer?.cancel();
      role.timer = undefined;
    } else if (role.is === 'standing') {
      role.election.end();
      role.outcome.resolve(undefined);
    } else if (role.is === 'leading') {
      role.leading.end();
      if (why) role.term?.end(why);
    }
  }
}
