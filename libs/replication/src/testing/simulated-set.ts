/**
 * A broker set on faked time, network, disks and etcd, from a seed: the steps of this lib do all the deciding, what is
 * around them does as little as it can. A log is a list of entries, one a position; an entry is `epoch × 2^20 + number`.
 *
 * Held all along (a breach throws): what was acknowledged stays where it was in every later leader's log; no two leaders
 * have one epoch; when something is called committed, W members of S have it on their disks.
 */
import {
  type Ask,
  type Epoch,
  type EpochStart,
  type LogOutline,
  type LogPosition,
  memberId,
  type MemberId,
  type Promised,
  type SetRule,
  type SetState,
} from '@cometmq/model';
import { assert, Prng } from '@cometmq/shared';

import { Candidate, type CandidateOutput } from '../candidate.js';
import { commonEnd, lastEpoch } from '../common-end.js';
import { Follower, type FollowerOutput } from '../follower.js';
import { Leader, leaderLimits, type LeaderInput, type LeaderLimits, type LeaderOutput } from '../leader.js';
import { isMember, ruleOf } from '../members.js';
import { answerTo } from '../promises.js';
import { Standing, standingLimits } from '../standing.js';

const epochUnit = 2 ** 20;
const epochOf = (entry: number): Epoch => Math.floor(entry / epochUnit) as Epoch;
/** A stream that brings nothing for so long is opened anew. */
const reattachMs = 600;
const at = (position: number): LogPosition => position as LogPosition;

/** Planted bugs: each must be found. */
export type Planted =
  /** A member acknowledges what its disk has not got yet. */
  | 'ackBeforeSync'
  /** A leader takes a change of the set for done before etcd has answered. */
  | 'changeForgotten'
  /** A member follows a leader although it has promised a later epoch. */
  | 'followOlderEpoch';

export interface SimulatedSetOptions {
  readonly members: number;
  readonly durability?: LeaderLimits['durability'];
  readonly planted?: Planted;
}

export class SimulatedSet {
  nowMs = 0;
  readonly chance: Prng;
  readonly nodes: SimulatedNode[] = [];
  readonly etcd: SimulatedEtcd;
  readonly limits: LeaderLimits;
  /** Position → entry, of all that was acknowledged to a client. */
  readonly acknowledged = new Map<number, number>();
  /** Position → entry and the epoch of the leader that called it committed first. */
  private readonly committed: { readonly entry: number; readonly epoch: Epoch }[] = [];
  private readonly leaders = new Map<Epoch, MemberId>();
  private readonly cut = new Set<string>();
  private readonly events: { readonly atMs: number; readonly order: number; readonly act: () => void }[] = [];
  private order = 0;
  /** When the last message of a line arrives. */
  private readonly arrivals = new Map<string, number>();
  elections = 0;
  /** Nothing is slow any more. */
  calm = false;

  constructor(
    seed: number,
    readonly options: SimulatedSetOptions,
  ) {
    this.chance = new Prng(seed);
    const ids = Array.from({ length: options.members }, (_, i) => memberId(`place-${i}/v1`));
    this.limits = { ...leaderLimits, membersWanted: options.members, durability: options.durability ?? 'available' };
    this.etcd = new SimulatedEtcd(this, { ...ruleOf(ids), revision: 1, epoch: 0 as Epoch, leader: memberId('nobody') });
    for (const [rank, id] of ids.entries()) this.nodes.push(new SimulatedNode(this, id, rank));
    for (const node of this.nodes) node.start();
  }

  after(delayMs: number, act: () => void): void {
    const event = { atMs: this.nowMs + delayMs, order: (this.order += 1), act };
    let i = this.events.length;
    while (i > 0 && isAfter(this.events[i - 1] as typeof event, event)) i -= 1;
    this.events.splice(i, 0, event);
  }

  runTo(endMs: number): void {
    for (let next = this.events[0]; next && next.atMs <= endMs; next = this.events[0]) {
      this.events.shift();
      this.nowMs = next.atMs;
      next.act();
    }
    this.nowMs = endMs;
  }

  // ---- network

