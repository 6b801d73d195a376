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

function namesOf(directory: Directory, isMeant: (brokerSet: string) => boolean = () => true): string[] {
  return [...directory.brokerSets()]
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
