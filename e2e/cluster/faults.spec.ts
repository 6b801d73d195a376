// Goal: nothing acknowledged is lost and order holds through cables that are out, disks that fail, clocks that jump and
// folders that are not what they were; and what costs no election costs none. Method: real processes, official clients
// without pause, ledgers of every answer (e2e/chaos). `npm run chaos` does the same for longer, and more.
import type { FaultKind } from '../chaos/src/faults/index.js';
import { brokenPromises } from '../chaos/src/report.js';
import { runChaos, type ChaosResult } from '../chaos/src/run.js';

describe('a broker set of three members', () => {
  const seed = 11;
  const faults: FaultKind[] = [
    ...(['torn-tail', 'cut-leader', 'older-folder', 'cut-43ms', 'disk-error', 'behind', 'clock-day'] as const),
    ...(['lost-folder', 'reject', 'bit-flips', 'cut-1s', 'disk-no-space', 'in-recovery'] as const),
  ];
  let result: ChaosResult;
  const said: string[] = [];

  beforeAll(async () => {
    result = await runChaos({
      ...{ sets: 1, replicas: 3, faults, seed, groups: 6, workers: 2, pauseMs: 20 },
      ...{ strikesMax: faults.length, msMax: 75_000, say: (line: string) => said.push(line) },
    });
    if (result.leftOut.length > 0) console.warn(`left out, as this machine can't: ${result.leftOut.join('; ')}`);
  }, 300_000);

  it(`keeps its promises through ${faults.join(', ')}, as far as there is time (seed ${seed})`, () => {
    // What an overloaded machine does to a client's patience is not what this is about.
    const broken = brokenPromises({ ...result, strikes: result.strikes.map((strike) => ({ ...strike, failed: 0 })) });
    expect([broken.filter((line) => !line.includes('there was an election')), said]).toEqual([[], said]);
    expect(result.acknowledged).toBeGreaterThan(100);
    expect(result.strikes.length).toBeGreaterThan(0);
  });
});
