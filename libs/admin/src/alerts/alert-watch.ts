import { deadLetterTopic, type BrokerSet, type GroupName } from '@cometmq/model';
import { AgainAndAgain, failureFacts, inTurn, sleep, type Clock, type Component } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import type { AdminContext } from '../api/context.js';
import { askAll, AskRound } from '../reports/ask-all.js';
import { lacksMembers, setReport } from '../reports/set-report.js';
import { within } from '../within.js';
import { AlertBook, type AlertEvent } from './alert-book.js';
import { alertsOf, type AlertLimits, type Situation } from './alert-rules.js';

/** Tells somebody. Rejects when it could not. */
export type Notify = (events: readonly AlertEvent[]) => Promise<void>;

export interface AlertWatchOptions extends AlertLimits {
  readonly context: Pick<AdminContext, 'directory' | 'brokers' | 'peers' | 'clock' | 'requestMsMax'>;
  readonly log: Logger;
  /** How often it is looked; 0: never. */
  readonly alertEveryMs: number;
  readonly alertHoldMs: number;
  readonly notifiers: readonly Notify[];
  /** TLS servers whose certificates are looked at. */
  readonly tlsAddresses?: (() => readonly string[]) | undefined;
  /** When the certificate that is shown at an address ends; undefined: none is shown. */
  readonly certificateUntilMs?: ((address: string, msMax: number) => Promise<number | undefined>) | undefined;
}

const attemptsMax = 3;
const againMs = 5_000;
/** However slowly a server takes it. */
const tellMsMax = 30_000;
/** Of one notifier; the oldest go first. */
const untoldMax = 1_000;
const statusMsMax = 2_000;
const tlsAddressesMax = 200;
/** Groups that are looked at in one round; the others have their turn in the next. */
const groupsPerRound = 500;
/** And for how long: what is critical is not to wait for all of them. */
const groupsMsMax = 15_000;
const groupsAtOnce = 16;

/** Looks again and again whether something is wrong, and tells of it once, and once more when it is over. */
export class AlertWatch implements Component {
  readonly name = 'alerts';
  readonly book: AlertBook;
  private readonly clock: Clock;
  private readonly looks: AgainAndAgain;
  private turn = 0;
  /** What each of the notifiers could not be told yet, oldest first. */
  private readonly untold = new Map<Notify, readonly AlertEvent[]>();
  private readonly deadLetters = new Map<string, number>();
  /** What the last look at each group said, for those whose turn it is not. */
  private readonly groups = new Map<string, Situation['groups'][number]>();

  constructor(private readonly options: AlertWatchOptions) {
    this.clock = options.context.clock;
    const { alertHoldMs, alertEveryMs } = options;
    this.book = new AlertBook({ holdMs: alertHoldMs, quietMs: 2 * alertEveryMs });
    this.looks = new AgainAndAgain(
      this.clock,
      alertEveryMs,
      () => this.look(),
      (caught) => options.log.error(failureFacts(caught), 'alerts could not be looked for'),
    );
  }

  start(): Promise<void> {
    if (this.options.alertEveryMs > 0) this.looks.start();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return this.looks.stop();
  }

  /** One look. */
  async look(): Promise<void> {
    const events = this.book.look(alertsOf(await this.situation(), this.options), this.clock.wallMs());
    for (const { event, rule, subject, text } of events) this.options.log.warn({ event, rule, subject }, text);
    await Promise.all(this.options.notifiers.map((notify) => this.tell(notify, events)));
  }

  private async situation(): Promise<Situation> {
    const { directory, brokers, requestMsMax } = this.options.context;
    const described = await askAll(directory, this.clock, requestMsMax, (set) => brokers.describe(set));
    const states = new Map(described.answers.map(({ brokerSet, answer }) => [brokerSet, answer]));
    const problems = new Map(described.missing.map(({ brokerSet, detail }) => [brokerSet, detail]));
    const sets = await Promise.all(
      [...directory.brokerSets()].filter(isWatched).map(async (set) => ({
        set,
        state: states.get(set.name),
        problem: problems.get(set.name),
        isSingleCopy: await this.isSingleCopy(set),
      })),
    );
    await this.lookAtGroups(new AskRound(directory, this.clock, requestMsMax, described.missing));
    const certificates = await this.certificates();
    return { sets, groups: [...this.groups.values()], certificates, nowMs: this.clock.wallMs() };
  }

