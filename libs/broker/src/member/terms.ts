/** The terms in which this member leads: how one begins after the registry's word, and how it ends. */
import { type KnownLeader, NotLeader } from '@cometmq/client';
import type { Epoch, SetState } from '@cometmq/model';
import { leaderLimits } from '@cometmq/replication';
import { failureFacts, MqError } from '@cometmq/shared';

import type { ElectionPhases } from './election.js';
import { Leading } from './leading.js';
import type { MemberMoves, MemberSelf } from './member-self.js';
import type { LeadingRole, StandingRole } from './roles.js';
import { asKnownLeader } from './set-knowledge.js';
import type { SetReader } from './set-reader.js';

/** So long a leader that has to stand again may take to lead. */
const standAgainMs = 1_000;

/** The lead that was won. */
export interface Won {
  readonly epoch: Epoch;
  readonly state: SetState;
  readonly phases: ElectionPhases;
  readonly noticeMs: number;
}

export class Terms {
  /** The registry has ended a term; whom it names now is not known yet. */
  private outdone = false;

  constructor(
    private readonly self: MemberSelf,
    private readonly moves: Pick<MemberMoves, 'follow' | 'stand' | 'fail' | 'look' | 'leads'>,
    private readonly reader: SetReader,
  ) {}

  /** The set is this member's, which still stands: its term begins. */
  async begin(role: StandingRole, won: Won): Promise<void> {
    const { self } = this;
    const { epoch, state } = won;
    const { store, clock, log, settings, begin } = self.parts;
    let startRecord: Promise<void> | undefined;
    let leadMs = 0;
    const takeLog = async (): Promise<Leading | undefined> => {
      if (self.role !== role) return undefined;
      await store.replication.lead();
      if (self.role !== role) {
        await store.replication.stepDown(store.appendEnd); // Promised to somebody else meanwhile.
        return undefined;
      }
      leadMs = clock.monotonicMs();
      startRecord = store.beginEpoch(epoch, Math.max(clock.wallMs(), store.lastTimestampMs));
      return this.led(epoch, state);
    };
    let leading: Leading | undefined;
    try {
      leading = await self.turns.take(takeLog);
    } catch (caught) {
      this.moves.fail(MqError.from(caught)); // It neither leads nor follows.
      return;
    }
    if (!leading || !startRecord) return;
    const next: LeadingRole = { is: 'leading', leading, term: undefined };
    self.role = next;
    self.parts.won(leading);
    role.outcome.resolve(leading);
    self.knowledge.saw(state);
    self.turn.step('settled');
    try {
      await startRecord;
    } catch (caught) {
      const error = MqError.from(caught);
      if (!error.retry) this.moves.fail(error);
      // Where it was deposed meanwhile it follows already. Else nobody would lead: others believe that it does.
      else if (self.role === next) this.depose(`its term could not begin: ${error.reason}`);
      return;
    }
    if (self.role !== next) return;
    leading.begun();
    this.notePhases(won, leadMs);
    next.term = begin(leading);
    log.info({ broker: settings.brokerSet, member: self.me, epoch, from: store.appendEnd }, 'the broker leads');
    this.moves.leads();
  }

  /**
   * The term is over. What it wrote and the next leader lacks goes when that one says so.
   *
   * @param tellInMs when to tell the registry so, as far as nobody has taken the lead by then
   */
  depose(why: string, tellInMs = 0): void {
    const { self, moves } = this;
    const { role } = self;
    if (role.is !== 'leading' || self.stopped) return; // Who stops has ended its term, and follows nobody.
    const { store, log } = self.parts;
    log.warn({ epoch: role.leading.epoch, why }, 'the broker does not lead any more');
    const error = new NotLeader(`this broker does not lead any more: ${why}`, this.leaderAfter(role.leading.epoch));
    role.leading.end();
    role.term?.end(error);
    role.term = undefined;
    store.replication.endTerm(error);
    moves.follow(self.turns.take(() => store.replication.stepDown(store.appendEnd)));
    self.turn.step('settled');
    self.ended.over(role.leading.epoch, tellInMs);
    moves.look();
  }

  /** The registry says that another term has begun, or is to begin. */
  endedByRegistry(why: string): void {
    this.outdone = true;
    this.depose(why);
  }

  /**
   * The set is so by the registry. It may name this member again, under a later epoch, as after an adoption: then all wait for
   * it, and others would stand only when a lease is over.
   */
  named({ leader }: SetState): void {
    const { outdone } = this;
    this.outdone = false;
    if (outdone && leader === this.self.me) this.standWhenReady();
  }

  private led(epoch: Epoch, state: SetState): Leading {
    const { self, reader } = this;
    const { settings, store, registry, clock, log, writable, adoption } = self.parts;
    const limits = { ...leaderLimits, membersWanted: settings.membersWanted, durability: settings.durability };
    return new Leading(
      {
        ...{ me: self.me, store, registry, clock, log, limits, leaseMs: settings.leaseMs, writable },
        claim: () => self.claim(),
        outline: () => self.outline(),
        addressOf: (member) => self.knowledge.addressOf(member),
        setAddress: (member, address) => self.knowledge.setAddress(member, address),
        read: (reading) => reader.read(reading),
        noteChange: (state) => self.notes.actUnderChange(state),
        refusedBy: (error) => {
          if (error.code === 'METADATA_MISMATCH') void adoption.mismatched(error);
          else log.warn(failureFacts(error), 'the name service refuses to keep the lead; serving goes on');
        },
        deposed: (why) => this.endedByRegistry(why.reason),
        resign: (why) => this.resign(why),
        renewTerm: (above) => this.renew(above),
      },
      ...([epoch, state, store.appendEnd] as const),
    );
  }

  private notePhases({ phases, epoch, noticeMs }: Won, leadMs: number): void {
    const { clock, failovers } = this.self.parts;
    failovers.note({
      ...{ reason: phases.reason, epoch, atMs: clock.wallMs(), noticeMs },
      promiseMs: phases.promisedMs - phases.beganMs,
      fetchMs: phases.fetchedMs - phases.promisedMs,
      transactionMs: phases.takenMs - phases.fetchedMs,
      foldMs: leadMs - phases.takenMs,
      startRecordMs: clock.monotonicMs() - leadMs,
    });
  }

  private leaderAfter(epoch: Epoch): KnownLeader | undefined {
    const [likely] = this.self.knowledge.leaders(this.self.me);
    return likely && likely.epoch > epoch ? asKnownLeader(likely) : undefined;
  }

  private resign(why: string): void {
    const { self } = this;
    if (self.role.is !== 'leading') return;
    this.depose(why);
    self.turn.step('failed');
  }

  /** The lead need not change, but a member has promised a later epoch and can't listen to this one. */
  private renew(above: Epoch): void {
    const { self } = this;
    if (self.role.is !== 'leading') return;
    self.knowledge.hear(above);
    this.depose(`epoch ${above} was promised to another member`, standAgainMs);
    this.standWhenReady();
  }

  private standWhenReady(): void {
    const { self, moves } = this;
    const { role } = self;
    if (role.is !== 'following') return;
    role.ready.then(
      () => {
        if (self.role === role) moves.stand('start');
      },
      () => undefined, // Told where it failed.
    );
  }
}
