import type {
  AckCall,
  AppendAuditCall,
  BrokerState,
  ChangeInvisibleCall,
  ChangeInvisibleResult,
  ClientCommand,
  ClientGoneCall,
  CommandAnswer,
  DeadLetterCall,
  Done,
  EndTransactionCall,
  HandBackCall,
  LiteSyncCall,
  OffsetsCall,
  OffsetsResult,
  Peers,
  PullCall,
  PullResult,
  QueueReset,
  RecallCall,
  RecallResult,
  ReceiveCall,
  ReceiveResult,
  ResetCall,
  SendCall,
  SendResult,
  SessionReport,
  TransferCall,
} from '@cometmq/client';
import { checkSeen } from '@cometmq/client';
import { NotLeader } from '@cometmq/client';
import type { GroupsView, PullOffsets } from '@cometmq/consumption';
import type { LiteTopicsView } from '@cometmq/lite';
import { failureFacts, MqError, sleep, type Component } from '@cometmq/shared';
import type { RecordKind } from '@cometmq/model';
import type { Damage, MessageStore } from '@cometmq/store';
import type { TimersView } from '@cometmq/timers';
import type { TransactionsView } from '@cometmq/transactions';

import type { DeadLetterReplays } from './dead-letter-replays.js';
import { appendAudit } from './audit-lines.js';
import { Backlogs } from './backlogs.js';
import type { BrokerOptions } from './broker-options.js';
import type { ClientCommands } from './client-commands.js';
import { ClientQuestions } from './client-questions.js';
import { Clients } from './clients.js';
import type { Delays } from './delays.js';
import { FollowedTimers } from './followed-timers.js';
import { GroupFilters } from './group-filters.js';
import { CallsHeldByLeader, CallsHeldForATime, type HeldCalls } from './held-calls.js';
import type { LiteBroker } from './lite/lite-broker.js';
import type { LinkedBroker, LostLink } from './link-door.js';
import { Adoption } from './member/adoption.js';
import { differenceText } from './member/comparing.js';
import { FailoverHistory } from './member/failover-history.js';
import type { Leading } from './member/leading.js';
import { Member } from './member/member.js';
import type { RunningTerm } from './member/member-parts.js';
import { LogMeter } from './log-meter.js';
import { memberStore, startMemberStore } from './member/member-store.js';
import type { MemberSessions } from './member-sessions.js';
import type { MetadataView } from './metadata-view.js';
import { Periodic } from './periodic.js';
import type { ProducerSessions } from './producer-sessions.js';
import { SetStanding } from './set-standing.js';
import { SetViews } from './set-views.js';
import { KnownMetadata } from './term/metadata-sync.js';
import { Term } from './term/term.js';
import { Traffic } from './traffic.js';
import type { Transactions } from './transactions.js';

/** What comes before a leader's first record is committed waits for so long. */
const beginMsMax = 500;
/** So long sends wait at a leader whose disk has become full for another member's word that it has room. */
const roomMsMax = 1_000;
/** How often it is looked how much space is left. */
const spaceLookMs = 5_000;
/** How often a member that does not lead looks which delayed messages are due soon. */
const timersLookMs = 5_000;

/**
 * The broker's role: a member of one broker set. While it leads it takes calls as `BrokerLink` and lets its term decide,
 * which writes what was decided to the log, and answers once that is safe; else it says who leads. One event loop, so
 * decisions follow one another.
 */
export class BrokerService implements LinkedBroker, Component {
  readonly name = 'broker';
  readonly store: MessageStore;
  readonly views = new SetViews();
  readonly clients: Clients;
  readonly questions: ClientQuestions;
  readonly backlogs: Backlogs;
  readonly traffic = new Traffic();
  readonly logMeter = new LogMeter();
  /** Of the data disk, as of a few seconds ago; undefined: not looked at yet. */
  freeBytes: number | undefined;
  private readonly known: KnownMetadata;
  readonly member: Member;
  private readonly adoption: Adoption;
  private readonly periodic: Periodic;
  private readonly followedTimers: FollowedTimers;
  private term: Term | undefined;
  private failed: MqError | undefined;
  private opened = false;
  private stopped = false;
  private readonly standing: SetStanding;
  /** Calls that wait while the lead is being taken up, or handed over. */
  private readonly held: CallsHeldByLeader;
  /** Sends that wait while the last messages of a set that leaves are consumed. */
  private readonly sendsHeld: CallsHeldForATime;
  /** Those with a message group, while the last of their groups are consumed before they go to another set. */
  private readonly groupsHeld: CallsHeldForATime;
  /** Sends that wait while it is found out whether another member has room. */
  private readonly roomSought: CallsHeldForATime;
  private forgetUpdates: (() => void) | undefined;

