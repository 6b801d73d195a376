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
  isMeant: (brokerSet: string) => boolean = () => true,
): Promise<Answers<T>> {
  const names = [...directory.brokerSets()]
    .map((set) => set.name)
    .filter(isMeant)
    .sort();
  const outcomes = await Promise.allSettled(names.map((name) => within(clock, waitMs, name, ask(name))));
  const answers: { brokerSet: string; answer: T }[] = [];
  const missing: Missing[] = [];
  outcomes.forEach((outcome, i) => {
    const brokerSet = names[i] ?? '';
    if (outcome.status === 'fulfilled') answers.push({ brokerSet, answer: outcome.value });
    else missing.push({ brokerSet, detail: MqError.from(outcome.reason).reason });
  });
  return { answers, missing };
}
