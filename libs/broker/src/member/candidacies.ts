/** This member stands for the lead: one attempt after the other, until one is won or somebody else leads. */
import type { SetState, StandReason } from '@cometmq/model';
import { isMember } from '@cometmq/replication';
import { failureFacts, type MqError } from '@cometmq/shared';

import { Election } from './election.js';
import type { HandOvers } from './hand-overs.js';
import { type MemberMoves, type MemberSelf, noEpoch } from './member-self.js';
import type { Promising } from './promising.js';
import type { StandingRole } from './roles.js';
import type { SetReader } from './set-reader.js';
import type { Won } from './terms.js';

export class Candidacies {
  constructor(
    private readonly self: MemberSelf,
    private readonly moves: Pick<MemberMoves, 'follow' | 'fail' | 'look' | 'dropRole'>,
    private readonly reader: SetReader,
    private readonly promising: Promising,
    private readonly handOvers: HandOvers,
    /** The set is this member's. */
    private readonly won: (role: StandingRole, won: Won) => void,
  ) {}

  /** For this reason, if there is one, and nothing speaks against it. */
  stand(reason: StandReason | undefined): void {
    const { self } = this;
    const { role } = self;
    if (reason === undefined || role.is !== 'following' || !role.isReady || this.reader.whyStill !== undefined) return;
    if (self.stopped || (reason === 'start' && role.stream?.attached)) return;
    const { me, knowledge } = self;
    const founding: SetState = { members: [me], quorum: 1, revision: 0, epoch: noEpoch, leader: me };
    const set = knowledge.state ?? founding;
    if (!isMember(set, me)) return;
    const election = this.election(set, reason);
    this.moves.dropRole(undefined);
    self.role = { is: 'standing', election, outcome: Promise.withResolvers() };
    self.parts.log.info({ reason, epoch: election.epoch }, 'the broker stands for the lead');
    election.start();
  }

  private election(set: SetState, reason: StandReason): Election {
    const { self, promising } = this;
    const { settings, store, registry, peers, clock } = self.parts;
    const { me, knowledge, notes } = self;
    // In a hand-over there was a leader all along.
    const noticeMs = reason === 'handedOver' ? 0 : Math.max(0, clock.monotonicMs() - self.noLeaderSinceMs);
    const election: Election = new Election(
      {
        ...{ brokerSet: settings.brokerSet, me, store, registry, peers, clock },
        claim: () => self.claim(),
        outline: () => self.outline(),
        addressOf: (member) => knowledge.addressOf(member),
        promise: (promise) => promising.note(promise),
        withStore: (act) => self.turns.take(act),
        won: (epoch, state, phases) => {
          const { role } = self;
          if (role.is === 'standing' && role.election === election) this.won(role, { epoch, state, phases, noticeMs });
        },
        lost: (why, highest, isBehind) => {
          knowledge.hear(highest);
          if (self.role.is === 'standing' && self.role.election === election) void this.lost(why, isBehind);
        },
        tooLate: (epoch) => self.ended.over(epoch, 0),
        halt: (why) => this.moves.fail(why),
      },
      { set, log: self.tail(), promised: notes.promised, heard: knowledge.heard, reason },
    );
    return election;
  }

  private async lost(why: MqError, isBehind: boolean): Promise<void> {
    const { self, moves } = this;
    const { adoption, log } = self.parts;
    this.handOvers.refuse(why);
    moves.follow();
    const { role } = self;
    let again = false;
    try {
      again = await adoption.settles(why);
    } catch (caught) {
      log.warn(failureFacts(caught), 'what stands against the lead could not be settled; trying again');
    }
    if (!again && !why.retry && !self.started) {
      moves.fail(why);
      return;
    }
    log.warn(failureFacts(why), 'the lead can not be taken yet; trying again');
    if (!again) self.turn.step(isBehind ? 'behind' : 'failed');
    if (self.role === role) moves.look();
  }
}
