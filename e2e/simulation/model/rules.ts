/**
 * The rules of a broker set's replication and leadership, as small as they can be said: members with a log and a promise,
 * etcd with one key `{epoch, leader, S, W}`, and every step that changes any of it. No clock, no byte, no message lost by
 * chance: a step may happen whenever its condition holds, or never, which covers every delay, loss and partition, and
 * members that are down. So a crash is what it takes away: the role, and with it all that was not written.
 *
 *   entry    epoch × 16 + number; number 0 is the start record of the epoch
 *   commit   the W-th highest end among S, of members that have matched this epoch's start record
 *   promise  (epoch, candidate), synced; who promised refuses all lower epochs, and the same epoch to anybody else
 *
 * `traps` switch one rule off at a time: the exploration must then find a lost record, or it proves nothing.
 */
import { assert } from '@cometmq/shared';

export type Trap =
  /** A set of three shrinks before those who stay have all that is committed. */
  | 'shrinkBeforeCaughtUp'
  /** The take-over of a set of three drops the dead leader. */
  | 'dropLeaderOfThree'
  /** A member promises an epoch to two candidates. */
  | 'promiseTwice'
  /** A record counts although its member has not matched the start record of the epoch. */
  | 'countBeforeStart'
  /** While a change of the set is under way only the new rule counts. */
  | 'newRuleAtOnce'
  /** The take-over does not compare the set's revision. */
  | 'noCompare'
  /** A candidate does not fetch what the best of its promisers has beyond its own log. */
  | 'ownLogIsBest'
  /** A member stands in an etcd that is older than what it has acted under. */
  | 'olderEtcdTaken'
  /** The old leader goes on as a member that may lead alone although the set of two gave it up. */
  | 'standOutsideSet';

export interface Bounds {
  readonly members: 2 | 3;
  readonly stands: number;
  readonly appends: number;
  readonly changes: number;
  readonly crashes: number;
  /** How often etcd may be set back to what it was in the beginning, as from a copy of its disk. */
  readonly restores: number;
  /** The same, but only once every member has seen etcd's newest revision, as long after it as copies are old. */
  readonly lateRestores: number;
}

/** S as bits, member i is 1 << i. */
export interface SetRule {
  readonly members: number;
  readonly quorum: number;
}

export interface Etcd extends SetRule {
  readonly revision: number;
  readonly epoch: number;
  readonly leader: number;
}

export type Role =
  | { readonly is: 'follower' }
  /** `promised`: members that have promised this candidacy, as bits. `fetched`: the best log is its own by now. */
  | {
      readonly is: 'candidate';
      readonly epoch: number;
      readonly read: Etcd;
      readonly promised: number;
      readonly fetched: boolean;
    }
  /** It stands in etcd and has not written its start record. */
  | { readonly is: 'elected'; readonly epoch: number; readonly rule: SetRule; readonly revision: number }
  | {
      readonly is: 'leader';
      readonly epoch: number;
      readonly rule: SetRule;
      readonly revision: number;
      readonly changing: SetRule | undefined;
      /** How far each member is known to be in this term; undefined: not matched yet. */
      readonly ends: readonly (number | undefined)[];
      readonly commit: number;
    };

export interface Member {
  readonly log: readonly number[];
  readonly promised: { readonly epoch: number; readonly to: number };
  /** What it has last said to a leader: durable so far in this epoch. Heard at any time after. */
  readonly acked: { readonly epoch: number; readonly end: number };
  /** The highest revision of etcd under which it has acted: in an older etcd it does not stand. */
  readonly seen: number;
  readonly role: Role;
}

/** A change of the set on its way to etcd; it may arrive after its leader has died. */
interface Transaction extends SetRule {
  readonly revision: number;
  readonly epoch: number;
}

export interface State {
  readonly etcd: Etcd;
  readonly members: readonly Member[];
  readonly underWay: readonly Transaction[];
  /** What some leader has called committed, ever. */
  readonly committed: readonly number[];
  /** In which epoch each of them was: leaders of later epochs must have it. */
  readonly committedIn: readonly number[];
  /** What went wrong for good. */
  readonly broken: string | undefined;
  readonly left: Omit<Bounds, 'members'>;
}

