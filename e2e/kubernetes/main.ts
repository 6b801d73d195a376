/**
 * `npm run e2e:kubernetes`: the chart on a real cluster. Installs it in a namespace that enforces the restricted pod
 * security standard, runs `helm test`, lets official clients work from a pod while one scenario after the other is played,
 * checks that nothing acknowledged is missing, uninstalls, installs again and finds the data, and takes it all away.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Cluster, fullName, namespace, release, selector } from './cluster.ts';
import { Load, type Seen } from './load.ts';
import { Outside } from './outside.ts';
import { broken, scenarios, type Scenario, type World } from './scenarios.ts';
import { chooseTarget } from './target.ts';
import { memoryOf } from './memory.ts';

const help = `npm run e2e:kubernetes -- [options]

Installs charts/cometmq on a real Kubernetes cluster and tries it: KUBECONFIG names the cluster and COMETMQ_IMAGE the
image there, or COMETMQ_KUBE (or "kube" on the PATH) is a program that starts a cluster on this machine.

  --nodes N        of a cluster that is started here (default 1; scenarios that need more are left out)
  --members N      of each broker set (default 2; 3 on three nodes)
  --only A,B       these scenarios: ${scenarios.map(({ name }) => name).join(', ')}
  --pause-ms N     between two sends of one sender of the Node.js clients (default 100)
  --previous DIR   a checkout of an earlier version, built: it is installed first, upgraded to this one, and rolled back
  --as-loaded      in a cluster that is up: with the images that were loaded last, instead of making them
  --report FILE    writes what was measured there, as a page
  --keep           leave the release, and the cluster if it was started here, for a look
  --help           this text`;

const source = join(import.meta.dirname, '../..');
const startMs = performance.now();

interface Options {
  readonly nodes: number;
  readonly members: number;
  readonly only: readonly string[] | undefined;
  readonly pauseMs: number | undefined;
  readonly previous: string | undefined;
  readonly asLoaded: boolean;
  readonly report: string | undefined;
  readonly keep: boolean;
}
interface Outcome {
  readonly about: string;
  readonly seconds: number;
  readonly seen?: readonly Seen[];
  readonly note?: string | undefined;
  readonly load: string;
  readonly problem?: string | undefined;
}

function say(line: string): void {
  console.log(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(4)} s  ${line}`);
}

function optionsOf(): Options | undefined {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string', default: '1' },
      members: { type: 'string' },
      only: { type: 'string' },
      'pause-ms': { type: 'string' },
      previous: { type: 'string' },
      'as-loaded': { type: 'boolean', default: false },
      report: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const nodes = numberIn('--nodes', values.nodes, 9);
  const only = values.only?.split(',');
  const unknown = only?.filter((name) => !scenarios.some((each) => each.name === name)) ?? [];
  if (unknown.length > 0) {
    throw new Error(`--only: unknown ${unknown.join(', ')}; there are ${scenarios.map(({ name }) => name).join(', ')}`);
  }
  const members = numberIn('--members', values.members ?? (nodes >= 3 ? '3' : '2'), 5);
  const pauseMs = values['pause-ms'] === undefined ? undefined : numberIn('--pause-ms', values['pause-ms'], 10_000);
  const { previous, report, keep, 'as-loaded': asLoaded } = values;
  return { nodes, members, only, pauseMs, previous, asLoaded, report, keep };
}

function numberIn(name: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new Error(`${name}: ${text} is no number from 1 to ${max}`);
  return value;
}

async function main(): Promise<number> {
  const options = optionsOf();
  if (!options) {
    console.log(help);
    return 0;
  }
  const target = chooseTarget(source, options.nodes);
  const cluster = new Cluster(target);
  const ownValues = target.up(say, options.asLoaded);
  const outcomes: Outcome[] = [];
  let failed = false;
  try {
    await tryOut(cluster, ownValues, options, outcomes);
  } catch (caught) {
    failed = true;
    say(`failed: ${caught instanceof Error ? caught.message : String(caught)}`);
    show(cluster);
  }
  if (options.report !== undefined) writeReport(options.report, outcomes, options, cluster);
  if (options.keep) say(`left as it is: namespace ${namespace}`);
  else {
    takeAway(cluster);
    target.down();
  }
  const problems = outcomes.flatMap(({ about, problem }) => (problem === undefined ? [] : [`${about}: ${problem}`]));
  for (const problem of problems) say(problem);
  failed ||= problems.length > 0;
  say(failed ? 'failed: see above' : 'all of it works');
  return failed ? 1 : 0;
}

async function tryOut(
  cluster: Cluster,
  ownValues: readonly string[],
  { nodes, members, only, pauseMs, previous }: Options,
  outcomes: Outcome[],
): Promise<void> {
  cluster.makeNamespace();
  const values = [
    'etcd.persistence.size=1Gi',
    'broker.persistence.size=2Gi',
    'proxy.service.type=NodePort',
    `broker.members=${members}`,
    // Shorter than by default, and still above what a member waits for the others.
    `broker.terminationGracePeriodSeconds=${50 * members}`,
  ];
  if (nodes < 3) values.push('etcd.replicas=1');
  else values.push('etcd.antiAffinity=required', 'broker.antiAffinity=required');
  // Small, so that it fits beside other work.
  for (const part of ['etcd', 'namesrv', 'broker', 'proxy', 'dashboardApi']) {
    values.push(`${part}.resources.requests.cpu=20m`, `${part}.resources.requests.memory=96Mi`);
  }
  const words = (from: string, own: readonly string[], more: readonly string[]): string[] => {
    const set = [...values, ...own, ...more].flatMap((each) => ['--set', each]);
    return ['upgrade', '--install', release, join(from, 'charts/cometmq'), ...set];
  };
  const installed = (...how: Parameters<typeof words>): void => {
    cluster.helm(...words(...how), '--wait', '--timeout', '10m');
  };
  const install = (...more: string[]): void => installed(source, ownValues, more);
  const size = { sets: 1, members };
  const ofPrevious = previous === undefined ? undefined : cluster.target.load?.(previous, 'previous');
  if (previous !== undefined && !ofPrevious)
    throw new Error('--previous: images can be loaded into a cluster of its own');
  await step(outcomes, '`helm install`, until `helm test` is green', () => {
    if (previous !== undefined && ofPrevious) installed(previous, [...ofPrevious, ...ownValues.slice(-2)], []);
    else install();
    cluster.helm('test', release, '--timeout', '5m');
  });
  await cluster.whole(size.sets, size.members);
  outcomes.push({ about: 'memory of the idle installation', seconds: 0, load: loadNow(), note: memoryOf(cluster) });
  say(`  ${outcomes.at(-1)?.note ?? ''}`);

  const outside = new Outside(cluster, source);
  say('clients in pods …');
  // A chart of before may have no service with a name for each proxy.
  const [headless, plain] = [`${fullName}-proxy-headless`, `${fullName}-proxy`];
  const hasHeadless = cluster.kubectl('get', 'service', headless, '--ignore-not-found', '-o', 'name') !== '';
  const endpoints = `${hasHeadless ? headless : plain}.${namespace}.svc.cluster.local:8081`;
  const load = await Load.begin(cluster, imageIn(ownValues), source, endpoints, pauseMs);
  const hasPrevious = previous !== undefined;
  const upgradeArgs = words(source, ownValues, []);
  const upgrading = { upgrade: install, upgradeArgs, hasPrevious };
  const world: World = { cluster, target: cluster.target, load, outside, size, ...upgrading };
  for (const scenario of scenarios) {
    if (only ? !only.includes(scenario.name) : (scenario.nodes ?? 1) > nodes) continue;
    if (scenario.needsPrevious === true && !hasPrevious) continue;
    await play(scenario, world, outcomes);
  }
  await step(outcomes, 'the clients stop: what the ledgers say', () => load.settle());
  await step(outcomes, '`helm uninstall`, `helm install`: the data is found, `helm test` is green', async () => {
    const before = cluster.kubectl('get', 'pvc', '-o', 'name');
    cluster.helm('uninstall', release, '--wait', '--timeout', '10m');
    cluster.tryKubectl('wait', 'pods', '-l', `app.kubernetes.io/instance=${release}`, '--for=delete', '--timeout=360s');
    install(`broker.sets=${size.sets}`);
    if (cluster.kubectl('get', 'pvc', '-o', 'name') !== before) throw new Error('the volumes are others than before');
    await cluster.whole(size.sets, size.members);
    cluster.helm('test', release, '--timeout', '3m');
  });
}

/** One that fails is told at the end, and the next ones are played all the same. */
async function play(scenario: Scenario, world: World, outcomes: Outcome[]): Promise<void> {
  say(`${scenario.about} …`);
  const beganMs = performance.now();
  let note: string | undefined;
  let fault: string | undefined;
  const seen = await world.load.during(async () => {
    try {
      note = (await scenario.run(world)) ?? undefined;
    } catch (caught) {
      fault = caught instanceof Error ? caught.message : String(caught);
    }
  });
  const seconds = (performance.now() - beganMs) / 1_000;
  const problem = fault ?? broken(scenario, seen);
  if (problem !== undefined) say(`  not as it must be: ${problem}`);
  for (const { language, gapMs, failed, answered, why } of seen) {
    say(`  ${language}: ${gapMs} ms without an answered send, ${failed} failed, ${answered} answered ${why ?? ''}`);
  }
  say(`  ${seconds.toFixed(0)} s in all${note === undefined ? '' : `; ${note}`}`);
  outcomes.push({ about: scenario.about, seconds, seen, note, problem, load: loadNow() });
}