  setCut(from: MemberId, to: MemberId, isCut: boolean): void {
    if (isCut) this.cut.add(`${from}>${to}`);
    else this.cut.delete(`${from}>${to}`);
  }

  healNetwork(): void {
    this.cut.clear();
  }

  /**
   * One message of a stream: those of a pair keep their order, and a line that is cut holds them up, as TCP repeats them.
   * Lost where nobody is there when it arrives, or somebody else who was started since.
   */
  send(from: SimulatedNode, to: MemberId, act: (node: SimulatedNode) => void, lost?: () => void): void {
    const delayMs = this.chance.chance(this.calm ? 0 : 0.01) ? this.chance.next() * 400 : 0.1 + this.chance.next() * 2;
    const { life } = from;
    const line = `${from.id}>${to}`;
    const arrivesMs = Math.max(this.nowMs + delayMs, this.arrivals.get(line) ?? 0);
    this.arrivals.set(line, arrivesMs);
    const { life: theirs } = this.node(to);
    const arrive = (): void => {
      const node = this.node(to);
      if (this.cut.has(line)) {
        this.arrivals.set(line, this.nowMs + 20);
        this.after(20, arrive);
        return;
      }
      if (!node.up || (node.life !== theirs && !lost)) {
        // Its machine answers for it: nobody listens there.
        if (lost && !this.cut.has(`${to}>${from.id}`)) from.within(life, lost);
        return;
      }
      node.whenAwake(() => act(node));
    };
    this.after(arrivesMs - this.nowMs, arrive);
  }

  node(id: MemberId): SimulatedNode {
    const found = this.nodes.find((node) => node.id === id);
    assert(found !== undefined, 'a member is known');
    return found;
  }

  // ---- what must hold

  leads(node: SimulatedNode, epoch: Epoch): void {
    const other = this.leaders.get(epoch);
    assert(other === undefined || other === node.id, `epoch ${epoch} has one leader`);
    this.leaders.set(epoch, node.id);
    this.elections += 1;
    for (const [position, { entry, epoch: before }] of this.committed.entries()) {
      if (before < epoch)
        assert(node.log[position] === entry, `${node.id} leads ${epoch} and has what was committed at ${position}`);
    }
  }

  commits(node: SimulatedNode, epoch: Epoch, rule: SetRule, end: number): void {
    for (let position = this.committed.length; position < end; position += 1) {
      this.committed.push({ entry: node.log[position] as number, epoch });
    }
    const from = Math.max(0, end - 50);
    for (let position = from; position < end; position += 1) {
      assert(this.committed[position]?.entry === node.log[position], `what was committed at ${position} stays`);
    }
    // The sync audit: on disk, not in memory, of W members.
    const holders = rule.members.filter((member) => this.node(member).holdsDurably(end, node.log));
    assert(holders.length >= rule.quorum, `${end} is committed and on ${holders.length} disks of ${rule.quorum}`);
  }

  acknowledge(position: number, entry: number): void {
    this.acknowledged.set(position, entry);
  }

  checkAcknowledged(): void {
    for (const [position, entry] of this.acknowledged) {
      assert(this.committed[position]?.entry === entry, `what was acknowledged at ${position} is committed`);
    }
  }
}

function isAfter(a: { atMs: number; order: number }, b: { atMs: number; order: number }): boolean {
  return a.atMs > b.atMs || (a.atMs === b.atMs && a.order > b.order);
}

/** One key, changed by compare and put; may be away, slow, or lose an answer. */
export class SimulatedEtcd {
  away = false;

  constructor(
    private readonly set: SimulatedSet,
    public state: SetState,
  ) {}

  read(from: SimulatedNode, act: (state: SetState) => void): void {
    const { life } = from;
    this.set.after(0.5 + this.set.chance.next() * 2, () => {
      if (!this.away) from.within(life, () => act(this.state));
    });
  }