  constructor(private readonly options: BrokerOptions) {
    const { clock, nameService, directory, log, brokerName } = options;
    this.clients = new Clients(clock, brokerName);
    this.periodic = new Periodic(clock, log);
    this.held = new CallsHeldByLeader(clock);
    this.sendsHeld = new CallsHeldForATime(clock);
    this.groupsHeld = new CallsHeldForATime(clock);
    this.standing = new SetStanding(directory, brokerName);
    this.roomSought = new CallsHeldForATime(clock);
    this.store = memberStore(options, this.views, {
      onFailed: (error) => this.fatal(error),
      onFull: () => this.becameFull(),
      onSynced: (tookMs, messages) => this.logMeter.synced(tookMs, messages),
    });
    const { store, groups, sessions } = this;
    this.followedTimers = new FollowedTimers({
      ...{ store, timers: this.delayed, clock, log },
      follows: () => !this.term && !this.failed && !this.stopped && store.replication.isSettled,
    });
    this.known = new KnownMetadata(store, groups, this.metadata, directory);
    const filters = new GroupFilters(sessions);
    this.backlogs = new Backlogs({
      ...{ store, groups, directory, sessions, liteTopics: this.liteTopics, transfers: this.views.transfers },
      filtersOf: (groupId, topicId) => filters.ofGroup(groupId, topicId),
      breathe: () => sleep(clock, 0),
      nowMs: () => this.logMs,
    });
    this.questions = new ClientQuestions(store, this.commands, brokerName);
    this.adoption = new Adoption({
      ...{ nameService, log, forgets: options.forgetMembers ?? false },
      adopts: () => options.adoptMetadata === true || this.isFreshlyRestored,
      knowledge: { contradiction: () => this.known.contradiction, all: () => this.known.all() },
      claim: () => this.member.claim(),
      set: () => this.member.lastTerm,
    });
    this.member = this.buildMember();
  }

  // ---- what the log comes to, and who is connected

  get groups(): GroupsView {
    return this.views.groups;
  }
  get pullOffsets(): PullOffsets {
    return this.views.pullOffsets;
  }
  get liteTopics(): LiteTopicsView {
    return this.views.liteTopics;
  }
  get delayed(): TimersView {
    return this.views.delayed;
  }
  get halfMessages(): TransactionsView {
    return this.views.halfMessages;
  }
  get metadata(): MetadataView {
    return this.views.metadata;
  }
  get sessions(): MemberSessions {
    return this.clients.sessions;
  }
  get producers(): ProducerSessions {
    return this.clients.producers;
  }
  get commands(): ClientCommands {
    return this.clients.commands;
  }

  /** Its log and state are a backup's, and it has been a member of no cluster with them yet. */
  private get isFreshlyRestored(): boolean {
    return this.store.restoredFrom !== undefined && this.store.term.read().acted === undefined;
  }

  async start(): Promise<void> {
    const { options, store } = this;
    await startMemberStore(store, options);
    this.opened = true;
    this.forgetUpdates = options.directory.onUpdate((update) => {
      this.lookAtStage();
      if (update.kind === 'broker' && update.broker.name === options.brokerName)
        this.member.heardOf(update.broker.epoch);
    });
    this.lookAtStage();
    await this.member.start();
    this.lookAtDisk();
    this.periodic.every(spaceLookMs, () => this.lookAtDisk());
    this.periodic.every(timersLookMs, () => this.followedTimers.look());
  }

  async stop(): Promise<void> {
    // It may take long, and all goes on meanwhile.
    if (!this.failed) await this.member.prepareToLeave();
    this.stopped = true;
    this.periodic.stop();
    this.forgetUpdates?.();
    this.term?.quiet();
    await this.member.stop();
    const { term } = this;
    this.term = undefined;
    await this.store.stop();
    term?.end(new MqError('UNAVAILABLE', 'this broker is stopping'));
  }

  /** Its log is open: before that nothing can be said of it. */
  get isOpen(): boolean {
    return this.opened;
  }

  /** Why this broker can't serve; undefined when it can. */
  unready(): string | undefined {
    return this.failed ? this.failed.reason : this.member.unready;
  }
  /** This member leads its set, and decides. */
  get leads(): boolean {
    return this.term !== undefined && this.failed === undefined;
  }

