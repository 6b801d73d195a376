/**
 * One attempt to lead: the steps of libs/replication decide, here the others are asked, the best log is fetched, and the
 * set registry is written to. What it has asked the registry is asked again until the outcome is known.
 */
import type { MemberClaim, Peers, SetRegistry } from '@cometmq/client';
import type { Ask, Epoch, LogOutline, LogTail, MemberId, Promised, SetState, StandReason } from '@cometmq/model';
import { Candidate, type CandidateInput, type CandidateOutput } from '@cometmq/replication';
import { type Clock, MqError, sleep, type Timer, unreachable } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import { durable, Halt, takeOver } from './taking-over.js';

export interface ElectionParts {
  readonly brokerSet: string;
  readonly me: MemberId;
  readonly store: StorePorts;
  readonly registry: SetRegistry;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly claim: () => MemberClaim;
  readonly outline: () => LogOutline;
  readonly addressOf: (member: MemberId) => string | undefined;
  readonly promise: (promise: Promised) => Promise<void>;
  readonly withStore: <T>(act: () => Promise<T>) => Promise<T>;
  /** The set is this member's: its term may begin. */
  readonly won: (epoch: Epoch, state: SetState, phases: ElectionPhases) => void;
  readonly lost: (why: MqError, heard: Epoch, isBehind: boolean) => void;
  /** The set became this member's after all, when nothing came of it any more. */
  readonly tooLate: (epoch: Epoch) => void;
  /** Something is broken: this member must not go on. */
  readonly halt: (why: MqError) => void;
}

/** When each phase was over, by the monotonic clock. */
export interface ElectionPhases {
  readonly reason: StandReason;
  readonly beganMs: number;
  readonly promisedMs: number;
  readonly fetchedMs: number;
  readonly takenMs: number;
}

export interface Standpoint {
  readonly set: SetState;
  readonly log: LogTail;
  readonly promised: Promised;
  readonly heard: Epoch;
  readonly reason: StandReason;
}

/** So long nobody who answers is waited for. */
const patienceMs = 2_000;
const againMs = 100;
/** So long others let the name service make up its mind. */
const takingMs = 5_000;

export class Election {
  private readonly candidate: Candidate;
  private readonly beganMs: number;
  private timer: Timer;
  private promisedMs = 0;
  private fetchedMs = 0;
  /** When the name service was asked. */
  private askedMs = 0;
  private over = false;
  private fetching = false;

  constructor(
    private readonly parts: ElectionParts,
    private readonly standpoint: Standpoint,
  ) {
    this.beganMs = parts.clock.monotonicMs();
    this.candidate = new Candidate({ me: parts.me, ...standpoint });
    this.timer = parts.clock.after(patienceMs, () => this.late());
  }

  get epoch(): Epoch {
    return this.candidate.epoch;
  }
  get reason(): StandReason {
    return this.standpoint.reason;
  }

  start(): void {
    this.act(this.candidate.start());
  }

  /** It has the promises it needs, and the name service may still be expected to say that it leads. */
  get mayWin(): boolean {
    return this.candidate.isTaking && this.parts.clock.monotonicMs() - this.askedMs < takingMs;
  }

  /** The set was seen at this revision. */
  seen(revision: number): void {
    this.step({ kind: 'seen', revision });
  }

  /** Nothing comes of it any more. */
  end(): void {
    this.over = true;
    this.timer.cancel();
  }

  private late(): void {
    // A log of any length may be fetched; a part that does not come ends it.
    if (!this.fetching && !this.candidate.isTaking) this.lose(new MqError('TIMEOUT', 'not enough members answer'));
  }

  private step(input: CandidateInput): void {
    if (!this.over) this.act(this.candidate.step(input));
  }

