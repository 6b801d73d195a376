/**
 * What a broker set that leaves still holds goes to the sets that stay: message by message in the order of its queues, each with
 * the groups that are not done with it and how often it was given to them.
 *
 * Before messages are sent anywhere, a record says which go where; from then on they are nobody's here. Another record says that
 * they are there. Whoever leads next sends again what has the first record and not the second, to the same set, which knows what
 * it has already. To one set goes one transfer after the other.
 */
import type { Directory, Peers, TransferCall, TransferredMessage } from '@cometmq/client';
import type { OpenTransfer, TransfersView } from '@cometmq/consumption';
import {
  encodeTransfer,
  encodeTransferDone,
  hashText,
  homeSets,
  isHome,
  isOrdered,
  RecordKind,
  setOfHash,
  type BrokerSet,
  type LogPosition,
  type QueueId,
  type Topic,
  type TransferMessage,
  type TransferQueue,
} from '@cometmq/model';
import { failureFacts, MqError, sleep, type Clock } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { LogClock } from '../log-clock.js';
import { TryingAgain } from '../trying-again.js';
import { TransferPlanner, type LeavingMessage, type PlannerParts, type PlannerStore } from './transfer-planner.js';

/** What is used of the store. */
type Store = PlannerStore & Pick<StorePorts, 'append' | 'appendEnd' | 'onArrival' | 'whenCommitted'>;

export interface TransfersOutParts extends Omit<PlannerParts, 'nowMs'> {
  readonly store: Store;
  /** `transferLog` of a transfer here. */
  readonly logOf: (position: LogPosition) => number;
  /** What this log knows: a topic is there until its deletion is a record. */
  readonly knows: (topicId: Topic['id']) => boolean;
  readonly queueIds: (topicId: Topic['id']) => readonly QueueId[];
  readonly directory: Directory;
  /** Undefined: there is no way to other sets. */
  readonly peers: Peers | undefined;
  readonly brokerName: string;
  readonly clock: Clock;
  readonly logClock: LogClock;
  readonly log: Logger;
}

/** So that clients, whose messages come first, have the disk and the network for themselves, mostly. */
const bytesPerSecond = 32 * 1024 * 1024;
const tryAgainMsMax = 10_000;
/** All is looked through anew, as groups may have been moved back. */
const afreshMs = 30_000;
/** What had to wait is looked at again so often at the most. */
const againMs = 250;
/** Queues that are looked at before others have their turn: lite topics may be a million. */
const queuesAtOnce = 1_024;

export class TransfersOut {
  /** Why a broker set takes none, in words. */
  private readonly problems = new Map<string, string>();
  private readonly planner: TransferPlanner;
  /** A broker set whose message groups go first. */
  private waitsFor: string | undefined;
  private readonly resting = new TryingAgain<string>(tryAgainMsMax);
  /** Of transfers that this leader has begun: what the other set is to get. */
  private readonly ready = new Map<LogPosition, readonly TransferredMessage[]>();
  private running = false;
  private wanted = false;
  private stopped = false;
  private turn = 0;
  private afreshAtMs = -Infinity;
  private againAtMs = -Infinity;

