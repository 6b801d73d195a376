/** Broker sets as `comet cluster health` shows them, and what an operator can do about who leads and who belongs. */
import type { Command } from 'commander';
import type { ClusterReport, MemberReport, SetReport } from '@cometmq/admin';
import { MqError } from '@cometmq/shared';

import { exitCode } from '../exit-codes.js';
import { aboutText, bytesText, timeText, visible, type Printer, type View } from '../printer.js';
import { examples, type Act, type Session } from '../session.js';

export interface Health {
  readonly healthy: boolean;
  readonly reasons: readonly string[];
  /** What somebody should do though all is well. */
  readonly hints?: readonly string[];
  readonly brokerSets: readonly SetReport[];
}

/** @throws MqError */
export async function readHealth(session: Session): Promise<Health> {
  const api = session.api();
  const [{ reasons: known, hints }, { brokerSets }] = await Promise.all([
    api.get<ClusterReport>('/cluster'),
    api.get<{ readonly brokerSets: readonly SetReport[] }>('/broker-sets'),
  ]);
  const reasons = [...known];
  // A leader that can't commit answers, and would take messages.
  for (const { name, protection, says } of brokerSets) {
    const reason = `${name}: ${says}`;
    if (protection === 'notServing' && !reasons.includes(reason)) reasons.push(reason);
  }
  return { healthy: reasons.length === 0, reasons, ...(hints && { hints }), brokerSets };
}

/** What tells two healths apart: not how far a member is behind at the moment. */
export function healthKey({ healthy, reasons, hints, brokerSets }: Health): string {
  const sets = brokerSets.map(({ name, protection, epoch, leader, members, lastFailover, warnings }) => [
    ...[name, protection, epoch, leader, lastFailover?.atMs],
    ...warnings,
    members.map(({ member, inSync, leads, problem }) => [member, inSync, leads, problem !== undefined]),
  ]);
  return JSON.stringify([healthy, reasons, hints, sets]);
}

export function printHealth({ printer, world }: Session, health: Health): void {
  if (printer.forPeople) world.out(healthText(printer, health));
  else if (printer.format === 'name') world.out(health.healthy ? 'healthy\n' : 'unhealthy\n');
  else world.out(`${JSON.stringify(health)}\n`);
}

