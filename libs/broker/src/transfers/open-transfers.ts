/**
 * What is on its way from a broker set that leaves: sent until the other set has it, to each set one transfer after the other,
 * also by who leads next. Where a set takes none of a transfer any more, others get its messages.
 */
import type { Directory, Peers, TransferCall, TransferredMessage } from '@cometmq/client';
import { isOfPending, type OpenTransfer, type TransfersView } from '@cometmq/consumption';
import {
  encodePendingTransfer,
  encodePendingTransferDone,
  encodeTransfer,
  encodeTransferDone,
  everybody,
  RecordKind,
  type LetterFacts,
  type LogPosition,
  type PendingTransferMessage,
  type Topic,
  type TransferQueue,
} from '@cometmq/model';
import { failureFacts, MqError } from '@cometmq/shared';
import type { StoredMessage, StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { LogClock } from '../log-clock.js';
import { pastOf } from './pending-planner.js';
import type { TransferTargets } from './transfer-targets.js';

export interface OpenTransferParts {
  readonly store: Pick<StorePorts, 'append' | 'appendEnd' | 'damage' | 'readAll' | 'whenCommitted'>;
  readonly transfers: TransfersView;
  readonly targets: TransferTargets;
  /** `transferLog` of a transfer here. */
  readonly logOf: (position: LogPosition) => number;
  /** What this log knows: a topic is there until its deletion is a record. */
  readonly knows: (topicId: Topic['id']) => boolean;
  readonly directory: Directory;
  /** Undefined: there is no way to other sets. */
  readonly peers: Peers | undefined;
  readonly brokerName: string;
  readonly logClock: LogClock;
  readonly log: Logger;
}

export class OpenTransfers {
  /** Of transfers that this leader has begun: what the other set is to get. */
  private readonly ready = new Map<LogPosition, readonly TransferredMessage[]>();
  private stopped = false;

  constructor(private readonly parts: OpenTransferParts) {}

  stop(): void {
    this.stopped = true;
  }

  /** @param ready what the other set is to get, as it was read; else it is read when it is sent */
  begin(to: string, queues: readonly TransferQueue[], ready: readonly TransferredMessage[]): void {
    this.ready.set(this.write(to, undefined, queues), ready);
  }

  beginPending(to: string, messages: readonly PendingTransferMessage[], ready: readonly TransferredMessage[]): void {
    this.ready.set(this.writePending(to, undefined, messages), ready);
  }

  /** Sends what is open, to each set one after the other. Answers the bytes that have got there. */
  async sendAll(): Promise<number> {
    const { store, transfers } = this.parts;
    const all = transfers.open();
    if (all.length === 0) return 0;
    // Nobody is told of what a later leader may not know.
    await new Promise<void>((resolve, reject) => {
      store.whenCommitted(store.appendEnd, (error) => (error ? reject(error) : resolve()));
    });
    const bySet = new Map<string, OpenTransfer[]>();
    for (const open of all) {
      const { to } = open.transfer;
      bySet.set(to, [...(bySet.get(to) ?? []), open]);
    }
    const sent = await Promise.all([...bySet].map(([to, its]) => this.sendTo(to, its)));
    return sent.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** As `TransferredMessage`s, of pending messages that were read. */
  pendingReady(messages: readonly { readonly message: PendingTransferMessage; readonly stored: StoredMessage }[]) {
    return messages.map(({ message, stored }, index) => this.pendingMessage(index, message, stored));
  }

  private write(to: string, instead: LogPosition | undefined, queues: readonly TransferQueue[]): LogPosition {
    const { store, logClock } = this.parts;
    return store.append(RecordKind.transfer, logClock.nowMs(), encodeTransfer({ to, instead, queues })).position;
  }

  private writePending(
    to: string,
    instead: LogPosition | undefined,
    messages: readonly PendingTransferMessage[],
  ): LogPosition {
    const { store, logClock } = this.parts;
    const payload = encodePendingTransfer({ to, instead, messages });
    return store.append(RecordKind.transferPending, logClock.nowMs(), payload).position;
  }

  private async sendTo(to: string, transfers: readonly OpenTransfer[]): Promise<number> {
    const { targets, log } = this.parts;
    let bytes = 0;
    if (!targets.isUp(to)) return bytes;
    for (const open of transfers) {
      try {
        bytes += await this.send(open);
        targets.took(to);
      } catch (caught) {
        const error = MqError.from(caught);
        if (error.code === 'STALE_LAYOUT' && this.sendElsewhere(open)) continue;
        if (targets.failed(to, error))
          log.warn({ to, ...failureFacts(error) }, 'another broker set does not take messages now; trying again');
        break;
      }
      if (this.stopped) break;
    }
    return bytes;
  }

  private async send({ position, transfer }: OpenTransfer): Promise<number> {
    const { store, directory, peers, brokerName, logOf, knows, logClock } = this.parts;
    const leader = directory.brokerSet(transfer.to)?.leader;
    if (leader === undefined || !peers) throw new MqError('UNAVAILABLE', `nobody leads broker set ${transfer.to}`);
    const all = this.ready.get(position) ?? (await this.read(transfer));
    // A topic that is deleted has no messages. One that is just not there, or whose deletion may be taken back, has them.
    const missed = all.find(({ topicId }) => !directory.topicById(topicId) && knows(topicId));
    if (missed) throw new MqError('UNAVAILABLE', `topic ${missed.topicId} is not in the metadata, and may come back`);
    const messages = all.filter(({ topicId }) => directory.topicById(topicId));
    if (messages.length > 0) {
      const about = { brokerSet: transfer.to, from: brokerName, log: logOf(position), transfer: position };
      const call: TransferCall = { ...about, messages };
      await peers.peer(leader).takeTransfer(call);
    }
    if (isOfPending(transfer)) {
      const payload = encodePendingTransferDone(position, transfer.messages);
      store.append(RecordKind.transferPendingDone, logClock.nowMs(), payload);
    } else store.append(RecordKind.transferDone, logClock.nowMs(), encodeTransferDone(position));
    this.ready.delete(position);
    return messages.reduce((sum, { payload }) => sum + payload.length, 0);
  }

  /** The set takes none of them any more. False: there is no other. */
  private sendElsewhere({ position, transfer }: OpenTransfer): boolean {
    const spread = this.parts.targets.spread();
    const targetOf = ({ groupHash }: { readonly groupHash: number }): string | undefined =>
      groupHash === 0 ? spread : this.parts.targets.homeOf(groupHash);
    const isNone = (to: string | undefined): boolean => to === undefined || to === transfer.to;
    if (isOfPending(transfer)) {
      const byTarget = Map.groupBy(transfer.messages, targetOf);
      if ([...byTarget.keys()].some(isNone)) return false;
      for (const [to, its] of byTarget) this.writePending(to as string, position, its);
    } else {
      const targets = new Map<string | undefined, TransferQueue[]>();
      for (const { topicId, queueId, messages } of transfer.queues) {
        for (const [to, its] of Map.groupBy(messages, targetOf)) {
          targets.set(to, [...(targets.get(to) ?? []), { topicId, queueId, messages: its }]);
        }
      }
      if ([...targets.keys()].some(isNone)) return false;
      for (const [to, queues] of targets) this.write(to as string, position, queues);
    }
    this.ready.delete(position);
    return true;
  }

  /** What an earlier leader had begun to send. What has expired since is gone. */
  private async read(transfer: OpenTransfer['transfer']): Promise<TransferredMessage[]> {
    if (isOfPending(transfer)) {
      return this.readEach(transfer.messages, (message, index, stored) => this.pendingMessage(index, message, stored));
    }
    const flat = transfer.queues.flatMap(({ topicId, queueId, messages }) =>
      messages.map((message) => ({ ...message, topicId, queueId })),
    );
    return this.readEach(flat, ({ topicId, queueId, groupHash, audience }, index, stored) => ({
      ...{ index, topicId, queueId, tagHash: stored.tagHash, groupHash, audience, payload: stored.payload },
      letter: letterOf(stored),
    }));
  }

  private async readEach<T extends { readonly position: LogPosition; readonly size: number }>(
    messages: readonly T[],
    of: (message: T, index: number, stored: StoredMessage) => TransferredMessage,
  ): Promise<TransferredMessage[]> {
    const { store } = this.parts;
    const found: TransferredMessage[] = [];
    const read = await store.readAll(messages);
    for (const [index, message] of messages.entries()) {
      const stored = read[index];
      if (stored === undefined) continue;
      if (stored instanceof MqError) {
        if (stored.code === 'NOT_FOUND' || store.damage.isGivenUp(message.position, message.size)) continue;
        throw stored;
      }
      found.push(of(message, index, stored));
    }
    return found;
  }

  private pendingMessage(index: number, message: PendingTransferMessage, stored: StoredMessage): TransferredMessage {
    const { topicId, queueId, tagHash, groupHash } = message;
    const past = pastOf(message, stored, this.parts.brokerName);
    return { ...{ index, topicId, queueId, tagHash, groupHash }, audience: everybody, payload: stored.payload, past };
  }
}

/** What a dead letter says of itself; undefined: it is none. */
export function letterOf({
  letterOf: groupId,
  originTopicId,
  cause = 0,
  attempts = 0,
}: StoredMessage): LetterFacts | undefined {
  return groupId === undefined ? undefined : { groupId, originTopicId, cause, attempts };
}
