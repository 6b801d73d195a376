/** What a run of chaos is told as: a table for people, to be kept in docs/proof. */
import { version } from '@cometmq/shared';

import { faultWords, type FaultKind } from './faults.js';
import { quantile } from './pulse.js';
import type { ChaosResult, Strike } from './run.js';

export interface Told {
  readonly command: string;
  readonly machine: string;
  readonly atIso: string;
  readonly replicas: number;
  readonly sets: number;
}

/** What must not be: nothing acknowledged is lost, and order holds. */
export function brokenPromises({ lost, orderFaults, strikes }: ChaosResult): string[] {
  const refused = strikes.filter(({ kind, failed }) => (kind === 'hand-over' || kind === 'elect') && failed > 0);
  return [
    ...lost,
    ...orderFaults.map((fault) => `order: ${fault}`),
    ...refused.map(({ kind, set, failed }) => `${kind} of ${set}: ${failed} sends failed`),
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
    '| fault | times | away p50 | p99 | longest | failed sends | whole again p50 |',
    '| --- | --- | --- | --- | --- | --- | --- |',
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
    ...phaseLines(strikes),
    '',
    broken.length === 0 ? 'Every promise was kept.' : `**Broken:** ${broken.slice(0, 20).join('; ')}`,
    '',
  ].join('\n');
}

function row(kind: FaultKind, strikes: readonly Strike[]): string {
  const gaps = strikes.map(({ gapMs }) => gapMs);
  const failed = strikes.reduce((sum, strike) => sum + strike.failed, 0);
  const whole = quantile(
    strikes.map(({ wholeMs }) => wholeMs),
    0.5,
  );
  const cells = [quantile(gaps, 0.5), quantile(gaps, 0.99), Math.max(...gaps)].map(msText);
  return `| ${faultWords[kind]} | ${strikes.length} | ${cells.join(' | ')} | ${failed} | ${msText(whole)} |`;
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

function msText(ms: number | undefined): string {
  return ms === undefined ? '' : `${Math.round(ms)} ms`;
}
