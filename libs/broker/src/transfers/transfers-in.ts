/** Messages of broker sets that leave come to this one: each once, for whom it is meant, and as often tried as it was. */
import type { Directory, TransferCall, TransferredMessage } from '@cometmq/client';
import type { GroupsView, QueuedMessage, TransfersView } from '@cometmq/consumption';
import {
  Envelope,
  isHome,
  markedEnvelope,
  MessageType,
  queueId as toQueueId,
  queueOfGroup,
  RecordKind,
  type GroupId,
  type QueueId,
  type QueueOffset,
  type ReturnedFacts,
  type Topic,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { LogRecord, StorePorts } from '@cometmq/store';

import { startOffset } from '../backlogs.js';
import type { LogClock } from '../log-clock.js';
import { metadataWaitMs, type LiteQueues } from '../sends.js';

/** What is used of the store. */
type Store = Pick<
  StorePorts,
  'append' | 'appendEnd' | 'appendMessage' | 'appendPending' | 'bounds' | 'offsetAtTime' | 'whenCommitted'
>;

export interface TransfersInParts {
  readonly store: Store;
  readonly transfers: TransfersView;
  readonly groups: GroupsView;
  readonly directory: Directory;
  readonly brokerName: string;
  readonly logClock: LogClock;
  readonly lite: LiteQueues;
  /** A message that no queue shows is here. */
  readonly onPending: (dueMs: number) => void;
}

export class TransfersIn {
  /** Plain number for metrics. */
  taken = 0;

  constructor(private readonly parts: TransfersInParts) {}

  /** Resolves when all of them are committed here. @throws MqError STALE_LAYOUT, TOPIC_NOT_FOUND and what an append throws */
  async take(call: TransferCall): Promise<void> {
    await this.known(call.messages);
    const starts = await this.startsByTime(call.messages);
    // Everything that had to be waited for is there: from here on in one go.
    this.takeNow(call, starts);
    await new Promise<void>((resolve, reject) => {
      const { store } = this.parts;
      store.whenCommitted(store.appendEnd, (error) => (error ? reject(error) : resolve()));
    });
  }

  private takeNow(call: TransferCall, starts: ReadonlyMap<string, QueueOffset>): void {
    const { from, log, transfer, messages } = call;
    const here = this.parts.transfers.takenFrom(from, log);
    if (here && here.transfer > transfer) return; // It came before that one.
    const last = here?.transfer === transfer ? here.index : -1;
    // What has begun to come comes whole: the rest has no other way.
    if (last < 0) this.check(messages);
    for (const message of messages) {
      if (message.index <= last) continue;
      this.takeOne(call, message, starts);
      this.taken += 1;
    }
  }

  private takeOne(
    { from, log, transfer }: TransferCall,
    { index, topicId, queueId, tagHash, groupHash, audience, payload, past, letter }: TransferredMessage,
    starts: ReadonlyMap<string, QueueOffset>,
  ): void {
    const { store, logClock } = this.parts;
    const envelope = markedEnvelope(payload, { from, log, transfer, index, audience, past, letter });
    const message = payload.subarray(new Envelope(payload).size);
    const draft = { topicId, tagHash, groupHash, timestampMs: logClock.nowMs(), payload: [envelope, message] };
    if (past) {
      // Its queue is looked at when it becomes visible.
      store.appendPending({ ...draft, queueId }, RecordKind.transferredPending);
      this.parts.onPending(past.dueMs);
      return;
    }
    const topic = this.topicOf(topicId);
    const queue = this.queueOf(topic, queueId, payload);
    for (const { groupId } of audience.groups) this.begin(groupId, topic, queue, starts);
    store.appendMessage({ ...draft, queueId: queue }, letter ? RecordKind.transferredLetter : RecordKind.transferred);
  }

  /**
   * A dead letter that came from another set goes back to the group that gave it up, and to it alone.
   *
   * @param topic that the message was sent to
   * @returns false: the topic or the group was deleted meanwhile
   */
  async giveBack(
    groupId: GroupId,
    topic: Topic,
    { position, payload, tagHash, groupHash }: LogRecord,
    returned: ReturnedFacts,
  ): Promise<boolean> {
    const { id: topicId } = topic;
    const { store, directory, brokerName, logClock } = this.parts;
    const audience = { only: true, groups: [{ groupId, attempts: 0 }] };
    const { letterOffset } = returned;
    const among = Math.max(1, topic.readQueues);
    const wanted = toQueueId(groupHash === 0 ? letterOffset % among : queueOfGroup(groupHash, among));
    const starts = await this.startsByTime([{ topicId, queueId: wanted, payload, audience }]);
    if (!directory.topicById(topicId) || !directory.groupById(groupId)) return false;
    const queueId = this.queueOf(topic, wanted, payload);
    this.begin(groupId, topic, queueId, starts);
    const mark = { from: brokerName, log: 0, transfer: position, index: 0, audience, returned };
    const envelope = markedEnvelope(payload, mark);
    const message = payload.subarray(new Envelope(payload).size);
    const draft = { topicId, queueId, tagHash, groupHash, timestampMs: logClock.nowMs() };
    store.appendMessage({ ...draft, payload: [envelope, message] }, RecordKind.returnedLetter);
    return true;
  }

  /** A group that has never asked for the queue begins before the message, which was to be its. */
  private begin(groupId: GroupId, topic: Topic, queueId: QueueId, starts: ReadonlyMap<string, QueueOffset>): void {
    const { store, groups, directory, logClock } = this.parts;
    const group = directory.groupById(groupId);
    if (!group || groups.figures(groupId, topic.id, queueId)) return;
    const { first, next, everExpired } = store.bounds(topic.id, queueId);
    const known = startOffset(group.start, first, next, everExpired) ?? starts.get(`${groupId}/${topic.id}/${queueId}`);
    const place: QueuedMessage = { topicId: topic.id, queueId, offset: known ?? next };
    const { kind, payload } = groups.decideStarts(groupId, [place]);
    store.append(kind, logClock.nowMs(), payload);
  }

  private queueOf(topic: Topic, queueId: QueueId, payload: Uint8Array): QueueId {
    if (topic.type === MessageType.lite) {
      const name = new Envelope(payload).liteTopic;
      if (name !== undefined) return this.parts.lite.queueFor(topic, name);
    }
    // Where consumers look, should the topic have become smaller meanwhile.
    return queueId < topic.readQueues ? queueId : toQueueId(queueId % Math.max(1, topic.readQueues));
  }

  /** This set takes such messages as it takes those that are sent to it. */
  private check(messages: readonly TransferredMessage[]): void {
    const { directory, brokerName } = this.parts;
    const set = directory.brokerSet(brokerName);
    if (!set) throw new MqError('UNAVAILABLE', `nothing is known of broker set ${brokerName} yet`);
    const takesAny = set.stage === 'serving' || set.stage === 'joining';
    for (const { groupHash } of messages) {
      if (groupHash === 0 ? takesAny : isHome(set)) continue;
      throw new MqError('STALE_LAYOUT', `broker set ${brokerName} is ${set.stage}: it takes no such messages`);
    }
  }

  /** Topics that another process has just made. */
  private async known(messages: readonly TransferredMessage[]): Promise<void> {
    const { directory } = this.parts;
    for (const topicId of new Set(messages.map((message) => message.topicId))) {
      if (directory.topicById(topicId)) continue;
      await directory.until(() => directory.topicById(topicId), metadataWaitMs, 'unknown').catch(() => undefined);
      this.topicOf(topicId);
    }
  }

  /** Where groups that begin at a time would begin. */
  private async startsByTime(
    messages: readonly Pick<TransferredMessage, 'topicId' | 'queueId' | 'payload' | 'audience'>[],
  ): Promise<Map<string, QueueOffset>> {
    const { directory, groups, store } = this.parts;
    const starts = new Map<string, QueueOffset>();
    for (const { topicId, queueId, payload, audience } of messages) {
      for (const { groupId } of audience.groups) {
        const start = directory.groupById(groupId)?.start;
        if (start?.at !== 'time') continue;
        const queue = this.queueOf(this.topicOf(topicId), queueId, payload);
        const key = `${groupId}/${topicId}/${queue}`;
        if (starts.has(key) || groups.figures(groupId, topicId, queue)) continue;
        starts.set(key, await store.offsetAtTime(topicId, queue, start.timeMs));
      }
    }
    return starts;
  }

  private topicOf(topicId: Topic['id']): Topic {
    const topic = this.parts.directory.topicById(topicId);
    if (!topic)
      throw new MqError('TOPIC_NOT_FOUND', `topic ${topicId} is not known at broker set ${this.parts.brokerName}`);
    return topic;
  }
}
