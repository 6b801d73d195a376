import { printable, type BrokerSet } from '@cometmq/model';
import type { LeadershipClaim } from '@cometmq/client';
import type { Committed, KeyValue, LeaseId } from '@cometmq/metadata';
import { MqError, type Clock } from '@cometmq/shared';

import { checkClaim } from './checks.js';
import { identityIn, mismatchOf, type ClusterStore } from './cluster.js';
import {
  brokerSetOf,
  keys,
  presenceRecordOf,
  recordOf,
  setRecordOf,
  type LonePresenceRecord as PresenceRecord,
  type LoneSetRecord as SetRecord,
} from './keys.js';

type Held = LeadershipClaim & { readonly epoch: number };

interface Known<T> {
  readonly pair: KeyValue;
  readonly record: T;
}

/** How often a presence is put again when others change the set meanwhile. */
const triesMax = 5;

/**
 * Who leads which broker set. `sets/<name>` holds {epoch, leader, in-sync set} and changes only by comparing its revision,
 * which is what makes it safe; `presence/<name>` under a lease only notices silence. All is read from the store itself, as
 * this instance's copy may be behind, and any instance may renew what another has begun.
 */
export class BrokerLeadership {
  constructor(
    private readonly store: ClusterStore,
    private readonly clock: Clock,
    /** Waits until this instance, and who watches it, knows of a change. */
    private readonly settle: (change: Committed) => Promise<void>,
  ) {}

  async take(claim: LeadershipClaim): Promise<BrokerSet> {
    checkClaim(claim);
    const { name, member, address, leaseMs } = claim;
    const old = await this.known(claim);
    const set = old ? succeed(old.record, claim) : founded(name, member, this.clock.wallMs());
    const presence: PresenceRecord = { member, epoch: set.epoch, address, writable: true };
    const lease = await this.store.grantLease(leaseMs);
    const change = await this.store.commit({
      compare: [{ key: keys.set(name), modRevision: old?.pair.modRevision ?? 0 }],
      puts: [{ key: keys.set(name), value: JSON.stringify(set) }, presencePut(name, presence, lease.id)],
    });
    if (!change.applied) {
      await this.letGo(lease.id);
      throw new MqError('CONFLICT', `the lead of broker set ${name} was taken by another at the same moment`);
    }
    await this.settle(change);
    return asShown(set, presence);
  }

  async keep(claim: Held & { readonly writable: boolean }): Promise<void> {
    checkClaim(claim);
    const { name, member, address, leaseMs, epoch, writable } = claim;
    const wanted: PresenceRecord = { member, epoch, address, writable };
    for (let tries = 0; tries < triesMax; tries += 1) {
      const [set, shown] = await Promise.all([this.known(claim), this.presence(name)]);
      if (set?.record.epoch !== epoch || set.record.member !== member) throw deposed(claim, set?.record);
      if (claim.log?.epoch === epoch && set.record.begun?.epoch !== epoch) {
        await this.noteBegun(set, epoch);
        continue;
      }
      const ours = shown?.record.epoch === epoch && shown.record.member === member ? shown : undefined;
      const alive = ours?.pair.lease === undefined ? undefined : await this.store.keepLease(ours.pair.lease);
      if (alive && ours && same(ours.record, wanted)) return;
      const change = await this.show(name, set.pair.modRevision, wanted, alive?.id, leaseMs);
      if (change?.applied) return this.settle(change);
    }
    throw new MqError('CONFLICT', `broker set ${name} changes too often to renew its lead`);
  }

  async leave(claim: Held): Promise<void> {
    checkClaim(claim);
    const shown = await this.presence(claim.name);
    if (shown?.record.epoch !== claim.epoch || shown.record.member !== claim.member) return; // Another leads by now.
    const key = keys.presence(claim.name);
    const change = await this.store.commit({
      compare: [{ key, modRevision: shown.pair.modRevision }],
      deletes: [key],
    });
    if (!change.applied) return;
    if (shown.pair.lease !== undefined) await this.letGo(shown.pair.lease);
    await this.settle(change);
  }

  /** Nobody's data counts any more. The epoch stays: what was handed out before is never taken for what comes now. */
  async forget(name: string): Promise<BrokerSet> {
    const [set, shown] = await Promise.all([this.set(name), this.presence(name)]);
    if (!set) throw new MqError('NOT_FOUND', `there is no broker set ${printable(name)}`);
    if (shown?.record.epoch === set.record.epoch) {
      throw new MqError(
        'CONFLICT',
        `${shown.record.member} leads broker set ${name}: stop it first if it is to be given up`,
      );
    }
    const empty = { ...set.record, inSync: [], begun: undefined };
    const change = await this.store.commit({
      compare: [
        { key: keys.set(name), modRevision: set.pair.modRevision },
        { key: keys.presence(name), modRevision: shown?.pair.modRevision ?? 0 },
      ],
      puts: [{ key: keys.set(name), value: JSON.stringify(empty) }],
    });
    if (!change.applied) throw new MqError('CONFLICT', `broker set ${name} changed at the same moment: look again`);
    await this.settle(change);
    return asShown(empty, undefined);
  }

