/**
 * What a broker set that leaves still holds goes to the sets that stay: message by message in the order of its queues, each with
 * the groups that are not done with it and how often it was given to them.
 *
 * Before messages are sent anywhere, a record says which go where; from then on they are nobody's here. Another record says that
 * they are there. Whoever leads next sends again what has the first record and not the second, to the same set, which knows what
 * it has already. To one set goes one transfer after the other.
 */
import type { TransfersView } from '@cometmq/consumption';
import { encodeDropped, isOrdered, RecordKind, type QueueId, type Topic, type TransferMessage } from '@cometmq/model';
import { failureFacts, sleep, type Clock } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import { letterOf, OpenTransfers, type OpenTransferParts } from './open-transfers.js';
import { PendingPlanner, type PendingDecision, type PendingPlannerParts } from './pending-planner.js';
import { TransferTargets } from './transfer-targets.js';
import { TransferPlanner, type LeavingMessage, type PlannerParts, type PlannerStore } from './transfer-planner.js';

/** What is used of the store. */
type Store = PlannerStore & Pick<StorePorts, 'append' | 'appendEnd' | 'onArrival' | 'readAll' | 'whenCommitted'>;

export interface TransfersOutParts
  extends
    Omit<PlannerParts, 'nowMs' | 'store'>,
    Omit<PendingPlannerParts, 'store'>,
    Omit<OpenTransferParts, 'store' | 'targets'> {
  readonly store: Store;
  readonly queueIds: (topicId: Topic['id']) => readonly QueueId[];
  readonly clock: Clock;
}

/** So that clients, whose messages come first, have the disk and the network for themselves, mostly. */
const bytesPerSecond = 32 * 1024 * 1024;
/** All is looked through anew, as groups may have been moved back. */
const afreshMs = 30_000;
/** What had to wait is looked at again so often at the most. */
const againMs = 250;
/** Queues that are looked at before others have their turn: lite topics may be a million. */
const queuesAtOnce = 1_024;
/** What is begun of several queues before it is sent: a look through all of them is to be worth it. */
const begunMax = { messages: 512, bytes: 1024 * 1024 };

export class TransfersOut {
  private readonly planner: TransferPlanner;
  private readonly pending: { readonly plain: PendingPlanner; readonly grouped: PendingPlanner };
  private readonly targets: TransferTargets;
  private readonly openTransfers: OpenTransfers;
  private running = false;
  private wanted = false;
  private stopped = false;
  private afreshAtMs = -Infinity;
  private againAtMs = -Infinity;

  constructor(private readonly parts: TransfersOutParts) {
    this.planner = new TransferPlanner({ ...parts, nowMs: () => parts.logClock.nowMs() });
    this.pending = { plain: new PendingPlanner(parts, false), grouped: new PendingPlanner(parts, true) };
    this.targets = new TransferTargets(parts);
    this.openTransfers = new OpenTransfers({ ...parts, targets: this.targets });
    // What is sent to message groups that have gone follows them at once.
    parts.store.onArrival((topicId) => {
      if (parts.transfers.leaving.has(topicId)) this.look();
    });
  }

  get transfers(): TransfersView {
    return this.parts.transfers;
  }

  /** What keeps messages from going, in words; undefined: nothing. */
  get problem(): string | undefined {
    const said = this.targets.problem;
    const { plain, grouped } = this.pending;
    const unreadable = this.planner.unreadable + plain.unreadable + grouped.unreadable;
    if (unreadable > 0) said.push(`${unreadable} messages can not be read`);
    return said.length === 0 ? undefined : said.join('; ');
  }

  /** There may be something to do. Comes back at once. */
  look(): void {
    if (this.stopped || !this.parts.peers) return;
    if (this.isBack) this.end();
    if (!this.isLeaving && this.parts.transfers.open().length === 0) return;
    if (this.running) {
      this.wanted = true;
      return;
    }
    this.running = true;
    this.run()
      .catch((caught: unknown) => {
        this.parts.log.warn(
          failureFacts(caught),
          'messages could not be handed over to other broker sets; trying again',
        );
      })
      .finally(() => {
        this.running = false;
        if (!this.wanted) return;
        this.wanted = false;
        this.look();
      });
  }

  stop(): void {
    this.stopped = true;
    this.openTransfers.stop();
  }

  private get isLeaving(): boolean {
    const { directory, brokerName } = this.parts;
    return directory.brokerSet(brokerName)?.stage === 'draining';
  }

