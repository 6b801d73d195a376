/** What a run of chaos is told as: a table for people, to be kept in docs/proof. */
import { version } from '@cometmq/shared';

import { type FaultKind, faults } from './faults/index.js';
import { quantile } from './pulse.js';
import type { ChaosResult, Strike } from './run.js';

export interface Told {
  readonly command: string;
  readonly machine: string;
  readonly atIso: string;
  readonly replicas: number;
  readonly sets: number;
  /** What else the machine did meanwhile. */
  readonly load?: string | undefined;
  /** A picture of it, as the report names it. */
  readonly picture?: string | undefined;
}

/** What must not be: nothing acknowledged is lost, and order holds. */
export function brokenPromises({ lost, orderFaults, strikes }: ChaosResult): string[] {
  const keeps = (kind: FaultKind, what: 'every send' | 'the leader'): boolean =>
    faults[kind].keeps?.includes(what) === true;
  const refused = strikes.filter(({ kind, failed }) => keeps(kind, 'every send') && failed > 0);
  const deposed = strikes.filter(({ kind, elections }) => keeps(kind, 'the leader') && elections > 0);
  return [
    ...lost,
    ...orderFaults.map((fault) => `order: ${fault}`),
    ...refused.map(({ kind, set, failed }) => `${kind} of ${set}: ${failed} sends failed`),
    ...deposed.map(({ kind, set, epoch }) => `${kind} of ${set}: there was an election, of epoch ${epoch}`),
  ];
}

export function reportText(result: ChaosResult, told: Told): string {
  const { strikes, acknowledged, lost, storedAgain, orderFaults, failedSends, minutes } = result;
  const kinds = [...new Set(strikes.map(({ kind }) => kind))];
  const broken = brokenPromises(result);
  return [
    '# Chaos on real processes',
    '',
    `CometMQ ${version}, ${told.atIso}, ${told.machine}. Made by:`,
    '',
    '```sh',
    told.command,
    '```',
    '',
    `${told.sets} broker set${told.sets === 1 ? '' : 's'} of ${told.replicas} members, three of etcd and of the name servers, two ` +
      'proxies, and clients of the official Node.js package with its default settings, all on this machine. "Away" is the ' +
      'longest time in which no send to the set was answered, as such a client sees it; "failed" are sends that failed for ' +
      "good, after the client's own retries.",
    '',
    ...(told.load === undefined ? [] : [told.load, '']),
    ...(told.picture === undefined ? [] : [`![sends over time](${told.picture})`, '']),
    '| fault | times | away p50 | p99 | longest | longest send | failed sends | elections | whole again p50 | longest |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...kinds.map((kind) =>
      row(
        kind,
        strikes.filter((strike) => strike.kind === kind),
      ),
    ),
    '',
    '| what | |',
    '| --- | --- |',
    `| faults | ${strikes.length} in ${minutes.toFixed(1)} minutes |`,
    `| acknowledged sends | ${acknowledged} |`,
    `| lost | ${lost.length === 0 ? '0' : lost.join('; ')} |`,
    `| faults of order in message groups | ${orderFaults.length} |`,
    `| stored more than once (no group; the sender had no answer and sent again) | ${storedAgain} |`,
    `| sends that failed for good | ${failedSends} |`,
    `| processes that ended by themselves, and were started again | ${listed(result.ended)} |`,
    ...phaseLines(strikes),
    ...(result.leftOut.length === 0 ? [] : ['', 'Left out, as this machine can not do it:', '']),
    ...result.leftOut.map((line) => `- ${line}`),
    '',
    broken.length === 0 ? 'Every promise was kept.' : `**Broken:** ${broken.slice(0, 20).join('; ')}`,
    '',
  ].join('\n');
}

function row(kind: FaultKind, strikes: readonly Strike[]): string {
  const gaps = strikes.map(({ gapMs }) => gapMs);
  const failed = strikes.reduce((sum, strike) => sum + strike.failed, 0);
  const elections = strikes.reduce((sum, strike) => sum + strike.elections, 0);
  const whole = strikes.map(({ wholeMs }) => wholeMs);
  const longestSend = Math.max(...strikes.map(({ sendMs }) => sendMs));
  const cells = [
    ...[faults[kind].words, strikes.length],
    ...[quantile(gaps, 0.5), quantile(gaps, 0.99), Math.max(...gaps), longestSend].map(msText),
    ...[failed, elections, msText(quantile(whole, 0.5)), msText(Math.max(...whole))],
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Where the time of take-overs after a death went. */
function phaseLines(strikes: readonly Strike[]): string[] {
  const known = strikes.filter(({ kind, phases }) => kind === 'kill' && phases).map(({ phases }) => phases ?? {});
  const names = [...new Set(known.flatMap((phases) => Object.keys(phases)))];
  if (names.length === 0) return [];
  const lines = names.map((name) => {
    const values = known.map((phases) => phases[name] ?? 0);
    return `| ${name.replace(/Ms$/, '')} | ${msText(quantile(values, 0.5))} | ${msText(quantile(values, 0.99))} |`;
  });
  return [
    '',
    'Phases of the take-overs after `kill -9`:',
    '',
    '| phase | p50 | p99 |',
    '| --- | --- | --- |',
    ...lines,
  ];
}

function listed(ended: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const how of ended) counts.set(how, (counts.get(how) ?? 0) + 1);
  return counts.size === 0 ? '0' : [...counts].map(([how, count]) => `${how} (${count})`).join(', ');
}

function msText(ms: number | undefined): string {
  return ms === undefined ? '' : `${Math.round(ms)} ms`;
}
