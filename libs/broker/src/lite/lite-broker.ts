import type { Directory, Done, LiteSyncCall, ReceiveCall, ReceiveResult } from '@cometmq/client';
import type { TransfersView, GroupsView } from '@cometmq/consumption';
import { LiteSubscriptions, type LiteTopicsView } from '@cometmq/lite';
import {
  everything,
  firstLiteQueue,
  type GroupId,
  type QueueId,
  type Receipt,
  type Topic,
  type TopicId,
} from '@cometmq/model';
import { type Clock, failureFacts, MqError, OwnStalls, sleep } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { Forgetful, Living } from '../forgetful.js';
import type { ClientCommands } from '../client-commands.js';
import { sweepEveryMs } from '../clients.js';
import { ColdMessages } from '../cold-messages.js';
import type { DeadLetters } from '../dead-letters.js';
import type { GroupFilters } from '../group-filters.js';
import { DeliveryLoader } from '../delivery-loader.js';
import type { LogClock } from '../log-clock.js';
import type { MemberSessions } from '../member-sessions.js';
import { metadataWaitMs } from '../sends.js';
import type { ReadsElsewhere } from '../reads-elsewhere.js';
import type { Traffic } from '../traffic.js';
import { LiteDeliveries } from './lite-deliveries.js';
import { LiteReports } from './lite-reports.js';
import { LiteReadiness } from './lite-readiness.js';
import { LiteStarts } from './lite-starts.js';
import { LiteSync } from './lite-sync.js';
import { LiteTopics } from './lite-topics.js';

/** What is used of the store. */
type Store = Pick<
  StorePorts,
  | 'append'
  | 'appendEnd'
  | 'bounds'
  | 'committedOf'
  | 'damage'
  | 'deleteLiteQueues'
  | 'epoch'
  | 'firstOf'
  | 'offsetAtTime'
  | 'onArrival'
  | 'payloadInMemory'
  | 'positionAtTime'
  | 'queueSize'
  | 'read'
  | 'readAll'
  | 'readSome'
  | 'sizesOf'
  | 'scan'
  | 'scanInMemory'
  | 'whenCommitted'
>;

export interface LiteBrokerParts {
  readonly view: LiteTopicsView;
  readonly store: Store;
  readonly groups: GroupsView;
  readonly transfers: TransfersView;
  /** See `PollParts`. */
  readonly leaves: (topicId: TopicId) => boolean;
  readonly directory: Directory;
  readonly sessions: MemberSessions;
  readonly commands: ClientCommands;
  readonly deadLetters: DeadLetters;
  readonly filters: GroupFilters;
  readonly clock: Clock;
  readonly logClock: LogClock;
  readonly log: Logger;
  readonly isSure: () => boolean;
  readonly brokerName: string;
  readonly traffic: Traffic;
  /** Left out: all is read here. */
  readonly elsewhere?: ReadsElsewhere | undefined;
  readonly pollsMax: number;
  readonly limits: LiteBrokerLimits;
}

export interface LiteBrokerLimits {
  /** Lite topics of all parents on this broker. */
  readonly topicsMax: number;
  /** Subscriptions of all clients on this broker. */
  readonly subscriptionsMax: number;
}

/** A client that has not synchronised for so long has no lite subscriptions any more. */
const silentMsMax = 180_000;

/** All of a leader that has to do with lite topics, put together. */
export class LiteBroker implements Forgetful {
  readonly topics: LiteTopics;
  readonly reports: LiteReports;
  readonly subscriptions: LiteSubscriptions;
  readonly sync: LiteSync;
  readonly deliveries: LiteDeliveries;
  private readonly readiness: LiteReadiness;
  private readonly stalls: OwnStalls;