  /** Asked again until the outcome is known: what is written names its writer by epoch and leader. */
  change(from: SimulatedNode, wanted: SetState, outcome: (state: SetState | undefined) => void): void {
    const { life } = from;
    const slow = !this.set.calm && this.set.chance.chance(0.2);
    this.set.after(0.5 + this.set.chance.next() * (slow ? 1_500 : 3), () => {
      if (this.away) return this.set.after(100, () => from.within(life, () => this.change(from, wanted, outcome)));
      const { state } = this;
      const mine = state.revision === wanted.revision + 1 && state.epoch === wanted.epoch && same(state, wanted);
      if (!mine && state.revision === wanted.revision) this.state = { ...wanted, revision: wanted.revision + 1 };
      const done = mine || this.state !== state;
      if (this.set.chance.chance(0.05)) {
        this.set.after(200, () => from.within(life, () => this.change(from, wanted, outcome))); // The answer was lost.
      } else this.set.after(0.5, () => from.within(life, () => outcome(done ? this.state : undefined)));
    });
  }
}

function same(a: SetRule, b: SetRule): boolean {
  return a.quorum === b.quorum && a.members.join() === b.members.join();
}

type Role =
  | { readonly is: 'follower' }
  | { readonly is: 'candidate'; readonly candidate: Candidate; readonly set: SetState }
  | { readonly is: 'leader'; readonly leader: Leader; readonly epoch: Epoch; readonly state: SetState };

interface Stream {
  readonly session: number;
  readonly to: MemberId;
  /** Sent up to here. */
  next: number;
  inFlight: number;
}

const follower: Role = { is: 'follower' };

export class SimulatedNode {
  // ---- what outlives a crash
  log: number[] = [];
  durable = 0;
  promised: Promised = { epoch: 0 as Epoch, to: undefined };
  private seenRevision = 0;
  // ---- what doesn't
  up = false;
  life = 0;
  diskHangs = false;
  private role: Role = follower;
  private follower!: Follower;
  private standing!: Standing;
  private heard = 0 as Epoch;
  private attachedTo: { readonly leader: MemberId; readonly session: number } | undefined;
  private readonly streams = new Map<MemberId, Stream>();
  private progress = 0;
  private syncing = false;
  private cuts = 0;
  private pausedUntilMs = 0;
  private number = 0;
  private commitEnd = 0;
  private heardMs = 0;

  constructor(
    private readonly set: SimulatedSet,
    readonly id: MemberId,
    private readonly rank: number,
  ) {}

  get isLeader(): boolean {
    return this.role.is === 'leader' && this.role.leader.decides;
  }
  get leading(): Leader | undefined {
    return this.role.is === 'leader' ? this.role.leader : undefined;
  }
  get committedEnd(): number {
    return this.commitEnd;
  }

  holdsDurably(end: number, log: readonly number[]): boolean {
    return this.durable >= end && this.log[end - 1] === log[end - 1];
  }

  start(): void {
    this.up = true;
    this.life += 1;
    this.diskHangs = false;
    this.log.length = Math.max(this.durable, this.log.length);
    this.role = follower;
    this.commitEnd = 0;
    this.attachedTo = undefined;
    this.streams.clear();
    this.syncing = false;
    this.durable = this.log.length;
    this.follow();
    this.standing = new Standing(standingLimits, this.rank, this.set.options.members === 1, this.set.nowMs);
    this.repeat(this.life);
  }

  /** The power goes: what was not synced is lost, or a part of it. */
  crash(): void {
    this.up = false;
    this.life += 1;
    const unsynced = this.log.length - this.durable;
    this.log.length = this.durable + this.set.chance.below(unsynced + 1);
  }

  pause(ms: number): void {
    this.pausedUntilMs = this.set.nowMs + ms;
  }

  within(life: number, act: () => void): void {
    if (this.up && life === this.life) this.whenAwake(act);
  }

  whenAwake(act: () => void): void {
    const { life } = this;
    if (this.set.nowMs >= this.pausedUntilMs) act();
    else this.set.after(this.pausedUntilMs - this.set.nowMs, () => this.within(life, act));
  }

  private repeat(life: number): void {
    this.within(life, () => this.tick());
    this.set.after(50, () => {
      if (this.up && life === this.life) this.repeat(life);
    });
  }

