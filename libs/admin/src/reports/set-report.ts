/** A broker set as its members tell it: each is asked, and one that does not answer hides nothing of the others. */
import type { FailoverPhases, FollowerStatus, MemberStatus, Peers } from '@cometmq/client';
import type { BrokerSet } from '@cometmq/model';
import { MqError, type Clock } from '@cometmq/shared';

import { within } from '../within.js';

/**
 * - `protected`: any one member can be lost, and messages go on being taken.
 * - `noSpare`: what is acknowledged lies on as many members as it must; with one less no more is.
 * - `singleCopy`: one member has what the set holds.
 * - `notServing`: it has a leader that can not commit: too few members are in sync.
 * - `noLeader`: nobody leads.
 * - `takenOut`: it left the cluster, empty: nobody waits for it, and it stays out until one of its members leads.
 */
export const protections = ['protected', 'noSpare', 'singleCopy', 'notServing', 'noLeader', 'takenOut'] as const;
export type SetProtection = (typeof protections)[number];

export interface MemberReport {
  readonly member: string;
  readonly address: string;
  /** Its word counts. False: it copies the log, to become a member. */
  readonly counts: boolean;
  readonly leads: boolean;
  readonly inSync: boolean;
  readonly role?: MemberStatus['role'];
  /** In its own words. */
  readonly says?: string;
  readonly epoch?: number;
  readonly appendEnd?: number;
  readonly durableEnd?: number;
  readonly commitEnd?: number;
  /** Behind the leader, as that sees it. */
  readonly lagBytes?: number;
  readonly lagMs?: number;
  /** Why it did not answer. */
  readonly problem?: string;
  /** Whether it may be restarted now: messages go on being taken meanwhile, and each is on enough disks. */
  readonly mayRestart: boolean;
  /** Why, or why not. */
  readonly restartSays: string;
}

/** One time that a member took over. */
export interface Failover extends FailoverPhases {
  readonly member: string;
}

export interface SetReport {
  readonly name: string;
  readonly protection: SetProtection;
  readonly says: string;
  readonly epoch: number;
  /** The member that leads; absent: nobody does. */
  readonly leader?: string;
  readonly quorum: number;
  readonly writable: boolean;
  readonly stage: BrokerSet['stage'];
  /** As its leader is set up; absent: it does not say. */
  readonly membersWanted?: number;
  /** What is not as it should be, though nothing is lost by it now. */
  readonly warnings: readonly string[];
  readonly members: readonly MemberReport[];
  readonly lastFailover?: FailoverPhases;
  /** The newest first, as far as members that answer remember them. */
  readonly failovers: readonly Failover[];
}

/** More are not told. */
export const failoversShownMax = 100;

/** @param peers left out: the one member is in this process */
export async function setReport(
  set: BrokerSet,
  peers: Peers | undefined,
  clock: Clock,
  waitMs: number,
): Promise<SetReport> {
  const asked = await Promise.all(set.members.map((member) => ask(set.name, member, peers, clock, waitMs)));
  // Of two that say so, one has been overtaken and does not know it yet.
  const leading = asked
    .flatMap(({ status }) => (status?.role === 'leading' ? [status] : []))
    .sort((one, other) => other.epoch - one.epoch)
    .at(0);
  const leader = leading?.member ?? (set.leader === undefined ? undefined : set.leaderMember);
  const members = [
    ...asked.map((each) => memberReport(each, leader, leading, set)),
    ...(leading?.followers ?? [])
      .filter(({ member }) => !set.members.some((one) => one.member === member))
      .map((follower) => learnerReport(follower)),
  ];
  const quorum = leading?.state?.quorum ?? set.quorum;
  const counting = members.filter(({ counts, inSync }) => counts && inSync).length;
  const led = leader !== undefined;
  const takenOut = set.stage === 'gone' && !led;
  const protection = takenOut ? 'takenOut' : protectionOf(led, leading, set.members.length, quorum, counting);
  return {
    name: set.name,
    protection,
    says: words(protection, leading, asked, members),
    epoch: Math.max(set.epoch, leading?.epoch ?? 0),
    ...(leader !== undefined && { leader }),
    quorum,
    writable: set.writable,
    stage: set.stage,
    ...(leading && leading.membersWanted > 0 && { membersWanted: leading.membersWanted }),
    warnings: warningsOf(asked),
    members: members.map((member) => ({ ...member, ...restartOf(member, members, protection, quorum) })),
    ...(leading?.lastFailover && { lastFailover: leading.lastFailover }),
    failovers: failoversOf(asked),
  };
}

/** Each epoch has one leader, so members never tell of the same one. */
function failoversOf(asked: readonly Asked[]): Failover[] {
  return asked
    .flatMap(({ member, status }) => (status?.failovers ?? []).map((failover) => ({ member, ...failover })))
    .sort((one, other) => other.epoch - one.epoch)
    .slice(0, failoversShownMax);
}

type Unjudged = Omit<MemberReport, 'mayRestart' | 'restartSays'>;