  /** Why the metadata is not the one that this log belongs to; undefined: it is, as far as this broker knows. */
  get metadataProblem(): string | undefined {
    return this.adoption.mismatch;
  }

  /** What it does not do although it leads. */
  degraded(): string | undefined {
    const { difference } = this.member;
    if (difference) return differenceText(difference);
    return this.term && this.store.diskFull ? 'the disk is full: new messages are refused' : undefined;
  }

  /** False: no new messages are taken, for want of disk space. Consumers go on. */
  get writable(): boolean {
    return !this.store.sizes.diskFull;
  }
  /** Log time; 0 while this broker does not lead. */
  get logMs(): number {
    return this.term?.logClock.nowMs() ?? 0;
  }
  get waitingPolls(): number {
    return this.term ? this.term.deliveries.waiting + this.term.lite.deliveries.waiting : 0;
  }
  /** What is decided on delayed messages and transactions; undefined while this broker does not lead. */
  get waiting(): { readonly delays: Delays; readonly transactions: Transactions } | undefined {
    return this.term;
  }
  /** @throws MqError NOT_LEADER */
  lite(): LiteBroker {
    return this.termNow().lite;
  }
  /** Lite topics and subscriptions now; made and expired since the start. */
  get liteFigures(): Readonly<Record<'topics' | 'subscriptions' | 'created' | 'expired', number>> {
    const lite = this.term?.lite;
    return {
      topics: this.liteTopics.count,
      subscriptions: lite?.subscriptions.count ?? 0,
      created: lite?.topics.created ?? 0,
      expired: lite?.topics.expired ?? 0,
    };
  }
  /** How messages go to other broker sets, while this one leaves. */
  get handingOver(): Pick<BrokerState, 'handedOver' | 'onTheirWay' | 'handOverProblem' | 'groupsLeave'> {
    const { sent: handedOver, onTheirWay, leaving } = this.views.transfers;
    return { handedOver, onTheirWay, groupsLeave: leaving.size > 0, handOverProblem: this.term?.transfersOut.problem };
  }
  /** Dead letters moved since the start, by "group id/topic id". */
  get deadLettersMoved(): ReadonlyMap<string, number> {
    return this.term?.deadLetters.moved ?? new Map<string, number>();
  }

  send(call: SendCall, done: Done<SendResult>): void {
    const holder = this.holderOf(call);
    if (holder) return holder.add(() => this.send(call, done));
    const refusal = this.standing.refusal(call) ?? this.notNow();
    if (refusal) done(refusal, undefined);
    else this.leading(done)?.sends.send(call, done);
  }

  /** A send that has waited within its term: what holds or refuses it now, did not when it came. */
  private admit(call: SendCall, done: Done<SendResult>, act: () => void): void {
    const holder = this.holderOf(call);
    if (holder) return holder.add(() => this.admit(call, done, act));
    const refusal = this.standing.refusal(call);
    if (refusal) done(refusal, undefined);
    else act();
  }

  private holderOf({ groupHash }: SendCall): HeldCalls | undefined {
    if (this.held.isOn) return this.held;
    if (this.roomSought.isOn) return this.roomSought;
    if (this.sendsHeld.isOn) return this.sendsHeld;
    return groupHash !== 0 && this.groupsHeld.isOn ? this.groupsHeld : undefined;
  }

  /** Lines of a process's audit log. Resolves when all are committed. */
  appendAudit(call: AppendAuditCall): Promise<void> {
    const { nameService, directory } = this.options;
    return appendAudit({ nameService, directory, send: (line, done) => this.send(line, done) }, call);
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    if (this.held.isOn) return this.held.addWait(() => this.receive(call, done));
    const term = this.leading(done);
    this.clients.asks(call.clientId);
    return term ? term.receive(call, done) : nothing;
  }

  ack(call: AckCall, done: Done<void>): void {
    if (this.held.isOn) this.held.add(() => this.ack(call, done));
    else this.leading(done)?.acks.ack(call, done);
  }

  changeInvisible(call: ChangeInvisibleCall, done: Done<ChangeInvisibleResult>): void {
    if (this.held.isOn) this.held.add(() => this.changeInvisible(call, done));
    else this.leading(done)?.leases.changeInvisible(call, done);
  }

  handBack(call: HandBackCall, done: Done<void>): void {
    if (this.held.isOn) this.held.add(() => this.handBack(call, done));
    else this.leading(done)?.leases.handBack(call, done);
  }

