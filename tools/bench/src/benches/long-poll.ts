import { type Bench, type Figure, rounds } from '../bench.js';

/** One message at a time into a system that does nothing else, to a consumer that waits for it. */
export const longPoll: Bench = {
  name: 'long-poll',
  about: 'idle system: from the call of a send to the arrival at a waiting receive',
  async run(context): Promise<readonly Figure[]> {
    const { port } = await context.standalone();
    const found = await rounds(context.rounds, (round) =>
      context.load({
        kind: 'long-poll',
        port,
        topic: `bench-poll-${round}`,
        group: 'bench',
        messages: context.quick ? 50 : 500,
        everyMs: 20,
      }),
    );
    return [
      { what: 'send to receive, median', value: Math.min(...found.map((r) => r.msMedian)), unit: 'ms', atMost: 5 },
      { what: 'send to receive, p99', value: Math.min(...found.map((r) => r.ms99)), unit: 'ms', atMost: 20 },
    ];
  },
};
