import { type Bench, type Figure } from '../bench.js';

/** Ten million timers: what they take, and the start after a kill. */
export const delayWaiting: Bench = {
  name: 'delay-waiting',
  about: '10,000,000 delayed messages waiting for up to 40 days: memory, and the start after kill -9',
  async run({ quick, folder, say, rounds, inProcess }): Promise<readonly Figure[]> {
    const messages = quick ? 100_000 : 10_000_000;
    const filled = await inProcess('delay-fill', { folder, messages });
    say(
      `  ${Math.round(filled.perSecond)}/s; RSS ${filled.rssTenthMiB.toFixed(0)} MiB with a tenth of them, ` +
        `${filled.rssAllMiB.toFixed(0)} MiB with all`,
    );
    const starts: number[] = [];
    let restarted;
    for (let i = 0; i < rounds; i += 1) {
      restarted = await inProcess('delay-restart', { folder, term: 2 + i });
      say(`  ready after ${restarted.startMs.toFixed(0)} ms with ${restarted.waiting} waiting`);
      starts.push(restarted.startMs);
    }
    return [
      { what: 'RSS with a tenth of them', value: filled.rssTenthMiB, unit: 'MiB' },
      { what: 'RSS with all', value: filled.rssAllMiB, unit: 'MiB', atMost: filled.rssTenthMiB + 50 },
      { what: 'RSS after the start', value: restarted?.rssMiB ?? NaN, unit: 'MiB' },
      { what: 'ready again, worst', value: Math.max(...starts), unit: 'ms', atMost: 3_000 },
    ];
  },
};
