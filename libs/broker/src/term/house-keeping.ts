import type { GroupId } from '@cometmq/model';
import { type Clock, failureFacts, ToldOnce } from '@cometmq/shared';
import type { StorePorts, RetentionPolicy } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { Backlogs } from '../backlogs.js';
import { type Clients, sweepEveryMs } from '../clients.js';
import type { DeadLetters } from '../dead-letters.js';
import type { Forgetful } from '../forgetful.js';
import type { LiteBroker } from '../lite/lite-broker.js';
import type { LogClock } from '../log-clock.js';
import { Periodic } from '../periodic.js';
import type { Leases } from './leases.js';
import type { TransfersOut } from '../transfers/transfers-out.js';
import type { KnownMetadata, MetadataSync } from './metadata-sync.js';

/** How often it is looked for messages whose last attempt has ended. */
const dueLookMs = 1_000;
/** How often a set that leaves looks for messages that can go. */
const leavingLookMs = 500;
const retentionRoundMs = 60_000;
const forgetRoundMs = 60_000;

export interface HouseKeepingParts {
  readonly store: Pick<StorePorts, 'diskFull' | 'retention'>;
  readonly known: KnownMetadata;
  readonly metadata: Pick<MetadataSync, 'retry'>;
  readonly clients: Clients;
  readonly backlogs: Backlogs;
  readonly leases: Leases;
  readonly deadLetters: DeadLetters;
  readonly lite: LiteBroker;
  readonly transfersOut: Pick<TransfersOut, 'look'>;
  /** What is kept by topic or group, and of no use once those are gone. */
  readonly forgetful: readonly Forgetful[];
  /** How long messages are kept where their topic says nothing. */
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly logClock: LogClock;
  readonly log: Logger;
}

/** What a leader does from time to time: leases of the lost end, dead letters move, old messages expire. */
export class HouseKeeping {
  private readonly periodic: Periodic;
  private readonly notExpired: ToldOnce;
  private readonly notCounted: ToldOnce<GroupId>;
  private stopped = false;

  constructor(private readonly parts: HouseKeepingParts) {
    const { log } = parts;
    this.notExpired = new ToldOnce((caught) => {
      log.error(failureFacts(caught), 'messages could not be expired; trying again later');
    });
    this.notCounted = new ToldOnce((caught, groupId) => {
      log.warn({ groupId, ...failureFacts(caught) }, 'what a group has to do could not be counted');
    });
    this.periodic = new Periodic(parts.clock, log);
    this.periodic.every(sweepEveryMs, () => this.round());
    this.periodic.every(dueLookMs, () => parts.deadLetters.look());
    this.periodic.every(leavingLookMs, () => parts.transfersOut.look());
    this.periodic.every(retentionRoundMs, () => this.expire());
    this.periodic.every(forgetRoundMs, () => {
      for (const each of parts.forgetful) each.forgetGone(parts.known.living);
      this.notCounted.keep((groupId) => parts.known.living.group(groupId));
    });
  }

  stop(): void {
    this.stopped = true;
    this.periodic.stop();
  }

  /** `afresh`: a round that is under way is not enough. */
  expire(afresh = false): void {
    if (this.stopped) return;
    const { store, known, lite, logClock, retentionMs } = this.parts;
    lite.expireIdle();
    const policy: RetentionPolicy = (topicId) => {
      const topic = known.topicById(topicId);
      if (!topic) return undefined; // How long it is to be kept is not known here.
      return { ms: topic.retentionMs ?? retentionMs, bytes: topic.retentionBytes };
    };
    const { retention } = store;
    const nowMs = logClock.nowMs();
    const run = afresh ? retention.runAfresh(nowMs, policy) : retention.run(nowMs, policy);
    run.then(
      () => this.notExpired.over(),
      (caught: unknown) => this.notExpired.failed(caught),
    );
  }

  /** Leases of living clients are renewed, those of the lost are cut. */
  private round(): void {
    const { store, metadata, clients, backlogs, leases, lite, clock } = this.parts;
    metadata.retry();
    lite.sweep();
    if (store.diskFull) this.expire(); // What becomes due meanwhile should not wait either.
    for (const groupId of backlogs.groupIds()) {
      backlogs.load(groupId).then(
        () => this.notCounted.over(groupId),
        (caught: unknown) => this.notCounted.failed(caught, groupId),
      );
    }
    for (const { groupId, clientId } of clients.sweep()) {
      lite.clientGone(groupId, clientId);
      leases.release(groupId, clientId);
    }
    const { sessions } = clients;
    const lives = sessions.settled(clock.monotonicMs())
      ? (groupId: GroupId, clientId: string) => sessions.lives(groupId, clientId)
      : () => true; // Who has not been heard of yet may be about to come back.
    leases.renew(lives);
  }
}
