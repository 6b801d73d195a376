/**
 * Dead letters replayed one after the other, so many a second: an order that is worked off in this process, newest letter
 * first, so that one that dies again is not met again. It ends with the process; what it did is in the log, and the next order
 * goes on behind it, as letters that were replayed are left out.
 */
import { randomBytes } from 'node:crypto';
import { replaysPerCallMax, type ReplayOutcome } from '@cometmq/client';
import { failureFacts, MqError, sleep } from '@cometmq/shared';

import type { AdminContext } from '../api/context.js';
import type { Missing } from '../reports/ask-all.js';
import { readPlaceId } from '../reports/message-report.js';
import { within } from '../within.js';
import { LetterSearch, type LetterFilter, type LetterPart, type LetterView } from './letter-search.js';

export interface ReplayOrder extends LetterFilter {
  readonly perSecond: number;
  /** What its group can't get alone any more is sent to its topic, which all its groups get. */
  readonly toTopic: boolean;
}

/** Who ordered it. */
export interface Orderer {
  readonly who: string;
  /** Address. */
  readonly from: string;
  /** @throws MqError UNAUTHORIZED once it may order this no more */
  readonly check: () => void;
}

export const replayStates = ['running', 'done', 'stopped', 'failed'] as const;

export interface ReplayJobView {
  readonly id: string;
  readonly group: string;
  readonly who: string;
  readonly startedMs: number;
  readonly endedMs?: number;
  readonly state: (typeof replayStates)[number];
  readonly perSecond: number;
  readonly replayed: number;
  /** Sent to their topics. */
  readonly resent: number;
  /** Left as they are, by the reason. */
  readonly left: Readonly<Record<string, number>>;
  /** Why it failed. */
  readonly detail?: string;
}

interface Job {
  readonly order: ReplayOrder;
  readonly by: Orderer;
  stop: boolean;
  view: ReplayJobView;
}

const runningMax = 16;
const keptMax = 100;
/** Batches a second: what is asked for at once is the smaller. */
const batchesPerSecond = 4;
/** That somebody stops it is seen so often. */
const stopSeenMs = 100;

export function replayIdOf(nowMs: number): string {
  return `${nowMs.toString(36)}-${randomBytes(4).toString('hex')}`;
}

export class ReplayJobs {
  private readonly jobs = new Map<string, Job>();

  constructor(private readonly context: AdminContext) {}

  /** Newest first. */
  of(group: string): ReplayJobView[] {
    return [...this.jobs.values()]
      .map(({ view }) => view)
      .filter((view) => view.group === group)
      .reverse();
  }

  /** @throws MqError TOO_MANY_REQUESTS, CONFLICT, CONSUMER_GROUP_NOT_FOUND, UNAVAILABLE */
  async start(group: string, order: ReplayOrder, by: Orderer): Promise<ReplayJobView> {
    const search = LetterSearch.of(this.context, group);
    const silent = this.silentOf(await search.part({ ...order, replayed: false }, 1, undefined));
    if (silent) {
      const { brokerSet, detail } = silent;
      throw new MqError('UNAVAILABLE', `${brokerSet} does not say what there is: ${detail}; try again`);
    }
    const running = [...this.jobs.values()].filter(({ view }) => view.state === 'running');
    if (running.length >= runningMax) {
      throw new MqError('TOO_MANY_REQUESTS', `${runningMax} replays are under way; stop one, or wait`);
    }
    if (running.some(({ view }) => view.group === group)) {
      throw new MqError('CONFLICT', 'dead letters of this group are being replayed; stop that first');
    }
    const startedMs = this.context.clock.wallMs();
    const view: ReplayJobView = {
      ...{ id: replayIdOf(startedMs), group, who: by.who, startedMs, state: 'running', perSecond: order.perSecond },
      ...{ replayed: 0, resent: 0, left: {} },
    };
    const job: Job = { order, by, stop: false, view };
    this.jobs.set(view.id, job);
    for (const [id, { view: old }] of this.jobs) {
      if (this.jobs.size <= keptMax) break;
      if (old.state !== 'running') this.jobs.delete(id);
    }
    void this.run(job, search);
    return view;
  }

  /** False: there is no such one, or it is over. */
  stop(group: string, id: string): boolean {
    const job = this.jobs.get(id);
    if (job?.view.group !== group || job.view.state !== 'running') return false;
    job.stop = true;
    return true;
  }

  stopAll(): void {
    for (const job of this.jobs.values()) job.stop = true;
  }

  /** A broker set that has letters, maybe, and does not say so. One that was removed may be stopped: nobody waits for it. */
  private silentOf({ missing }: LetterPart): Missing | undefined {
    const { directory } = this.context;
    return missing.find(({ brokerSet }) => directory.brokerSet(brokerSet)?.stage !== 'gone');
  }

