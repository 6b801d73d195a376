import type { Directory } from '@cometmq/client';
import { MqError, type Clock } from '@cometmq/shared';

import { within } from '../within.js';

export interface Missing {
  readonly brokerSet: string;
  readonly detail: string;
}

export interface Answers<T> {
  readonly answers: readonly { readonly brokerSet: string; readonly answer: T }[];
  /** Who did not answer and why: one broken set must not hide the others. */
  readonly missing: readonly Missing[];
}

/** Asks the leaders of all broker sets at once, in the order of their names. Never fails as a whole. */
export async function askAll<T>(
  directory: Directory,
  clock: Clock,
  waitMs: number,
  ask: (brokerSet: string) => Promise<T>,
  isMeant?: (brokerSet: string) => boolean,
): Promise<Answers<T>> {
  const names = namesOf(directory, isMeant);
  return (await outcomesOf(names, clock, waitMs, ask)).all;
}

/**
 * The same for a change: what is refused by all who answered is refused, and what nobody answered was not done.
 *
 * @throws MqError
 */
export async function changeAll<T>(...asked: Parameters<typeof askAll<T>>): Promise<Answers<T>> {
  const [directory, clock, waitMs, ask, isMeant] = asked;
  const { all, failures } = await outcomesOf(namesOf(directory, isMeant), clock, waitMs, ask);
  const [first] = failures;
  if (first && all.answers.length === 0) throw failures.find(({ retry }) => !retry) ?? first;
  return all;
}

/**
 * Many questions, one after the other or some at once: a set that could not answer one is not waited for again with each of
 * the others.
 */
export class AskRound {
  private readonly silent = new Map<string, Missing>();

  constructor(
    private readonly directory: Directory,
    private readonly clock: Clock,
    private readonly waitMs: number,
    /** Known before not to answer. */
    silent: readonly Missing[] = [],
  ) {
    for (const one of silent) this.silent.set(one.brokerSet, one);
  }

  /** Who did not answer. */
  get missing(): readonly Missing[] {
    return [...this.silent.values()];
  }

  /** As `askAll`; those that were silent before are missing. */
  async all<T>(ask: (brokerSet: string) => Promise<T>, isMeant?: (brokerSet: string) => boolean): Promise<Answers<T>> {
    const names = namesOf(this.directory, isMeant);
    const before = names.flatMap((name) => this.silent.get(name) ?? []);
    const asked = names.filter((name) => !this.silent.has(name));
    const { all, failures } = await outcomesOf(asked, this.clock, this.waitMs, ask);
    all.missing.forEach((one, i) => {
      if (failures[i]?.retry === true) this.silent.set(one.brokerSet, one);
    });
    return { answers: all.answers, missing: [...before, ...all.missing] };
  }
}

/** A set that was taken out, empty, and has stopped, stays known for ever: nobody waits for it. */
function namesOf(directory: Directory, isMeant: (brokerSet: string) => boolean = () => true): string[] {
  return [...directory.brokerSets()]
    .filter(({ stage, leader }) => stage !== 'gone' || leader !== undefined)
    .map((set) => set.name)
    .filter(isMeant)
    .sort();
}

async function outcomesOf<T>(
  names: readonly string[],
  clock: Clock,
  waitMs: number,
  ask: (brokerSet: string) => Promise<T>,
): Promise<{ readonly all: Answers<T>; readonly failures: readonly MqError[] }> {
  const failures: MqError[] = [];
  const outcomes = await Promise.allSettled(names.map((name) => within(clock, waitMs, name, ask(name))));
  const answers: { brokerSet: string; answer: T }[] = [];
  const missing: Missing[] = [];
  outcomes.forEach((outcome, i) => {
    const brokerSet = names[i] ?? '';
    if (outcome.status === 'fulfilled') answers.push({ brokerSet, answer: outcome.value });
    else {
      const failure = MqError.from(outcome.reason);
      failures.push(failure);
      missing.push({ brokerSet, detail: failure.reason });
    }
  });
  return { all: { answers, missing }, failures };
}
