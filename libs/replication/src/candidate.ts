/**
 * One attempt to lead a broker set, as steps: what happened goes in, what to do about it comes out.
 *
 *   stand → who would promise? → promises of |S| − W + 1 members → what the best of them has beyond this log → etcd → lead
 *
 * Where others have to promise, they are asked first whether they would, which binds nobody. Who can't win, because it alone
 * does not hear the leader, so promises nothing to itself either; a promise above the leader's epoch would make the leader
 * stand again as soon as it is heard of, and a cable that was out for one member would cost all of them an election.
 *
 * Nobody is told "I lead" before etcd says so; and the leader decides nothing before its start record is committed.
 * A candidacy ends with the first sign that it can't be won: its owner waits a little and stands again, higher. One whose log is
 * so far behind that the best of them can't give it what it lacks lets that one, or another, try first.
 */
import type {
  Epoch,
  LogPosition,
  LogTail,
  MemberId,
  Promised,
  Refusal,
  SetRule,
  SetState,
  StandReason,
} from '@cometmq/model';
import { unreachable } from '@cometmq/shared';

import { compareLogs } from './common-end.js';
import { isMember, promisesNeeded, ruleAfterTakeOver } from './members.js';

export type CandidateInput =
  /** It would promise. */
  | { readonly kind: 'willing'; readonly from: MemberId }
  /** Durably: a member, or this one itself. */
  | { readonly kind: 'promised'; readonly from: MemberId; readonly log: LogTail }
  | { readonly kind: 'refused'; readonly from: MemberId; readonly refusal: Refusal }
  /** What the best had is in this log, durably. */
  | { readonly kind: 'fetched'; readonly end: LogPosition }
  | { readonly kind: 'fetchFailed'; readonly from: MemberId; readonly why: string }
  /** What the best has can't be given record by record, whenever it is asked for: this log is too far behind. */
  | { readonly kind: 'behind'; readonly from: MemberId; readonly why: string }
  /** etcd's answer; `state` is what it has now. */
  | { readonly kind: 'taken'; readonly state: SetState }
  | { readonly kind: 'lost' }
  /** etcd has been seen at this revision of the set. */
  | { readonly kind: 'seen'; readonly revision: number };

export type CandidateOutput =
  /** To itself; what follows need not wait. `promised` says that it is durable. */
  | { readonly kind: 'promise'; readonly promise: Promised }
  /** `sounding`: whether it would. */
  | {
      readonly kind: 'ask';
      readonly to: MemberId;
      readonly epoch: Epoch;
      readonly reason: StandReason;
      readonly sounding: boolean;
    }
  /** Make this log the same as `from`'s, all of it. */
  | { readonly kind: 'fetch'; readonly from: MemberId }
  /** Write it to etcd where the set's revision is still this one. */
  | { readonly kind: 'take'; readonly epoch: Epoch; readonly rule: SetRule; readonly revision: number }
  | { readonly kind: 'lead'; readonly epoch: Epoch; readonly state: SetState }
  /** It can't be won. `heard`: an epoch that the next attempt must be above. `isBehind`: nor can the next one; others may win. */
  | { readonly kind: 'giveUp'; readonly why: string; readonly heard: Epoch; readonly isBehind: boolean };

export interface Candidacy {
  readonly me: MemberId;
  readonly set: SetState;
  readonly log: LogTail;
  readonly promised: Promised;
  /** The highest epoch that anybody has spoken of. */
  readonly heard: Epoch;
  readonly reason: StandReason;
}

export class Candidate {
  readonly epoch: Epoch;
  private readonly promises = new Map<MemberId, LogTail>();
  private readonly willing = new Set<MemberId>();
  private readonly refusals = new Set<MemberId>();
  private state: 'sounding' | 'asking' | 'fetching' | 'taking' | 'over' = 'sounding';

  constructor(private readonly candidacy: Candidacy) {
    const { set, log, promised, heard } = candidacy;
    this.epoch = (Math.max(set.epoch, log.lastEpoch, promised.epoch, heard) + 1) as Epoch;
  }

