import { type Bench, type Figure } from '../bench.js';

/** What a message that waits for long costs beside those that do not. */
export const compaction: Bench = {
  name: 'compaction',
  about: 'store: segments of 256 MiB in which one message of 1 KiB in 100 lives are compacted',
  async run({ quick, folder, inProcess }): Promise<readonly Figure[]> {
    const job = { folder, messages: quick ? 250_000 : 1_500_000, waitingEvery: 100, payloadBytes: 1_024 };
    const found = await inProcess('compaction', job);
    const perSegment = Math.max(1, found.segments);
    return [
      { what: 'log before', value: found.logMiBBefore, unit: 'MiB' },
      { what: 'log after, the active segment included', value: found.logMiBAfter, unit: 'MiB' },
      { what: 'of it, what lives', value: found.liveMiB, unit: 'MiB' },
      { what: 'a segment, with its index', value: found.seconds / perSegment, unit: 's' },
      { what: 'a segment, with its index', value: found.cpuSeconds / perSegment, unit: 'CPU s' },
      { what: 'longest stall', value: found.stallMs, unit: 'ms' },
      { what: 'read from a compacted segment', value: found.readMicros, unit: 'µs' },
    ];
  },
};
