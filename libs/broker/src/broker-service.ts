import type {
  AckCall,
  ChangeInvisibleCall,
  ChangeInvisibleResult,
  ClientCommand,
  ClientGoneCall,
  CommandAnswer,
  DeadLetterCall,
  Deleted,
  Directory,
  DirectoryUpdate,
  Done,
  EndTransactionCall,
  HandBackCall,
  LiteSyncCall,
  MetadataKnowledge,
  NameService,
  OffsetsCall,
  OffsetsResult,
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
} from '@cometmq/client';
import { GroupsView, PullOffsets, type QueuedMessage } from '@cometmq/consumption';
import { LiteTopicsView } from '@cometmq/lite';
import { MessageType, type GroupId, type Topic, type TopicId } from '@cometmq/model';
import { assert, failureFacts, MqError, type Clock, type Component, type Timer } from '@cometmq/shared';
import {
  MessageStore,
  type CheckpointStore,
  type Damage,
  type Disk,
  type RetentionPolicy,
  type StoreLimits,
} from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';
import { TimersView } from '@cometmq/timers';
import { TransactionsView } from '@cometmq/transactions';

import { Acks, outcomeError } from './acks.js';
import { Backlogs } from './backlogs.js';
import { ClientCommands } from './client-commands.js';
import { ClientQuestions } from './client-questions.js';
import { decide } from './decide.js';
import { DeadLetters } from './dead-letters.js';
import { Delays } from './delays.js';
import { ColdMessages } from './cold-messages.js';
import { Deliveries } from './deliveries.js';
import { DeliveryLoader } from './delivery-loader.js';
import { DepartedClients } from './departed-clients.js';
import { GroupFilters } from './group-filters.js';
import { Leadership } from './leadership.js';
import { LiteBroker } from './lite/lite-broker.js';
import type { LinkedBroker, LostLink } from './link-door.js';
import { LogClock } from './log-clock.js';
import { MetadataView, type ToldMetadata } from './metadata-view.js';
import { MemberSessions } from './member-sessions.js';
import { ProducerSessions } from './producer-sessions.js';
import { ProgressResets } from './progress-resets.js';
import { Pulls } from './pulls.js';
import { Sends } from './sends.js';
import { DedupWindow } from './dedup-window.js';
import { StreamIndex } from './stream-index.js';
import { Traffic } from './traffic.js';
import { Transactions } from './transactions.js';

export interface BrokerOptions {
  readonly brokerName: string;
  readonly disk: Disk;
  readonly folder: string;
  readonly nameService: NameService;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly segmentBytes: number;
  readonly recordBytesMax: number;
  readonly diskFreeBytesMin: number;
  readonly pendingBytesMax: number;
  readonly diskQueueBytesMax?: number;
  readonly liteTopicsMax: number;
  readonly liteSubscriptionsMax: number;
  readonly retentionMs: number;
  readonly pollsMax: number;
  readonly leaseMs: number;
  /** host:port of the internal service; empty: in this process. Asked for at the start, when the port is known. */
  readonly address: () => string;
  /** What else bounds the store; left out: its own defaults. */
  readonly storeLimits?: Partial<StoreLimits>;
  /** Opens the checkpoints in a folder; left out: files on the disk. */
  readonly checkpoints?: (folder: string) => CheckpointStore;
  /** The broker can't go on: its disk failed, or another member leads. The process must end. */
  readonly onFatal: (error: MqError) => void;
  /** Metadata that is not this log's own gets what the log knows of it, without being asked again. */
  readonly adoptMetadata?: boolean | undefined;
  /** The store opens without what of the newest segment can't be read. */
  readonly giveUpDamage?: boolean | undefined;
  /** The lead is taken without what the data folder lacks, when that is the only reason against it. */
  readonly forgetMembers?: boolean | undefined;
}

const houseKeepingMs = 5_000;
/** How often it is looked for messages whose last attempt has ended. */
const dueLookMs = 1_000;
/** No answer is longer on its way to a proxy that reports: what it does not name by then it has given to its client. */
const onTheLinkMsMax = 2_000;
/** Ids named in a line of the log. */
const shownMax = 50;
const retentionMs = 60_000;

