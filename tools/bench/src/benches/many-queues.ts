import { type Bench, type Figure, rounds } from '../bench.js';

/** What queues cost: beside few of them, and a million. */
export const manyQueues: Bench = {
  name: 'many-queues',
  about: 'store: sends of 1 KiB to 100 and to 50,000 queues; a million queues with a message or two each',
  async run({ quick, rounds: count, folder, say, inProcess }): Promise<readonly Figure[]> {
    const job = { folder, messages: quick ? 20_000 : 500_000, inFlight: 256, payloadBytes: 1_024 };
    const both = await rounds(count, async () => {
      const few = await inProcess('many-queues', { ...job, queues: 100 });
      const many = await inProcess('many-queues', { ...job, queues: quick ? 5_000 : 50_000 });
      for (const [what, found] of [['few', few] as const, ['many', many] as const]) {
        say(
          `${what}: ${Math.round(found.perSecond)}/s, ${found.cpuSecondsPerMillion.toFixed(2)} CPU s per million, ` +
            `median ${found.msMedian.toFixed(2)} ms, p99 ${found.ms99.toFixed(2)} ms, longest stall ${found.stallMs.toFixed(0)} ms`,
        );
      }
      return { few, many };
    });
    const queues = quick ? 50_000 : 1_000_000;
    const million = await inProcess('many-queues', { ...job, queues, payloadBytes: 100 });
    const least = Math.min(...both.map(({ few, many }) => many.ms99 / few.ms99));
    const p99 = (of: 'few' | 'many'): number => Math.min(...both.map((round) => round[of].ms99));
    return [
      { what: '100 queues, until committed, p99', value: p99('few'), unit: 'ms' },
      { what: '50,000 queues, until committed, p99', value: p99('many'), unit: 'ms' },
      { what: '50,000 beside 100 queues, p99', value: least, unit: '×', atMost: 2 },
      { what: `${queues.toLocaleString('en')} queues, memory`, value: million.bytesPerQueue, unit: 'bytes/queue' },
      { what: `${queues.toLocaleString('en')} queues, until committed, p99`, value: million.ms99, unit: 'ms' },
      { what: `${queues.toLocaleString('en')} queues, longest stall`, value: million.stallMs, unit: 'ms' },
      { what: `${queues.toLocaleString('en')} queues, start`, value: million.startMs, unit: 'ms' },
      { what: 'checkpoint after 1,000 of them changed', value: million.checkpointMs, unit: 'ms' },
    ];
  },
};
