/** Whom this member promises an epoch: decided at once, told when it is durable. From then on nobody lower is heard. */
import type { PromiseAnswer } from '@cometmq/client';
import { type Ask, memberId, type Promised } from '@cometmq/model';
import { answerTo } from '@cometmq/replication';
import { MqError } from '@cometmq/shared';

import type { MemberMoves, MemberSelf } from './member-self.js';
import { durable } from './taking-over.js';

/** How old the last sign of a leader may be for a candidate to be refused. */
const heardMs = 2_500;

export class Promising {
  constructor(
    private readonly self: MemberSelf,
    private readonly moves: Pick<MemberMoves, 'depose' | 'follow' | 'fail'>,
  ) {}

  async promise(ask: Ask): Promise<PromiseAnswer> {
    const { self, moves } = this;
    const { store, log } = self.parts;
    const { role, knowledge, turn } = self;
    if (role.is === 'opening' || role.is === 'failed') throw new MqError('UNAVAILABLE', 'this member is not ready');
    const { me } = self; // A member that opens has none yet.
    const leads = role.is === 'leading' && role.leading.isServing() && role.leading.isSure() ? me : undefined;
    const follows = turn.hears(heardMs) ? self.attachedTo : undefined;
    const heard = role.is === 'leading' ? leads : follows && memberId(follows.member);
    const answer = answerTo(self.notes.promised, ask, heard);
    if (!ask.sounding) knowledge.hear(ask.epoch);
    if ('refusal' in answer) return { kind: 'refused', from: me, refusal: answer.refusal };
    if (ask.sounding && (this.isWinning() || this.yieldsToAnother(ask))) {
      // A later epoch would undo what is about to be won.
      return { kind: 'refused', from: me, refusal: { why: 'leaderProgresses', epoch: self.notes.promised.epoch } };
    }
    if (ask.sounding) return { kind: 'promised', from: me, log: self.tail() };
    log.info({ epoch: ask.epoch, to: ask.candidate, reason: ask.reason }, 'an epoch is promised');
    const noted = this.note(answer.promise);
    const address = knowledge.addressOf(ask.candidate);
    if (address !== undefined) knowledge.told({ member: ask.candidate, address, epoch: ask.epoch });
    // Looked at anew: a disk that fails at once has ended it.
    if (self.role.is === 'leading') this.yieldTo(ask);
    else {
      moves.follow();
      void self.ended.tell(); // That it is still shown as the leader would keep the other one out.
    }
    turn.step('promised');
    await noted;
    // What is being cut off or copied is waited for. Who led keeps all it wrote, and folds it again in its own time.
    if (role.is !== 'leading' && self.role.is === 'following') await self.role.ready;
    await durable(store, store.appendEnd); // Only what is on disk is promised to hold.
    const { epoch, to } = self.notes.promised;
    if (epoch !== ask.epoch || to !== ask.candidate) {
      return { kind: 'refused', from: me, refusal: { why: 'promised', epoch } };
    }
    return { kind: 'promised', from: me, log: self.tail() };
  }

  private isWinning(): boolean {
    const { role } = this.self;
    return role.is === 'standing' && role.election.mayWin;
  }

  private yieldsToAnother({ candidate, reason }: Ask): boolean {
    const { turn, notes } = this.self;
    return turn.yields && notes.promised.to !== candidate && reason !== 'handedOver';
  }

  /** Decided at once; durable when it resolves. Whoever led before is not heard any more. */
  async note(promise: Promised): Promise<void> {
    this.self.knowledge.hear(promise.epoch);
    try {
      await this.self.notes.promise(promise);
    } catch (caught) {
      const error = MqError.from(caught);
      if (error.code === 'DISK_FAILED') this.moves.fail(error);
      throw error;
    }
  }

  private yieldTo({ candidate, epoch, reason }: Ask): void {
    // In a hand-over the other one takes over from a leader that is present.
    const tellInMs = reason === 'handedOver' ? this.self.parts.settings.leaseMs : 0;
    this.moves.depose(`${candidate} stands with epoch ${epoch}`, tellInMs);
  }
}