  start(): CandidateOutput[] {
    const { me, set, reason } = this.candidacy;
    if (!isMember(set, me)) return this.giveUp(`${me} is no member of the set`);
    // A leader that gave its consent, and a member whose own word is enough, have nobody to convince.
    if (reason === 'handedOver' || promisesNeeded(set) === 1) return this.ask();
    this.willing.add(me);
    return this.asks(true);
  }

  /** The name service has been asked: only its answer ends this, or the next attempt would compete with this one. */
  get isTaking(): boolean {
    return this.state === 'taking';
  }

  /** Nothing is promised yet. */
  get isSounding(): boolean {
    return this.state === 'sounding';
  }

  /** The promise to oneself counts once it is durable, as any other; the others are on their way to theirs meanwhile. */
  private ask(): CandidateOutput[] {
    this.state = 'asking';
    this.refusals.clear();
    return [{ kind: 'promise', promise: { epoch: this.epoch, to: this.candidacy.me } }, ...this.asks(false)];
  }

  private asks(sounding: boolean): CandidateOutput[] {
    const { epoch } = this;
    const { me, set, reason } = this.candidacy;
    const others = set.members.filter((member) => member !== me);
    return others.map((to) => ({ kind: 'ask', to, epoch, reason, sounding }));
  }

  step(input: CandidateInput): CandidateOutput[] {
    if (this.state === 'over') return [];
    switch (input.kind) {
      case 'willing':
        if (this.state !== 'sounding' || !isMember(this.candidacy.set, input.from)) return [];
        this.willing.add(input.from);
        return this.willing.size < promisesNeeded(this.candidacy.set) ? [] : this.ask();
      case 'promised':
        if (this.state !== 'asking' || !isMember(this.candidacy.set, input.from)) return [];
        this.promises.set(input.from, input.log);
        return this.goOn();
      case 'refused':
        return this.refused(input.from, input.refusal);
      case 'fetched':
        return this.state === 'fetching' ? this.take() : [];
      case 'fetchFailed':
      case 'behind':
        return this.giveUp(
          `the log of ${input.from} could not be fetched: ${input.why}`,
          undefined,
          input.kind === 'behind',
        );
      case 'taken': {
        if (this.state !== 'taking') return [];
        this.state = 'over';
        return [{ kind: 'lead', epoch: this.epoch, state: input.state }];
      }
      case 'lost':
        return this.giveUp('the set has changed in etcd meanwhile');
      case 'seen':
        // Later than what it compares with: an etcd that still took it would be an older one.
        return input.revision > this.candidacy.set.revision && this.state !== 'taking'
          ? this.giveUp('the set has changed in etcd meanwhile')
          : [];
      default:
        return unreachable(input);
    }
  }

  private refused(from: MemberId, { why, epoch }: Refusal): CandidateOutput[] {
    // A later epoch is on its way already.
    if (why === 'promised') return this.giveUp(`${from} has promised epoch ${epoch}`, epoch);
    this.refusals.add(from);
    const { set } = this.candidacy;
    if (set.members.length - this.refusals.size >= promisesNeeded(set)) return [];
    return this.giveUp('members hear the leader, and it makes progress', epoch);
  }

  private goOn(): CandidateOutput[] {
    const { me, set } = this.candidacy;
    if (!this.promises.has(me) || this.promises.size < promisesNeeded(set)) return [];
    let best = me;
    for (const [member, log] of this.promises) {
      if (compareLogs(log, this.promises.get(best) as LogTail) > 0) best = member;
    }
    if (best === me) return this.take();
    this.state = 'fetching';
    return [{ kind: 'fetch', from: best }];
  }

  private take(): CandidateOutput[] {
    const { me, set } = this.candidacy;
    this.state = 'taking';
    return [{ kind: 'take', epoch: this.epoch, rule: ruleAfterTakeOver(set, me), revision: set.revision }];
  }

  private giveUp(why: string, heard = 0 as Epoch, isBehind = false): CandidateOutput[] {
    // An epoch that nobody was asked to promise is free.
    const own = this.isSounding ? 0 : this.epoch;
    this.state = 'over';
    return [{ kind: 'giveUp', why, heard: Math.max(heard, own) as Epoch, isBehind }];
  }
}