/** What leads: made once the store is open and the lead is taken. */
interface Term {
  readonly sends: Sends;
  readonly deliveries: Deliveries;
  readonly acks: Acks;
  readonly deadLetters: DeadLetters;
  readonly pulls: Pulls;
  readonly lite: LiteBroker;
  readonly delays: Delays;
  readonly transactions: Transactions;
  readonly logClock: LogClock;
}

/**
 * The broker's role: the leader of one broker set. Takes calls as `BrokerLink`, decides, writes what was decided to the
 * log, and answers once that is safe. One event loop, so decisions follow one another.
 */
export class BrokerService implements LinkedBroker, Component {
  readonly name = 'broker';
  readonly store: MessageStore;
  readonly groups = new GroupsView();
  readonly pullOffsets = new PullOffsets();
  private readonly dedupWindow = new DedupWindow();
  readonly liteTopics = new LiteTopicsView();
  readonly delayed = new TimersView();
  readonly halfMessages = new TransactionsView();
  readonly metadata = new MetadataView();
  readonly sessions: MemberSessions;
  readonly producers = new ProducerSessions();
  readonly commands: ClientCommands;
  readonly questions: ClientQuestions;
  readonly backlogs: Backlogs;
  readonly traffic = new Traffic();
  /** Of the data disk, as of a few seconds ago; undefined: not looked at yet. */
  freeBytes: number | undefined;
  private readonly holders = new StreamIndex();
  private readonly departed = new DepartedClients();
  private readonly leadership: Leadership;
  private term: Term | undefined;
  private failed: MqError | undefined;
  private timers: Timer[] = [];
  private forgetUpdates: (() => void) | undefined;

  constructor(private readonly options: BrokerOptions) {
    const { clock, nameService, log } = options;
    this.sessions = new MemberSessions(clock.monotonicMs());
    this.commands = new ClientCommands(this.holders, clock, options.brokerName);
    this.store = new MessageStore({
      disk: options.disk,
      folder: options.folder,
      brokerName: options.brokerName,
      clock,
      views: [
        this.groups,
        this.pullOffsets,
        this.dedupWindow,
        this.liteTopics,
        this.delayed,
        this.halfMessages,
        this.metadata,
      ],
      ...(options.checkpoints && { checkpoints: options.checkpoints }),
      giveUpDamage: options.giveUpDamage,
      limits: {
        segmentBytes: options.segmentBytes,
        recordBytesMax: options.recordBytesMax,
        freeBytesMin: options.diskFreeBytesMin,
        pendingMessageBytesMax: options.pendingBytesMax,
        ...(options.diskQueueBytesMax !== undefined && {
          pendingBytesMax: Math.max(options.diskQueueBytesMax, 2 * options.recordBytesMax),
        }),
        ...options.storeLimits,
      },
      onFailed: (error) => this.fatal(error),
      onFull: () => this.becameFull(),
      onTailCut: (cut) => log.warn(cut, 'what stands behind the end of the log is cut off: never synced, or given up'),
      onDamage: ({ first, end, what }) => log.error({ first, end, what }, 'part of the log is lost'),
      onTrouble: (what, cause) => log.warn(failureFacts(cause), what),
    });
    const { store, groups, sessions } = this;
    this.backlogs = new Backlogs({ store, groups, directory: options.directory, sessions, nowMs: () => this.logMs });
    this.questions = new ClientQuestions(this.store, this.commands, options.brokerName);
    this.leadership = new Leadership(
      nameService,
      clock,
      log,
      () => this.writable,
      (error) => this.fatal(error),
      {
        claim: () => (this.store.epoch > 0 ? { epoch: this.store.epoch, metadata: this.metadata.version } : undefined),
        contradiction: () => this.metadata.contradiction(this.told),
        all: () => this.known(),
      },
      options.adoptMetadata ?? false,
      options.forgetMembers ?? false,
    );
  }

