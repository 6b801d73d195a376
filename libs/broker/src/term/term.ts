import type {
  DeadLetterCall,
  Directory,
  Done,
  NameService,
  Peers,
  QueueReset,
  ReceiveCall,
  ResetCall,
  SendCall,
  SendResult,
} from '@cometmq/client';
import type { ReceiveResult, Session } from '@cometmq/client';
import type { QueuedMessage } from '@cometmq/consumption';
import { ClientType } from '@cometmq/proto';
import { type RecordKind, MessageType, type GroupId, type LogPosition, type TopicId } from '@cometmq/model';
import { MqError, type Clock } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { Acks } from '../acks.js';
import type { Backlogs } from '../backlogs.js';
import type { Clients } from '../clients.js';
import { ColdMessages } from '../cold-messages.js';
import { DeadLetterReplays } from '../dead-letter-replays.js';
import { DeadLetters } from '../dead-letters.js';
import { Delays } from '../delays.js';
import { Deliveries } from '../deliveries.js';
import { DeliveryLoader } from '../delivery-loader.js';
import { GroupFilters } from '../group-filters.js';
import { LiteBroker } from '../lite/lite-broker.js';
import { LogClock } from '../log-clock.js';
import { ProgressResets } from '../progress-resets.js';
import { type MembersWith, ReadsElsewhere } from '../reads-elsewhere.js';
import { Pulls } from '../pulls.js';
import { QueueOffsets } from '../queue-offsets.js';
import { Sends } from '../sends.js';
import type { MessageTracing } from '../message-tracing.js';
import type { SetViews } from '../set-views.js';
import type { Traffic } from '../traffic.js';
import { Transactions } from '../transactions.js';
import { EarlierPlaces } from '../transfers/earlier-places.js';
import { TransfersIn } from '../transfers/transfers-in.js';
import { transferLog } from '../transfers/transfer-log.js';
import { TransfersOut } from '../transfers/transfers-out.js';
import { HouseKeeping } from './house-keeping.js';
import { Leases } from './leases.js';
import { type KnownMetadata, MetadataSync } from './metadata-sync.js';
import { TermStore } from './term-store.js';

export interface TermSettings {
  readonly brokerName: string;
  readonly retentionMs: number;
  readonly pollsMax: number;
  readonly liteTopicsMax: number;
  readonly liteSubscriptionsMax: number;
  /** Messages so far behind the end of the log are read by other members; left out, 0: by none. */
  readonly followerReadsBehindBytes?: number | undefined;
  /** Told of dead letters that carry a trace context; left out: nobody. */
  readonly tracing?: MessageTracing | undefined;
}

export interface TermParts {
  readonly settings: TermSettings;
  readonly store: StorePorts;
  readonly views: SetViews;
  readonly known: KnownMetadata;
  readonly clients: Clients;
  readonly backlogs: Backlogs;
  readonly traffic: Traffic;
  readonly nameService: NameService;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly log: Logger;
  /** False: another member may lead by now, and this one not have heard of it. */
  readonly isSure: () => boolean;
  readonly membersWith: MembersWith;
  /** For a send that has waited: makes it if it may be made now, or answers. */
  readonly admit: (call: SendCall, done: Done<SendResult>, act: () => void) => void;
  /** The way to other broker sets; undefined: there is none. */
  readonly peers: Peers | undefined;
  /** The metadata is not the one that this log belongs to. */
  readonly onMismatch: (error: MqError) => void;
}

/**
 * One term of leadership: everything that decides. Made once the lead is taken and all that the log holds is folded;
 * dead once it has ended, also for the next term of the same member.
 */
export class Term {
  readonly logClock: LogClock;
  readonly sends: Sends;
  readonly deliveries: Deliveries;
  readonly acks: Acks;
  readonly leases: Leases;
  readonly deadLetters: DeadLetters;
  readonly pulls: Pulls;
  readonly offsets: QueueOffsets;
  readonly lite: LiteBroker;
  readonly delays: Delays;
  readonly transactions: Transactions;
  readonly replays: DeadLetterReplays;
  readonly transfersIn: TransfersIn;
  readonly transfersOut: TransfersOut;
  private readonly store: TermStore;
  private readonly metadataSync: MetadataSync;
  private readonly houseKeeping: HouseKeeping;

