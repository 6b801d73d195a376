/**
 * Runs simulations: `npm run simulate -- --seed 7`, `--seeds 100 [--from 1]`, `--ms 60000`, `--members 3`, `--trace`. The first seed that
 * fails ends it with 1; the same seed does the same again.
 */
import { parseArgs } from 'node:util';

import { simulate } from './workload.js';

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string', default: '10' },
      from: { type: 'string', default: '1' },
      ms: { type: 'string', default: '60000' },
      members: { type: 'string', default: '3' },
      trace: { type: 'boolean', default: false },
      'go-on': { type: 'boolean', default: false },
    },
  });
  const first = Number(values.seed ?? values.from);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  const simMs = Number(values.ms);
  const members = Number(values.members);
  if (![first, count, simMs, members].every(Number.isSafeInteger)) throw new Error('seeds and times are whole numbers');
  // Errors are part of life here; whence they came is of use where one seed is looked at.
  if (values.seed === undefined) Error.stackTraceLimit = 0;
  let simulatedMs = 0;
  const print = values.trace ? (line: string) => process.stdout.write(`${line}\n`) : undefined;
  for (let seed = first; seed < first + count; seed += 1) {
    const startMs = performance.now();
    try {
      const { hash, steps, sent, starts, simMs: lastedMs } = await simulate({ seed, simMs, members, print });
      const tookMs = Math.round(performance.now() - startMs);
      simulatedMs += lastedMs;
      process.stdout.write(
        `seed ${seed}: ${hash}, ${sent} messages, ${starts} starts, ${Math.round(lastedMs / 1_000)} s simulated in ${steps} steps, ${tookMs} ms\n`,
      );
    } catch (caught) {
      process.stdout.write(
        `${(caught as Error).message}\nagain: npm run simulate -- --seed ${seed} --ms ${simMs} --members ${members} --trace\n`,
      );
      if (!values['go-on']) return 1;
    }
  }
  const { user, system } = process.cpuUsage();
  const cpuS = (user + system) / 1e6;
  process.stdout.write(
    `${count} seeds, ${(simulatedMs / 3_600_000).toFixed(1)} hours simulated, ${cpuS.toFixed(1)} s of one core: ` +
      `${Math.round((count * 3_600) / cpuS)} seeds an hour and core\n`,
  );
  return 0;
}

process.on('unhandledRejection', (reason) => {
  process.stdout.write(`a mistake of ours: ${reason instanceof Error ? reason.stack : String(reason)}\n`);
  process.exit(1);
});
void main().then((code) => process.exit(code));
