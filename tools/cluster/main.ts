/** `npm run cluster`: the cluster in the foreground, from the first process's start to the last one's end. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { etcdNames, makeCluster, rootFolder, sizeOf, type Cluster, type ClusterOptions } from './cluster.ts';
import type { Size } from './ports.ts';
import { deleteData, noteProcesses, otherEtcds, running, stopRunning } from './remains.ts';

const help = `npm run cluster -- [options]

Runs CometMQ as it runs in production, as separate processes on this machine: etcd, two name servers, a broker, two
proxies and the dashboard API. Ctrl-C (or SIGTERM) stops them all, a second one kills them. If one of them dies, it is
told which and why, and the others are stopped; with --replicas it is started again, as a supervisor would, and the
others go on. If this program is killed, they end too.

  --port-base N        use N, N+1, … (proxies first, then the dashboard API) instead of 8081, 8082, 9876, 10911, 2379 …
  --data-dir FOLDER    keep data and logs here (default: data/cluster); a later run finds them again
  --sets N             broker sets (default 1)
  --replicas N         members of each broker set, 1 to 9 (default 1): each keeps all messages of its set
  --proxies N          proxies (default 2)
  --namesrvs N         name servers (default 2; 3 where sets have several members)
  --etcds N            members of etcd, 1, 3 or 5 (default 1; 3 where sets have several members)
  --auto-create        make topics and consumer groups when a client first uses them
  --users              everybody has to say who they are; the first run makes an admin, whose secret is kept in the
                       data folder. Without it nobody has to, as all ports are on 127.0.0.1
  --plain-text         no certificates between the processes and towards etcd; default: the first run makes an authority,
                       whose certificates are kept in the data folder
  --adopt-metadata     for one run, after what etcd held was lost: bring back what the brokers' logs know of it
  --tear-down          instead: stop what still runs on the data folder, and delete its data
  --help               this text

Exit codes: 0 stopped, 1 failed or one of the processes died, 2 wrong options, 130 killed.`;

/** After so long, a process that died is started again. */
const againMs = 2_000;

/** One Ctrl-C under `npm run` arrives twice, from the terminal and from npm. */
const sameRequestMs = 500;