  /** It has left, or had begun to, and takes messages again. */
  private get isBack(): boolean {
    const { directory, brokerName, transfers } = this.parts;
    if (transfers.sent === 0 && transfers.leaving.size === 0) return false;
    const stage = directory.brokerSet(brokerName)?.stage;
    return (stage === 'serving' || stage === 'joining') && transfers.open().length === 0;
  }

  private end(): void {
    const { store, logClock, log } = this.parts;
    try {
      store.append(RecordKind.transfersEnded, logClock.nowMs(), new Uint8Array(0));
    } catch (caught) {
      log.debug(failureFacts(caught), 'the end of what was handed over had to wait');
    }
  }

  private async run(): Promise<void> {
    const { clock } = this.parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.afreshAtMs >= afreshMs) {
      this.afreshAtMs = nowMs;
      for (const planner of [this.planner, this.pending.plain, this.pending.grouped]) planner.forget();
    } else if (nowMs - this.againAtMs >= againMs) {
      this.againAtMs = nowMs;
      this.planner.again();
    }
    for (;;) {
      const beganMs = clock.monotonicMs();
      const bytes = await this.openTransfers.sendAll();
      if (this.stopped) return;
      await sleep(clock, Math.max(0, (1_000 * bytes) / bytesPerSecond - (clock.monotonicMs() - beganMs)));
      if (!this.isLeaving || !(await this.plan())) return;
    }
  }

  // ---- which -----------------------------------------------------------------------------------------------------

  /** Begins transfers of the next messages. False: there are none that can go now. */
  private async plan(): Promise<boolean> {
    if (await this.planOf((topic) => !isOrdered(topic))) return true;
    if (await this.planPending(this.pending.plain)) return true;
    if (!this.targets.mayMoveGroups()) return false;
    return (await this.planOf(isOrdered)) || this.planPending(this.pending.grouped);
  }

  private async planOf(isWanted: (topic: Topic) => boolean): Promise<boolean> {
    const { directory, clock, queueIds } = this.parts;
    let looked = 0;
    const begun = { messages: 0, bytes: 0 };
    const isEnough = (): boolean => begun.messages >= begunMax.messages || begun.bytes >= begunMax.bytes;
    for (const topic of [...directory.topics()].filter(isWanted)) {
      for (const queueId of queueIds(topic.id)) {
        looked += 1;
        if (looked % queuesAtOnce === 0) await sleep(clock, 0);
        while (!isEnough() && !this.stopped && this.planner.mayHaveMore(topic.id, queueId)) {
          await this.planner.gather(topic.id, queueId, this.targetOf(), (messages) => {
            this.begin(topic, queueId, messages);
            begun.messages += messages.length;
            for (const { stored } of messages) begun.bytes += stored.payload.length;
          });
        }
        if (isEnough()) return true;
      }
    }
    return begun.messages > 0;
  }

  /** Of messages without a group, those of one transfer go to one set. */
  private targetOf(): (groupHash: number) => string | undefined {
    const spread = this.targets.spread();
    return (groupHash) => (groupHash === 0 ? spread : this.targets.homeOf(groupHash));
  }

  private begin(topic: Topic, queueId: QueueId, messages: readonly LeavingMessage[]): void {
    for (const [to, its] of Map.groupBy(messages, (message) => message.to)) {
      const queues = [{ topicId: topic.id, queueId, messages: its.map(transferMessage) }];
      const ready = its.map(({ tagHash, groupHash, audience, stored }, index) => ({
        ...{ index, topicId: topic.id, queueId, tagHash, groupHash, audience, payload: stored.payload },
        letter: letterOf(stored),
      }));
      this.openTransfers.begin(to, queues, ready);
    }
  }

  private async planPending(planner: PendingPlanner): Promise<boolean> {
    const targetOf = this.targetOf();
    if (planner === this.pending.plain && targetOf(0) === undefined) return false;
    return planner.gather(targetOf, (decision) => this.beginPending(decision));
  }

  private beginPending({ leaving, lost }: PendingDecision): void {
    const { store, logClock } = this.parts;
    // As when they are due, or checked: what an operator has given up has nothing that could be shown.
    if (lost.length > 0) store.append(RecordKind.dropped, logClock.nowMs(), encodeDropped(lost));
    for (const [to, its] of Map.groupBy(leaving, (one) => one.to)) {
      const messages = its.map(({ message }) => message);
      this.openTransfers.beginPending(to, messages, this.openTransfers.pendingReady(its));
    }
  }
}

function transferMessage({ offset, position, size, groupHash, audience }: LeavingMessage): TransferMessage {
  return { offset, position, size, groupHash, audience };
}
