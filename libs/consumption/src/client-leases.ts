import { RecordKind, type DecidedRecord, type GroupId, type QueueOffset } from '@cometmq/model';

import { decodeClientLeases, encodeClientLeases } from './group-records.js';
import { LeasedSections } from './leased-sections.js';
import type { LeaseClient } from './lease-table.js';
import type { QueuedMessage } from './ports.js';
import type { ProgressDirectory } from './progress-directory.js';
import type { QueueProgress } from './queue-progress.js';
import type { Tables } from './tables.js';

export interface RenewalLimits {
  /** A lease is renewed when less than this is left. */
  readonly renewBeforeMs: number;
  /** Renewed to end this long from now. */
  readonly renewForMs: number;
  /** No renewal after this long since the delivery. */
  readonly renewTotalMs: number;
}

/** What names one delivery. */
export interface LeaseId {
  readonly epoch: number;
  readonly position: number;
}

/**
 * What clients hold, client by client: renewed while they live, given up when they go.
 *
 * A lease is renewed only if its answer may have reached the client: it went out on a connection that this leader knows and
 * whose proxy would give it back if it were lost; or it was renewed before; or the client has shown it. An answer that
 * was on its way when this leader or its proxy stopped may have reached nobody. Such messages get a time of their own, that
 * of the lease's end, and so come again after one lease even while a client of the same name lives.
 */
export class ClientLeases {
  constructor(
    private readonly tables: Tables<QueueProgress>,
    private readonly directory: ProgressDirectory,
    private readonly limits: RenewalLimits,
  ) {}

  fold(payload: Uint8Array): void {
    const { mode, groupId, clientId, visibleAtMs, handedAfterMs } = decodeClientLeases(payload);
    const { leases } = this.tables;
    for (let slot = this.headOf(groupId, clientId); slot >= 0; slot = leases.after(slot)) {
      const dueMs = leases.dueMs[slot] as number;
      const moves =
        mode === 'cut'
          ? dueMs > visibleAtMs
          : leases.autoRenew[slot] === 1 && (leases.handedMs[slot] as number) > handedAfterMs && dueMs < visibleAtMs;
      if (moves) this.directory.byIndex(leases.owner[slot] as number).moveLease(slot, visibleAtMs);
    }
  }

  /** The answer with the lease, which was just folded, goes out on this connection. */
  sendVia(groupId: GroupId, clientId: string, { epoch, position }: LeaseId, connection: string): void {
    const { leases } = this.tables;
    for (let slot = this.headOf(groupId, clientId); slot >= 0; slot = leases.after(slot)) {
      if (!leases.isOf(slot, epoch, position)) return; // The newest come first.
      leases.sendVia(slot, connection);
    }
  }

  /** Connections whose proxy is gone: what it had not said to have arrived is not known to have. */
  connectionsLost(
    isLost: (connection: string) => boolean,
    hasArrived: (lease: LeaseId, handedMs: number) => boolean,
  ): void {
    const { leases } = this.tables;
    for (let slot = 0; slot < leases.slotsEnd(); slot += 1) {
      if (leases.inUse[slot] === 0) continue;
      const connection = leases.connections.nameOf(leases.via[slot] as number);
      if (connection === undefined || !isLost(connection)) continue;
      const lease = { epoch: leases.epoch[slot] as number, position: leases.position[slot] as number };
      if (hasArrived(lease, leases.handedMs[slot] as number)) leases.arrived[slot] = 1;
      leases.sendVia(slot, undefined);
    }
  }

  /** For each living client with a lease that soon ends. To be called every few seconds. */
  renewals(nowMs: number, lives: (groupId: GroupId, clientId: string) => boolean): DecidedRecord[] {
    const { renewForMs, renewTotalMs } = this.limits;
    const handedAfterMs = Math.max(0, Math.floor(nowMs - renewTotalMs));
    const records: DecidedRecord[] = [];
    for (const client of this.tables.leases.clients()) {
      const { groupId, clientId } = client;
      if (!this.endsSoon(client, nowMs, handedAfterMs) || !lives(groupId, clientId)) continue;
      const doubtful = this.holdBack(client, handedAfterMs);
      if (doubtful) records.push(doubtful);
      const visibleAtMs = Math.ceil(nowMs + renewForMs);
      const payload = encodeClientLeases({ mode: 'renew', groupId, clientId, visibleAtMs, handedAfterMs });
      records.push({ kind: RecordKind.changeClientLeases, payload });
    }
    return records;
  }