function healthText(printer: Printer, { healthy, reasons, hints = [], brokerSets }: Health): string {
  const lines = [healthy ? printer.good('healthy') : `${printer.bad('not healthy')}: ${visible(reasons.join('; '))}`];
  for (const hint of hints) lines.push(`hint: ${visible(hint)}`);
  // A set that is meant to be one says nothing that is not said already.
  for (const set of brokerSets) {
    if (set.members.length > 1 || lacksMembers(set) || set.warnings.length > 0) lines.push(...setLines(printer, set));
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** Of several members that are wanted one is there: a set of two that lost the other, or one that is only just made. */
function lacksMembers({ members, membersWanted = 1 }: SetReport): boolean {
  return members.filter(({ counts }) => counts).length === 1 && membersWanted > 1;
}

function setLines(printer: Printer, set: SetReport): string[] {
  const { name, protection, says, epoch, leader, members, membersWanted, warnings, lastFailover } = set;
  if (protection === 'takenOut') return [`${visible(name)}: ${says}`]; // Its members are stopped, and nobody waits for them.
  const colour = protection === 'protected' ? printer.good(says) : printer.bad(says);
  const led = leader === undefined ? '' : `, led by ${placeOf(leader)}`;
  const width = Math.max(...members.map(({ member }) => placeOf(member).length));
  const has = members.filter(({ counts }) => counts).length;
  const wanted = membersWanted === undefined || membersWanted === has ? '' : `, ${has} of ${membersWanted} members`;
  const lines = [`${visible(name)}: ${colour}, epoch ${epoch}${visible(led)}${wanted}`];
  for (const member of members) {
    lines.push(visible(`  ${placeOf(member.member).padEnd(width)}  ${memberText(member)}`));
  }
  for (const warning of warnings) lines.push(`  ${printer.bad(warning)}`);
  if (lastFailover) {
    const { atMs, reason } = lastFailover;
    const { sumMs, told } = phasesOf(lastFailover);
    lines.push(`  last take-over ${timeText(atMs)} (${reasonWords[reason]}): ${sumMs} ms: ${told}`);
  }
  return lines;
}

type Phases = NonNullable<SetReport['lastFailover']>;

function phasesOf({ noticeMs, promiseMs, fetchMs, transactionMs, startRecordMs, foldMs }: Phases) {
  const phases = { notice: noticeMs, promises: promiseMs, fetch: fetchMs, etcd: transactionMs, start: startRecordMs };
  const all = Object.entries({ ...phases, fold: foldMs });
  return {
    sumMs: Math.round(all.reduce((total, [, ms]) => total + ms, 0)),
    told: all.map(([phase, ms]) => `${phase} ${Math.round(ms)}`).join(', '),
  };
}

const failoverView: View<SetReport['failovers'][number]> = {
  name: ({ epoch }) => String(epoch),
  columns: [
    { title: 'TIME', value: ({ atMs }) => timeText(atMs) },
    { title: 'EPOCH', value: ({ epoch }) => epoch },
    { title: 'LEADER', value: ({ member }) => placeOf(member) },
    { title: 'REASON', value: ({ reason }) => reasonWords[reason] },
    { title: 'MS', value: (failover) => phasesOf(failover).sumMs },
    { title: 'PHASES (MS)', value: (failover) => phasesOf(failover).told },
  ],
};

const restartView: View<MemberReport> = {
  name: ({ member }) => member,
  columns: [
    { title: 'MEMBER', value: ({ member }) => placeOf(member) },
    { title: 'LEADS', value: ({ leads }) => leads },
    { title: 'MAY RESTART', value: ({ mayRestart }) => mayRestart },
    { title: 'WHY', value: ({ restartSays }) => restartSays },
  ],
};

const reasonWords: Readonly<Record<Phases['reason'], string>> = {
  start: 'nobody led',
  closed: 'the leader was gone',
  silent: 'the leader was silent',
  handedOver: 'handed over',
};

function memberText({ leads, inSync, counts, lagBytes = 0, lagMs = 0, problem, says }: MemberReport): string {
  if (leads) return 'leads';
  if (problem !== undefined) return `away: ${problem}`;
  const behind = `${bytesText(lagBytes)}, ${aboutText(lagMs)} behind`;
  if (inSync) return `in sync, ${behind}`;
  return `${counts ? 'not in sync' : 'copies the log'}, ${behind}${says === undefined || says === '' ? '' : `: ${says}`}`;
}

/** `<place>/<incarnation of its volume>`: people know the place. */
function placeOf(member: string): string {
  return member.replace(/\/.*/, '');
}

interface ElectOptions {
  readonly to?: string;
  readonly unclean?: boolean;
}

interface BeyondElection {
  readonly member: string;
  readonly grade: 'nothingMissing' | 'unclean';
  readonly from?: number;
  readonly untilMs: number;
}

/** Too few members come back: one goes on with what it has. */
async function electBeyond(session: Session, set: string, to: string | undefined): Promise<void> {
  if (to === undefined) throw new MqError('CONFIG', '--unclean: --to must say which member shall lead alone');
  await session.confirm(`Let ${to} lead broker set "${set}" alone? What only its other members have is lost.`);
  const path = `${setPath(set)}/unclean-election`;
  const { member, grade, from, untilMs } = await session.api().call<BeyondElection>('POST', path, { member: to });
  const lost =
    grade === 'nothingMissing'
      ? 'it has all that was acknowledged'
      : `what was acknowledged beyond ${from === undefined ? 'its log' : `position ${from} of the log`} is lost, unless it has it`;
  session.note(`broker set "${set}": ${member} may lead alone until ${timeText(untilMs)}: ${lost}`);
}

export function setCommands(cluster: Command, act: Act): void {
  const elect = cluster
    .command('elect <set>')
    .description('Have the leader of a broker set hand over to another member that is in sync. Clients notice nothing.')
    .option('--to <member>', 'the member that shall lead; else whichever is best')
    .option('--unclean', 'while nobody can lead: let it lead alone, and lose what only the others had')
    .action(
      act(async (session, set: string, { to, unclean }: ElectOptions) => {
        if (unclean) return electBeyond(session, set, to);
        const { leader, epoch } = await session
          .api()
          .call<SetReport>('POST', `${setPath(set)}/election`, { ...(to !== undefined && { to }) });
        session.note(`broker set "${set}": ${placeOf(leader ?? 'nobody')} leads, epoch ${epoch}`);
      }),
    );
  examples(
    elect,
    'comet cluster elect broker-0',
    'comet cluster elect broker-0 --to broker-0-b',
    'comet cluster elect broker-0 --to broker-0-b --unclean',
  );

  const failovers = cluster
    .command('failovers <set>')
    .description('The last times another member of a broker set took over the lead, why, and where the time went.')
    .action(
      act(async (session, set: string) => {
        session.printer.list(failoverView, (await session.api().get<SetReport>(setPath(set))).failovers);
      }),
    );
  examples(failovers, 'comet cluster failovers broker-0', 'comet cluster failovers broker-0 -o json');

  const mayRestart = cluster
    .command('may-restart <set> [member]')
    .description(
      'Tell which members of a broker set may be restarted now without messages having to wait, and why not. With a member: ' +
        'exits with 1 when it may not.',
    )
    .action(
      act(async (session, set: string, member?: string) => {
        const { members } = await session.api().get<SetReport>(setPath(set));
        const asked =
          member === undefined ? members : members.filter((one) => [one.member, placeOf(one.member)].includes(member));
        if (asked.length === 0) throw noMember(set, member ?? '', members);
        session.printer.list(restartView, asked);
        return member === undefined || asked.every((one) => one.mayRestart) ? exitCode.ok : exitCode.failed;
      }),
    );
  examples(mayRestart, 'comet cluster may-restart broker-0', 'comet cluster may-restart broker-0 broker-0-b');

  const replace = cluster
    .command('replace <set> <member>')
    .description(
      'Take a member whose volume is lost out of its broker set. A member that starts there with an empty volume copies the ' +
        'log and takes its place.',
    )
    .action(
      act(async (session, set: string, member: string) => {
        const { protection, members } = await session.api().get<SetReport>(setPath(set));
        const named = members.filter((one) => one.member === member || placeOf(one.member) === member);
        const [found] = named;
        if (named.length > 1) {
          const names = named.map((one) => one.member).join(' and ');
          throw new MqError('CONFLICT', `"${member}" is the place of ${names}: name one of them in full`);
        }
        if (!found) throw noMember(set, member, members);
        const stillThere = found.problem === undefined ? ' It answers: its volume is not lost.' : '';
        await session.confirm(
          `Take ${found.member} out of broker set "${set}" (${protection}), with its copy of the messages?${stillThere}`,
        );
        await session.api().call<SetReport>('POST', `${setPath(set)}/replacement`, { member: found.member });
        session.note(
          `broker set "${set}": ${found.member} is out; the next member with a copy of the log takes its place`,
        );
      }),
    );
  examples(replace, 'comet cluster replace broker-0 broker-0-c', 'comet cluster replace broker-0 broker-0-c --yes');
}

function noMember(set: string, member: string, members: readonly MemberReport[]): MqError {
  const names = members.map((one) => one.member).join(', ');
  return new MqError('NOT_FOUND', `"${member}" is no member of ${set}; its members are ${names}`);
}

const setPath = (set: string): string => `/broker-sets/${encodeURIComponent(set)}`;