  constructor(private readonly parts: LiteBrokerParts) {
    this.stalls = new OwnStalls(sweepEveryMs, parts.clock.monotonicMs());
    const { view, store, groups, directory, clock, logClock, log, brokerName, commands } = parts;
    const subscriptions = new LiteSubscriptions({ subscriptionsMax: parts.limits.subscriptionsMax, silentMsMax });
    const readiness: LiteReadiness = new LiteReadiness({
      view,
      store,
      groups,
      directory,
      subscriptions,
      clock,
      logClock,
      wake: (groupId, clientId) => this.deliveries.wake(groupId, clientId),
    });
    const cold = new ColdMessages(store, log);
    const starts = new LiteStarts({
      store,
      cold,
      groups,
      view,
      directory,
      logClock,
      onMoved: (groupId, topicId, queueId) => readiness.changed(groupId, topicId, queueId),
      onTrouble: (caught) => log.error(failureFacts(caught), 'no start could be found'),
    });
    this.subscriptions = subscriptions;
    this.readiness = readiness;
    this.deliveries = new LiteDeliveries(
      {
        ...parts,
        starts,
        cold,
        deliveryLoader: new DeliveryLoader(parts),
        everything: parts.filters.matcher(everything),
      },
      readiness,
    );
    this.sync = new LiteSync({
      brokerName,
      view,
      store,
      groups,
      directory,
      subscriptions,
      starts,
      readiness,
      commands,
    });
    this.reports = new LiteReports(parts, subscriptions);
    this.topics = new LiteTopics({
      view,
      store,
      directory,
      logClock,
      topicsMax: parts.limits.topicsMax,
      onCreated: (topicId, name, queueId) => this.sync.created(topicId, name, queueId),
      onDeleting: (topicId, name) => this.sync.deleting(topicId, name),
      breathe: () => sleep(clock, 0),
    });
    store.onArrival((topicId, queueId) => readiness.arrived(topicId, queueId));
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    return this.deliveries.receive(call, done);
  }

  syncLite(call: LiteSyncCall, done: Done<void>): void {
    const { directory, clock } = this.parts;
    // Made a moment ago: our copy of the metadata is about to learn of it.
    const known = () => {
      const group = directory.groupById(call.groupId);
      const topic = directory.topicById(call.topicId);
      return group && topic && { group, topic };
    };
    const gone = new MqError('TOPIC_NOT_FOUND', 'the topic or the consumer group does not exist any more');
    directory
      .until(known, metadataWaitMs, 'unknown')
      .catch(() => Promise.reject(gone))
      .then(({ group, topic }) => this.sync.sync(call, group, topic, clock.monotonicMs()))
      .then(
        () => this.parts.store.whenCommitted(this.parts.store.appendEnd, (error) => done(error, undefined)),
        (caught: unknown) => done(MqError.from(caught), undefined),
      );
  }

  /** The messages of these receipts are done, or wait for another time, or were given back. */
  changed(receipts: Iterable<Pick<Receipt, 'groupId' | 'topicId' | 'queueId'>>): void {
    for (const { groupId, topicId, queueId } of receipts) {
      if (queueId >= firstLiteQueue) this.readiness.changed(groupId, topicId, queueId);
    }
  }

  /** After acknowledgements. */
  acknowledged(receipts: readonly Receipt[]): void {
    this.changed(receipts);
    this.deliveries.acknowledged();
  }

  queueFor(topic: Topic, name: string): QueueId {
    return this.topics.queueFor(topic, name);
  }

  /** Resolves once it is gone for good. False: there was no such lite topic. */
  async delete(topicId: TopicId, name: string): Promise<boolean> {
    const placed = this.topics.delete(topicId, name);
    const { store } = this.parts;
    // Somebody else's deletion may still be on its way.
    await new Promise<void>((resolve, reject) => {
      store.whenCommitted(placed?.end ?? store.appendEnd, (error) => (error ? reject(error) : resolve()));
    });
    return placed !== undefined;
  }

  clientGone(groupId: GroupId, clientId: string): void {
    this.subscriptions.drop(groupId, clientId);
    this.deliveries.clientGone(groupId, clientId);
  }

  groupChanged(groupId: GroupId): void {
    this.deliveries.wake(groupId, undefined); // It may have been paused.
  }

  topicChanged(topic: Topic): void {
    for (const { id, lite } of this.parts.directory.groups()) {
      if (lite?.topic === topic.name) this.deliveries.wake(id, undefined); // It may be read again.
    }
  }

  forgetGone(living: Living): void {
    this.deliveries.forgetGone(living);
    this.readiness.forgetGone(living);
  }

  groupDeleted(groupId: GroupId): void {
    this.subscriptions.dropGroup(groupId);
    this.readiness.dropGroup(groupId);
  }

  /** Every `sweepEveryMs`: drops who has been silent, and writes down what the log did not take before. */
  sweep(): void {
    const nowMs = this.parts.clock.monotonicMs();
    if (this.stalls.stoodStill(nowMs)) this.subscriptions.heardAll(nowMs);
    else this.subscriptions.sweep(nowMs);
    try {
      this.sync.settle();
    } catch (caught) {
      this.parts.log.debug(failureFacts(caught), 'groups could not begin anew in lite topics yet; trying again');
    }
  }

  /** Starts to delete idle lite topics. */
  expireIdle(): void {
    this.topics.sweep().catch((caught: unknown) => {
      this.parts.log.error(failureFacts(caught), 'idle lite topics could not be deleted; trying again later');
    });
  }

  stop(why?: MqError): void {
    this.deliveries.stop(why);
    this.readiness.stop();
  }
}
