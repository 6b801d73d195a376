import type { Delivered, Done, ReceiveCall } from '@cometmq/client';
import type { GroupsView, HandedMessage } from '@cometmq/consumption';
import type { GroupId, LogPosition, Receipt } from '@cometmq/model';
import { failureFacts, MqError } from '@cometmq/shared';
import { countWithin, type StorePorts, type ReadMessage } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { LogClock } from './log-clock.js';
import type { ReadsElsewhere } from './reads-elsewhere.js';
import type { Traffic } from './traffic.js';
import { tellUnreadable } from './unreadable.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'append' | 'damage' | 'epoch' | 'readAll' | 'sizesOf'>;

export interface DeliveryLoaderParts {
  readonly store: Store;
  readonly groups: GroupsView;
  readonly brokerName: string;
  readonly logClock: LogClock;
  readonly log: Logger;
  readonly traffic: Traffic;
  /** Left out: all is read here. */
  readonly elsewhere?: ReadsElsewhere | undefined;
}

/** For whom it is read. */
export interface Receiver {
  readonly call: ReceiveCall;
  /** Nobody waits any more. */
  readonly over: boolean;
  /** To be run when nobody waits any more while there is no room for what was handed out. */
  abandon?: (() => void) | undefined;
}

/** Makes what was handed out ready to be delivered: the stored messages, each with its receipt. */
export class DeliveryLoader {
  constructor(private readonly parts: DeliveryLoaderParts) {}

  /** What was just handed out to a poll goes out on its connection: so it may be renewed. */
  begin({ groupId, clientId, connection = unnamed }: ReceiveCall, position: LogPosition): void {
    const { groups, store } = this.parts;
    groups.sendVia(groupId, clientId, { epoch: store.epoch, position }, connection);
  }

  /**
   * Reads what was handed out under the lease at `position`, once there is room for it. `done` is called later, with what
   * could be read; without the messages' bytes, to be given back, where nobody waits for them any more. `tooMuch`: called before,
   * with what does not fit into the answer, where entries of the queue refer to messages that are larger than they say.
   */
  load(
    receiver: Receiver,
    handed: readonly HandedMessage[],
    position: LogPosition,
    done: Done<readonly Delivered[]>,
    tooMuch: (receipts: readonly Receipt[]) => void,
  ): void {
    const { groupId, bytesMax } = receiver.call;
    const fitting = (sizes: readonly number[]): void => {
      const count = countWithin(sizes, bytesMax);
      let bytes = 0;
      for (let i = 0; i < count; i += 1) bytes += sizes[i] as number;
      if (count < handed.length) {
        const rest = handed.slice(count).map((message) => this.receipt(groupId, message, position));
        queueMicrotask(() => tooMuch(rest));
      }
      this.loadNow(receiver, count < handed.length ? handed.slice(0, count) : handed, bytes, position, done);
    };
    const sizes = this.parts.store.sizesOf(handed);
    if (!(sizes instanceof Promise)) fitting(sizes);
    else sizes.then(fitting, (caught: unknown) => done(MqError.from(caught), undefined));
  }

  private loadNow(
    receiver: Receiver,
    handed: readonly HandedMessage[],
    bytes: number,
    position: LogPosition,
    done: Done<readonly Delivered[]>,
  ): void {
    const { groupId, askRoom } = receiver.call;
    const unread = (): void => done(undefined, this.unread(groupId, handed, position));
    if (receiver.over) {
      queueMicrotask(unread);
      return;
    }
    const read = (): void => {
      receiver.abandon = undefined;
      const members = receiver.call.readsMembers ? (this.parts.elsewhere?.membersFor(handed) ?? []) : [];
      if (members.length > 0) queueMicrotask(() => done(undefined, this.named(groupId, handed, position, members)));
      else this.read(groupId, handed, position, done);
    };
    if (!askRoom || askRoom(bytes, read)) read();
    else receiver.abandon = unread;
  }

  private read(
    groupId: GroupId,
    handed: readonly HandedMessage[],
    position: LogPosition,
    done: Done<readonly Delivered[]>,
  ): void {
    const whole = (found: readonly ReadMessage[]): void =>
      done(undefined, this.delivered(groupId, handed, found, position));
    const records = this.parts.store.readAll(handed);
    if (!(records instanceof Promise)) queueMicrotask(() => whole(records));
    else records.then(whole, (caught: unknown) => done(MqError.from(caught), undefined));
  }

  private delivered(
    groupId: GroupId,
    handed: readonly HandedMessage[],
    records: readonly ReadMessage[],
    position: LogPosition,
  ): Delivered[] {
    const { log, traffic } = this.parts;
    const messages: Delivered[] = [];
    for (let i = 0; i < handed.length; i += 1) {
      const message = handed[i];
      const record = records[i];
      if (!message || !record) continue;
      if (record instanceof MqError) {
        // It must not keep its neighbours back; it will be tried again, until it can be read or is given up.
        tellUnreadable(log, message.position, record);
        if (this.parts.store.damage.isGivenUp(message.position, message.size)) this.passOver(groupId, message);
        continue;
      }
      const receipt = this.receipt(groupId, message, position);
      const { payload, timestampMs: storedMs, originTopicId } = record;
      messages.push({ receipt, payload, storedMs, originTopicId });
      traffic.delivered(message.topicId, groupId, payload, message.attempt);
    }
    return messages;
  }

  /** Without their bodies: who receives them reads those at one of the members. */
  private named(
    groupId: GroupId,
    handed: readonly HandedMessage[],
    leasePosition: LogPosition,
    members: readonly string[],
  ): Delivered[] {
    return handed.map((message) => {
      const { topicId, position, size, attempt } = message;
      this.parts.traffic.deliveredElsewhere(topicId, groupId, size, attempt);
      const receipt = this.receipt(groupId, message, leasePosition);
      return { receipt, payload: nothing, storedMs: 0, originTopicId: topicId, place: { position, size, members } };
    });
  }

  /** An operator gave it up: it is done for the group. */
  private passOver(groupId: GroupId, message: HandedMessage): void {
    const { groups, store, logClock, log } = this.parts;
    if (!groups.isOpen(groupId, message)) return;
    const { kind, payload } = groups.decideDeadLetter(groupId, [message]);
    try {
      store.append(kind, logClock.nowMs(), payload);
    } catch (caught) {
      // It is tried again with its next delivery; its neighbours have nothing to do with it.
      log.warn(failureFacts(caught), 'a message that was given up could not be passed over yet');
    }
  }

  private unread(groupId: GroupId, handed: readonly HandedMessage[], position: LogPosition): Delivered[] {
    return handed.map((message) => ({
      receipt: this.receipt(groupId, message, position),
      payload: nothing,
      storedMs: 0,
      originTopicId: message.topicId,
    }));
  }

  private receipt(groupId: GroupId, message: HandedMessage, position: LogPosition): Receipt {
    return {
      broker: this.parts.brokerName,
      groupId,
      topicId: message.topicId,
      queueId: message.queueId,
      offset: message.offset,
      leaseEpoch: this.parts.store.epoch,
      leasePosition: position,
      generation: message.generation,
      attempt: message.attempt,
    };
  }
}

const nothing = new Uint8Array(0);

/** A proxy that does not say which connection. */
const unnamed = '-';
