// Goal: seeds differ, and none of what can happen is left out. Method: the plans of some hundred seeds.
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { faultKinds, workloads } from './kinds.js';
import { dueKinds, planOf } from './plan.js';

const plans = seeds(400).map((seed) => planOf(seed, new Prng(seed)));

it('all kinds of faults and all workloads come, each in many seeds and missing from many', () => {
  for (const kind of faultKinds)
    expect(plans.filter(({ faults }) => faults.includes(kind)).length).toBeGreaterThan(100);
  for (const workload of workloads) {
    const count = plans.filter((plan) => plan.workloads.includes(workload)).length;
    expect(count).toBeGreaterThan(100);
    expect(count).toBeLessThan(300);
  }
});

it('some seeds have everything, and all where that is wanted', () => {
  for (const seed of seeds(20)) expect(planOf(seed, new Prng(seed), true).hasAll).toBe(true);
  const full = plans.filter(({ hasAll }) => hasAll);
  expect(full.length).toBeGreaterThan(20);
  for (const { faults, workloads: all } of full) {
    expect(faults).toEqual(faultKinds);
    expect(all).toEqual(workloads);
  }
});

it('each pair of kinds comes without the others of many', () => {
  for (const one of faultKinds) {
    for (const other of faultKinds) {
      const together = plans.filter(({ faults }) => faults.includes(one) && faults.includes(other));
      expect(together.some(({ faults }) => faults.length <= faultKinds.length / 2)).toBe(true);
    }
  }
});

it('seeds that follow one another take turns through all kinds, and a turn is part of the plan', () => {
  expect(new Set(seeds(8).flatMap(dueKinds))).toEqual(new Set(faultKinds));
  for (const [i, { faults }] of plans.entries()) expect(faults).toEqual(expect.arrayContaining(dueKinds(i + 1)));
});
