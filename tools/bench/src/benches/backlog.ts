import { type Bench, type Figure } from '../bench.js';
import { memoryOf } from '../support/proc.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Memory must not grow with what waits on disk. */
export const backlog: Bench = {
  name: 'backlog',
  about: 'a million messages of 1 KiB that nobody fetches: growth of RSS',
  async run(context): Promise<readonly Figure[]> {
    const { port, pid } = await context.standalone();
    const fill = { kind: 'fill', topic: 'bench-backlog', bodyBytes: 1_024, connections: 8, inFlight: 32 } as const;
    // First so many that buffers and compiled code are in place.
    await context.load({ port, pid, ...fill, messages: context.quick ? 20_000 : 200_000 });
    await sleep(3_000);
    const before = memoryOf(pid).rssMiB;
    const figures = await context.load({ port, pid, ...fill, messages: context.quick ? 50_000 : 1_000_000 });
    await sleep(3_000);
    const after = memoryOf(pid);
    return [
      { what: 'RSS before', value: before, unit: 'MiB' },
      { what: 'growth of RSS', value: after.rssMiB - before, unit: 'MiB', atMost: 100 },
      { what: 'RSS, peak', value: after.peakRssMiB, unit: 'MiB' },
      { what: 'sends meanwhile', value: figures.cpuSecondsPerMillion, unit: 'CPU s/million' },
    ];
  },
};