  deadLetter(call: DeadLetterCall, done: Done<void>): void {
    if (this.held.isOn) this.held.add(() => this.deadLetter(call, done));
    else this.leading(done)?.deadLetter(call, done);
  }

  reportSessions(report: SessionReport): void {
    this.clients.report(report);
    this.term?.joined(report.sessions);
  }

  onCommand(proxyId: string, listener: (command: ClientCommand) => void): () => void {
    return this.clients.onCommand(proxyId, listener);
  }

  commandAnswered(answer: CommandAnswer): void {
    this.clients.commandAnswered(answer);
  }

  recall(call: RecallCall, done: Done<RecallResult>): void {
    if (this.held.isOn) this.held.add(() => this.recall(call, done));
    else this.leading(done)?.delays.recall(call, done);
  }

  endTransaction(call: EndTransactionCall, done: Done<void>): void {
    if (this.held.isOn) this.held.add(() => this.endTransaction(call, done));
    else this.leading(done)?.transactions.end(call, done);
  }

  pull(call: PullCall, done: Done<PullResult>): () => void {
    if (this.held.isOn) return this.held.addWait(() => this.pull(call, done));
    const term = this.leading(done);
    let cancel = nothing;
    try {
      if (term) cancel = term.pulls.pull(call, done);
    } catch (caught) {
      done(MqError.from(caught), undefined);
    }
    return cancel;
  }

  offsets(call: OffsetsCall, done: Done<OffsetsResult>): void {
    if (this.held.isOn) this.held.add(() => this.offsets(call, done));
    else this.leading(done)?.offsets.ask(call, done);
  }

  syncLite(call: LiteSyncCall, done: Done<void>): void {
    if (this.held.isOn) this.held.add(() => this.syncLite(call, done));
    else this.leading(done)?.lite.syncLite(call, done);
  }

  /** @throws MqError NOT_LEADER and what `ProgressResets` throws */
  async resetProgress(call: ResetCall): Promise<QueueReset[]> {
    return this.termNow().resetProgress(call);
  }

  /** What operators do with dead letters. @throws MqError NOT_LEADER */
  get replays(): DeadLetterReplays {
    return this.termNow().replays;
  }

  /** Writes what operators shall look at later; undefined while this broker does not lead. */
  get note(): ((kind: RecordKind, payload: Uint8Array) => void) | undefined {
    const { term } = this;
    return term && !this.failed ? (kind, payload) => term.note(kind, payload) : undefined;
  }

