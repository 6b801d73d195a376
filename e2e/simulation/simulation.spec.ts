// Goal: every promise to clients holds whatever breaks, and a run can be repeated. Method: the real roles on clocks, disks, a
// network and metadata that a seed governs, for some seconds of their time; more with `npm run simulate -- --seeds 1000`.
import type { Clock } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { Tally } from './src/tally.js';
import { simulate } from './src/workload.js';

const simMs = 8_000;

it('does the same again for the same seed, and something else for another', async () => {
  const first = await simulate({ seed: 1, simMs });
  // Also in another process.
  Object.defineProperty(process, 'pid', { value: process.pid + 1 });
  const again = await simulate({ seed: 1, simMs });
  const other = await simulate({ seed: 2, simMs });
  expect(again).toEqual(first);
  expect(other.hash).not.toBe(first.hash);
}, 120_000);

describe('whatever breaks', () => {
  const tally = new Tally();

  it.each([1, 2, 3].flatMap((members) => seeds(8, 101).map((seed) => [members, seed] as const)))(
    'a set of %i keeps its promises (seed %i)',
    async (members, seed) => {
      const { sent, starts } = await simulate({ seed, simMs, members, tally });
      expect(sent).toBeGreaterThan(0);
      expect(starts).toBeGreaterThanOrEqual(members);
    },
    120_000,
  );

  // What takes a longer log, or luck, is met by some more seeds.
  it('everything that can break has, and somebody has met it', async () => {
    for (const seed of seeds(40, 201)) {
      if (tally.missing.length > 0) await simulate({ seed, simMs: 20_000, hasAll: true, tally });
    }
    expect(tally.missing).toEqual([]);
  }, 240_000);
});

/** What each planted mistake must be found by, within a few seeds. */
async function firstFinding(plant: NonNullable<Parameters<typeof simulate>[0]['plant']>): Promise<string> {
  for (const seed of seeds(80)) {
    const found = await simulate({ seed, simMs, members: 1, hasAll: true, plant }).then(
      () => undefined,
      (caught: unknown) => (caught as Error).message,
    );
    if (found !== undefined) return found;
  }
  return 'nothing was found';
}

it('finds a broker that acknowledges what is not on disk', async () => {
  const found = await firstFinding((broker) => {
    broker.store.whenCommitted = (_end, act) => queueMicrotask(() => act());
  });
  expect(found).toMatch(/not committed|are missing|again, acknowledged/);
}, 240_000);

it('finds a broker that forgets acknowledgements', async () => {
  const found = await firstFinding((broker) => {
    const { groups } = broker;
    const decideAck = groups.decideAck.bind(groups);
    let count = 0;
    groups.decideAck = (receipts, nowMs) => {
      const { record, outcomes } = decideAck(receipts, nowMs);
      return { record: (count += 1) % 5 === 0 ? undefined : record, outcomes };
    };
  });
  expect(found).toContain('again, acknowledged');
}, 240_000);

it('finds a broker whose checkpoints lack something', async () => {
  const found = await firstFinding((broker) => {
    const { dedupWindow } = broker.views;
    const takeChanges = dedupWindow.takeChanges.bind(dedupWindow);
    let count = 0;
    dedupWindow.takeChanges = () => [...takeChanges()].filter(() => (count += 1) % 2 === 0);
  });
  expect(found).toContain('another state than its log comes to');
}, 240_000);

it('finds a broker that keeps timers of what is over', async () => {
  const found = await firstFinding((broker) => {
    const receive = broker.receive.bind(broker);
    broker.receive = (...call) => {
      leaks(broker);
      return receive(...call);
    };
  });
  expect(found).toContain('timers are left where nobody asks for anything');
}, 240_000);

/** A timer that nobody ends. */
function leaks(broker: object): void {
  const { options } = broker as { readonly options: { readonly clock: Clock } };
  options.clock.after(3_600_000, () => undefined);
}
