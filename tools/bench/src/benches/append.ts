import { type Bench, type Figure, rounds } from '../bench.js';

/** Records of 1 KiB into the log alone, then into the store with all its views. */
export const append: Bench = {
  name: 'append',
  about: 'log and store: append of 1 KiB records, group commit with fdatasync, 1,024 in flight',
  async run({ quick, rounds: count, folder, say, inProcess }): Promise<readonly Figure[]> {
    const log = await rounds(count, async () => {
      const found = await inProcess('log-append', {
        folder,
        seconds: quick ? 1 : 5,
        inFlight: 1_024,
        payloadBytes: 1_024,
      });
      say(`log: ${Math.round(found.perSecond)}/s, ${found.cpuSecondsPerMillion.toFixed(2)} CPU s per million`);
      return found;
    });
    const store = await rounds(count, async () => {
      const found = await inProcess('store-append', {
        folder,
        messages: quick ? 50_000 : 1_000_000,
        inFlight: 1_024,
        payloadBytes: 1_024,
        queues: 64,
      });
      const kernel = found.cpuKernelSecondsPerMillion.toFixed(2);
      say(
        `store: ${Math.round(found.perSecond)}/s, ${found.cpuSecondsPerMillion.toFixed(2)} CPU s per million (${kernel} in the kernel)`,
      );
      return found;
    });
    const best = <T>(list: readonly T[], of: (item: T) => number, choose: (...all: number[]) => number): number =>
      choose(...list.map(of));
    return [
      { what: 'log append', value: best(log, (r) => r.perSecond, Math.max), unit: 'records/s', atLeast: 150_000 },
      { what: 'log append', value: best(log, (r) => r.cpuSecondsPerMillion, Math.min), unit: 'CPU s/million' },
      { what: 'log append, until durable, median', value: best(log, (r) => r.msMedian, Math.min), unit: 'ms' },
      { what: 'log append, until durable, p99', value: best(log, (r) => r.ms99, Math.min), unit: 'ms' },
      { what: 'with views', value: best(store, (r) => r.perSecond, Math.max), unit: 'records/s', atLeast: 120_000 },
      {
        what: 'with views',
        value: best(store, (r) => r.cpuSecondsPerMillion, Math.min),
        unit: 'CPU s/million',
        atMost: 3,
      },
      { what: 'index scan', value: best(store, (r) => r.scanMicrosPerMessage, Math.min), unit: 'CPU µs/message' },
    ];
  },
};