  /**
   * What is sent waits for so long, or until this set is in no route any more: then it is told to go to another one. Resolves
   * when what came before is committed, and can be counted.
   *
   * @param owner who wants it: others end only what they want
   * @throws MqError NOT_LEADER
   */
  async holdSends(holdMs: number, groupsOnly = false, owner = ''): Promise<void> {
    this.termNow();
    (groupsOnly ? this.groupsHeld : this.sendsHeld).holdFor(holdMs, owner);
    const { store } = this;
    if (holdMs === 0) return;
    await new Promise<void>((resolve, reject) => {
      store.whenCommitted(store.appendEnd, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Messages of another broker set, which leaves. @throws MqError NOT_LEADER and what `TransfersIn` throws */
  async takeTransfer(call: TransferCall): Promise<void> {
    await this.termNow().transfersIn.take(call);
  }

  /** An operator gives up what of the log is lost: consumers pass over it from now on. @throws MqError NOT_LEADER, CONFLICT */
  async giveUpLost(seen?: string): Promise<readonly Damage[]> {
    const { options } = this;
    this.termNow();
    await this.store.checkpoint(); // Of a state that has passed it over: from now on nobody else knows that it was there.
    checkSeen(this.store.damage.all, seen); // With the step that takes them.
    const given = await this.store.damage.giveUp();
    for (const { first, end, what } of given)
      options.log.warn({ first, end, what }, 'a lost part of the log is given up');
    return given;
  }

  linkLost(lost: LostLink): void {
    this.term?.leases.linkLost(lost);
  }

  clientGone(call: ClientGoneCall, done: Done<void>): void {
    if (this.held.isOn) this.held.add(() => this.clientGone(call, done));
    else this.leading(done)?.leases.clientGone(call, done);
  }

  private begin(leading: Leading): RunningTerm {
    const { options, store, views, known, clients, backlogs, traffic } = this;
    const { nameService, directory, clock, log } = options;
    clients.beginTerm();
    const term = new Term({
      ...{ settings: options, store, views, known, clients, backlogs, traffic, nameService, directory, clock, log },
      peers: options.peers,
      isSure: () => leading.isSure(),
      membersWith: (end) => leading.membersWith(end),
      admit: (call, done, act) => this.admit(call, done, act),
      onMismatch: (error) => this.fatal(error),
    });
    this.term = term;
    this.held.release();
    return {
      hold: () => {
        this.held.begin();
        term.hold();
      },
      release: () => {
        term.release();
        this.held.release();
      },
      end: (error) => {
        if (this.term === term) this.term = undefined;
        term.end(error);
        this.sendsHeld.release();
        this.groupsHeld.release();
      },
      refuseHeld: () => this.held.release(),
    };
  }

  /** Its term begins as soon as the others have its first record. */
  private won(leading: Leading): void {
    this.held.beginTerm(beginMsMax);
    leading.onOver(() => {
      if (!this.term) this.held.release(); // In a hand-over they are told when the next one leads.
    });
  }

  private buildMember(): Member {
    const { options, store, adoption } = this;
    const { brokerName: brokerSet, registry, peers = nobody, leaseMs, address, clock, log } = options;
    const { memberName = '', membersWanted = 1, durability = 'available', restartWaitMs = 0 } = options;
    const { scaleInWaitMs = 0, stopReason = () => Promise.resolve('restart' as const) } = options;
    const place = memberName === '' ? brokerSet : memberName;
    return new Member({
      ...{ settings: { brokerSet, place, membersWanted, durability, leaseMs, restartWaitMs, scaleInWaitMs, address } },
      ...{ stopReason, isRemoved: () => this.options.directory.brokerSet(brokerSet)?.stage === 'gone' },
      ...{ store, registry, peers, adoption, clock, log },
      failovers: new FailoverHistory(options.disk, options.folder, log),
      writable: () => this.writable,
      metadata: () => this.metadata.version,
      won: (leading) => this.won(leading),
      begin: (leading) => this.begin(leading),
      onFatal: (error) => this.fatal(error),
    });
  }

  private leading<T>(done: Done<T>): Term | undefined {
    if (!this.term || this.failed) {
      done(this.notLeader(), undefined);
      return undefined;
    }
    return this.term;
  }

  /** @throws MqError NOT_LEADER */
  private termNow(): Term {
    if (!this.term || this.failed) throw this.notLeader();
    return this.term;
  }

  private notLeader(): NotLeader {
    const { member, options } = this;
    const leader = member.leading ? undefined : member.knownLeader;
    return new NotLeader(`broker ${options.brokerName} does not lead now`, leader);
  }

  private lookAtStage(): void {
    if (!this.standing.look()) return;
    if (this.standing.isRemoved) this.sendsHeld.release();
    this.groupsHeld.release();
  }

  /** It leads, and can promise nothing now: whoever asks may find that another member leads by now. */
  private notNow(): NotLeader | undefined {
    const { leading } = this.member;
    if (!leading || leading.serves) return undefined;
    const { members } = leading.members;
    return new NotLeader(
      `not now: nothing could be committed for a while; members are ${members.join(', ')}`,
      undefined,
    );
  }

  private lookAtDisk(): void {
    this.store.freeBytes().then(
      (bytes) => (this.freeBytes = bytes),
      (caught: unknown) => this.options.log.warn(failureFacts(caught), 'the free space of the data disk is not known'),
    );
  }

  private becameFull(): void {
    const { log } = this.options;
    log.warn({}, 'the disk is full: new messages are refused until space comes free');
    this.roomSought.holdFor(roomMsMax);
    // Told from within a write of the log, which nothing here may disturb.
    Promise.resolve()
      .then(() => {
        this.term?.makeSpace();
        return this.member.leaveFullDisk();
      })
      .finally(() => this.roomSought.release())
      .catch((caught: unknown) => log.error(failureFacts(caught), 'messages could not be expired; trying again later'));
  }

  private fatal(error: MqError): void {
    if (this.failed) return;
    this.failed = error;
    this.options.log.error(failureFacts(error), 'the broker can not go on');
    this.term?.quiet();
    this.member.fail(error);
    this.options.onFatal(error);
  }
}

/** The way to other members of a set that has none. */
const nobody: Peers = {
  peer: (address) => {
    throw new MqError('UNAVAILABLE', `no way to ${address} is known`);
  },
};

function nothing(): void {
  // There is no wait to take back.
}