  constructor(private readonly parts: TransfersOutParts) {
    this.planner = new TransferPlanner({ ...parts, nowMs: () => parts.logClock.nowMs() });
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
    const said = [...this.problems].map(([brokerSet, reason]) => `${brokerSet}: ${reason}`);
    const { unreadable } = this.planner;
    if (this.waitsFor !== undefined) said.push(`message groups wait until ${this.waitsFor} has left`);
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
      this.planner.forget();
    } else if (nowMs - this.againAtMs >= againMs) {
      this.againAtMs = nowMs;
      this.planner.again();
    }
    for (;;) {
      const beganMs = clock.monotonicMs();
      const bytes = await this.sendAll();
      if (this.stopped) return;
      await sleep(clock, Math.max(0, (1_000 * bytes) / bytesPerSecond - (clock.monotonicMs() - beganMs)));
      if (!this.isLeaving || !(await this.plan())) return;
    }
  }

  // ---- which -----------------------------------------------------------------------------------------------------

  /** Begins transfers of the next messages. False: there are none that can go now. */
  private async plan(): Promise<boolean> {
    return (
      (await this.planOf((topic) => !isOrdered(topic))) || (this.mayMoveGroups() && (await this.planOf(isOrdered)))
    );
  }

  private async planOf(isWanted: (topic: Topic) => boolean): Promise<boolean> {
    const { directory, clock, queueIds } = this.parts;
    let looked = 0;
    for (const topic of [...directory.topics()].filter(isWanted)) {
      for (const queueId of queueIds(topic.id)) {
        looked += 1;
        if (looked % queuesAtOnce === 0) await sleep(clock, 0);
        let planned = false;
        while (!planned && !this.stopped && this.planner.mayHaveMore(topic.id, queueId)) {
          const spread = this.spreadTarget();
          const targetOf = (groupHash: number): string | undefined =>
            groupHash === 0 ? spread : this.homeOf(groupHash);
          await this.planner.gather(topic.id, queueId, targetOf, (messages) => {
            this.begin(topic, queueId, messages);
            planned = true;
          });
        }
        if (planned) return true;
      }
    }
    return false;
  }

  /** Of several sets that leave, the groups of one go at a time: else two could hand them to one another for ever. */
  private mayMoveGroups(): boolean {
    const { brokerName } = this.parts;
    const first = this.others()
      .filter((set) => set.stage === 'draining' && isHome(set))
      .find(({ name }) => name.localeCompare(brokerName, 'en', { numeric: true }) > 0);
    if (first) this.waitsFor = first.name;
    else this.waitsFor = undefined;
    return first === undefined;
  }

  private begin(topic: Topic, queueId: QueueId, messages: readonly LeavingMessage[]): void {
    for (const to of new Set(messages.map((message) => message.to))) {
      const its = messages.filter((message) => message.to === to);
      const queues = [{ topicId: topic.id, queueId, messages: its.map(transferMessage) }];
      const position = this.write(to, undefined, queues);
      const ready = its.map(({ tagHash, groupHash, audience, stored: { payload } }, index) => ({
        ...{ index, topicId: topic.id, queueId, tagHash, groupHash, audience, payload, delayed: false },
      }));
      this.ready.set(position, ready);
    }
  }

  private write(to: string, instead: LogPosition | undefined, queues: readonly TransferQueue[]): LogPosition {
    const { store, logClock } = this.parts;
    const payload = encodeTransfer({ to, instead, queues, delayed: [] });
    return store.append(RecordKind.transfer, logClock.nowMs(), payload).position;
  }

  // ---- where -----------------------------------------------------------------------------------------------------

  /** One of the sets that take messages, in turn. */
  private spreadTarget(): string | undefined {
    const takes = ({ name, stage, leader, writable }: BrokerSet): boolean =>
      stage === 'serving' && leader !== undefined && writable && this.isUp(name);
    const targets = this.others().filter(takes);
    this.turn += 1;
    return targets[this.turn % Math.max(1, targets.length)]?.name;
  }

  /** Where new messages of the group go once this set is gone. */
  private homeOf(groupHash: number): string | undefined {
    const homes = homeSets(this.others());
    const home = homes[setOfHash(groupHash, homes.map(hashText))];
    return home !== undefined && this.isUp(home) ? home : undefined;
  }

  private others(): BrokerSet[] {
    const { directory, brokerName } = this.parts;
    return [...directory.brokerSets()].filter(({ name }) => name !== brokerName);
  }

  private isUp(brokerSet: string): boolean {
    return this.resting.isDue(brokerSet, this.parts.clock.monotonicMs());
  }

  // ---- on their way ----------------------------------------------------------------------------------------------

  /** Sends what is open, to each set one after the other. Answers the bytes that have got there. */
  private async sendAll(): Promise<number> {
    const bySet = new Map<string, OpenTransfer[]>();
    for (const open of this.parts.transfers.open()) {
      const { to } = open.transfer;
      bySet.set(to, [...(bySet.get(to) ?? []), open]);
    }
    const sent = await Promise.all([...bySet].map(([to, transfers]) => this.sendTo(to, transfers)));
    return sent.reduce((sum, bytes) => sum + bytes, 0);
  }

  private async sendTo(to: string, transfers: readonly OpenTransfer[]): Promise<number> {
    const { clock, log } = this.parts;
    let bytes = 0;
    if (!this.isUp(to)) return bytes;
    for (const open of transfers) {
      try {
        bytes += await this.send(open);
        if (this.resting.over(to)) this.problems.delete(to);
      } catch (caught) {
        const error = MqError.from(caught);
        if (error.code === 'STALE_LAYOUT' && this.sendElsewhere(open)) continue;
        const { first } = this.resting.failed(to, clock.monotonicMs());
        this.problems.set(to, error.reason);
        if (first)
          log.warn({ to, ...failureFacts(error) }, 'another broker set does not take messages now; trying again');
        break;
      }
      if (this.stopped) break;
    }
    return bytes;
  }

  private async send({ position, transfer }: OpenTransfer): Promise<number> {
    const { store, directory, peers, brokerName, logOf, knows, logClock } = this.parts;
    // Nobody is told of what a later leader may not know.
    await committed(store);
    const leader = directory.brokerSet(transfer.to)?.leader;
    if (leader === undefined || !peers) throw new MqError('UNAVAILABLE', `nobody leads broker set ${transfer.to}`);
    const all = this.ready.get(position) ?? (await this.read(transfer.queues));
    // A topic that is deleted has no messages. One that is just not there, or whose deletion may be taken back, has them.
    const missed = all.find(({ topicId }) => !directory.topicById(topicId) && knows(topicId));
    if (missed) throw new MqError('UNAVAILABLE', `topic ${missed.topicId} is not in the metadata, and may come back`);
    const messages = all.filter(({ topicId }) => directory.topicById(topicId));
    if (messages.length > 0) {
      const about = { brokerSet: transfer.to, from: brokerName, log: logOf(position), transfer: position };
      const call: TransferCall = { ...about, messages };
      await peers.peer(leader).takeTransfer(call);
    }
    store.append(RecordKind.transferDone, logClock.nowMs(), encodeTransferDone(position));
    this.ready.delete(position);
    return messages.reduce((sum, { payload }) => sum + payload.length, 0);
  }

  /** The set takes none of them any more. False: there is no other. */
  private sendElsewhere({ position, transfer }: OpenTransfer): boolean {
    const spread = this.spreadTarget();
    const targets = new Map<string, TransferQueue[]>();
    for (const { topicId, queueId, messages } of transfer.queues) {
      const byTarget = new Map<string, TransferMessage[]>();
      for (const message of messages) {
        const to = message.groupHash === 0 ? spread : this.homeOf(message.groupHash);
        if (to === undefined || to === transfer.to) return false;
        byTarget.set(to, [...(byTarget.get(to) ?? []), message]);
      }
      for (const [to, its] of byTarget) {
        targets.set(to, [...(targets.get(to) ?? []), { topicId, queueId, messages: its }]);
      }
    }
    for (const [to, queues] of targets) this.write(to, position, queues);
    this.ready.delete(position);
    return true;
  }

  /** What an earlier leader had begun to send. What has expired since is gone. */
  private async read(queues: readonly TransferQueue[]): Promise<TransferredMessage[]> {
    const { store } = this.parts;
    const found: TransferredMessage[] = [];
    let index = -1;
    for (const { topicId, queueId, messages } of queues) {
      const read = await store.readAll(messages);
      for (const [i, { position, size, groupHash, audience }] of messages.entries()) {
        index += 1;
        const stored = read[i];
        if (stored === undefined) continue;
        if (stored instanceof MqError) {
          if (stored.code === 'NOT_FOUND' || store.damage.isGivenUp(position, size)) continue;
          throw stored;
        }
        const { payload, tagHash } = stored;
        found.push({ index, topicId, queueId, tagHash, groupHash, audience, payload, delayed: false });
      }
    }
    return found;
  }
}

function transferMessage({ offset, position, size, groupHash, audience }: LeavingMessage): TransferMessage {
  return { offset, position, size, groupHash, audience };
}

function committed(store: Pick<Store, 'appendEnd' | 'whenCommitted'>): Promise<void> {
  return new Promise((resolve, reject) => {
    store.whenCommitted(store.appendEnd, (error) => (error ? reject(error) : resolve()));
  });
}
