import { type Bench, type Figure } from '../bench.js';

/** Received and not acknowledged: memory of very many, and how punctually they come again. */
export const inFlight: Bench = {
  name: 'in-flight',
  about:
    'a million messages in flight: growth of RSS; redelivery after the invisible time, on a broker without a network',
  async run({ quick, folder, inProcess }): Promise<readonly Figure[]> {
    const messages = quick ? 50_000 : 1_000_000;
    const found = await inProcess('in-flight', { folder, messages, again: quick ? 500 : 8_000 });
    return [
      {
        what: `${messages.toLocaleString('en')} in flight: RSS grows by`,
        value: found.rssGrowthMiB,
        unit: 'MiB',
        atMost: 300,
      },
      { what: 'redelivery, late, median', value: found.againMsMedian, unit: 'ms' },
      { what: 'redelivery, late, p99', value: found.againMs99, unit: 'ms', atMost: 200 },
      // The log's time is in whole milliseconds.
      { what: 'redelivery, early, worst', value: found.earlyMsMax, unit: 'ms', atMost: 1 },
    ];
  },
};