  /** All that the client holds is visible from `visibleAtMs` at the latest. Undefined: it holds nothing longer. */
  gone(groupId: GroupId, clientId: string, visibleAtMs: number): DecidedRecord | undefined {
    const { leases } = this.tables;
    for (let slot = this.headOf(groupId, clientId); slot >= 0; slot = leases.after(slot)) {
      if ((leases.dueMs[slot] as number) <= visibleAtMs) continue;
      const change = { mode: 'cut', groupId, clientId, visibleAtMs: Math.ceil(visibleAtMs), handedAfterMs: 0 } as const;
      return { kind: RecordKind.changeClientLeases, payload: encodeClientLeases(change) };
    }
    return undefined;
  }

  /**
   * A member says good-bye: the lanes it holds are due at once and need no rest. Where another member with the same client
   * id stays, `isIts` says which connections were those of the one that goes: all that went out on them is due at once;
   * so is what went out on none that is known.
   */
  left(
    groupId: GroupId,
    clientId: string,
    nowMs: number,
    isIts?: (connection: string) => boolean,
  ): DecidedRecord | undefined {
    const { leases } = this.tables;
    const sections = new LeasedSections();
    for (let slot = this.headOf(groupId, clientId); slot >= 0; slot = leases.after(slot)) {
      const connection = leases.connections.nameOf(leases.via[slot] as number);
      const goes = isIts ? connection === undefined || isIts(connection) : leases.lane[slot] !== 0;
      if (goes) this.give(slot, nowMs, sections);
    }
    if (!isIts) this.letGo(groupId, clientId, nowMs, sections);
    return sections.record(RecordKind.changeInvisible);
  }

  heldBy(groupId: GroupId, clientId: string): QueuedMessage[] {
    const { leases } = this.tables;
    const held: QueuedMessage[] = [];
    for (let slot = this.headOf(groupId, clientId); slot >= 0; slot = leases.after(slot)) {
      const progress = this.directory.byIndex(leases.owner[slot] as number);
      for (const offset of progress.offsetsOf(slot)) {
        held.push({ topicId: progress.topicId, queueId: progress.queueId, offset: offset as QueueOffset });
      }
    }
    return held;
  }

  // ---- inside ----------------------------------------------------------------------------------------------------

  private headOf(groupId: GroupId, clientId: string): number {
    return this.tables.leases.findClient(groupId, clientId)?.head ?? -1;
  }

  private isRenewable(slot: number, handedAfterMs: number): boolean {
    const { leases } = this.tables;
    return leases.autoRenew[slot] === 1 && (leases.handedMs[slot] as number) > handedAfterMs;
  }

  private endsSoon(client: LeaseClient, nowMs: number, handedAfterMs: number): boolean {
    const { leases } = this.tables;
    for (let slot = client.head; slot >= 0; slot = leases.after(slot)) {
      if ((leases.dueMs[slot] as number) - nowMs >= this.limits.renewBeforeMs) continue;
      if (this.isRenewable(slot, handedAfterMs) && this.mayHaveArrived(slot)) return true;
    }
    return false;
  }

  private mayHaveArrived(slot: number): boolean {
    const { leases } = this.tables;
    if (leases.via[slot] !== 0 || leases.arrived[slot] === 1) return true;
    return (leases.dueMs[slot] as number) - (leases.handedMs[slot] as number) > this.limits.renewForMs;
  }

  /** What may have reached nobody is not moved by the renewal that follows. */
  private holdBack(client: LeaseClient, handedAfterMs: number): DecidedRecord | undefined {
    const { leases } = this.tables;
    const sections = new LeasedSections();
    for (let slot = client.head; slot >= 0; slot = leases.after(slot)) {
      if (!this.isRenewable(slot, handedAfterMs) || this.mayHaveArrived(slot)) continue;
      this.give(slot, (leases.dueMs[slot] as number) + (leases.backoffMs[slot] as number), sections);
    }
    return sections.record(RecordKind.changeInvisible);
  }

  /** What it held through a reset. */
  private letGo(groupId: GroupId, clientId: string, nowMs: number, sections: LeasedSections): void {
    for (const progress of this.tables.lanes.held) {
      if (progress.groupId !== groupId) continue;
      for (const hold of progress.lanes?.held() ?? []) {
        if (hold.clientId !== clientId || hold.untilMs <= nowMs) continue;
        const { topicId, queueId } = progress;
        for (const offset of hold.offsets) {
          sections.add(groupId, topicId, queueId, hold.epoch, hold.position, Math.ceil(nowMs), offset);
        }
      }
    }
  }

  /** All that is held under the lease slot is due at a time of its own. */
  private give(slot: number, visibleAtMs: number, sections: LeasedSections): void {
    const { leases } = this.tables;
    const progress = this.directory.byIndex(leases.owner[slot] as number);
    const { groupId, topicId, queueId } = progress;
    const [epoch, position] = [leases.epoch[slot] as number, leases.position[slot] as number];
    for (const offset of progress.offsetsOf(slot)) {
      sections.add(groupId, topicId, queueId, epoch, position, Math.ceil(visibleAtMs), offset);
    }
  }
}
