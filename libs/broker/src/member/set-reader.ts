/** Asks the registry how the set is, tells it that this member is there, and notes under what it acts. */
import { type KnownSet, type MemberClaim, type SetReading, standsStill } from '@cometmq/client';
import type { SetState } from '@cometmq/model';
import { failureFacts, MqError, sleep } from '@cometmq/shared';

import type { MemberMoves, MemberSelf } from './member-self.js';

const openAgainMs = 500;
/** A presence outlasts its process by a lease, and a little more until it is ended. */
const outlastLeases = 1.5;

export class SetReader {
  /** The registry has said how the set is. */
  hasRead = false;
  /** When it has said so last. */
  readMs = -Infinity;
  /** Why nobody may stand, as it was read last. */
  private still: string | undefined;
  private stillTold = false;
  /** Somebody else knows better than the registry, as it was read last. */
  private doubt: string | undefined;
  /** It was told that it can't be noted how the set is now. */
  private unnoted = false;
  /** The last refusal that was told of. */
  private refusal: string | undefined;
  private announcing: Promise<void> | undefined;
  /** Something may have changed since that was asked. */
  private again = false;
  private announcedMs = -Infinity;
  private bringing = false;

  constructor(
    private readonly self: MemberSelf,
    private readonly moves: Pick<MemberMoves, 'fail'>,
    /** Nothing speaks against what was read; undefined: there is no set yet. */
    private readonly onRead: (state: SetState | undefined) => void,
  ) {}

  /** Why nobody may stand; undefined: whoever has a reason to may. */
  get whyStill(): string | undefined {
    return this.still ?? this.doubt ?? (this.self.started ? this.self.parts.adoption.mismatch : undefined);
  }

  /** Undefined: the registry does not answer yet, and others may want this member's word meanwhile. */
  async open(): Promise<SetReading | undefined> {
    const { self } = this;
    const { registry, adoption, log, settings, clock } = self.parts;
    const heldMs = clock.monotonicMs() + settings.leaseMs * outlastLeases;
    for (;;) {
      if (self.stopped) throw new MqError('CANCELLED', 'stopped before the lead was taken');
      try {
        adoption.check();
        return await registry.announceMember(self.claim());
      } catch (caught) {
        const error = MqError.from(caught);
        if (await adoption.settles(error)) continue;
        // Whoever has its place may have ended just now.
        const isHeld = error.code === 'CONFLICT';
        if (isHeld ? clock.monotonicMs() >= heldMs : !error.retry) throw error;
        log.warn(failureFacts(error), 'the broker set can not be looked up yet; trying again');
        if (settings.membersWanted > 1 && !isHeld) return undefined;
        await sleep(clock, openAgainMs);
      }
    }
  }

  /** From time to time, more often while no leader is known. */
  lookIfDue(): void {
    const { role, attachedTo, parts } = this.self;
    const { leaseMs } = parts.settings;
    const everyMs = attachedTo ? leaseMs / 3 : Math.min(leaseMs / 6, openAgainMs);
    if (role.is !== 'leading' && parts.clock.monotonicMs() - this.announcedMs >= everyMs) this.look();
  }

  /** Whenever something may have changed. */
  look(): void {
    const { self } = this;
    if (self.stopped || self.role.is === 'opening' || self.role.is === 'failed') return;
    if (this.announcing) {
      this.again = true;
      return;
    }
    const { registry, clock, adoption, log } = self.parts;
    this.announcedMs = clock.monotonicMs();
    const claim = self.claim();
    const { ended } = self;
    const announced = ended.isDue
      ? ended.tell().then(() => registry.announceMember(claim))
      : registry.announceMember(claim);
    this.announcing = announced
      .then((reading) => this.read(reading))
      .catch(async (caught: unknown) => {
        const error = MqError.from(caught);
        if (error.code === 'METADATA_MISMATCH') await adoption.mismatched(error);
        else if (error.code === 'DATA_FOLDER') this.refusesFolder(error, claim);
        else if (error.retry && error.code !== 'CONFLICT')
          log.debug(failureFacts(error), 'the name service does not answer');
        else this.refused(error);
      })
      .finally(() => {
        this.announcing = undefined;
        const { again } = this;
        this.again = false;
        if (again) this.look();
      });
  }

