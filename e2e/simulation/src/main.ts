/**
 * Runs simulations: `npm run simulate -- --seed 7`, `--seeds 100 [--from 1]`, `--ms 60000`, `--members 3`, `--all`, `--trace`.
 * The first seed that fails ends it with 1; the same seed does the same again.
 */
import { read } from './command-line.js';
import { jobArgument, runOrders, share } from './jobs.js';
import { type Ran, runSeed } from './run-seed.js';
import { Tally } from './tally.js';

async function main(): Promise<number> {
  const wanted = read(process.argv.slice(2));
  if ('print' in wanted) {
    process.stdout.write(wanted.print);
    return wanted.status;
  }
  const { first, count, trace, goesOn, jobs, simMs, members, hasAll } = wanted;
  const settings = { simMs, members, hasAll };
  const began = process.cpuUsage();
  let simulatedMs = 0;
  let stepCount = 0;
  let ranCount = 0;
  const failed: number[] = [];
  const onRan = ({ seed, hasFailed, says, simMs: lastedMs, steps }: Ran): void => {
    ranCount += 1;
    simulatedMs += lastedMs;
    stepCount += steps;
    if (hasFailed) failed.push(seed);
    process.stdout.write(`${says}\n`);
  };
  let seed = first;
  const next = (): number | undefined => {
    if (seed >= first + count || (!goesOn && failed.length > 0)) return undefined;
    seed += 1;
    return seed - 1;
  };
  let tally = new Tally();
  let cpuS = 0;
  if (count > 1) ({ tally, cpuS } = await share(Math.min(jobs, count), settings, next, onRan));
  else onRan(await runSeed(first, settings, tally, trace ? (line) => process.stdout.write(`${line}\n`) : undefined));
  const { user, system } = process.cpuUsage(began);
  cpuS += (user + system) / 1e6;
  const each = (sum: number): number => Math.round(sum / Math.max(1, ranCount));
  process.stdout.write(
    `${tally.table()}a seed has ${each(tally.faultCount)} faults, ${each(tally.sentCount)} acknowledged messages and ` +
      `${each(stepCount)} steps\n${ranCount} seeds, ${failed.length} failed${failed.length > 0 ? ` (${failed.join(', ')})` : ''}, ` +
      `${(simulatedMs / 3_600_000).toFixed(1)} hours simulated, ${cpuS.toFixed(1)} s of one core: ` +
      `${Math.round((ranCount * 3_600) / cpuS)} seeds an hour and core\n`,
  );
  return failed.length > 0 ? 1 : 0;
}

process.on('unhandledRejection', (reason) => {
  process.stdout.write(`a mistake of ours: ${reason instanceof Error ? reason.stack : String(reason)}\n`);
  process.exit(1);
});
if (process.argv[2] === jobArgument && process.send) {
  // Errors are part of life here; whence they came is of use where one seed is looked at.
  Error.stackTraceLimit = 0;
  runOrders();
} else {
  void main().then((code) => process.exit(code));
}