  async start(): Promise<void> {
    const { options, store } = this;
    const startedMs = options.clock.monotonicMs();
    await store.start();
    if (store.recovered) {
      const { from, end } = store.recovered;
      const facts = {
        broker: options.brokerName,
        from,
        end,
        tookMs: Math.round(options.clock.monotonicMs() - startedMs),
      };
      options.log.warn(
        facts,
        'recovered: the last stop was not a clean one, and the log was read again from its last checkpoint',
      );
    }
    const epoch = await this.leadership.take({
      name: options.brokerName,
      member: `${options.brokerName}/${store.incarnation}`,
      address: options.address(),
      leaseMs: options.leaseMs,
    });
    assert(epoch > store.epoch, 'a new term has a higher epoch than any record of the log');
    await store.beginEpoch(epoch, Math.max(options.clock.wallMs(), store.lastTimestampMs));
    this.term = this.begin();
    this.forgetUpdates = options.directory.onUpdate((update) => this.metadataChanged(update));
    this.reconcile(this.term);
    this.leadership.keep();
    this.lookAtDisk();
    this.every(houseKeepingMs, () => this.keepHouse());
    this.every(dueLookMs, () => this.term?.deadLetters.look());
    this.every(retentionMs, () => this.expire());
    options.log.info({ broker: options.brokerName, epoch, from: store.appendEnd }, 'the broker leads');
  }

  async stop(): Promise<void> {
    this.forgetUpdates?.();
    for (const timer of this.timers) timer.cancel();
    this.quiet();
    if (!this.failed) await this.leadership.leave();
    this.term = undefined;
    await this.store.stop();
  }

  /** Why this broker can't serve; undefined when it can. */
  unready(): string | undefined {
    if (this.failed) return this.failed.reason;
    return this.term ? undefined : 'the broker does not lead yet';
  }

  /** Why the metadata is not the one that this log belongs to; undefined: it is, as far as this broker knows. */
  get metadataProblem(): string | undefined {
    return this.leadership.mismatch;
  }

