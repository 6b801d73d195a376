import type {
  AckCall,
  ChangeInvisibleCall,
  ChangeInvisibleResult,
  ClientCommand,
  ClientGoneCall,
  CommandAnswer,
  DeadLetterCall,
  Directory,
  Done,
  EndTransactionCall,
  HandBackCall,
  LiteSyncCall,
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
import type { GroupsView, PullOffsets } from '@cometmq/consumption';
import type { LiteTopicsView } from '@cometmq/lite';
import { assert, failureFacts, MqError, type Clock, type Component } from '@cometmq/shared';
import { MessageStore, type CheckpointStore, type Damage, type Disk, type StoreLimits } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';
import type { TimersView } from '@cometmq/timers';
import type { TransactionsView } from '@cometmq/transactions';

import { Backlogs } from './backlogs.js';
import type { ClientCommands } from './client-commands.js';
import { ClientQuestions } from './client-questions.js';
import { Clients } from './clients.js';
import type { Delays } from './delays.js';
import { Leadership } from './leadership.js';
import type { LiteBroker } from './lite/lite-broker.js';
import type { LinkedBroker, LostLink } from './link-door.js';
import type { MemberSessions } from './member-sessions.js';
import type { MetadataView } from './metadata-view.js';
import { Periodic } from './periodic.js';
import type { ProducerSessions } from './producer-sessions.js';
import { SetViews } from './set-views.js';
import { KnownMetadata } from './term/metadata-sync.js';
import { Term } from './term/term.js';
import { Traffic } from './traffic.js';
import type { Transactions } from './transactions.js';

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

/** How often it is looked how much space is left. */
const spaceLookMs = 5_000;

/**
 * The broker's role: the leader of one broker set. Takes calls as `BrokerLink` and lets its term decide, which writes what
 * was decided to the log, and answers once that is safe. One event loop, so decisions follow one another.
 */
export class BrokerService implements LinkedBroker, Component {
  readonly name = 'broker';
  readonly store: MessageStore;
  readonly views = new SetViews();
  readonly clients: Clients;
  readonly questions: ClientQuestions;
  readonly backlogs: Backlogs;
  readonly traffic = new Traffic();
  /** Of the data disk, as of a few seconds ago; undefined: not looked at yet. */
  freeBytes: number | undefined;
  private readonly known: KnownMetadata;
  private readonly leadership: Leadership;
  private readonly periodic: Periodic;
  private term: Term | undefined;
  private failed: MqError | undefined;

  constructor(private readonly options: BrokerOptions) {
    const { clock, nameService, directory, log, brokerName } = options;
    this.clients = new Clients(clock, brokerName);
    this.periodic = new Periodic(clock, log);
    this.store = this.buildStore();
    const { store, groups, sessions } = this;
    this.known = new KnownMetadata(store, groups, this.metadata, directory);
    this.backlogs = new Backlogs({ store, groups, directory, sessions, nowMs: () => this.logMs });
    this.questions = new ClientQuestions(store, this.commands, brokerName);
    this.leadership = new Leadership(
      nameService,
      clock,
      log,
      () => this.writable,
      (error) => this.fatal(error),
      {
        claim: () => (this.store.epoch > 0 ? { epoch: this.store.epoch, metadata: this.metadata.version } : undefined),
        contradiction: () => this.known.contradiction,
        all: () => this.known.all(),
      },
      options.adoptMetadata ?? false,
      options.forgetMembers ?? false,
    );
  }

  private buildStore(): MessageStore {
    const { options } = this;
    const { log } = options;
    return new MessageStore({
      disk: options.disk,
      folder: options.folder,
      brokerName: options.brokerName,
      clock: options.clock,
      views: this.views.all,
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
    this.leadership.keep();
    this.lookAtDisk();
    this.periodic.every(spaceLookMs, () => this.lookAtDisk());
    options.log.info({ broker: options.brokerName, epoch, from: store.appendEnd }, 'the broker leads');
  }

  async stop(): Promise<void> {
    this.periodic.stop();
    this.term?.quiet();
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
    this.clients.asks(call.clientId);
    return term ? term.receive(call, done) : nothing;
  }

  ack(call: AckCall, done: Done<void>): void {
    const term = this.leading(done);
    term?.acks.ack(call, done);
  }

  changeInvisible(call: ChangeInvisibleCall, done: Done<ChangeInvisibleResult>): void {
    this.leading(done)?.leases.changeInvisible(call, done);
  }

  handBack(call: HandBackCall, done: Done<void>): void {
    this.leading(done)?.leases.handBack(call, done);
  }

  deadLetter(call: DeadLetterCall, done: Done<void>): void {
    this.leading(done)?.deadLetter(call, done);
  }

  reportSessions(report: SessionReport): void {
    this.clients.report(report);
  }

  onCommand(proxyId: string, listener: (command: ClientCommand) => void): () => void {
    return this.clients.onCommand(proxyId, listener);
  }

  commandAnswered(answer: CommandAnswer): void {
    this.clients.commandAnswered(answer);
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
    return term.resetProgress(call);
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

  linkLost(lost: LostLink): void {
    this.term?.leases.linkLost(lost);
  }

  clientGone(call: ClientGoneCall, done: Done<void>): void {
    this.leading(done)?.leases.clientGone(call, done);
  }

  private begin(): Term {
    const { options, store, views, known, clients, backlogs, traffic } = this;
    const { nameService, directory, clock, log } = options;
    return new Term({
      ...{ settings: options, store, views, known, clients, backlogs, traffic, nameService, directory, clock, log },
      onMismatch: (error) => this.fatal(error),
    });
  }

  private leading<T>(done: Done<T>): Term | undefined {
    if (!this.term || this.failed) {
      done(new MqError('NOT_LEADER', `broker ${this.options.brokerName} does not lead now`), undefined);
      return undefined;
    }
    return this.term;
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
    // Told from within a write of the log, which nothing here may disturb.
    Promise.resolve()
      .then(() => this.term?.makeSpace())
      .catch((caught: unknown) => log.error(failureFacts(caught), 'messages could not be expired; trying again later'));
  }

  private fatal(error: MqError): void {
    if (this.failed) return;
    this.failed = error;
    this.options.log.error(failureFacts(error), 'the broker can not go on');
    this.term?.quiet();
    this.options.onFatal(error);
  }
}

function nothing(): void {
  // There is no wait to take back.
}