  constructor(private readonly parts: TermParts) {
    const { settings, views, known, clients, directory, nameService, clock, log, traffic } = parts;
    const { brokerName, pollsMax } = settings;
    const { groups } = views;
    const { sessions, producers, commands } = clients;
    const store = (this.store = new TermStore(parts.store));
    const logClock = (this.logClock = new LogClock(clock, parts.store.lastTimestampMs));
    const moved = (groupId: GroupId, { topicId, queueId }: QueuedMessage): void => {
      this.deliveries.lanesFreed();
      this.lite.changed([{ groupId, topicId, queueId }]);
    };
    const deadLetters = new DeadLetters(store, groups, nameService, directory, logClock, log, moved, settings.tracing);
    const filters = new GroupFilters(sessions);
    const elsewhere = new ReadsElsewhere(store, parts.membersWith, settings.followerReadsBehindBytes ?? 0);
    const { transfers } = views;
    const leaves = (topicId: TopicId): boolean => {
      if (!transfers.leaving.has(topicId)) return false;
      const stage = directory.brokerSet(brokerName)?.stage;
      return stage !== 'serving' && stage !== 'joining';
    };
    const common = { leaves, store, groups, directory, sessions, filters, deadLetters, clock, logClock, log, pollsMax };
    const { isSure } = parts;
    this.deadLetters = deadLetters;
    this.deliveries = new Deliveries({
      ...{ ...common, isSure },
      cold: new ColdMessages(store, log),
      deliveryLoader: new DeliveryLoader({ store, groups, brokerName, logClock, log, traffic, elsewhere }),
    });
    this.lite = new LiteBroker({
      ...{ ...common, isSure },
      view: views.liteTopics,
      transfers,
      commands,
      traffic,
      elsewhere,
      brokerName,
      limits: { topicsMax: settings.liteTopicsMax, subscriptionsMax: settings.liteSubscriptionsMax },
    });
    const { deliveries, lite } = this;
    this.acks = new Acks(store, groups, logClock, (receipts) => {
      deliveries.acknowledged();
      lite.acknowledged(receipts);
    });
    this.leases = new Leases({ store, groups, clients, deliveries, lite, logClock });
    const places = new EarlierPlaces({ store, transfers });
    const isOnItsWay = (position: LogPosition): boolean => transfers.isOnItsWay(position);
    const waiting = { store, places, isOnItsWay, definitions: known, clock, logClock, log };
    this.delays = new Delays({ ...waiting, timers: views.delayed });
    this.transactions = new Transactions({ ...waiting, view: views.halfMessages, producers, commands });
    const onPending = (topicId: TopicId, dueMs: number): void => {
      if (dueMs > 0) this.delays.added(topicId, dueMs);
      else this.transactions.start();
    };
    const { admit } = parts;
    this.sends = new Sends(store, views.dedupWindow, directory, clock, logClock, lite, traffic, admit, onPending);
    const pulling = { audiences: transfers, leaves, elsewhere, filters, traffic, pullsMax: pollsMax };
    this.pulls = new Pulls({ store, directory, clock, ...pulling });
    const { pullOffsets } = views;
    this.offsets = new QueueOffsets({ store, pullOffsets, directory, logClock });
    this.transfersIn = new TransfersIn({
      ...{ store, transfers, groups, directory, brokerName, logClock, lite },
      onPending: (dueMs) => {
        if (dueMs > 0) this.delays.changed(dueMs);
        else this.transactions.start();
      },
    });
    this.replays = this.buildReplays(parts);
    this.transfersOut = new TransfersOut({
      ...{ store, transfers, groups, pullOffsets, directory, brokerName, clock, logClock, log, peers: parts.peers },
      ...{ timers: views.delayed, far: this.delays.far, halves: views.halfMessages },
      logOf: (position) => {
        const { salt = 0, epochs } = parts.store;
        return transferLog(salt, views.metadata.version?.generation ?? 0, epochs, position);
      },
      knows: (topicId) => views.metadata.topics.get(topicId) !== undefined,
      queueIds: (topicId) => parts.store.queueIds(topicId),
    });
    this.delays.start();
    this.transactions.start();
    const { leases, pulls } = this;
    this.metadataSync = new MetadataSync({
      ...{ store, groups, view: views.metadata, known, directory, deliveries, lite, pulls, traffic, logClock, log },
      onMismatch: parts.onMismatch,
    });
    this.houseKeeping = new HouseKeeping({
      ...{
        store: parts.store,
        known,
        metadata: this.metadataSync,
        clients,
        backlogs: parts.backlogs,
        leases,
        deadLetters,
        lite,
        transfersOut: this.transfersOut,
        forgetful: [
          ...[traffic, deliveries, lite, deadLetters, this.delays, this.transactions],
          ...[parts.backlogs, clients.sessions],
        ],
        clock,
        logClock,
        log,
      },
      retentionMs: settings.retentionMs,
    });
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    const { directory } = this.parts;
    const isLite = directory.topicById(call.topicId)?.type === MessageType.lite;
    const reads = isLite && directory.groupById(call.groupId)?.lite !== undefined ? this.lite : this.deliveries;
    return reads.receive(call, done);
  }

