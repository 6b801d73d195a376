import { type Bench, type Figure } from '../bench.js';
import { cpuSecondsOf, memoryOf } from '../support/proc.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** How long a start takes, and what a broker costs that has nothing to do, or much. */
export const start: Bench = {
  name: 'start',
  about: 'standalone: from process start to the first answered QueryRoute; memory and CPU idle and loaded',
  async run(context): Promise<readonly Figure[]> {
    const starts: number[] = [];
    for (let i = 0; i < Math.max(3, context.rounds); i += 1) {
      const once = await context.standalone();
      context.say(`answered after ${once.startMs.toFixed(0)} ms`);
      starts.push(once.startMs);
      await once.stop();
    }
    const server = await context.standalone();
    const { pid, port } = server;
    await sleep(context.quick ? 2_000 : 10_000);
    const idle = memoryOf(pid);
    const seconds = context.quick ? 3 : 20;
    const before = cpuSecondsOf(pid);
    await sleep(seconds * 1_000);
    const idleCpu = (100 * (cpuSecondsOf(pid) - before)) / seconds;
    context.say('under load');
    const load = { warmUpSeconds: 1, seconds: context.quick ? 1 : 10, connections: 8, inFlight: 32 };
    await context.load({ kind: 'send', topic: 'bench-load', bodyBytes: 1_024, port, pid, ...load });
    const loaded = memoryOf(pid);
    return [
      { what: 'start, best', value: Math.min(...starts), unit: 'ms', atMost: 1_000 },
      { what: 'start, worst', value: Math.max(...starts), unit: 'ms' },
      { what: 'idle RSS', value: idle.rssMiB, unit: 'MiB', atMost: 120 },
      { what: 'idle CPU', value: idleCpu, unit: '% of a core', atMost: 1 },
      { what: 'RSS under sends, peak', value: loaded.peakRssMiB, unit: 'MiB' },
    ];
  },
};
