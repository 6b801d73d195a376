import { type Bench, type Figure } from '../bench.js';

const GiB = 1024 ** 3;
const bodyBytes = 1_024;
/** Of a message of that size in the log. */
const recordBytes = 1_230;

/** `kill -9` while messages stream in, then the next start. */
export const recovery: Bench = {
  name: 'recovery',
  about: 'kill -9 with a log of 2 GiB: from the next process start to the first answered QueryRoute',
  async run(context): Promise<readonly Figure[]> {
    const messages = Math.ceil((2 * GiB * (context.quick ? 0.05 : 1)) / recordBytes);
    const server = await context.standalone();
    const { port, pid } = server;
    context.say(`${messages} messages`);
    const fill = { kind: 'fill', topic: 'bench-recovery', bodyBytes, messages, connections: 8, inFlight: 64 } as const;
    await context.load({ port, pid, ...fill });
    const starts: number[] = [];
    for (let i = 0; i < context.rounds; i += 1) {
      // More arrives that no checkpoint knows of.
      await context.load({ port, pid: server.pid, ...fill, messages: 20_000 });
      await server.kill();
      await server.start();
      context.say(`answered after ${server.startMs.toFixed(0)} ms`);
      starts.push(server.startMs);
    }
    return [
      { what: 'ready again, best', value: Math.min(...starts), unit: 'ms', atMost: 2_000 },
      { what: 'ready again, worst', value: Math.max(...starts), unit: 'ms' },
    ];
  },
};