  private act(outputs: readonly CandidateOutput[]): void {
    for (const output of outputs) {
      if (this.over) return;
      switch (output.kind) {
        case 'promise':
          // Those who said that they would promise have as long again to do it.
          this.timer.cancel();
          this.timer = this.parts.clock.after(patienceMs, () => this.late());
          this.parts.promise(output.promise).then(
            () => this.step({ kind: 'promised', from: this.parts.me, log: this.standpoint.log }),
            (caught: unknown) => this.lose(MqError.from(caught)),
          );
          break;
        case 'ask':
          void this.ask(output.to, output.sounding);
          break;
        case 'fetch':
          this.promisedMs = this.parts.clock.monotonicMs();
          void this.fetch(output.from);
          break;
        case 'take':
          void this.take(output);
          break;
        case 'lead': {
          const { beganMs, promisedMs, fetchedMs, parts } = this;
          this.end();
          const takenMs = parts.clock.monotonicMs();
          parts.won(output.epoch, output.state, { reason: this.reason, beganMs, promisedMs, fetchedMs, takenMs });
          return;
        }
        case 'giveUp':
          this.lose(new MqError('CONFLICT', output.why), output.heard, output.isBehind);
          return;
        default:
          unreachable(output);
      }
    }
  }

  private lose(why: MqError, heard = this.candidate.isSounding ? (0 as Epoch) : this.epoch, isBehind = false): void {
    if (this.over) return;
    this.end();
    this.parts.lost(why, heard, isBehind);
  }

  /** Who can't be asked has not promised: that is all that is known of it. Asked again, since it may be starting. */
  private async ask(member: MemberId, sounding: boolean): Promise<void> {
    const { brokerSet, me, peers, clock, addressOf } = this.parts;
    const ask: Ask = { epoch: this.epoch, candidate: me, reason: this.reason, sounding };
    while (!this.over && sounding === this.candidate.isSounding) {
      const address = addressOf(member);
      const asked = address === undefined ? undefined : peers.peer(address).askPromise(brokerSet, ask);
      // Not there, or not in time: an answer is all that counts.
      const answer = await asked?.catch((caught: unknown) => void MqError.from(caught));
      if (answer?.from === member) {
        if (!sounding || answer.kind === 'refused') this.step(answer);
        else this.step({ kind: 'willing', from: member });
        return;
      }
      await sleep(clock, againMs);
    }
  }

  private async fetch(from: MemberId): Promise<void> {
    const { brokerSet, me, store, peers, outline, addressOf, withStore } = this.parts;
    this.fetching = true;
    try {
      const address = addressOf(from);
      if (address === undefined) throw new MqError('UNAVAILABLE', `where ${from} is, is not known`);
      await withStore(async () => {
        const request = { brokerSet, candidate: me, epoch: this.epoch, log: outline() };
        await takeOver(store, from, peers.peer(address).fetch(request), () => !this.over);
      });
      const end = store.appendEnd;
      await durable(store, end);
      this.fetchedMs = this.parts.clock.monotonicMs();
      this.step({ kind: 'fetched', end });
    } catch (caught) {
      if (caught instanceof Halt) this.parts.halt(caught.why);
      else {
        const { code, reason } = MqError.from(caught);
        // It has given back, compacted or lost what would have to come next.
        const isGone = code === 'NOT_FOUND' || code === 'CORRUPT_RECORD';
        this.step({ kind: isGone ? 'behind' : 'fetchFailed', from, why: reason });
      }
    } finally {
      this.fetching = false;
    }
  }

  private async take({ epoch, rule, revision }: Extract<CandidateOutput, { kind: 'take' }>): Promise<void> {
    const { registry, claim, clock, store } = this.parts;
    const { reason } = this;
    const nowMs = clock.monotonicMs();
    this.askedMs = nowMs;
    this.promisedMs ||= nowMs;
    this.fetchedMs ||= nowMs;
    const wanted = { epoch, rule, revision, reason, commitEnd: store.commitEnd };
    while (!this.over) {
      try {
        const state = await registry.acquireLeadership(claim(), wanted);
        if (this.over && state) {
          this.parts.tooLate(epoch); // Its presence as a leader would keep others out.
          return;
        }
        this.step(state ? { kind: 'taken', state } : { kind: 'lost' });
        return;
      } catch (caught) {
        const error = MqError.from(caught);
        if (error.code !== 'UNAVAILABLE' && error.code !== 'TIMEOUT') {
          this.lose(error);
          return;
        }
      }
      await sleep(clock, againMs);
    }
  }
}
