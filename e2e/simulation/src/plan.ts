/**
 * What a seed is about. Where everything comes in every run, runs are alike, and one thing hides another: a member that is ended every few
 * seconds never gets into the state that only a long partition leads to. So most seeds have some kinds of faults and some workloads,
 * much or little of them; one of ten has all.
 */
import type { Prng } from '@cometmq/shared';

import { type FaultKind, faultKinds, type Workload, workloads } from './kinds.js';

export interface Plan {
  readonly hasAll: boolean;
  readonly faults: readonly FaultKind[];
  /** Between two faults there is no more than this, where more are due; else some time more now and then. */
  readonly restMs: number;
  readonly workloads: readonly Workload[];
  readonly producers: number;
  /** Of each workload. */
  readonly consumers: number;
  /** Of a producer: the higher, the slower. */
  readonly pace: number;
  /** Somebody makes and deletes topics. */
  readonly administers: boolean;
}

/** Without them most of a run would be nobody's. */
const mending: readonly FaultKind[] = ['start', 'resume', 'heal'];
/** So many kinds of a run are not left to chance: seeds that follow one another take turns through all. */
const dueCount = 3;

/** The kinds whose turn it is. */
export function dueKinds(seed: number): FaultKind[] {
  return Array.from({ length: dueCount }, (_, i) => faultKinds[(seed * dueCount + i) % faultKinds.length] as FaultKind);
}

/** @param hasAll not one of ten has everything, but this one */
export function planOf(seed: number, chance: Prng, hasAll = false): Plan {
  if (chance.below(10) === 0 || hasAll) {
    const pace = chance.pick([1, 8, 20, 40]);
    const all = { faults: faultKinds, workloads, administers: true };
    return { ...all, hasAll: true, restMs: 1_500, producers: 3, consumers: 2, pace };
  }
  // Few, half, or most of them.
  const share = chance.pick([0.2, 0.5, 0.8]);
  const isIn = (kind: FaultKind): boolean => chance.next() < share || mending.includes(kind);
  const due = dueKinds(seed);
  return {
    hasAll: false,
    faults: faultKinds.filter((kind) => isIn(kind) || due.includes(kind)),
    restMs: chance.pick([400, 1_500, 1_500, 4_000]),
    workloads: some(workloads, chance.pick([1, 1, 2, 2, 3]), chance),
    producers: chance.pick([1, 2, 3]),
    consumers: chance.pick([1, 2]),
    // A few are busy; most have more time for faults than for messages.
    pace: chance.below(20) === 0 ? 1 : chance.pick([8, 20, 40, 40, 80, 80]),
    administers: chance.below(3) === 0,
  };
}

function some<T>(all: readonly T[], count: number, chance: Prng): T[] {
  const left = [...all];
  const taken = Array.from({ length: count }, () => left.splice(chance.below(left.length), 1)).flat();
  return all.filter((each) => taken.includes(each));
}