  private async run(job: Job, search: LetterSearch): Promise<void> {
    const { clock, log } = this.context;
    let ended: Partial<ReplayJobView>;
    try {
      await this.workOff(job, search);
      ended = { state: job.stop ? 'stopped' : 'done' };
    } catch (caught) {
      ended = { state: 'failed', detail: MqError.from(caught).reason };
      log.warn({ replay: job.view.id, ...failureFacts(caught) }, 'a replay of dead letters failed');
    }
    job.view = { ...job.view, ...ended, endedMs: clock.wallMs() };
    const { id, group, state, replayed, resent } = job.view;
    log.info({ replay: id, group, state, replayed, resent }, 'a replay of dead letters has ended');
    this.record(job);
  }

  /** The line of the order said that it began; this one says how it ended. */
  private record({ by, view: { id, group, who, state, replayed, resent, left, detail } }: Job): void {
    void this.context.audit?.record({
      ...{ user: who, how: 'order', from: by.from, operation: 'startReplay', target: { name: group, replay: id } },
      ...{ after: { state, replayed, resent, left }, decision: state === 'failed' ? 'failed' : 'done', reason: detail },
    });
  }

  private async workOff(job: Job, search: LetterSearch): Promise<void> {
    const { clock } = this.context;
    const { perSecond } = job.order;
    const batch = Math.min(replaysPerCallMax, Math.max(1, Math.ceil(perSecond / batchesPerSecond)));
    const beganMs = clock.monotonicMs();
    let asked = 0;
    let after: string | undefined;
    do {
      job.by.check();
      const part = await search.part({ ...job.order, replayed: false }, batch, after);
      const silent = this.silentOf(part);
      if (silent) throw new MqError('UNAVAILABLE', `${silent.brokerSet}: ${silent.detail}`);
      if (part.items.length > 0) {
        job.by.check(); // Searching takes its time.
        await this.replay(job, search, part.items);
        asked += part.items.length;
        const dueMs = beganMs + (asked * 1_000) / perSecond;
        for (let leftMs; !job.stop && (leftMs = dueMs - clock.monotonicMs()) > 0;) {
          await sleep(clock, Math.min(stopSeenMs, leftMs));
        }
      }
      after = part.next;
    } while (after !== undefined && !job.stop);
  }

  private async replay(job: Job, search: LetterSearch, letters: readonly LetterView[]): Promise<void> {
    const { id: replayId, who } = job.view;
    const { directory, clock, requestMsMax, brokers } = this.context;
    for (const { letter, outcome } of await replayLetters(this.context, search, letters, { replayId, who })) {
      const { replayed, resent, left } = job.view;
      if (outcome === 'replayed') job.view = { ...job.view, replayed: replayed + 1 };
      else if (job.order.toTopic && (outcome === 'gone' || outcome === 'orderly')) {
        const { brokerSet, place } = readPlaceId(directory, letter.id);
        const call = { groupId: search.group.id, replayId, who, place };
        job.by.check();
        await within(clock, requestMsMax, brokerSet, brokers.deadLetters.resend(brokerSet, call));
        job.view = { ...job.view, resent: resent + 1 };
      } else job.view = { ...job.view, left: { ...left, [outcome]: (left[outcome] ?? 0) + 1 } };
    }
  }
}

/** One outcome for each, in their order. @throws MqError */
export async function replayLetters<T extends { readonly id: string }>(
  { directory, brokers, clock, requestMsMax }: AdminContext,
  { group }: Pick<LetterSearch, 'group'>,
  letters: readonly T[],
  note: { readonly replayId: string; readonly who: string },
): Promise<{ readonly letter: T; readonly outcome: ReplayOutcome }[]> {
  const bySet = new Map<string, { readonly letter: T; readonly place: ReturnType<typeof readPlaceId>['place'] }[]>();
  for (const letter of letters) {
    const { brokerSet, place } = readPlaceId(directory, letter.id);
    const ofSet = bySet.get(brokerSet) ?? [];
    ofSet.push({ letter, place });
    bySet.set(brokerSet, ofSet);
  }
  const found = new Map<T, ReplayOutcome>();
  for (const [brokerSet, ofSet] of bySet) {
    const call = { ...note, groupId: group.id, places: ofSet.map(({ place }) => place) };
    const outcomes = await within(clock, requestMsMax, brokerSet, brokers.deadLetters.replay(brokerSet, call));
    ofSet.forEach(({ letter }, i) => found.set(letter, outcomes[i] ?? 'notALetter'));
  }
  return letters.map((letter) => ({ letter, outcome: found.get(letter) ?? 'notALetter' }));
}