  /** Once in an epoch. If another changes the set at the same moment, the next renewal comes here again. */
  private async noteBegun({ pair, record }: Known<SetRecord>, epoch: number): Promise<void> {
    const next: SetRecord = { ...record, begun: { epoch, member: record.member } };
    const change = await this.store.commit({
      compare: [{ key: pair.key, modRevision: pair.modRevision }],
      puts: [{ key: pair.key, value: JSON.stringify(next) }],
    });
    if (change.applied) await this.settle(change);
  }

  /** Puts the presence, on a new lease unless the old one lives. Undefined: that lease ended just now. */
  private async show(
    name: string,
    setRevision: number,
    presence: PresenceRecord,
    alive: LeaseId | undefined,
    leaseMs: number,
  ): Promise<Committed | undefined> {
    const lease = alive ?? (await this.store.grantLease(leaseMs)).id;
    try {
      const change = await this.store.commit({
        compare: [{ key: keys.set(name), modRevision: setRevision }],
        puts: [presencePut(name, presence, lease)],
      });
      if (!change.applied && alive === undefined) await this.letGo(lease);
      return change;
    } catch (caught) {
      if (MqError.from(caught).code === 'NOT_FOUND') return undefined;
      throw caught;
    }
  }

  /** A lease that nobody needs; one that can't be ended now ends by itself. */
  private async letGo(lease: LeaseId): Promise<void> {
    await this.store.revokeLease(lease).catch(() => undefined);
  }

  /** The set, in metadata under which the claimant may act. @throws MqError METADATA_MISMATCH */
  private async known(claim: LeadershipClaim): Promise<Known<SetRecord> | undefined> {
    const [identity, set] = await Promise.all([identityIn(this.store), this.set(claim.name)]);
    if (!identity) throw new MqError('UNAVAILABLE', 'the metadata store is empty: no cluster has been made in it yet');
    const mismatch = mismatchOf(claim.name, claim, identity, set?.record);
    if (mismatch) throw mismatch;
    return set;
  }

  private async set(name: string): Promise<Known<SetRecord> | undefined> {
    return known(await this.store.get(keys.set(name)));
  }

  private async presence(name: string): Promise<Known<PresenceRecord> | undefined> {
    return known(await this.store.get(keys.presence(name)));
  }
}

function asShown(set: SetRecord, presence: PresenceRecord | undefined): BrokerSet {
  const asPair = (record: object): KeyValue => ({
    key: '',
    value: JSON.stringify(record),
    createRevision: 0,
    modRevision: 0,
  });
  const record = setRecordOf(asPair(set));
  if (!record) throw new MqError('INTERNAL', 'a set can not be read again');
  return brokerSetOf(record, () => presence && presenceRecordOf(asPair(presence)));
}

function known<T>(pair: KeyValue | undefined): Known<T> | undefined {
  const record = recordOf<T>(pair);
  if (pair && !record)
    throw new MqError('CORRUPT_RECORD', `metadata key ${pair.key} holds something else than it should`);
  return pair && record && { pair, record };
}

function founded(name: string, member: string, nowMs: number): SetRecord {
  return { name, epoch: 1, member, inSync: [member], registeredMs: nowMs };
}

/**
 * Only who has all that was acknowledged may lead next; the leader before leaves the set with that. Where all who had it
 * were given up, anybody may.
 */
function succeed(set: SetRecord, { member, log }: LeadershipClaim): SetRecord {
  if (set.inSync.length === 0) return { ...set, epoch: set.epoch + 1, member, inSync: [member] };
  if (!set.inSync.includes(member)) {
    throw new MqError(
      'DATA_FOLDER',
      `${member} can't lead broker set ${set.name}: its data folder is not one of those that hold all acknowledged ` +
        `messages (${set.inSync.join(', ')}). Start it on that folder, or under another name. If that folder is lost for ` +
        `good, give its messages up: ${giveUp(set.name)}`,
    );
  }
  const ended = log?.epoch ?? 0;
  if (set.begun?.member === member && ended < set.begun.epoch) {
    throw new MqError(
      'DATA_FOLDER',
      `the log of ${member} ends in epoch ${ended}, and it has led broker set ${set.name} up to epoch ${set.begun.epoch}: its ` +
        'data folder is an older copy, without what was sent and acknowledged since. Nothing was changed. Bring the newest ' +
        `copy back. If there is none, give up what is missing: ${giveUp(set.name)}`,
    );
  }
  const inSync = set.inSync.filter((other) => other === member || other !== set.member);
  return { ...set, epoch: set.epoch + 1, member, inSync };
}

function giveUp(name: string): string {
  return `comet broker forget ${name} (npm start: once with --forget-members)`;
}

function deposed({ name, member, epoch }: Held, set: SetRecord | undefined): MqError {
  const now = set ? `${set.member} leads it with epoch ${set.epoch}` : 'it is not known here';
  return new MqError('NOT_LEADER', `${member} no longer leads broker set ${name} with epoch ${epoch}: ${now}`);
}

function presencePut(
  name: string,
  presence: PresenceRecord,
  lease: LeaseId,
): { key: string; value: string; lease: LeaseId } {
  return { key: keys.presence(name), value: JSON.stringify(presence), lease };
}

function same(a: PresenceRecord, b: PresenceRecord): boolean {
  return a.member === b.member && a.epoch === b.epoch && a.address === b.address && a.writable === b.writable;
}