  private tick(): void {
    const { nowMs } = this.set;
    this.sync(); // An idle leader's probe, too.
    this.set.etcd.read(this, (state) => this.seen(state));
    if (this.role.is === 'leader') {
      this.lead({ kind: 'tick', nowMs });
      this.heartbeat();
      return;
    }
    this.stand(this.standing.step({ kind: 'tick', nowMs }));
  }

  // ---- etcd

  private seen(state: SetState): void {
    if (state.revision < this.seenRevision) return;
    this.seenRevision = state.revision;
    const { role } = this;
    if (role.is === 'candidate') this.act(role, role.candidate.step({ kind: 'seen', revision: state.revision }));
    if (role.is === 'leader' && state.epoch > role.epoch) this.stepDown();
    if (this.role.is === 'follower' && state.epoch > 0 && state.leader !== this.id) this.attach(state.leader);
  }

  // ---- standing

  private stand(reason: ReturnType<Standing['step']>): void {
    if (reason === undefined || this.role.is !== 'follower') return;
    this.set.etcd.read(this, (set) => {
      if (this.role.is !== 'follower' || !isMember(set, this.id) || set.revision < this.seenRevision) return;
      const { promised, heard } = this;
      const log = { lastEpoch: lastEpoch(this.outline()), end: at(this.log.length) };
      const candidate = new Candidate({ me: this.id, set, log, promised, heard, reason });
      const role: Role = { is: 'candidate', candidate, set };
      this.role = role;
      this.act(role, candidate.start());
      this.set.after(2_000, () => {
        if (this.role === role) this.failed(role); // Nobody answers.
      });
    });
  }

  private act(role: Extract<Role, { is: 'candidate' }>, outputs: readonly CandidateOutput[]): void {
    for (const output of outputs) {
      if (this.role !== role) return;
      switch (output.kind) {
        case 'promise': {
          this.promise(output.promise);
          const log = { lastEpoch: lastEpoch(this.outline()), end: at(this.log.length) };
          this.whenSynced(() => this.act(role, role.candidate.step({ kind: 'promised', from: this.id, log })));
          break;
        }
        case 'ask':
          this.set.send(this, output.to, (node) => {
            node.asked(this, { ...output, candidate: this.id }, role);
          });
          break;
        case 'fetch':
          this.set.send(this, output.from, (node) => node.fetched(this, role));
          break;
        case 'take': {
          const wanted = { ...output.rule, revision: output.revision, epoch: output.epoch, leader: this.id };
          this.set.etcd.change(this, wanted, (state) => {
            if (this.role !== role) return;
            this.act(role, role.candidate.step(state ? { kind: 'taken', state } : { kind: 'lost' }));
          });
          break;
        }
        case 'lead':
          this.begin(output.epoch, output.state);
          break;
        case 'giveUp':
          this.heard = Math.max(this.heard, output.heard) as Epoch;
          this.failed(role);
      }
    }
  }

  private failed(role: Role): void {
    if (this.role !== role) return;
    this.role = follower;
    this.follow(); // Its log may be another by now.
    this.stand(this.standing.step({ kind: 'failed', nowMs: this.set.nowMs }));
  }

  private asked(from: SimulatedNode, ask: Ask, role: Extract<Role, { is: 'candidate' }>): void {
    const { leading } = this;
    const serves = leading?.isServing(this.set.nowMs) ? this.id : undefined;
    const heard = this.standing.hears(this.set.nowMs, 2_500) ? this.attachedTo?.leader : undefined;
    const answer = answerTo(this.promised, ask, leading ? serves : heard);
    const yields = this.standing.yields(this.set.nowMs) && this.promised.to !== ask.candidate;
    if ('promise' in answer && ask.sounding && yields && ask.reason !== 'handedOver') {
      const refusal = { why: 'leaderProgresses', epoch: this.promised.epoch } as const;
      const from = this.id;
      this.set.send(this, ask.candidate, (node) => {
        node.act(role, role.candidate.step({ kind: 'refused', from, refusal }));
      });
      return;
    }
    if ('promise' in answer && ask.sounding) {
      this.set.send(this, from.id, (node) => node.act(role, role.candidate.step({ kind: 'willing', from: this.id })));
      return;
    }
    if ('promise' in answer) {
      this.promise(answer.promise);
      this.standing.step({ kind: 'promised', nowMs: this.set.nowMs });
      if (this.role.is !== 'follower') this.stepDown();
    }
    const log = { lastEpoch: lastEpoch(this.outline()), end: at(this.log.length) };
    // Only what is on disk is promised to hold.
    this.whenSynced(() => {
      this.set.send(this, from.id, (node) => {
        const input =
          'promise' in answer
            ? ({ kind: 'promised', from: this.id, log } as const)
            : ({ kind: 'refused', from: this.id, refusal: answer.refusal } as const);
        node.act(role, role.candidate.step(input));
      });
    });
  }

