import type { ChangeInvisibleCall, ChangeInvisibleResult, ClientGoneCall, Done, HandBackCall } from '@cometmq/client';
import type { GroupsView } from '@cometmq/consumption';
import type { GroupId } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import { outcomeError } from '../acks.js';
import type { Clients } from '../clients.js';
import { decide } from '../decide.js';
import type { Deliveries } from '../deliveries.js';
import type { LostLink } from '../link-door.js';
import type { LiteBroker } from '../lite/lite-broker.js';
import type { LogClock } from '../log-clock.js';

/** No answer is longer on its way to a proxy that reports: what it does not name by then it has given to its client. */
const onTheLinkMsMax = 2_000;

export interface LeaseParts {
  readonly store: Pick<StorePorts, 'append' | 'appendEnd' | 'whenCommitted'>;
  readonly groups: GroupsView;
  readonly clients: Clients;
  readonly deliveries: Deliveries;
  readonly lite: LiteBroker;
  readonly logClock: LogClock;
}

/** How long messages stay with those they were handed to: longer, shorter, or no longer, since they went away. */
export class Leases {
  constructor(private readonly parts: LeaseParts) {}

  changeInvisible({ receipt, invisibleMs, suspend }: ChangeInvisibleCall, done: Done<ChangeInvisibleResult>): void {
    const { store, groups, logClock, deliveries, lite } = this.parts;
    let refused: MqError | undefined;
    const settle: Done<ChangeInvisibleResult> = (error, result) => {
      const why = error ?? refused;
      if (why) done(why, undefined);
      else done(undefined, result);
    };
    decide(store, settle, () => {
      const nowMs = logClock.nowMs();
      const visibleAtMs = nowMs + invisibleMs;
      const { record, outcomes } = suspend
        ? groups.decideHandBack([receipt], visibleAtMs)
        : groups.decideChange([{ receipt, visibleAtMs }], nowMs);
      refused = outcomeError(outcomes[0]); // Also then a lane may come free, which is a record.
      const result = { receipt };
      if (!record) return { end: undefined, result };
      const { end } = store.append(record.kind, nowMs, record.payload);
      const after = (): void => {
        deliveries.changed(receipt.groupId, receipt.topicId);
        lite.changed([receipt]);
      };
      return { end, result, after };
    });
  }

  handBack({ receipts }: HandBackCall, done: Done<void>): void {
    const { store, groups, logClock, deliveries, lite } = this.parts;
    decide(store, done, () => {
      const nowMs = logClock.nowMs();
      const { record } = groups.decideHandBack(receipts, nowMs);
      const result = undefined;
      if (!record) return { end: undefined, result };
      const { end } = store.append(record.kind, nowMs, record.payload);
      const after = (): void => {
        for (const { groupId, topicId } of receipts) deliveries.changed(groupId, topicId);
        lite.changed(receipts);
      };
      return { end, result, after };
    });
  }

  /** What went out on the link's connections shortly before it ended may have reached nobody: it is not renewed. */
  linkLost({ prefix, report }: LostLink): void {
    const { groups, logClock } = this.parts;
    const knownBeforeMs = report ? logClock.nowMs() - report.agoMs - onTheLinkMsMax : 0;
    const unconfirmed = new Set(report?.unconfirmed.map(({ epoch, position }) => `${epoch}:${position}`));
    groups.connectionsLost(
      (connection) => connection.startsWith(prefix),
      ({ epoch, position }, handedMs) => handedMs < knownBeforeMs && !unconfirmed.has(`${epoch}:${position}`),
    );
  }

  clientGone({ clientId, groupId, connection }: ClientGoneCall, done: Done<void>): void {
    const { store, clients, lite } = this.parts;
    decide(store, done, () => {
      if (connection !== undefined) {
        this.takeLeave(groupId, clientId, (name) => name === connection || name.endsWith(`:${connection}`));
        return { end: undefined, result: undefined };
      }
      clients.gone(groupId, clientId);
      lite.clientGone(groupId, clientId);
      this.takeLeave(groupId, clientId);
      this.release(groupId, clientId);
      return { end: undefined, result: undefined };
    });
  }

  /** Its leases end: nothing is heard of it any more. */
  release(groupId: GroupId, clientId: string): void {
    const nowMs = this.parts.logClock.nowMs();
    this.releaseBy(groupId, clientId, nowMs, this.parts.groups.decideClientGone(groupId, clientId, nowMs));
  }

  /** Those of members that live are renewed where they asked for it. */
  renew(lives: (groupId: GroupId, clientId: string) => boolean): void {
    const { store, groups, logClock } = this.parts;
    const nowMs = logClock.nowMs();
    for (const { kind, payload } of groups.decideRenewals(nowMs, lives)) store.append(kind, nowMs, payload);
  }

  /** A member that says good-bye did not fail: the lanes it holds need no rest. */
  private takeLeave(groupId: GroupId, clientId: string, isIts?: (connection: string) => boolean): void {
    const nowMs = this.parts.logClock.nowMs();
    this.releaseBy(groupId, clientId, nowMs, this.parts.groups.decideLeave(groupId, clientId, nowMs, isIts));
  }

  private releaseBy(
    groupId: GroupId,
    clientId: string,
    nowMs: number,
    record: ReturnType<GroupsView['decideClientGone']>,
  ): void {
    if (!record) return;
    const { store, groups, deliveries, lite } = this.parts;
    const held = groups.heldBy(groupId, clientId);
    store.append(record.kind, nowMs, record.payload);
    for (const topicId of new Set(held.map((message) => message.topicId))) deliveries.changed(groupId, topicId);
    lite.changed(held.map(({ topicId, queueId }) => ({ groupId, topicId, queueId })));
  }
}
