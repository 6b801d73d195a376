/** `npm run chaos`: faults on real processes for some minutes, and a report of what clients saw. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { basename, dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { type FaultKind, faultKinds, faults as catalogue } from './faults/index.js';
import { brokenPromises, reportText } from './report.js';
import { runChaos } from './run.js';
import { timelineSvg } from './timeline.js';

const help = `npm run chaos -- [options]

Kills, pauses and hands over the processes of a cluster on this machine while official clients send and receive, and counts
every answer. Ends by itself; exits with 1 when a promise was broken.

  --minutes N          for so long (default 5, at most 600)
  --strikes N          or until so many faults have struck
  --sets N             broker sets (default 1)
  --replicas N         members of each (default 3)
  --faults A,B         what strikes, in turn (see below; "each" is all there are)
                       (default kill,nothing,hand-over,pause,follower,elect,all,namesrv,proxy,etcd)
  --seed N             of which set and which process is hit (default 1)
  --groups N           message groups (default 8)
  --workers N          senders without a group (default 2)
  --pause-ms N         between two sends of each (default 5)
  --fill-mib N         make the log of each set so long before the first fault (default 0)
  --data-dir FOLDER    keep data and logs there
  --report FILE        write the report here too, docs/proof/chaos.md for instance, and a picture beside it
  --help               this text

Faults:
${faultKinds.map((kind) => `  ${kind.padEnd(20)} ${catalogue[kind].words}`).join('\n')}

Faults of the network need Linux; those of disks strace or a small tmpfs (root); of clocks libfaketime. What a machine can't do
is left out, and said.`;

const options = {
  minutes: { type: 'string', default: '5' },
  strikes: { type: 'string', default: '100000' },
  sets: { type: 'string', default: '1' },
  replicas: { type: 'string', default: '3' },
  faults: { type: 'string', default: 'kill,nothing,hand-over,pause,follower,elect,all,namesrv,proxy,etcd' },
  seed: { type: 'string', default: '1' },
  groups: { type: 'string', default: '8' },
  workers: { type: 'string', default: '2' },
  'pause-ms': { type: 'string', default: '5' },
  'fill-mib': { type: 'string', default: '0' },
  'data-dir': { type: 'string' },
  report: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

async function main(): Promise<number> {
  const { values } = parseArgs({ options });
  if (values.help === true) {
    console.log(help);
    return 0;
  }
  const number = (
    name: Exclude<keyof typeof values, 'data-dir' | 'report' | 'faults' | 'help'>,
    min: number,
    max: number,
  ): number => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new RangeError(`--${name}=${values[name]}: must be a whole number from ${min} to ${max}`);
  };
  const named = values.faults === 'each' ? faultKinds : values.faults.split(',');
  const faults = named.map((kind): FaultKind => {
    const known = faultKinds.find((each) => each === kind);
    if (!known) throw new RangeError(`--faults: "${kind}" is unknown; there are ${faultKinds.join(', ')}`);
    return known;
  });
  const loadBefore = loadText();
  const result = await runChaos({
    sets: number('sets', 1, 9),
    replicas: number('replicas', 1, 5),
    faults,
    strikesMax: number('strikes', 1, 1_000_000),
    msMax: number('minutes', 1, 600) * 60_000,
    seed: number('seed', 0, 2 ** 31),
    groups: number('groups', 1, 1_000),
    workers: number('workers', 1, 100),
    pauseMs: number('pause-ms', 0, 60_000),
    ...(number('fill-mib', 0, 1_000_000) > 0 && { fillBytes: number('fill-mib', 0, 1_000_000) * 2 ** 20 }),
    folder: values['data-dir'] === undefined ? undefined : resolve(values['data-dir']),
    say: (line) => console.error(`chaos: ${line}`),
  });
  const picture = values.report === undefined ? undefined : resolve(values.report).replace(/(\.md)?$/, '.svg');
  const text = reportText(result, {
    command: ['npm run chaos --', ...process.argv.slice(2)].join(' '),
    machine: `${availableParallelism()} CPUs, ${Math.round(totalmem() / 1024 ** 3)} GiB`,
    atIso: new Date().toISOString().slice(0, 16),
    sets: number('sets', 1, 9),
    replicas: number('replicas', 1, 5),
    load: `Load of the machine (mean of a minute; this run is part of the second): ${loadBefore} before, ${loadText()} at the end.`,
    picture: picture === undefined ? undefined : basename(picture),
  });
  console.log(text);
  if (values.report !== undefined && picture !== undefined) {
    mkdirSync(dirname(resolve(values.report)), { recursive: true });
    writeFileSync(resolve(values.report), text);
    writeFileSync(
      picture,
      timelineSvg(
        result.slices,
        result.strikes.map(({ kind, fromMs, toMs }) => ({ name: kind, fromMs, toMs })),
      ),
    );
  }
  return brokenPromises(result).length === 0 ? 0 : 1;
}

function loadText(): string {
  return (loadavg()[0] ?? 0).toFixed(1);
}

main().then(
  (code) => process.exit(code), // The clients leave timers behind.
  (caught: unknown) => {
    console.error(caught instanceof RangeError ? `chaos: ${caught.message}` : caught);
    process.exit(caught instanceof RangeError ? 2 : 1);
  },
);