  /** Another one wants all that is here. */
  private fetched(by: SimulatedNode, role: Extract<Role, { is: 'candidate' }>): void {
    const stillPromised = this.promised.epoch === role.candidate.epoch && this.promised.to === by.id;
    const log = [...this.log];
    this.set.send(this, by.id, (node) => {
      if (node.role !== role) return;
      if (!stillPromised) {
        node.act(role, role.candidate.step({ kind: 'fetchFailed', from: this.id, why: 'it is gone' }));
        return;
      }
      node.cutTo(commonEnd(node.outline(), outlineOf(log)));
      node.log = [...log];
      node.whenSynced(() => node.act(role, role.candidate.step({ kind: 'fetched', end: at(log.length) })));
    });
  }

  private promise(promise: Promised): void {
    this.promised = promise;
    this.attachedTo = undefined; // Whoever led before is not heard any more, nor its signs of life.
    this.heard = Math.max(this.heard, promise.epoch) as Epoch;
    this.follower.promise(promise);
  }

  // ---- leading

  private begin(epoch: Epoch, state: SetState): void {
    this.seenRevision = Math.max(this.seenRevision, state.revision);
    this.number = 0;
    this.log.push(epoch * epochUnit);
    this.set.leads(this, epoch);
    const { nowMs } = this.set;
    const startEnd = at(this.log.length);
    const leader = new Leader({ me: this.id, state, startEnd, nowMs }, this.set.limits);
    this.role = { is: 'leader', leader, epoch, state };
    this.attachedTo = undefined;
    this.streams.clear();
    this.standing.step({ kind: 'settled', nowMs });
    this.sync();
  }

  /** A client's message. */
  append(): void {
    const { role } = this;
    if (role.is !== 'leader' || !role.leader.isServing(this.set.nowMs) || this.set.nowMs < this.pausedUntilMs) return;
    this.log.push(role.epoch * epochUnit + (this.number += 1));
    this.lead({ kind: 'appended', end: at(this.log.length), nowMs: this.set.nowMs });
    this.sync();
    for (const stream of this.streams.values()) this.ship(stream);
  }

  private lead(input: LeaderInput): void {
    const { role } = this;
    if (role.is !== 'leader') return;
    this.carryOut(role, role.leader.step(input));
  }

  private carryOut(role: Extract<Role, { is: 'leader' }>, outputs: readonly LeaderOutput[]): void {
    for (const output of outputs) {
      switch (output.kind) {
        case 'commit': {
          const from = this.commitEnd;
          this.commitEnd = output.end;
          this.set.commits(this, role.epoch, role.leader.members, output.end);
          for (let position = from; position < output.end; position += 1) {
            const entry = this.log[position] as number;
            if (epochOf(entry) === role.epoch) this.set.acknowledge(position, entry);
          }
          this.heartbeat();
          break;
        }
        case 'change': {
          const wanted = { ...output.rule, revision: output.revision, epoch: output.epoch, leader: this.id };
          this.set.etcd.change(this, wanted, (state) => {
            if (this.role !== role) return;
            if (state) this.seenRevision = Math.max(this.seenRevision, state.revision);
            const { nowMs } = this.set;
            this.carryOut(role, role.leader.step(state ? { kind: 'changed', state } : { kind: 'unchanged', nowMs }));
          });
          if (this.set.options.planted === 'changeForgotten') {
            const state = { ...role.state, ...output.rule, revision: output.revision + 1 };
            this.carryOut(role, role.leader.step({ kind: 'changed', state }));
          }
          break;
        }
        case 'renewTerm':
          this.heard = Math.max(this.heard, output.above) as Epoch;
          this.stepDown();
          this.stand('start');
          break;
        case 'resign':
          this.stepDown();
          break;
        case 'lacks': // Disks keep what they have synced, but for a planted bug, which shows otherwise.
      }
    }
  }

