import { join } from 'node:path';

import { type Bench, type Figure } from '../bench.js';

/** How exactly delayed messages come, and what happens when very many are due at once. */
export const delay: Bench = {
  name: 'delay',
  about: 'delayed messages: lateness at 1,000/s, and a million due in the same second with sends going on',
  async run({ quick, folder, say, inProcess }): Promise<readonly Figure[]> {
    const lateness = { folder: join(folder, 'lateness'), perSecond: 1_000, seconds: quick ? 3 : 20 };
    const late = await inProcess('delay-lateness', lateness);
    say(`  ${late.messages} messages: median ${late.msMedian.toFixed(1)} ms late, at most ${late.msMax} ms`);
    const messages = quick ? 20_000 : 1_000_000;
    const rush = await inProcess('delay-rush', { folder: join(folder, 'rush'), messages });
    say(`  ${rush.sends} sends went on, p99 ${rush.sendMs99.toFixed(1)} ms, at most ${rush.sendMsMax.toFixed(0)} ms`);
    const many = messages.toLocaleString('en');
    return [
      { what: 'late at 1,000/s, p99', value: late.ms99, unit: 'ms', atMost: 20 },
      { what: 'early at 1,000/s, worst', value: late.earlyMsMax, unit: 'ms', atMost: 0 },
      { what: `${many} due at once: all visible after`, value: rush.visibleSeconds, unit: 's', atMost: 15 },
      { what: `${many} due at once: all consumed after`, value: rush.consumedSeconds, unit: 's' },
      { what: `${many} due at once: early, worst`, value: rush.earlyMsMax, unit: 'ms', atMost: 0 },
      { what: `${many} due at once: RSS grows by`, value: rush.rssGrowthMiB, unit: 'MiB', atMost: 300 },
      { what: 'sends meanwhile, p99', value: rush.sendMs99, unit: 'ms' },
    ];
  },
};
