import type { Delivered, Done, ReceiveCall } from '@cometmq/client';
import type { GroupsView, HandedMessage } from '@cometmq/consumption';
import type { GroupId, LogPosition, Receipt } from '@cometmq/model';
import { failureFacts, MqError } from '@cometmq/shared';
import type { MessageStore, ReadMessage } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

export interface HandOutsParts {
  readonly store: MessageStore;
  readonly groups: GroupsView;
  readonly brokerName: string;
  readonly log: Logger;
}

/** Makes what was handed out ready to be delivered: the stored messages, each with its receipt. */
export class HandOuts {
  constructor(private readonly parts: HandOutsParts) {}

  /** What was just handed out to a poll goes out on its connection: so it may be renewed. */
  begin({ groupId, clientId, connection = unnamed }: ReceiveCall, position: LogPosition): void {
    const { groups, store } = this.parts;
    groups.sendVia(groupId, clientId, { epoch: store.epoch, position }, connection);
  }

  /** Reads what was handed out under the lease at `position`. `done` is called later, with what could be read. */
  load(
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
    const { brokerName, store, log } = this.parts;
    const messages: Delivered[] = [];
    for (let i = 0; i < handed.length; i += 1) {
      const message = handed[i];
      const record = records[i];
      if (!message || !record) continue;
      if (record instanceof MqError) {
        // It must not keep its neighbours back; it will be tried again, then dead-lettered.
        log.error({ position: message.position, ...failureFacts(record) }, 'a stored message can not be read');
        continue;
      }
      const receipt: Receipt = {
        broker: brokerName,
        groupId,
        topicId: message.topicId,
        queueId: message.queueId,
        offset: message.offset,
        leaseEpoch: store.epoch,
        leasePosition: position,
        generation: message.generation,
        attempt: message.attempt,
      };
      const { payload, timestampMs: storedMs, originTopicId } = record;
      messages.push({ receipt, payload, storedMs, originTopicId });
    }
    return messages;
  }
}

/** A proxy that does not say which connection. */
const unnamed = '-';