  private stepDown(): void {
    this.role = follower;
    this.streams.clear();
    this.follow();
    this.standing.step({ kind: 'settled', nowMs: this.set.nowMs });
  }

  private heartbeat(): void {
    const { progress, commitEnd } = this;
    for (const { session, to } of this.streams.values()) {
      this.set.send(this, to, (node) => node.hear(this.id, session, progress, commitEnd));
    }
  }

  /** A follower's stream: what it may take, and from where. */
  private opened(from: SimulatedNode, session: number): void {
    const { role } = this;
    if (role.is !== 'leader') return;
    const log = this.outline();
    this.set.send(this, from.id, (node) => node.attached(this.id, session, role.epoch, log));
  }

  private agreed(member: MemberId, session: number, from: number): void {
    if (this.role.is !== 'leader') return;
    const stream = { session, to: member, next: from, inFlight: 0 };
    this.streams.set(member, stream);
    this.lead({ kind: 'joined', member, session, from: from as LogPosition, nowMs: this.set.nowMs });
    this.ship(stream);
  }

  private ship(stream: Stream): void {
    const { session, to, next } = stream;
    if (stream.inFlight >= 4 || next >= this.log.length) return;
    const end = Math.min(this.log.length, next + 1 + this.set.chance.below(8));
    const bytes = this.log.slice(next, end);
    stream.next = end;
    stream.inFlight += 1;
    this.set.send(this, to, (node) => node.received(this.id, session, next, bytes));
    this.ship(stream);
  }

  private acked(member: MemberId, session: number, end: number): void {
    const stream = this.streams.get(member);
    this.lead({ kind: 'acked', member, session, end: at(end), nowMs: this.set.nowMs });
    if (stream?.session !== session) return;
    stream.inFlight = 0;
    this.ship(stream);
  }

  private refusedBy(member: MemberId, session: number, epoch: Epoch): void {
    this.lead({ kind: 'outdated', epoch });
    this.closedBy(member, session);
  }

  private closedBy(member: MemberId, session: number): void {
    const stream = this.streams.get(member);
    if (stream?.session !== session) return;
    this.streams.delete(member);
    this.lead({ kind: 'left', member, refuses: !this.set.node(member).up, nowMs: this.set.nowMs });
  }

  // ---- following

  private follow(): void {
    const { promised } = this;
    const log = this.outline();
    this.follower = new Follower({ promised, log, durableEnd: at(this.durable), commitEnd: at(this.commitEnd) }, () =>
      this.outline(),
    );
  }

  private attach(leader: MemberId): void {
    const { nowMs } = this.set;
    if (this.attachedTo?.leader === leader && nowMs - this.heardMs < reattachMs) return;
    this.heardMs = nowMs;
    const session = this.set.chance.below(2 ** 30);
    this.attachedTo = { leader, session };
    this.set.send(
      this,
      leader,
      (node) => node.opened(this, session),
      () => {
        if (this.attachedTo?.session !== session) return;
        this.attachedTo = undefined;
        if (this.role.is === 'follower') this.stand(this.standing.step({ kind: 'refused', nowMs: this.set.nowMs }));
      },
    );
  }

  private attached(leader: MemberId, session: number, epoch: Epoch, log: LogOutline): void {
    if (this.attachedTo?.session !== session || this.role.is !== 'follower') return;
    const older = this.set.options.planted === 'followOlderEpoch' && epoch < this.promised.epoch;
    if (older) this.promise({ epoch, to: leader });
    this.obey(leader, this.follower.step({ kind: 'attached', session, leader, epoch, log }));
  }

