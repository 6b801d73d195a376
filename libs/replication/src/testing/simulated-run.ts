import { assert } from '@cometmq/shared';

import { SimulatedSet, type SimulatedSetOptions } from './simulated-set.js';

const faultsMs = 60_000;
const healMs = 40_000;

/**
 * A set goes through whatever breaks while clients append; then all is healed, and it must be whole again.
 *
 * @throws AssertionError that says what did not hold
 */
export function run(seed: number, options: SimulatedSetOptions): SimulatedSet {
  const set = new SimulatedSet(seed, options);
  const { chance, nodes } = set;
  const append = (): void => {
    for (const node of nodes) if (node.up) node.append();
    set.after(5 + chance.next() * 40, append);
  };
  append();
  const faults = [
    () => {
      const node = chance.pick(nodes);
      if (!node.up) return;
      node.crash();
      set.after(100 + chance.next() * 6_000, () => node.start());
    },
    () => chance.pick(nodes).pause(chance.next() * 8_000),
    () => {
      const [a, b] = [chance.pick(nodes).id, chance.pick(nodes).id];
      set.setCut(a, b, true);
      if (chance.chance(0.6)) set.setCut(b, a, true);
      set.after(chance.next() * 8_000, () => {
        set.setCut(a, b, false);
        set.setCut(b, a, false);
      });
    },
    () => {
      const node = chance.pick(nodes);
      node.diskHangs = true;
      set.after(chance.next() * 6_000, () => (node.diskHangs = false));
    },
    () => {
      set.etcd.away = true;
      set.after(chance.next() * 5_000, () => (set.etcd.away = false));
    },
  ];
  const strike = (): void => {
    if (set.nowMs >= faultsMs) return;
    chance.pick(faults)();
    set.after(chance.next() * 2_500, strike);
  };
  set.after(5_000, strike);
  set.runTo(faultsMs + 10_000);
  set.healNetwork();
  set.calm = true;
  set.etcd.away = false;
  for (const node of nodes) {
    node.diskHangs = false;
    if (!node.up) node.start();
  }
  const before = set.acknowledged.size;
  set.runTo(faultsMs + 10_000 + healMs);
  set.checkAcknowledged();
  const leaders = nodes.filter((node) => node.isLeader);
  assert(leaders.length === 1, `one leads in the end, not ${leaders.length}`);
  assert(set.acknowledged.size > before + 100, 'clients are served in the end');
  assert(set.etcd.state.members.length === options.members, 'all are members in the end');
  assert(
    leaders[0]?.leading?.protection(set.nowMs) === (options.members > 1 ? 'protected' : 'alone'),
    'it is protected',
  );
  return set;
}