/** What a member that is told to stop goes by, as far as it can be told without stopping it. */
function restartOf(
  { member, counts, leads, inSync }: Unjudged,
  members: readonly Unjudged[],
  protection: SetProtection,
  quorum: number,
): Pick<MemberReport, 'mayRestart' | 'restartSays'> {
  const no = (restartSays: string) => ({ mayRestart: false, restartSays });
  const yes = (restartSays: string) => ({ mayRestart: true, restartSays });
  if (!counts) return yes('it only copies the log, and goes on with that afterwards');
  const others = members.filter((other) => other.counts && other.member !== member);
  if (others.length === 0) return no('it is the only member: nothing is taken or delivered until it is back');
  if (protection === 'takenOut') return yes('its set is taken out');
  if (protection === 'noLeader') return no('nobody leads: it may be needed to have a leader again');
  const away = others.filter((other) => !other.inSync).map((other) => other.member);
  if (protection === 'notServing') {
    return inSync ? no(`no messages are taken now${waitingFor(away)}`) : yes('it is not in sync, and holds nobody up');
  }
  if (!inSync) return yes('it is not in sync, and the others go on without it');
  if (away.length > 0) return no(`${away.join(', ')} must be back in sync first`);
  if (members.length > 2 && others.length < quorum) return no('with one less, too few members are left');
  return yes(leads ? 'another member takes over first, and no call fails' : 'the others go on');
}

const waitingFor = (members: readonly string[]): string =>
  members.length === 0 ? '' : `: waiting for ${members.join(', ')}`;

/** Of several members that it is to have one is there: a set of two that lost the other, or one that is only just made. */
export function lacksMembers({ members, membersWanted = 1 }: SetReport): boolean {
  return members.filter(({ counts }) => counts).length === 1 && membersWanted > 1;
}

/** Who leads goes by its own setting, so the set's size would change with its leader. */
function warningsOf(asked: readonly Asked[]): string[] {
  const told = asked.flatMap(({ status }) => (status && status.membersWanted > 0 ? [status] : []));
  if (new Set(told.map(({ membersWanted }) => membersWanted)).size < 2) return [];
  const each = told.map(({ member, membersWanted }) => `${member}: ${membersWanted}`).join(', ');
  return [`members differ in membersWanted (${each}): give all of them the same`];
}

interface Asked {
  readonly member: string;
  readonly address: string;
  readonly status?: MemberStatus;
  readonly problem?: string;
}

async function ask(
  brokerSet: string,
  { member, address }: BrokerSet['members'][number],
  peers: Peers | undefined,
  clock: Clock,
  waitMs: number,
): Promise<Asked> {
  if (!peers) return { member, address };
  if (address === '') return { member, address, problem: 'it is not there: the name service knows no address of it' };
  try {
    return { member, address, status: await within(clock, waitMs, member, peers.peer(address).status(brokerSet)) };
  } catch (caught) {
    return { member, address, problem: MqError.from(caught).reason };
  }
}

function memberReport(
  { member, address, status, problem }: Asked,
  leader: string | undefined,
  leading: MemberStatus | undefined,
  set: BrokerSet,
): Unjudged {
  const leads = member === leader;
  const followed = leading?.followers.find((follower) => follower.member === member);
  return {
    member,
    address,
    counts: true,
    leads,
    inSync: leads || (leading ? followed?.inSync === true : set.inSync.includes(member)),
    ...(status && {
      role: status.role,
      says: status.says,
      epoch: status.epoch,
      appendEnd: status.appendEnd,
      durableEnd: status.durableEnd,
      commitEnd: status.commitEnd,
    }),
    ...(followed && { lagBytes: followed.lagBytes, lagMs: Math.round(followed.lagMs) }),
    ...(problem !== undefined && { problem }),
  };
}

function learnerReport({ member, lagBytes, lagMs }: FollowerStatus): Unjudged {
  return { member, address: '', counts: false, leads: false, inSync: false, lagBytes, lagMs: Math.round(lagMs) };
}

function protectionOf(
  led: boolean,
  leading: MemberStatus | undefined,
  members: number,
  quorum: number,
  inSync: number,
): SetProtection {
  if (!led) return 'noLeader';
  if (leading?.stalled) return 'notServing'; // It knows best.
  if (members <= 1) return 'singleCopy';
  if (inSync < quorum) return 'notServing';
  // Of two, the one that goes on shrinks the set to itself.
  return inSync > quorum || members === 2 ? 'protected' : 'noSpare';
}

function words(
  protection: SetProtection,
  leading: MemberStatus | undefined,
  asked: readonly Asked[],
  members: readonly Unjudged[],
): string {
  const away = members.filter(({ counts, inSync }) => counts && !inSync).map(({ member }) => member);
  const waiting = waitingFor(away);
  switch (protection) {
    case 'protected':
      return away.length === 0 ? 'protected' : `protected${waiting}`;
    case 'noSpare':
      return `protected, with no member to spare${waiting}`;
    case 'singleCopy':
      return leading?.says || 'single copy';
    case 'notServing':
      return leading?.says || `no messages are taken${waiting}`;
    case 'takenOut':
      return 'taken out';
    case 'noLeader': {
      // Who stands for the lead can say what it waits for.
      const standing =
        asked.find(({ status }) => status?.role === 'standing') ?? asked.find(({ status }) => status?.says);
      return standing?.status?.says || `no leader${waiting}`;
    }
  }
}