  private received(leader: MemberId, session: number, from: number, bytes: readonly number[]): void {
    const end = at(from + bytes.length);
    const outputs = this.follower.step({ kind: 'received', session, from: at(from), end });
    if (outputs[0]?.kind === 'append') {
      this.log.push(...bytes);
      if (this.set.options.planted === 'ackBeforeSync') this.ackedTo(leader, session, end);
      this.sync();
      return;
    }
    this.obey(leader, outputs);
  }

  private hear(leader: MemberId, session: number, progress: number, commitEnd: number): void {
    if (this.attachedTo?.session !== session || this.role.is !== 'follower') return;
    this.heardMs = this.set.nowMs;
    this.standing.step({ kind: 'heard', progress, nowMs: this.set.nowMs });
    this.obey(leader, this.follower.step({ kind: 'committed', session, end: at(commitEnd) }));
  }

  private obey(leader: MemberId, outputs: readonly FollowerOutput[]): void {
    for (const output of outputs) {
      switch (output.kind) {
        case 'promise':
          this.promised = output.promise;
          this.heard = Math.max(this.heard, output.promise.epoch) as Epoch;
          break;
        case 'truncate':
          this.cutTo(output.to);
          break;
        case 'follow': {
          const { session, from } = output;
          this.set.send(this, leader, (node) => node.agreed(this.id, session, from));
          break;
        }
        case 'ack':
          this.ackedTo(leader, output.session, output.end);
          break;
        case 'commit':
          this.commitEnd = output.end;
          break;
        case 'refuse':
          this.attachedTo = undefined;
          this.set.send(this, leader, (node) => node.refusedBy(this.id, output.session, output.epoch));
          break;
        case 'append':
          break;
        case 'halt':
          assert(false, output.why);
      }
    }
  }

  private ackedTo(leader: MemberId, session: number, end: number): void {
    this.set.send(this, leader, (node) => node.acked(this.id, session, end));
  }

  // ---- disk

  private sync(): void {
    if (this.syncing || this.diskHangs) return;
    const { life, cuts } = this;
    const end = this.log.length;
    this.syncing = true;
    this.set.after(0.3 + this.set.chance.next() * (this.set.chance.chance(this.set.calm ? 0 : 0.01) ? 300 : 1), () => {
      if (!this.up || life !== this.life || cuts !== this.cuts) return;
      this.syncing = false;
      if (this.diskHangs) return;
      this.whenAwake(() => this.synced(Math.min(end, this.log.length)));
    });
  }

  private synced(end: number): void {
    this.durable = Math.max(this.durable, end);
    this.progress += 1;
    if (this.durable < this.log.length) this.sync();
    if (this.role.is === 'leader') {
      this.lead({ kind: 'durable', end: at(this.durable), nowMs: this.set.nowMs });
      return;
    }
    const outputs = this.follower.step({ kind: 'durable', end: at(this.durable) });
    if (this.attachedTo) this.obey(this.attachedTo.leader, outputs);
  }

  private whenSynced(act: () => void): void {
    const { life } = this;
    const end = this.log.length;
    const look = (): void => {
      if (!this.up || life !== this.life) return;
      if (this.durable >= end || this.log.length < end) act();
      else this.set.after(1, look);
    };
    this.sync();
    look();
  }

  private cutTo(end: number): void {
    assert(end >= this.commitEnd, `${this.id} cuts nothing that is committed`);
    this.log.length = Math.min(this.log.length, end);
    this.durable = Math.min(this.durable, end);
    // What was on its way to the disk is waited for and cut; what comes now is another write.
    this.cuts += 1;
    this.syncing = false;
  }

  private outline(): LogOutline {
    return outlineOf(this.log);
  }
}

function outlineOf(log: readonly number[]): LogOutline {
  const epochs: EpochStart[] = [];
  for (const [position, entry] of log.entries()) {
    if (epochs.at(-1)?.epoch !== epochOf(entry)) epochs.push({ epoch: epochOf(entry), start: at(position) });
  }
  return { epochs, end: at(log.length) };
}