export interface Step {
  readonly does: string;
  readonly to: State;
}

const follower: Role = { is: 'follower' };

/** Member 0 leads epoch 1, its start record is on all. */
export function initial({ members, ...left }: Bounds): State {
  const rule = wholeSet(members);
  const log = [entry(1, 0)];
  const all = Array.from({ length: members }, (_, i): Member => {
    const ends = Array.from({ length: members }, () => 1);
    const role: Role =
      i === 0 ? { is: 'leader', epoch: 1, rule, revision: 1, changing: undefined, ends, commit: 1 } : follower;
    return { log, promised: { epoch: 1, to: 0 }, acked: { epoch: 1, end: 1 }, seen: 1, role };
  });
  return {
    etcd: { revision: 1, epoch: 1, leader: 0, ...rule },
    members: all,
    underWay: [],
    committed: log,
    committedIn: [1],
    broken: undefined,
    left,
  };
}

const wholeSet = (count: number): SetRule => ({ members: (1 << count) - 1, quorum: 2 });
const entry = (epoch: number, number: number): number => epoch * 16 + number;
const epochOf = (each: number): number => each >> 4;
const lastEpoch = (log: readonly number[]): number => epochOf(log.at(-1) ?? 0);

function size(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

const has = (bits: number, member: number): boolean => (bits & (1 << member)) !== 0;

/** All that may happen next. */
export function steps(state: State, trap: Trap | undefined): Step[] {
  const next: Step[] = [];
  state.members.forEach((member, i) => {
    const { role } = member;
    const holds = role.is === 'leader' || role.is === 'elected';
    if (holds && state.left.crashes > 0) next.push({ does: `${name(i)} crashes`, to: crash(state, i) });
    stand(state, i, trap, next);
    if (role.is === 'candidate') candidacy(state, i, role, trap, next);
    if (role.is === 'elected') next.push({ does: `${name(i)} writes its start record`, to: begin(state, i, role) });
    if (role.is === 'leader') leadership(state, i, role, trap, next);
  });
  state.underWay.forEach((transaction, i) => next.push(arrive(state, transaction, i)));
  restore(state, next);
  return next;
}

function restore(state: State, next: Step[]): void {
  const { left: before, etcd: now, members } = state;
  if (now.revision === 1) return;
  if (before.lateRestores > 0) {
    members.forEach((member, i) => {
      if (member.seen >= now.revision) return;
      next.push({ does: `${name(i)} sees etcd`, to: withMember(state, i, { ...member, seen: now.revision }) });
    });
  }
  const late = before.lateRestores > 0 && members.every(({ seen }) => seen >= now.revision);
  if (late || before.restores > 0) {
    const left = late
      ? { ...before, lateRestores: before.lateRestores - 1 }
      : { ...before, restores: before.restores - 1 };
    const etcd = { revision: 1, epoch: 1, leader: 0, ...wholeSet(members.length) };
    next.push({ does: 'etcd is restored from the beginning', to: { ...state, etcd, left } });
  }
}

function crash(state: State, i: number): State {
  const { left } = state;
  const member = memberOf(state, i);
  return {
    ...withMember(state, i, { ...member, role: follower }),
    left: { ...left, crashes: left.crashes - 1 },
  };
}

/** (1) An epoch above etcd's, its own log's and any it heard; its own promise comes first. */
function stand(state: State, i: number, trap: Trap | undefined, next: Step[]): void {
  const member = memberOf(state, i);
  const { etcd, left } = state;
  if (left.stands === 0) return;
  const { role: now } = member;
  if ((now.is === 'leader' || now.is === 'elected') && now.epoch === etcd.epoch) return; // It leads; else it sees that it is deposed.
  const older = etcd.revision < member.seen || etcd.epoch < lastEpoch(member.log);
  if (older && trap !== 'olderEtcdTaken') return; // Frozen: an operator decides.
  if (!has(etcd.members, i) && trap !== 'standOutsideSet') return;
  const epoch = Math.max(etcd.epoch, lastEpoch(member.log), member.promised.epoch) + 1;
  const role: Role = { is: 'candidate', epoch, read: etcd, promised: 1 << i, fetched: false };
  const to = withMember(state, i, { ...member, promised: { epoch, to: i }, role });
  next.push({
    does: `${name(i)} stands for epoch ${epoch}`,
    to: { ...to, left: { ...left, stands: left.stands - 1 } },
  });
}

function candidacy(
  state: State,
  i: number,
  role: Extract<Role, { is: 'candidate' }>,
  trap: Trap | undefined,
  next: Step[],
): void {
  const me = memberOf(state, i);
  const { epoch, read, promised, fetched } = role;
  // (2) Promises. Whoever leads or stands with a lower epoch stops by promising.
  state.members.forEach((other, j) => {
    const mayPromise = epoch > other.promised.epoch || (trap === 'promiseTwice' && epoch === other.promised.epoch);
    if (fetched || j === i || !has(read.members, j) || has(promised, j) || !mayPromise) return;
    const after = withMember(state, j, { ...other, promised: { epoch, to: i }, role: follower });
    const heard = { ...me, role: { ...role, promised: promised | (1 << j) } };
    next.push({ does: `${name(j)} promises ${name(i)} epoch ${epoch}`, to: withMember(after, i, heard) });
  });
  // (3) |S| − W + 1 promises: the best log becomes its own.
  if (!fetched && size(promised) >= size(read.members) - read.quorum + 1) {
    const best = bestOf(state, promised, i);
    const source = memberOf(state, best);
    const stillMine = source.promised.epoch === epoch && (source.promised.to === i || trap === 'promiseTwice');
    if (trap === 'ownLogIsBest' || best === i || stillMine) {
      const log = trap === 'ownLogIsBest' ? me.log : source.log;
      const to = withMember(state, i, { ...me, log, role: { ...role, fetched: true } });
      next.push({ does: `${name(i)} has the best log, of ${name(best)}`, to });
    }
  }
  // (4) Into etcd, comparing the revision it has read before it asked.
  if (!fetched) return;
  const { etcd } = state;
  if (etcd.revision !== read.revision && trap !== 'noCompare') return; // It may only stand again.
  // It has seen a later revision meanwhile: this etcd is older than its candidacy.
  if (me.seen > read.revision && trap !== 'noCompare') return;
  const rule = afterTakeOver(read, i, trap);
  const revision = etcd.revision + 1;
  const elected: Role = { is: 'elected', epoch, rule, revision };
  next.push({
    does: `etcd: ${name(i)} leads epoch ${epoch} of ${ruleText(rule)}`,
    to: {
      ...withMember(state, i, { ...me, seen: Math.max(me.seen, revision), role: elected }),
      etcd: { revision, epoch, leader: i, ...rule },
    },
  });
}

/** A set of two drops the old leader in the same transaction; a larger one stays as it is. */
function afterTakeOver({ members, quorum, leader }: Etcd, i: number, trap: Trap | undefined): SetRule {
  if (size(members) === 2 && leader !== i) return { members: 1 << i, quorum: 1 };
  if (size(members) === 3 && trap === 'dropLeaderOfThree' && leader !== i) {
    return { members: members & ~(1 << leader), quorum };
  }
  return { members, quorum };
}

/** The highest last epoch, then the longest; itself where it is as good. */
function bestOf(state: State, promised: number, i: number): number {
  let best = i;
  state.members.forEach(({ log }, j) => {
    if (!has(promised, j)) return;
    const { log: than } = memberOf(state, best);
    const better = lastEpoch(log) - lastEpoch(than) || log.length - than.length;
    if (better > 0) best = j;
  });
  return best;
}

/** (5) The start record; nothing is counted before a member has matched it. */
function begin(state: State, i: number, { epoch, rule, revision }: Extract<Role, { is: 'elected' }>): State {
  const me = memberOf(state, i);
  const log = [...me.log, entry(epoch, 0)];
  const ends = state.members.map((_, j) => (j === i ? log.length : undefined));
  const role: Role = { is: 'leader', epoch, rule, revision, changing: undefined, ends, commit: 0 };
  const lacks = state.committed.some((each, k) => log[k] !== each && (state.committedIn[k] ?? 0) < epoch);
  const begun = withMember(state, i, { ...me, log, role });
  const broken = state.broken ?? (lacks ? `${name(i)} leads and lacks what was committed` : undefined);
  return committing({ ...begun, broken }, i, role, undefined);
}

function leadership(
  state: State,
  i: number,
  role: Extract<Role, { is: 'leader' }>,
  trap: Trap | undefined,
  next: Step[],
): void {
  const me = memberOf(state, i);
  const { left } = state;
  const { epoch, revision, changing } = role;
  if (left.appends > 0) {
    const log = [...me.log, entry(epoch, left.appends)];
    const leader = { ...role, ends: role.ends.map((end, j) => (j === i ? log.length : end)) };
    const to = { ...withMember(state, i, { ...me, log, role: leader }), left: { ...left, appends: left.appends - 1 } };
    next.push({ does: `${name(i)} appends`, to: committing(to, i, leader, trap) });
  }
  state.members.forEach((other, j) => {
    if (j === i) return;
    follow(state, i, role, j, trap, next);
    // What it has said of this term may be heard at any time after.
    if (other.acked.epoch === epoch && (role.ends[j] ?? 0) < other.acked.end) {
      const ends = role.ends.map((end, k) => (k === j ? other.acked.end : end));
      const leader = { ...role, ends };
      const to = committing(withMember(state, i, { ...me, role: leader }), i, leader, trap);
      next.push({ does: `${name(i)} hears that ${name(j)} has ${other.acked.end}`, to });
    }
  });
  // What it asks etcd for would be refused, or this etcd is older than what it has seen.
  if (state.etcd.epoch > epoch || (me.seen > revision && changing === undefined && trap !== 'olderEtcdTaken')) return;
  if (changing === undefined) {
    if (left.changes > 0) changes(state, i, role, trap, next);
  } else if (state.etcd.revision > revision) {
    // The outcome is known: it was the only one who could change it in its epoch.
    const { members, quorum } = state.etcd;
    const leader = { ...role, rule: { members, quorum }, revision: state.etcd.revision, changing: undefined };
    const seen = Math.max(me.seen, leader.revision);
    const to = committing(withMember(state, i, { ...me, seen, role: leader }), i, leader, trap);
    next.push({ does: `${name(i)} knows that ${ruleText(leader.rule)} holds`, to });
  }
}

/** A follower takes what its promise allows: back to the last common record, then one record more, or all. */
function follow(
  state: State,
  i: number,
  { epoch, revision }: Extract<Role, { is: 'leader' }>,
  j: number,
  trap: Trap | undefined,
  next: Step[],
): void {
  const leader = memberOf(state, i);
  const other = memberOf(state, j);
  if (
    epoch < other.promised.epoch ||
    (epoch === other.promised.epoch && other.promised.to !== i && trap !== 'promiseTwice')
  ) {
    return;
  }
  if (other.role.is !== 'follower' && epoch === other.promised.epoch) return; // It stands or leads itself.
  let common = 0;
  while (common < other.log.length && other.log[common] === leader.log[common]) common += 1;
  for (const end of new Set([Math.min(common + 1, leader.log.length), leader.log.length])) {
    if (other.log.length === end && common === end && other.acked.epoch === epoch && other.acked.end === end) continue;
    const after: Member = {
      ...other,
      log: leader.log.slice(0, end),
      promised: { epoch, to: i },
      acked: { epoch, end },
      seen: Math.max(other.seen, revision),
      role: follower,
    };
    next.push({ does: `${name(j)} follows ${name(i)} up to ${end}`, to: withMember(state, j, after) });
  }
}

/** Every change of {S, W} that a leader may want: one member less, or one more. */
function changes(
  state: State,
  i: number,
  role: Extract<Role, { is: 'leader' }>,
  trap: Trap | undefined,
  next: Step[],
): void {
  const { rule, epoch, revision, commit, ends } = role;
  const me = memberOf(state, i);
  const { left } = state;
  state.members.forEach((_, j) => {
    if (j === i) return;
    const members = rule.members ^ (1 << j);
    const wanted = { members, quorum: size(members) === 1 ? 1 : 2 };
    // Every member of the new set has what the old rule has committed, and the start record of this term.
    const caughtUp = ends.every((end, k) => !has(members, k) || (end !== undefined && end >= commit));
    const started = commit > 0;
    if (!(started && caughtUp) && !(trap === 'shrinkBeforeCaughtUp' && size(members) === 2)) return;
    const leader: Role = { ...role, changing: wanted };
    const to = withMember(state, i, { ...me, role: leader });
    next.push({
      does: `${name(i)} asks etcd for ${ruleText(wanted)}`,
      to: {
        ...to,
        underWay: [...state.underWay, { ...wanted, revision, epoch }],
        left: { ...left, changes: left.changes - 1 },
      },
    });
  });
}

function arrive(state: State, transaction: Transaction, at: number): Step {
  const { etcd } = state;
  const { members, quorum, revision, epoch } = transaction;
  const underWay = state.underWay.filter((_, i) => i !== at);
  assert(etcd.revision === revision && etcd.epoch === epoch, 'what can only be refused is not kept');
  const after = { ...etcd, members, quorum, revision: revision + 1 };
  return { does: `etcd: ${ruleText(transaction)}`, to: { ...state, underWay, etcd: after } };
}

/** The commit position after anything that may have moved it. Both rules count while a change is under way. */
function committing(state: State, i: number, role: Extract<Role, { is: 'leader' }>, trap: Trap | undefined): State {
  const { rule, changing, ends, epoch } = role;
  const me = memberOf(state, i);
  const start = me.log.indexOf(entry(epoch, 0));
  const counted = ends.map((end) => {
    if (end === undefined) return 0;
    return end > start || trap === 'countBeforeStart' ? end : 0;
  });
  const byRule = ({ members, quorum }: SetRule): number =>
    counted
      .filter((_, k) => has(members, k))
      .sort((a, b) => b - a)
      .at(quorum - 1) ?? 0;
  let commit = changing === undefined ? byRule(rule) : Math.min(byRule(rule), byRule(changing));
  if (changing !== undefined && trap === 'newRuleAtOnce') commit = byRule(changing);
  if (commit <= role.commit) return state;
  const mine = me.log.slice(0, commit);
  const other = mine.some((each, k) => each !== (state.committed[k] ?? each));
  const later = state.members.some(
    ({ role: their, log }) => their.is === 'leader' && their.epoch > epoch && mine.some((each, k) => log[k] !== each),
  );
  const wrong = other ? 'commits other records than were committed' : 'commits what a later leader lacks';
  const broken = state.broken ?? (other || later ? `${name(i)} ${wrong}` : undefined);
  const committed = commit > state.committed.length ? mine : state.committed;
  const committedIn = committed.map((_, k) => Math.min(state.committedIn[k] ?? epoch, k < commit ? epoch : Infinity));
  return { ...withMember(state, i, { ...me, role: { ...role, commit } }), committed, committedIn, broken };
}

/** What can make no difference any more is left out, so that states that behave alike are one. */
export function settled(state: State): State {
  const { etcd } = state;
  const terms = new Set(
    state.members.map(({ role }) => (role.is === 'leader' || role.is === 'elected' ? role.epoch : 0)),
  );
  return {
    ...state,
    underWay: state.underWay.filter(({ revision, epoch }) => revision === etcd.revision && epoch === etcd.epoch),
    members: state.members.map((member) => (terms.has(member.acked.epoch) ? member : { ...member, acked: unheard })),
  };
}

const unheard = { epoch: 0, end: 0 };

function memberOf({ members }: State, i: number): Member {
  const member = members[i];
  if (!member) throw new Error(`there is no member ${i}`);
  return member;
}

function withMember(state: State, i: number, member: Member): State {
  return { ...state, members: state.members.map((each, j) => (j === i ? member : each)) };
}

const name = (i: number): string => 'ABC'.charAt(i);

function ruleText({ members, quorum }: SetRule): string {
  return `{${[0, 1, 2]
    .filter((i) => has(members, i))
    .map(name)
    .join('')}}/${quorum}`;
}