  /** They live, as a proxy says. */
  joined(sessions: readonly Session[]): void {
    for (const { groupId, clientType, subscriptions } of sessions) {
      // It keeps its own offsets, which are no progress of what is handed out.
      if (clientType === ClientType.PULL_CONSUMER) continue;
      for (const { topicId } of subscriptions) this.deliveries.joined(groupId, topicId);
    }
  }

  deadLetter(call: DeadLetterCall, done: Done<void>): void {
    const { groupId } = 'held' in call ? call.held : call.receipt;
    const group = this.parts.directory.groupById(groupId);
    if (!group) done(new MqError('INVALID_RECEIPT_HANDLE', 'the consumer group does not exist any more'), undefined);
    else if ('held' in call) this.deadLetters.forwardHeld(group, call.held, done);
    else this.deadLetters.forward(group, call.receipt, done);
  }

  /** @throws MqError what `ProgressResets` throws */
  async resetProgress(call: ResetCall): Promise<QueueReset[]> {
    const { store, deliveries, logClock } = this;
    const { groups, pullOffsets } = this.parts.views;
    const resets = await new ProgressResets(store, groups, pullOffsets, this.parts.directory, logClock).reset(call);
    deliveries.changed(call.groupId, call.topicId);
    return resets;
  }

  private buildReplays({ store: records, views, directory }: TermParts): DeadLetterReplays {
    const { store, deliveries, lite, logClock, sends, transfersIn } = this;
    return new DeadLetterReplays({
      ...{ store, logClock, records, groups: views.groups, transfers: views.transfers, directory },
      giveBack: (...letter) => transfersIn.giveBack(...letter),
      send: (call, done) => sends.send(call, done),
      onReplayed: (groupId, letters) => {
        for (const topicId of new Set(letters.map((letter) => letter.topicId))) deliveries.changed(groupId, topicId);
        lite.changed(letters.map(({ topicId, queueId }) => ({ groupId, topicId, queueId })));
      },
    });
  }

  /** Writes what operators shall look at later. @throws MqError NOT_LEADER */
  note(kind: RecordKind, payload: Uint8Array): void {
    this.store.append(kind, this.logClock.nowMs(), payload);
  }

  /** The disk has become full, told from within a write of the log, which nothing here may disturb. */
  makeSpace(): void {
    this.houseKeeping.expire(true);
  }

  /** The lead is being handed over: nothing is decided meanwhile. */
  hold(): void {
    this.acks.flush();
    this.metadataSync.hold();
    this.store.hold(new MqError('TOO_MANY_REQUESTS', 'the lead is being handed over'));
  }
  release(): void {
    this.store.hold(undefined);
    this.metadataSync.release();
  }

  /**
   * Nothing is begun any more: who waits for messages is answered with none, or told why. What is being written may become
   * durable, and be answered.
   */
  quiet(why?: MqError): void {
    this.metadataSync.stop();
    this.houseKeeping.stop();
    this.deliveries.stop(why);
    this.pulls.stop(why);
    this.lite.stop(why);
    this.delays.stop();
    this.transactions.stop();
    this.transfersOut.stop();
  }

  /** The term is over: nothing of it gets into the log any more. */
  end(error: MqError): void {
    this.store.end(error);
    this.quiet(error);
    this.acks.stop(error);
  }
}