  /** Its log has begun a term since it said how far it had come: the answer is to what it was then, and the next one counts. */
  private refusesFolder(error: MqError, { log }: MemberClaim): void {
    if (this.self.parts.store.epoch > (log?.epoch ?? 0)) return;
    this.moves.fail(error);
  }

  /** It answers, and does not take this member's word: a person has to look. Told once, until it answers otherwise. */
  private refused(error: MqError): void {
    if (this.refusal === error.reason) return;
    this.refusal = error.reason;
    this.self.parts.log.warn(failureFacts(error), 'the name service refuses this member; trying again');
  }

  read(reading: SetReading): void {
    const { state } = reading;
    this.refusal = undefined;
    this.hasRead = true;
    this.readMs = this.self.parts.clock.monotonicMs();
    const { knowledge, parts } = this.self;
    const { adoption, log } = parts;
    knowledge.read(reading);
    const still = standsStill(this.knownSet(), reading);
    // An answer may be older than what was heard since; the next one is not.
    if (still !== undefined && still === this.still && !this.stillTold) {
      this.stillTold = true;
      log.error({ reason: still }, 'nobody stands for the lead');
    }
    const again = still === this.still;
    this.still = still;
    const { doubtedBy } = reading;
    this.doubt = doubtedBy && `${doubtedBy} knows a later state of this set: the metadata was set back`;
    if (still !== undefined) {
      if (again) void this.bringBack(() => adoption.settles(new MqError('METADATA_MISMATCH', still)));
      return;
    }
    // It knows nothing that the metadata does not, and says so: others may be waiting for its word.
    if (this.doubt !== undefined) void this.bringBack(() => adoption.sayWord());
    this.stillTold = false;
    adoption.mismatch = undefined;
    if (state) this.acted(reading, state);
    this.onRead(state);
  }

  /** What this member knows of its set is told to the metadata that was set back, so that others hear of it; and comes back, once that is allowed. */
  private async bringBack(bring: () => Promise<unknown>): Promise<void> {
    if (this.bringing) return;
    this.bringing = true;
    try {
      await bring();
    } catch (caught) {
      this.self.parts.log.debug(failureFacts(caught), 'the metadata could not be brought back; trying again');
    } finally {
      this.bringing = false;
    }
  }

  /** Withdraws this member's presence, once what was asked before is over. */
  async withdraw(): Promise<void> {
    await this.announcing;
    const { isOpened, role, parts } = this.self;
    if (!isOpened || role.is === 'failed') return;
    await parts.registry.withdrawMember(this.self.claim()).catch((caught: unknown) => {
      parts.log.warn(failureFacts(caught), 'the name service could not be told that the broker leaves');
    });
  }

  /** The latest that this member has acted under, or heard of. */
  private knownSet(): KnownSet | undefined {
    const { acted } = this.self.notes;
    const { state } = this.self.knowledge;
    // Of another store than what was acted under, it says nothing here: revisions and epochs rise together in one.
    if (!acted || !state || state.revision <= acted.revision || state.epoch < acted.epoch) return acted;
    return { ...acted, revision: state.revision, epoch: state.epoch };
  }

  /** Under what this member acts from now on, before it does. */
  private acted(reading: SetReading, state: SetState): void {
    this.self.notes.actUnder(reading, state)?.then(
      () => (this.unnoted = false),
      (caught: unknown) => {
        const facts = failureFacts(caught);
        if (!this.unnoted) this.self.parts.log.warn(facts, 'what the set is now could not be noted; trying again');
        this.unnoted = true;
      },
    );
  }
}
