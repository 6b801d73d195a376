/** `npm run bench`: starts what it measures, loads it, and says what came out beside what was asked for. */
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import type { Bench, BenchContext } from './bench.js';
import { benches } from './registry.js';
import { type BenchReport, type Report, machineNow, reportOf, tableOf } from './report.js';
import { atExit } from './support/at-exit.js';
import { serveEcho } from './support/echo-server.js';
import { isRole, playRole, runRole } from './support/roles.js';
import { Standalone } from './support/standalone.js';

const help = `npm run bench -- [options] [benches]

Starts what it measures, loads it, and says what came out beside what was asked for.

  npm run bench                          all of them
  npm run bench -- receive start         the benches named
  npm run bench -- --quick               sizes that only show that it runs
  npm run bench -- --rounds=5            how often what is short is measured; the best counts
  npm run bench -- find --messages=1e7   of another size, for benches that have one
  npm run bench -- --json=figures.json   the figures as JSON too; - writes nothing else to stdout
  npm run bench -- --list                which benches there are

Compare CPU seconds per million messages: rates are also those of the machine's other work. BENCH_NODE_FLAGS gives flags
to the Node.js of the servers, such as --cpu-prof.`;

const program = process.argv[1] ?? '';
const standaloneProgram = resolve(dirname(program), '../../apps/standalone/main.cjs');

interface Wishes {
  readonly benches: readonly Bench[];
  readonly quick: boolean;
  readonly rounds: number;
  readonly messages: number | undefined;
  readonly json: string | undefined;
}

function wishesOf(args: readonly string[]): Wishes {
  const names = args.filter((arg) => !arg.startsWith('--'));
  const flag = (name: string): string | undefined =>
    args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  const unknown = args.find(
    (arg) => arg.startsWith('--') && !['--quick', '--list'].includes(arg) && !/^--(rounds|json|messages)=./.test(arg),
  );
  if (unknown !== undefined)
    throw new Error(`unknown option ${unknown}: there are --quick, --rounds=, --messages=, --json=, --list, --help`);
  const stranger = names.find((name) => !benches.some((bench) => bench.name === name));
  if (stranger !== undefined) {
    throw new Error(`no bench is called ${stranger}: there are ${benches.map(({ name }) => name).join(', ')}`);
  }
  const quick = args.includes('--quick');
  const rounds = Number(flag('rounds') ?? (quick ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be a whole number from 1 on');
  const messages = flag('messages') === undefined ? undefined : Number(flag('messages'));
  if (messages !== undefined && (!Number.isInteger(messages) || messages < 1_000)) {
    throw new Error('--messages must be a whole number from 1000 on');
  }
  const wanted = names.length === 0 ? benches : benches.filter(({ name }) => names.includes(name));
  return { benches: wanted, quick, rounds, messages, json: flag('json') };
}

async function runOne(bench: Bench, wishes: Wishes, say: (line: string) => void): Promise<BenchReport> {
  // Where the system keeps temporary files may be memory: TMPDIR says where the disk is.
  const parent = mkdtempSync(join(tmpdir(), 'cometmq-bench-'));
  const removeFolder = (): void => rmSync(parent, { recursive: true, force: true });
  const forget = atExit(removeFolder);
  const servers: Standalone[] = [];
  const folder = join(parent, 'work');
  mkdirSync(folder);
  const context: BenchContext = {
    quick: wishes.quick,
    rounds: wishes.rounds,
    messages: wishes.messages,
    folder,
    say,
    standalone: async (args = []) => {
      const server = await Standalone.at(standaloneProgram, join(parent, `data-${servers.length}`), args);
      servers.push(server);
      return server.start();
    },
    inProcess: (role, job) => runRole(program, role, job, ['--expose-gc']),
    load: async (job) => {
      const found = await runRole(program, 'load', job);
      say(
        `  ${Math.round(found.perSecond)}/s, ${found.cpuSecondsPerMillion.toFixed(1)} CPU s per million, ` +
          `median ${found.msMedian.toFixed(1)} ms, p99 ${found.ms99.toFixed(1)} ms; ` +
          `${found.failures} failures, ${found.otherCores.toFixed(1)} cores busy with others`,
      );
      return found;
    },
  };
  const startMs = performance.now();
  const seconds = (): number => (performance.now() - startMs) / 1000;
  try {
    const figures = await bench.run(context);
    return reportOf(bench, seconds(), figures);
  } catch (caught) {
    const failed = caught instanceof Error ? caught.message : String(caught);
    return { name: bench.name, about: bench.about, seconds: seconds(), figures: [], failed };
  } finally {
    for (const server of servers) if (server.running) await server.stop();
    removeFolder();
    forget();
  }
}

async function main(args: readonly string[]): Promise<void> {
  const role = args.find((arg) => arg.startsWith('--role='))?.slice('--role='.length);
  if (role === 'echo') return serveEcho();
  if (role !== undefined && isRole(role)) return playRole(role);
  if (args.includes('--help') || args.includes('-h')) {
    console.log(help);
    return;
  }
  if (args.includes('--list')) {
    for (const { name, about } of benches) console.log(`${name.padEnd(16)} ${about}`);
    return;
  }
  if (process.platform !== 'linux')
    throw new Error('CPU and memory are read from /proc: the benches run on Linux only');
  const wishes = wishesOf(args);
  const machine = machineNow();
  const say = (line: string): void => void process.stderr.write(`  ${line}\n`);
  const print = wishes.json === '-' ? console.error : console.log;
  print(`${machine.cpu}, ${machine.cores} cores, ${machine.system}, Node.js ${machine.node}, load ${machine.load}`);
  const done: BenchReport[] = [];
  for (const bench of wishes.benches) {
    process.stderr.write(`${bench.name} …\n`);
    const report = await runOne(bench, wishes, say);
    done.push(report);
    print(`\n${tableOf(report)}`);
  }
  const report: Report = { at: new Date().toISOString(), quick: wishes.quick, machine, benches: done };
  const text = `${JSON.stringify(report, undefined, 2)}\n`;
  if (wishes.json === '-') process.stdout.write(text);
  else if (wishes.json !== undefined) writeFileSync(wishes.json, text);
  // A missed target is a figure like another; only what could not be measured is a failure.
  process.exitCode = done.some(({ failed }) => failed !== undefined) ? 1 : 0;
}

main(process.argv.slice(2)).catch((caught: unknown) => {
  console.error(caught instanceof Error ? caught.message : caught);
  process.exitCode = 2;
});
