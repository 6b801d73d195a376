import { type Bench, type Figure } from '../bench.js';

/** Half messages that are committed at once, beside plain sends to the same broker. */
export const transactions: Bench = {
  name: 'transactions',
  about: 'half messages committed at once, beside plain sends, on a broker without a network',
  async run({ quick, folder, inProcess }): Promise<readonly Figure[]> {
    const job = { folder, messages: quick ? 20_000 : 500_000, inFlight: 512 };
    const found = await inProcess('transactions', job);
    const share = (100 * found.committedPerSecond) / found.plainPerSecond;
    const cpuShare = (100 * found.plainCpuSecondsPerMillion) / found.committedCpuSecondsPerMillion;
    return [
      { what: 'plain sends', value: found.plainPerSecond, unit: '/s' },
      { what: 'committed at once', value: found.committedPerSecond, unit: '/s' },
      { what: 'committed, of the plain rate', value: share, unit: '%', atLeast: 40 },
      { what: 'committed, of the plain rate by CPU', value: cpuShare, unit: '%' },
      { what: 'plain sends', value: found.plainCpuSecondsPerMillion, unit: 'CPU s/million' },
      { what: 'committed at once', value: found.committedCpuSecondsPerMillion, unit: 'CPU s/million' },
    ];
  },
};