async function step(outcomes: Outcome[], about: string, act: () => Promise<string | void> | void): Promise<void> {
  say(`${about} …`);
  const beganMs = performance.now();
  const note = (await act()) ?? undefined;
  if (note !== undefined) say(`  ${note}`);
  outcomes.push({ about, seconds: (performance.now() - beganMs) / 1_000, note, load: loadNow() });
}

/** How many processes want to run on this machine. */
const loadNow = (): string => (loadavg()[0] ?? 0).toFixed(0);

function imageIn(values: readonly string[]): string {
  const value = (key: string): string => values.find((each) => each.startsWith(`${key}=`))?.slice(key.length + 1) ?? '';
  return `${value('image.repository')}:${value('image.tag')}`;
}

function writeReport(file: string, outcomes: readonly Outcome[], { nodes, members }: Options, cluster: Cluster): void {
  const { serverVersion } = JSON.parse(cluster.kubectl('version', '-o', 'json')) as {
    serverVersion: { gitVersion: string };
  };
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: source, encoding: 'utf8' }).trim();
  const rows = outcomes.map(({ about, seconds, seen = [], problem, load }) => {
    const away = seen.map(({ language, gapMs }) => `${language} ${gapMs} ms`).join(', ');
    const count = (of: (one: Seen) => number): string =>
      seen.length === 0 ? '' : String(seen.reduce((sum, each) => sum + of(each), 0));
    const cells = [away, count(({ failed }) => failed), count(({ answered }) => answered)];
    const outcome = problem === undefined ? 'as it must be' : '**failed**';
    return `| ${about} | ${cells.join(' | ')} | ${seconds.toFixed(0)} s | ${load} | ${outcome} |`;
  });
  // Beside the table, which has to be read in one look.
  const notes = outcomes.flatMap(({ about, note, problem }) =>
    [problem, note].flatMap((each) => (each === undefined ? [] : [`- ${about}: ${each.split('\n')[0] ?? ''}`])),
  );
  const text = `# On a real Kubernetes cluster

Kubernetes ${serverVersion.gitVersion}, ${nodes} node(s) on one machine of two cores with other work, broker sets of ${members} members; commit
${commit}, ${new Date().toISOString().slice(0, 10)}. Made by \`${['npm run e2e:kubernetes --', ...process.argv.slice(2)].join(' ')}\`.

Official clients with their default settings send and consume in pods all the while: Node.js with and without message groups
and with messages that are due later, Java and Go with message groups. "Away" is the longest time without an answered send to
message groups; "failed" are sends that failed for good, after the client's own retries; "load" is the machine's load average.
At the end ledgers hold that every acknowledged message came, not before it was due, once it was acknowledged never again, and
in the order of its group.

| what happens | away | failed | answered meanwhile | took | load | |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

${notes.join('\n')}
`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** What one wants to see after a failure. */
function show(cluster: Cluster): void {
  for (const args of [
    ['get', 'pods,pvc', '-o', 'wide'],
    ['get', 'events', '--sort-by=.lastTimestamp'],
    ['logs', '-l', `app.kubernetes.io/instance=${release}`, '--all-containers', '--prefix', '--tail=15'],
    ['logs', 'client', '--tail=15'],
  ]) {
    const { stdout, stderr } = cluster.tryKubectl(...args);
    console.log(`--- kubectl ${args.join(' ')}\n${stdout}${stderr}`);
  }
}

function takeAway(cluster: Cluster): void {
  say('taking it away …');
  try {
    cluster.helm('uninstall', release, '--ignore-not-found', '--wait', '--timeout', '6m');
    cluster.tryKubectl('wait', 'pods', '-l', `app.kubernetes.io/instance=${release}`, '--for=delete', '--timeout=360s');
    const kinds = 'pods,services,deployments,statefulsets';
    const left = cluster.kubectl('get', kinds, '-o', 'name', '-l', `app.kubernetes.io/instance=${release}`);
    if (left.trim() !== '') say(`left behind by helm uninstall: ${left.trim().split('\n').join(', ')}`);
    // Volumes outlive a release on purpose.
    const volumes = cluster.kubectl('get', 'pvc', '-o', 'name', '-l', selector('broker')).trim().split('\n');
    say(`volumes kept: ${volumes.join(', ')}`);
  } finally {
    cluster.tryKubectl('delete', 'namespace', namespace, '--timeout=120s');
  }
}

const exitCode = await main().catch((caught: unknown) => {
  console.error(`e2e:kubernetes: ${caught instanceof Error ? caught.message : String(caught)}`);
  return 1;
});
// Clients that are at work still after a failure end with it.
process.exit(exitCode);
