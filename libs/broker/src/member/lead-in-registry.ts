/** What a leader tells the registry of sets: that it leads and makes progress, and who belongs to its set from now on. */
import type { KeptLead, WantedMembers } from '@cometmq/client';
import type { Epoch, MemberId, SetState } from '@cometmq/model';
import type { LeaderOutput } from '@cometmq/replication';
import { failureFacts, MqError, sleep } from '@cometmq/shared';

import type { LeadingParts } from './leading-parts.js';

/** Between two attempts to learn what became of a change. */
const againMs = 100;

/** How the term stands, asked for whenever it is told. */
export interface LeadNow {
  readonly epoch: Epoch;
  /** It has been deposed, or has left. */
  isOver(): boolean;
  members(): SetState;
  /** The last progress at which a majority listened. */
  shown(): number;
  /** Who follows and has all that is committed. */
  followersInSync(): readonly MemberId[];
  bootIdOf(member: MemberId): string;
  /** The outcome of a change; undefined: it has not happened, and can't any more. */
  changed(state: SetState | undefined): void;
}

export class LeadInRegistry {
  private lastRenewalMs = -Infinity;
  private renewing = false;
  /** It was told that the name service does not answer. */
  private away = false;

  constructor(
    private readonly parts: LeadingParts,
    private readonly now: LeadNow,
  ) {}

  renewIfDue(everyMs: number): void {
    if (this.parts.clock.monotonicMs() - this.lastRenewalMs >= everyMs) void this.renew();
  }

  /** At once; or, where the answer to the one before is not there yet, with the next look. */
  renewNow(): void {
    this.lastRenewalMs = -Infinity;
    void this.renew();
  }

  private async renew(): Promise<void> {
    if (this.renewing) return;
    const { parts, now } = this;
    const { registry, claim, writable, log, me, clock } = parts;
    this.renewing = true;
    this.lastRenewalMs = clock.monotonicMs();
    const inSync = [me, ...now.followersInSync()].sort();
    const kept: KeptLead = { epoch: now.epoch, writable: writable(), progress: now.shown(), inSync };
    try {
      const reading = await registry.renewLeadership(claim(), kept);
      if (this.away) log.info({ epoch: now.epoch }, 'the name service answers again');
      this.away = false;
      if (!now.isOver()) parts.read(reading);
    } catch (caught) {
      const error = MqError.from(caught);
      if (now.isOver()) return;
      if (error.code === 'NOT_LEADER') parts.deposed(error);
      else if (!error.retry) parts.refusedBy(error);
      else {
        if (!this.away) log.warn(failureFacts(error), 'the name service does not answer; serving goes on');
        this.away = true;
      }
    } finally {
      this.renewing = false;
    }
  }

  /** Asked again until the outcome is known: until then both rules count. */
  async change({ rule, revision, epoch }: Extract<LeaderOutput, { kind: 'change' }>): Promise<void> {
    const { parts, now } = this;
    const { registry, claim, clock, store, log } = parts;
    const { commitEnd } = store;
    const before = now.members().members;
    const left = before.filter((member) => !rule.members.includes(member)).map((member) => ({ member, commitEnd }));
    const joined = rule.members
      .filter((member) => !before.includes(member))
      .map((member) => ({ member, bootId: now.bootIdOf(member) }));
    const wanted: WantedMembers = { epoch, rule, revision, left, joined };
    while (!now.isOver()) {
      try {
        const state = await registry.changeMembers(claim(), wanted);
        if (!state || (await this.isNoted(state))) {
          if (!now.isOver()) now.changed(state);
          return;
        }
      } catch (caught) {
        const error = MqError.from(caught);
        if (now.isOver()) return;
        if (error.code === 'NOT_LEADER') {
          parts.deposed(error);
          return;
        }
        if (error.code !== 'UNAVAILABLE' && error.code !== 'TIMEOUT') {
          log.warn(failureFacts(error), 'the members of the set could not be changed; trying again');
          now.changed(undefined);
          return;
        }
      }
      await sleep(clock, againMs);
    }
  }

  /** Who goes on by it must know of it later, also where the metadata is set back to before it: nobody else does. */
  private async isNoted(state: SetState): Promise<boolean> {
    const { noteChange, log } = this.parts;
    try {
      await noteChange(state);
      return true;
    } catch (caught) {
      log.warn(failureFacts(caught), 'what the set is now could not be noted; trying again');
      return false;
    }
  }
}
