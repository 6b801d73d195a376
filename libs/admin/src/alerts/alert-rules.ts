import { lagOfGroup, type BrokerState, type GroupState } from '@cometmq/client';
import type { BrokerSet } from '@cometmq/model';
import { counted } from '@cometmq/shared';

/** What may be wrong, each a rule of its own. */
export const alertRules = [
  'noLeader', // Nobody leads a broker set: its queues wait.
  'brokerSilent', // The leader does not answer.
  'singleCopy', // A broker set of several members has one copy only.
  'diskLow', // New messages will be refused.
  'consumerLag', // A group has too much to do.
  'noConsumer', // Messages wait, and nobody consumes.
  'deadLetters', // There are more of them than before.
  'certificate', // It ends soon, or has ended.
] as const;
export type AlertRule = (typeof alertRules)[number];

export interface Alert {
  /** The same as long as the same thing is wrong. */
  readonly key: string;
  readonly rule: AlertRule;
  readonly severity: 'critical' | 'warning';
  /** The broker set, consumer group, or address of a certificate. */
  readonly subject: string;
  readonly text: string;
  /** It has happened, and does not have to last. */
  readonly isEvent?: boolean;
}

export interface AlertLimits {
  /** Messages that may wait for a group. */
  readonly alertLagMax: number;
  /** Of the disk, in percent. */
  readonly alertDiskFreePercentMin: number;
  /** A certificate must be good for so many days yet. */
  readonly alertCertificateDaysMin: number;
}

/** What the rules look at. */
export interface Situation {
  readonly sets: readonly {
    readonly set: BrokerSet;
    readonly state: BrokerState | undefined;
    readonly problem: string | undefined;
    /** Of several members that it is to have one has what it holds. */
    readonly isSingleCopy: boolean;
  }[];
  readonly groups: readonly {
    readonly name: string;
    readonly pausedUntilMs: number;
    readonly state: GroupState;
    /** Some broker set did not answer: sums are too small. */
    readonly isPart: boolean;
    /** Ever kept, now and at the look before, as far as all said so; undefined: not known. */
    readonly deadLetters: number | undefined;
    readonly deadLettersBefore: number | undefined;
  }[];
  /** `untilMs` undefined: nobody answered with TLS. */
  readonly certificates: readonly { readonly address: string; readonly untilMs: number | undefined }[];
  readonly nowMs: number;
}

export interface Judgement {
  /** Everything that is wrong now. */
  readonly alerts: readonly Alert[];
  /** Keys of alerts of which this look can't tell, as somebody did not answer: what fires goes on to. */
  readonly unknown: ReadonlySet<string>;
}

const dayMs = 86_400_000;
/** From then on it is urgent. */
const urgentDays = 3;

export function alertsOf({ sets, groups, certificates, nowMs }: Situation, limits: AlertLimits): Judgement {
  const alerts: Alert[] = [];
  const unknown = new Set<string>();
  const add = (rule: AlertRule, severity: Alert['severity'], subject: string, text: string, isEvent = false): void => {
    alerts.push({ key: `${rule}/${subject}`, rule, severity, subject, text, ...(isEvent && { isEvent }) });
  };
  for (const { set, state, problem, isSingleCopy } of sets) {
    const { name } = set;
    if (set.leader === undefined) add('noLeader', 'critical', name, `nobody leads broker set ${name}`);
    else if (problem !== undefined) add('brokerSilent', 'critical', name, `broker set ${name}: ${problem}`);
    if (isSingleCopy) add('singleCopy', 'warning', name, `broker set ${name} has one copy of its messages only`);
    if (!state) {
      unknown.add(`diskLow/${name}`);
      continue;
    }
    const percent = (state.freeBytes / Math.max(1, state.freeBytes + state.diskBytes)) * 100;
    if (!state.writable || percent < limits.alertDiskFreePercentMin) {
      const refuses = state.writable ? '' : ': new messages are refused';
      add('diskLow', 'critical', name, `${percent.toFixed(1)} % of the disk of ${name} is free${refuses}`);
    }
  }
  for (const { name, pausedUntilMs, state, isPart, deadLetters, deadLettersBefore } of groups) {
    const lag = lagOfGroup(state);
    const isPaused = pausedUntilMs > nowMs;
    if (isPart) for (const rule of ['consumerLag', 'noConsumer', 'deadLetters']) unknown.add(`${rule}/${name}`);
    if (lag > limits.alertLagMax)
      add('consumerLag', 'warning', name, `${counted(lag, 'message waits', 'messages wait')} for group ${name}`);
    if (lag > 0 && state.members.length === 0 && !isPaused && !isPart) {
      add(
        'noConsumer',
        'warning',
        name,
        `${counted(lag, 'message waits', 'messages wait')} for group ${name}, and nobody consumes`,
      );
    }
    if (deadLetters !== undefined && deadLettersBefore !== undefined && deadLetters > deadLettersBefore) {
      const more = deadLetters - deadLettersBefore;
      add(
        'deadLetters',
        'warning',
        name,
        `group ${name} has ${counted(more, 'new dead letter')}, ${deadLetters} in all`,
        true,
      );
    }
  }
  for (const { address, untilMs } of certificates) {
    if (untilMs === undefined) {
      unknown.add(`certificate/${address}`);
      continue;
    }
    const days = (untilMs - nowMs) / dayMs;
    if (days >= limits.alertCertificateDaysMin) continue;
    const when = days < 0 ? 'has ended' : `ends in ${counted(Math.floor(days), 'day')}`;
    const severity = days < urgentDays ? 'critical' : 'warning';
    add('certificate', severity, address, `the certificate of ${address} ${when}: ${new Date(untilMs).toISOString()}`);
  }
  return { alerts, unknown };
}