  private certificates(): Promise<Situation['certificates']> {
    const { tlsAddresses, certificateUntilMs, context } = this.options;
    const waitMs = Math.min(statusMsMax, context.requestMsMax);
    const addresses = certificateUntilMs ? [...new Set(tlsAddresses?.() ?? [])].slice(0, tlsAddressesMax) : [];
    const look = async (address: string) => ({ address, untilMs: await certificateUntilMs?.(address, waitMs) });
    return Promise.all(addresses.map(look));
  }

  /** A set of two that goes on alone has one member: only its leader knows that it is to have another. */
  private async isSingleCopy(set: BrokerSet): Promise<boolean> {
    if (set.members.length > 1) return set.inSync.length < 2;
    const { peers, clock, requestMsMax } = this.options.context;
    return peers !== undefined && lacksMembers(await setReport(set, peers, clock, Math.min(statusMsMax, requestMsMax)));
  }

  private async lookAtGroups(round: AskRound): Promise<void> {
    const { directory, brokers } = this.options.context;
    const all = [...directory.groups()];
    const names = new Set(all.map(({ name }) => name as string));
    for (const known of [this.groups, this.deadLetters]) {
      for (const name of known.keys()) if (!names.has(name)) known.delete(name);
    }
    const untilMs = this.clock.monotonicMs() + groupsMsMax;
    let looked = 0;
    await inTurn(all.slice(this.turn, this.turn + groupsPerRound), groupsAtOnce, async (group) => {
      if (this.looks.stopped || this.clock.monotonicMs() >= untilMs) return;
      looked += 1;
      const [asked, deadLetters] = await Promise.all([
        round.all((set) => brokers.describeGroup(set, group.id)),
        this.deadLettersOf(group.name, round),
      ]);
      const deadLettersBefore = this.deadLetters.get(group.name);
      if (deadLetters !== undefined) this.deadLetters.set(group.name, deadLetters);
      this.groups.set(group.name, {
        name: group.name,
        pausedUntilMs: group.pausedUntilMs ?? 0,
        state: {
          queues: asked.answers.flatMap(({ answer }) => answer.queues),
          sums: asked.answers.flatMap(({ answer }) => answer.sums),
          members: asked.answers.flatMap(({ answer }) => answer.members),
        },
        isPart: asked.missing.length > 0,
        deadLetters,
        deadLettersBefore,
      });
    });
    this.turn = this.turn + looked >= all.length ? 0 : this.turn + looked;
  }

  /** Undefined: some broker set did not answer, and a part of them would look like fewer now, and like new ones later. */
  private async deadLettersOf(group: GroupName, round: AskRound): Promise<number | undefined> {
    const { directory, brokers } = this.options.context;
    const topic = directory.topic(deadLetterTopic(group));
    if (!topic) return 0;
    const asked = await round.all((set) => brokers.describeTopic(set, topic.id));
    if (asked.missing.length > 0) return undefined;
    // Those that expired since do not make it less.
    return asked.answers.reduce((sum, { answer }) => answer.queues.reduce((n, { next }) => n + next, sum), 0);
  }

  /** Whoever can't be told now is told at the next look, with what there is then. */
  private async tell(notify: Notify, events: readonly AlertEvent[]): Promise<void> {
    const late = this.untold.get(notify) ?? [];
    const all = [...late, ...events].slice(-untoldMax);
    if (all.length === 0) return;
    this.untold.set(notify, all);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await within(this.clock, tellMsMax, 'who is to be told', notify(all));
        this.untold.delete(notify);
        return;
      } catch (caught) {
        const facts = { attempt, events: all.length, ...failureFacts(caught) };
        this.options.log.error(facts, 'an alert could not be told of; it is told later');
        // A notifier that is away is not waited for with each look.
        if (late.length > 0 || attempt >= attemptsMax || this.looks.stopped) return;
        await sleep(this.clock, againMs);
      }
    }
  }
}

/** What was removed may be stopped. */
function isWatched({ stage }: BrokerSet): boolean {
  return stage !== 'gone';
}