  /** What it does not do although it leads. */
  degraded(): string | undefined {
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
    if (!this.term || this.failed) {
      throw new MqError('NOT_LEADER', `broker ${this.options.brokerName} does not lead now`);
    }
    return this.term.lite;
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
  /** Dead letters moved since the start, by "group id/topic id". */
  get deadLettersMoved(): ReadonlyMap<string, number> {
    return this.term?.deadLetters.moved ?? new Map<string, number>();
  }

  send(call: SendCall, done: Done<SendResult>): void {
    const term = this.leading(done);
    term?.sends.send(call, done);
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    const term = this.leading(done);
    this.departed.back(call.clientId);
    if (!term) return nothing;
    const { directory } = this.options;
    const isLite = directory.topicById(call.topicId)?.type === MessageType.lite;
    const reads = isLite && directory.groupById(call.groupId)?.lite !== undefined ? term.lite : term.deliveries;
    return reads.receive(call, done);
  }

  ack(call: AckCall, done: Done<void>): void {
    const term = this.leading(done);
    term?.acks.ack(call, done);
  }

  changeInvisible({ receipt, invisibleMs, suspend }: ChangeInvisibleCall, done: Done<ChangeInvisibleResult>): void {
    const term = this.leading(done);
    if (!term) return;
    let refused: MqError | undefined;
    const settle: Done<ChangeInvisibleResult> = (error, result) => {
      const why = error ?? refused;
      if (why) done(why, undefined);
      else done(undefined, result);
    };
    decide(this.store, settle, () => {
      const nowMs = term.logClock.nowMs();
      const visibleAtMs = nowMs + invisibleMs;
      const { record, outcomes } = suspend
        ? this.groups.decideHandBack([receipt], visibleAtMs)
        : this.groups.decideChange([{ receipt, visibleAtMs }], nowMs);
      refused = outcomeError(outcomes[0]); // Also then a lane may come free, which is a record.
      const result = { receipt };
      if (!record) return { end: undefined, result };
      const { end } = this.store.append(record.kind, nowMs, record.payload);
      const after = (): void => {
        term.deliveries.changed(receipt.groupId, receipt.topicId);
        term.lite.changed([receipt]);
      };
      return { end, result, after };
    });
  }

  handBack({ receipts }: HandBackCall, done: Done<void>): void {
    const term = this.leading(done);
    if (!term) return;
    decide(this.store, done, () => {
      const nowMs = term.logClock.nowMs();
      const { record } = this.groups.decideHandBack(receipts, nowMs);
      const result = undefined;
      if (!record) return { end: undefined, result };
      const { end } = this.store.append(record.kind, nowMs, record.payload);
      const after = (): void => {
        for (const { groupId, topicId } of receipts) term.deliveries.changed(groupId, topicId);
        term.lite.changed(receipts);
      };
      return { end, result, after };
    });
  }

  deadLetter(call: DeadLetterCall, done: Done<void>): void {
    const term = this.leading(done);
    if (!term) return;
    const { groupId } = 'held' in call ? call.held : call.receipt;
    const group = this.options.directory.groupById(groupId);
    if (!group) done(new MqError('INVALID_RECEIPT_HANDLE', 'the consumer group does not exist any more'), undefined);
    else if ('held' in call) term.deadLetters.forwardHeld(group, call.held, done);
    else term.deadLetters.forward(group, call.receipt, done);
  }

  reportSessions(reported: SessionReport): void {
    const nowMs = this.options.clock.monotonicMs();
    const report = this.departed.living(reported);
    this.sessions.report(report, nowMs);
    this.producers.report(report, nowMs);
    this.holders.report(report, nowMs);
  }

  onCommand(proxyId: string, listener: (command: ClientCommand) => void): () => void {
    return this.commands.listen(proxyId, listener);
  }

  commandAnswered(answer: CommandAnswer): void {
    this.commands.answered(answer);
  }

  recall(call: RecallCall, done: Done<RecallResult>): void {
    this.leading(done)?.delays.recall(call, done);
  }

  endTransaction(call: EndTransactionCall, done: Done<void>): void {
    this.leading(done)?.transactions.end(call, done);
  }

  pull(call: PullCall, done: Done<PullResult>): () => void {
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
    this.leading(done)?.pulls.offsets(call, done);
  }

  syncLite(call: LiteSyncCall, done: Done<void>): void {
    const term = this.leading(done);
    term?.lite.syncLite(call, done);
  }

  /** @throws MqError NOT_LEADER and what `ProgressResets` throws */
  async resetProgress(call: ResetCall): Promise<QueueReset[]> {
    const { term, options } = this;
    if (!term || this.failed) throw new MqError('NOT_LEADER', `broker ${options.brokerName} does not lead now`);
    const { store, groups, pullOffsets } = this;
    const resets = await new ProgressResets(store, groups, pullOffsets, options.directory, term.logClock).reset(call);
    term.deliveries.changed(call.groupId, call.topicId);
    return resets;
  }

  /** An operator gives up what of the log is lost: consumers pass over it from now on. @throws MqError NOT_LEADER */
  async giveUpLost(): Promise<readonly Damage[]> {
    const { term, options } = this;
    if (!term || this.failed) throw new MqError('NOT_LEADER', `broker ${options.brokerName} does not lead now`);
    await this.store.checkpoint(); // Of a state that has passed it over: from now on nobody else knows that it was there.
    const given = await this.store.damage.giveUp();
    for (const { first, end, what } of given)
      options.log.warn({ first, end, what }, 'a lost part of the log is given up');
    return given;
  }

  /** What went out on the link's connections shortly before it ended may have reached nobody: it is not renewed. */
  linkLost({ prefix, report }: LostLink): void {
    const { term } = this;
    if (!term) return;
    const knownBeforeMs = report ? term.logClock.nowMs() - report.agoMs - onTheLinkMsMax : 0;
    const unconfirmed = new Set(report?.unconfirmed.map(({ epoch, position }) => `${epoch}:${position}`));
    this.groups.connectionsLost(
      (connection) => connection.startsWith(prefix),
      ({ epoch, position }, handedMs) => handedMs < knownBeforeMs && !unconfirmed.has(`${epoch}:${position}`),
    );
  }

  clientGone({ clientId, groupId, connection }: ClientGoneCall, done: Done<void>): void {
    const term = this.leading(done);
    if (!term) return;
    decide(this.store, done, () => {
      if (connection !== undefined) {
        this.takeLeave(term, groupId, clientId, (name) => name === connection || name.endsWith(`:${connection}`));
        return { end: undefined, result: undefined };
      }
      this.departed.gone(clientId, this.options.clock.monotonicMs());
      this.sessions.gone(groupId, clientId);
      this.producers.gone(clientId);
      term.lite.clientGone(groupId, clientId);
      this.takeLeave(term, groupId, clientId);
      this.release(term, groupId, clientId);
      return { end: undefined, result: undefined };
    });
  }

  private begin(): Term {
    const { store, groups, sessions, options } = this;
    const { nameService, directory, clock, log } = options;
    const logClock = new LogClock(clock, store.lastTimestampMs);
    const moved = (groupId: GroupId, { topicId, queueId: queue }: QueuedMessage): void => {
      deliveries.lanesFreed();
      lite.changed([{ groupId, topicId, queueId: queue }]);
    };
    const deadLetters = new DeadLetters(store, groups, nameService, directory, logClock, log, moved);
    const filters = new GroupFilters(sessions);
    const deliveries = new Deliveries({
      store,
      groups,
      directory,
      sessions,
      filters,
      deadLetters,
      clock,
      logClock,
      log,
      cold: new ColdMessages(store, log),
      deliveryLoader: new DeliveryLoader({
        store,
        groups,
        brokerName: options.brokerName,
        logClock,
        log,
        traffic: this.traffic,
      }),
      pollsMax: options.pollsMax,
    });
    const lite = new LiteBroker({
      view: this.liteTopics,
      store,
      groups,
      directory,
      sessions,
      commands: this.commands,
      deadLetters,
      filters,
      clock,
      logClock,
      log,
      traffic: this.traffic,
      brokerName: options.brokerName,
      pollsMax: options.pollsMax,
      limits: { topicsMax: options.liteTopicsMax, subscriptionsMax: options.liteSubscriptionsMax },
    });
    const acks = new Acks(store, groups, logClock, (receipts) => {
      deliveries.acknowledged();
      lite.acknowledged(receipts);
    });
    const definitions = { topicById: (topicId: TopicId) => this.definition(topicId) };
    const delays = new Delays({ store, timers: this.delayed, definitions, clock, logClock, log });
    const { halfMessages: view, producers, commands } = this;
    const transactions = new Transactions({ store, view, definitions, producers, commands, clock, logClock, log });
    const sends = new Sends(
      store,
      this.dedupWindow,
      directory,
      clock,
      logClock,
      lite,
      this.traffic,
      (topicId, dueMs) => {
        if (dueMs > 0) delays.added(topicId, dueMs);
        else transactions.start();
      },
    );
    const pulls = new Pulls(
      store,
      filters,
      this.pullOffsets,
      directory,
      clock,
      logClock,
      options.pollsMax,
      this.traffic,
    );
    delays.start();
    transactions.start();
    return { sends, deliveries, acks, deadLetters, pulls, lite, delays, transactions, logClock };
  }

  private leading<T>(done: Done<T>): Term | undefined {
    if (!this.term || this.failed) {
      done(new MqError('NOT_LEADER', `broker ${this.options.brokerName} does not lead now`), undefined);
      return undefined;
    }
    return this.term;
  }

  /** Leases of living clients are renewed, those of the lost are cut. */
  private keepHouse(): void {
    const { term, sessions, store } = this;
    if (!term) return;
    const monotonicMs = this.options.clock.monotonicMs();
    this.producers.sweep(monotonicMs);
    this.holders.sweep(monotonicMs);
    this.departed.sweep(monotonicMs);
    term.lite.sweep();
    if (store.diskFull) this.expire(); // What becomes due meanwhile should not wait either.
    this.lookAtDisk();
    for (const groupId of this.backlogs.groupIds()) {
      this.backlogs.load(groupId).catch((caught: unknown) => {
        this.options.log.warn({ groupId, ...failureFacts(caught) }, 'where a group begins could not be found');
      });
    }
    for (const { groupId, clientId } of sessions.sweep(monotonicMs)) {
      term.lite.clientGone(groupId, clientId);
      this.release(term, groupId, clientId);
    }
    const nowMs = term.logClock.nowMs();
    const lives = sessions.settled(monotonicMs)
      ? (groupId: GroupId, clientId: string) => sessions.lives(groupId, clientId)
      : () => true; // Who has not been heard of yet may be about to come back.
    for (const { kind, payload } of this.groups.decideRenewals(nowMs, lives)) store.append(kind, nowMs, payload);
  }

  private lookAtDisk(): void {
    this.store.freeBytes().then(
      (bytes) => (this.freeBytes = bytes),
      (caught: unknown) => this.options.log.warn(failureFacts(caught), 'the free space of the data disk is not known'),
    );
  }

  /** A member that says good-bye did not fail: the lanes it holds need no rest. */
  private takeLeave(term: Term, groupId: GroupId, clientId: string, isIts?: (connection: string) => boolean): void {
    const nowMs = term.logClock.nowMs();
    this.releaseBy(term, groupId, clientId, nowMs, this.groups.decideLeave(groupId, clientId, nowMs, isIts));
  }

  private release(term: Term, groupId: GroupId, clientId: string): void {
    const nowMs = term.logClock.nowMs();
    this.releaseBy(term, groupId, clientId, nowMs, this.groups.decideClientGone(groupId, clientId, nowMs));
  }

  private releaseBy(
    term: Term,
    groupId: GroupId,
    clientId: string,
    nowMs: number,
    record: ReturnType<GroupsView['decideClientGone']>,
  ): void {
    if (!record) return;
    const held = this.groups.heldBy(groupId, clientId);
    this.store.append(record.kind, nowMs, record.payload);
    for (const topicId of new Set(held.map((message) => message.topicId))) term.deliveries.changed(groupId, topicId);
    term.lite.changed(held.map(({ topicId, queueId }) => ({ groupId, topicId, queueId })));
  }

  private metadataChanged(update: DirectoryUpdate): void {
    const { term } = this;
    if (!term || this.failed || update.kind === 'broker' || update.kind === 'brokerDeleted') return;
    this.learn(update, term);
    // Who waits for what is no more, or may not be read any more, hears of it now.
    term.deliveries.revise();
    term.lite.deliveries.revise();
    term.pulls.revise();
  }

  private learn(update: DirectoryUpdate, term: Term): void {
    const nowMs = term.logClock.nowMs();
    const { version } = this.options.directory;
    switch (update.kind) {
      case 'snapshot':
        this.reconcile(term);
        term.deliveries.everythingChanged();
        return;
      case 'topic':
        this.define({ version, topics: [update.topic], groups: [] }, nowMs);
        term.deliveries.topicChanged(update.topic.id);
        term.lite.topicChanged(update.topic);
        return;
      case 'group':
        this.define({ version, topics: [], groups: [update.group] }, nowMs);
        this.groups.lookAgain(update.group.id, nowMs); // It may be allowed fewer attempts.
        term.deliveries.regroup(update.group.id);
        term.lite.groupChanged(update.group.id);
        return;
      case 'topicDeleted':
        this.traffic.forgetTopic(update.topic.id);
        if (update.recorded && this.isSame(this.metadata.topics.get(update.topic.id), update.topic)) {
          this.store.deleteTopic(update.topic.id, nowMs);
          term.deliveries.topicDeleted(update.topic.id);
        }
        return;
      case 'groupDeleted':
        this.traffic.forgetGroup(update.group.id);
        if (update.recorded && this.isSame(this.metadata.groups.get(update.group.id), update.group)) {
          this.deleteGroup(term, update.group.id, nowMs);
        }
        return;
      default: // Broker sets: none of this broker's business.
    }
  }

  /** What the name service tells. */
  private get told(): ToldMetadata {
    const { directory } = this.options;
    return { version: directory.version, topics: directory.topics(), groups: directory.groups() };
  }

  /** What the log knows of the metadata, for one that has lost it. */
  private known(): Omit<MetadataKnowledge, 'claim' | 'insist' | 'last'> {
    const { directory } = this.options;
    const { topics, groups } = this.metadata;
    return {
      topics: topics.all(),
      groups: groups.all(),
      topicIdMax: this.store.topicIds().reduce<number>((max, id) => Math.max(max, id), topics.idMax),
      groupIdMax: [...this.groups.groups()].reduce<number>((max, id) => Math.max(max, id), groups.idMax),
      deletedTopics: [...directory.topics()].filter((topic) => topics.isDeleted(topic)).map(({ id }) => id),
      deletedGroups: [...directory.groups()].filter((group) => groups.isDeleted(group)).map(({ id }) => id),
    };
  }

  /** Writes down what is new: by it this log can tell its metadata from any other, and bring it back. */
  private define(told: ToldMetadata, nowMs: number): void {
    const contradiction = this.metadata.contradiction(told);
    if (contradiction !== undefined) {
      // What is sent to the one would be found in the other: nothing goes on from here.
      this.fatal(new MqError('METADATA_MISMATCH', contradiction));
      return;
    }
    for (const { kind, payload } of this.metadata.decide(told)) this.store.append(kind, nowMs, payload);
  }

  /** A deletion is of what the log knows under that id, not of what another history of the metadata had there. */
  private isSame(known: Deleted | undefined, deleted: Deleted): boolean {
    return known === undefined || known.createdMs === deleted.createdMs;
  }

  /**
   * Deletes what somebody deleted in the metadata while this broker was down or heard nothing of it. That the metadata does
   * not name a topic or group deletes nothing: it may have been lost.
   */
  private reconcile(term: Term): void {
    const { directory, log } = this.options;
    const nowMs = term.logClock.nowMs();
    this.define(this.told, nowMs);
    if (this.failed) return;
    const topicIds = new Set<number>([...this.store.topicIds(), ...this.metadata.topics.ids()]);
    const groupIds = new Set<number>([...this.groups.groups(), ...this.metadata.groups.ids()]);
    const topics = directory.deleted.topics.filter(
      (deleted) => topicIds.delete(deleted.id) && this.isSame(this.metadata.topics.get(deleted.id as TopicId), deleted),
    );
    const groups = directory.deleted.groups.filter(
      (deleted) => groupIds.delete(deleted.id) && this.isSame(this.metadata.groups.get(deleted.id as GroupId), deleted),
    );
    for (const { id } of topics) this.store.deleteTopic(id as TopicId, nowMs);
    for (const { id } of groups) this.deleteGroup(term, id as GroupId, nowMs);
    if (topics.length + groups.length > 0) {
      const [topicsGone, groupsGone] = [topics, groups].map((all) => all.map(({ id }) => id));
      log.info({ topics: topicsGone, groups: groupsGone }, 'what was deleted meanwhile is deleted here too');
    }
    const lostTopics = [...topicIds].filter((id) => !directory.topicById(id as TopicId));
    const lostGroups = [...groupIds].filter((id) => !directory.groupById(id as GroupId));
    if (lostTopics.length + lostGroups.length === 0) return;
    log.warn(
      { topics: lostTopics.slice(0, shownMax), groups: lostGroups.slice(0, shownMax) },
      `${lostTopics.length} topics and ${lostGroups.length} consumer groups of this log are not in the metadata, and nobody ` +
        'deleted them: what is stored of them is kept',
    );
  }

  /** As the metadata has it; or, where that has lost it, as it was when this log last heard of it. */
  private definition(topicId: TopicId): Topic | undefined {
    return this.options.directory.topicById(topicId) ?? this.metadata.topics.get(topicId);
  }

  private deleteGroup(term: Term, groupId: GroupId, nowMs: number): void {
    const { kind, payload } = this.groups.decideGroupDeleted(groupId);
    this.store.append(kind, nowMs, payload);
    term.lite.groupDeleted(groupId);
    term.deliveries.groupDeleted(groupId);
  }

  private becameFull(): void {
    const { log } = this.options;
    log.warn({}, 'the disk is full: new messages are refused until space comes free');
    // Told from within a write of the log, which nothing here may disturb.
    Promise.resolve()
      .then(() => this.expire(true))
      .catch((caught: unknown) => log.error(failureFacts(caught), 'messages could not be expired; trying again later'));
  }

  /** `afresh`: a round that is under way is not enough. */
  private expire(afresh = false): void {
    const { term, options } = this;
    if (!term) return;
    term.lite.expireIdle();
    const policy: RetentionPolicy = (topicId) => {
      const topic = this.definition(topicId);
      if (!topic) return undefined; // How long it is to be kept is not known here.
      return { ms: topic.retentionMs ?? options.retentionMs, bytes: topic.retentionBytes };
    };
    const { retention } = this.store;
    const nowMs = term.logClock.nowMs();
    const run = afresh ? retention.runAfresh(nowMs, policy) : retention.run(nowMs, policy);
    run.catch((caught: unknown) => {
      options.log.error(failureFacts(caught), 'messages could not be expired; trying again later');
    });
  }

  private every(periodMs: number, act: () => void): void {
    const index = this.timers.length;
    const again = (): void => {
      this.timers[index] = this.options.clock.after(periodMs, () => {
        try {
          act();
        } catch (caught) {
          this.options.log.error(failureFacts(caught), 'periodic work failed; trying again later');
        }
        again();
      });
    };
    again();
  }

  private fatal(error: MqError): void {
    if (this.failed) return;
    this.failed = error;
    this.options.log.error(failureFacts(error), 'the broker can not go on');
    this.quiet();
    this.options.onFatal(error);
  }

  /** Nothing is begun any more. */
  private quiet(): void {
    this.term?.deliveries.stop();
    this.term?.pulls.stop();
    this.term?.lite.stop();
    this.term?.delays.stop();
    this.term?.transactions.stop();
  }
}

function nothing(): void {
  // There is no wait to take back.
}
