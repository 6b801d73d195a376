/**
 * Runs simulations: `npm run simulate -- --seed 7`, `--seeds 100 [--from 1]`, `--ms 60000`, `--members 3`, `--all`, `--trace`.
 * The first seed that fails ends it with 1; the same seed does the same again.
 */
import { read } from './command-line.js';
import { Tally } from './tally.js';
import { simulate } from './workload.js';

async function main(): Promise<number> {
  const wanted = read(process.argv.slice(2));
  if ('print' in wanted) {
    process.stdout.write(wanted.print);
    return wanted.status;
  }
  const { first, count, simMs, members, hasAll, trace, goesOn } = wanted;
  // Errors are part of life here; whence they came is of use where one seed is looked at.
  if (count > 1) Error.stackTraceLimit = 0;
  let simulatedMs = 0;
  let stepCount = 0;
  const failed: number[] = [];
  const tally = new Tally();
  const print = trace ? (line: string) => process.stdout.write(`${line}\n`) : undefined;
  let seed = first;
  for (; seed < first + count && (goesOn || failed.length === 0); seed += 1) {
    const startMs = performance.now();
    try {
      const {
        hash,
        steps,
        sent,
        starts,
        simMs: lastedMs,
      } = await simulate({ seed, simMs, members, hasAll, print, tally });
      const tookMs = Math.round(performance.now() - startMs);
      simulatedMs += lastedMs;
      stepCount += steps;
      process.stdout.write(
        `seed ${seed}: ${hash}, ${sent} messages, ${starts} starts, ${Math.round(lastedMs / 1_000)} s simulated in ${steps} steps, ${tookMs} ms\n`,
      );
    } catch (caught) {
      failed.push(seed);
      process.stdout.write(
        `${(caught as Error).message}\nagain: npm run simulate -- --seed ${seed} --ms ${simMs} --members ${members}${hasAll ? ' --all' : ''} --trace\n`,
      );
    }
  }
  const ran = seed - first;
  const { user, system } = process.cpuUsage();
  const cpuS = (user + system) / 1e6;
  const each = (count: number): number => Math.round(count / Math.max(1, ran));
  process.stdout.write(
    `${tally.table()}a seed has ${each(tally.faultCount)} faults, ${each(tally.sentCount)} acknowledged messages and ` +
      `${each(stepCount)} steps\n${ran} seeds, ${failed.length} failed${failed.length > 0 ? ` (${failed.join(', ')})` : ''}, ` +
      `${(simulatedMs / 3_600_000).toFixed(1)} hours simulated, ${cpuS.toFixed(1)} s of one core: ` +
      `${Math.round((ran * 3_600) / cpuS)} seeds an hour and core\n`,
  );
  return failed.length > 0 ? 1 : 0;
}

process.on('unhandledRejection', (reason) => {
  process.stdout.write(`a mistake of ours: ${reason instanceof Error ? reason.stack : String(reason)}\n`);
  process.exit(1);
});
void main().then((code) => process.exit(code));