const options = {
  'port-base': { type: 'string' },
  'data-dir': { type: 'string' },
  sets: { type: 'string' },
  replicas: { type: 'string' },
  etcds: { type: 'string' },
  proxies: { type: 'string' },
  namesrvs: { type: 'string' },
  'auto-create': { type: 'boolean' },
  users: { type: 'boolean' },
  'plain-text': { type: 'boolean' },
  'adopt-metadata': { type: 'boolean' },
  'tear-down': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

async function main(): Promise<number> {
  try {
    const { values } = parseArgs({ options });
    if (values.help === true) {
      console.log(help);
      return 0;
    }
    const folder = resolve(values['data-dir'] ?? join(rootFolder(), 'data/cluster'));
    if (values['tear-down'] === true) return await tearDown(folder);
    const portBase = wholeNumber('--port-base', values['port-base'], 1, 65_000);
    const size = (name: keyof Size, max = 9): { readonly [key: string]: number } => {
      const count = wholeNumber(`--${name}`, values[name], 1, max);
      return count === undefined ? {} : { [name]: count };
    };
    const sizes = {
      ...size('sets'),
      ...size('replicas'), // As many as a broker's membersWanted may say.
      ...size('proxies'),
      ...size('namesrvs'),
      ...size('etcds', 5),
    };
    if (sizeOf(sizes).etcds % 2 === 0) throw new RangeError(`--etcds=${values.etcds}: must be 1, 3 or 5`);
    const others = otherEtcds(folder, etcdNames(sizeOf(sizes).etcds));
    if (others.length > 0) {
      throw new RangeError(
        `${folder} holds the data of ${others.join(', ')}: the number of etcd's members can't change`,
      );
    }
    return await run({
      folder,
      ports: portBase ?? 'usual',
      size: sizes,
      ownGroup: true,
      users: values.users === true,
      plainText: values['plain-text'] === true,
      flags: {
        ...(values['auto-create'] === true && {
          namesrv: ['--auto-create-topics=true', '--auto-create-groups=true'],
        }),
        ...(values['adopt-metadata'] === true && { broker: ['--adopt-metadata=true'] }),
      },
    });
  } catch (caught) {
    say(caught instanceof Error ? caught.message : String(caught));
    const wrongOptions = caught instanceof TypeError && 'code' in caught;
    return wrongOptions || caught instanceof RangeError ? 2 : 1;
  }
}

async function run(options: ClusterOptions): Promise<number> {
  const left = running(options.folder);
  if (left.length > 0) {
    const names = left.map(({ name, pid }) => `${name} (${pid})`).join(', ');
    say(`${options.folder} is in use by ${names}: end that cluster, or use --tear-down or another --data-dir`);
    return 1;
  }
  const cluster = await makeCluster(options);
  let died: string | undefined;
  let stopping = false;
  let ending = false;
  const end = new Promise<void>((resolve) => {
    for (const process of cluster.processes) {
      process.onDeath = (how) => {
        if (stopping || ending) return;
        if (sizeOf(options.size).replicas > 1) {
          say(`${process.name} ${how}; it is started again`);
          setTimeout(() => {
            if (stopping || ending) return;
            process.launch();
            noteProcesses(options.folder, cluster.processes);
          }, againMs);
          return;
        }
        if (died === undefined) died = `${process.name} ${how}${process.lastWords()}`;
        resolve();
      };
    }
    let askedMs = -Infinity;
    const onSignal = (): void => {
      const nowMs = performance.now();
      if (nowMs - askedMs < sameRequestMs) return;
      askedMs = nowMs;
      if (stopping) {
        for (const process of cluster.processes) process.killNow();
        say('killed');
        process.exit(130);
      }
      stopping = true;
      say('stopping … (again: kill)');
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal);
  });
  say('starting …');
  const started = cluster.start();
  started.catch(() => undefined); // Told below, unless a stop came first.
  try {
    await Promise.race([started, end]);
    noteProcesses(options.folder, cluster.processes);
    if (died === undefined && !stopping) console.log(addresses(cluster, options));
    await end;
  } catch (caught) {
    died ??= caught instanceof Error ? caught.message : String(caught);
  }
  ending = true;
  if (died !== undefined) say(`${died}\nstopping the others …`);
  const killed = await cluster.stop();
  noteProcesses(options.folder, []);
  for (const name of killed) say(`${name} did not stop in time and was killed`);
  say('stopped');
  return died === undefined && killed.length === 0 ? 0 : 1;
}

async function tearDown(folder: string): Promise<number> {
  for (const { name } of await stopRunning(folder)) say(`stopped ${name}`);
  deleteData(folder);
  say(`nothing of a cluster is left in ${folder}`);
  return 0;
}

function addresses(cluster: Cluster, { folder, users = false }: ClusterOptions): string {
  const list = (processes: readonly { address: string }[]): string =>
    processes.map(({ address }) => address).join(', ');
  return [
    'CometMQ is ready.',
    `  clients          ${list(cluster.proxies)}`,
    `  console          ${cluster.restUrl}/`,
    `  REST             ${cluster.restUrl}/docs`,
    `  name servers     ${list(cluster.namesrvs)}`,
    `  brokers          ${list(cluster.brokers)}`,
    `  etcd             ${cluster.etcds.map(({ watchUrl }) => watchUrl).join(', ')}`,
    '  health and metrics',
    ...cluster.processes.slice(cluster.etcds.length).map(({ name, watchUrl }) => `    ${name.padEnd(15)}${watchUrl}`),
    ...(users ? [`  admin            ${join(folder, 'identity/admin')} (comet login --secret-file …)`] : []),
    `  data and logs    ${folder}`,
  ].join('\n');
}

/** @throws RangeError where it is not one */
function wholeNumber(option: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new RangeError(`${option}=${text}: must be a whole number from ${min} to ${max}`);
}

function say(line: string): void {
  process.stderr.write(`cluster: ${line}\n`);
}

process.exitCode = await main();
