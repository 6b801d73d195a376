/** What is done to an installation while clients are at work, and what they may see of it. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { useBackups } from './backups.ts';
import { badInput } from './bad-input.ts';
import { type Cluster, fullName, release, selector } from './cluster.ts';
import type { Load, Seen } from './load.ts';
import { languages, type Outside } from './outside.ts';
import { useResources } from './resources.ts';
import { meetStrangers } from './stranger.ts';
import type { Target } from './target.ts';

/** So long a cable is cut at the most. */
const cutMsMax = 75_000;

export interface World {
  readonly cluster: Cluster;
  readonly target: Target;
  readonly load: Load;
  readonly outside: Outside;
  /** Broker sets and members of each. */
  readonly size: { sets: number; readonly members: number };
  /** `helm upgrade` with these values besides those of the installation. */
  readonly upgrade: (...values: string[]) => void;
  /** The words of it, for what is refused. */
  readonly upgradeArgs: readonly string[];
  /** An installation began as another version. */
  readonly hasPrevious: boolean;
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** Nodes that it needs, and a cluster whose nodes can be switched off. */
  readonly nodes?: number;
  /** It begins with an installation of another version. */
  readonly needsPrevious?: boolean;
  /** True: no send may fail for good. What is away for a while may make sends fail only where nothing says otherwise. */
  readonly mustNotFail: boolean;
  /** @returns what is worth telling, besides what the clients saw */
  run(world: World): Promise<string | void>;
}

const source = join(import.meta.dirname, '../..');
const places = ['sts', '-l', selector('broker')] as const;
const manyMessages = 2_600;
/** Of each of two sets more than it may hold and be scaled in, in the scenario that says so. */
const heldMax = 1_000;
/** When delayed messages are due: after the sets that had them have left. */
const manyDueMs = 240_000;
const fewMessages = 200;
/** So long a consumer keeps messages: longer than the pods of a set that is scaled in may wait for them. */
const holdMs = 420_000;

export const scenarios: readonly Scenario[] = [
  {
    name: 'version-up',
    about: '`helm upgrade` from the previous chart and image to these',
    needsPrevious: true,
    mustNotFail: true,
    run: async ({ cluster, size, upgrade }) => {
      upgrade();
      await allRolledOut(cluster);
      await cluster.whole(size.sets, size.members);
    },
  },
  {
    name: 'version-down',
    about: '`helm rollback` to the previous chart and image',
    needsPrevious: true,
    mustNotFail: true,
    run: rollBack,
  },
  {
    name: 'version-again',
    about: '`helm upgrade` to these once more',
    needsPrevious: true,
    mustNotFail: true,
    run: async ({ cluster, size, upgrade }) => {
      upgrade();
      await allRolledOut(cluster);
      await cluster.whole(size.sets, size.members);
    },
  },
  {
    name: 'leader-deleted',
    about: 'the pod of the leader is deleted',
    mustNotFail: true,
    run: async ({ cluster, size }) => {
      cluster.kubectl('delete', 'pod', cluster.leader('broker-0'));
      await cluster.whole(size.sets, size.members);
    },
  },
  {
    name: 'leader-killed',
    about: 'the pod of the leader is killed, without a moment to hand over',
    mustNotFail: true,
    run: async ({ cluster, size }) => {
      cluster.kubectl('delete', 'pod', cluster.leader('broker-0'), '--force', '--grace-period=0');
      await cluster.whole(size.sets, size.members);
    },
  },
  {
    name: 'proxy-killed',
    about: 'the pod of a proxy is killed',
    mustNotFail: true,
    run: async ({ cluster }) => {
      const [proxy] = cluster.pods('proxy');
      cluster.kubectl('delete', 'pod', proxy?.name ?? '', '--force', '--grace-period=0');
      await rolledOut(cluster, 'deployment', `${fullName}-proxy`);
    },
  },
  {
    name: 'proxies-scaled',
    about: 'proxies are scaled to 3 by kubectl, and then `helm upgrade` keeps them',
    mustNotFail: true,
    run: async ({ cluster, upgrade }) => {
      cluster.kubectl('scale', 'deployment', `${fullName}-proxy`, '--replicas=3');
      upgrade();
      const replicas = cluster.kubectl('get', 'deployment', `${fullName}-proxy`, '-o', 'jsonpath={.spec.replicas}');
      if (replicas !== '3') throw new Error(`there are ${replicas} proxies after the upgrade, and 3 were asked for`);
    },
  },
  {
    name: 'upgrade',
    about: '`helm upgrade` rolls every program',
    mustNotFail: true,
    run: async ({ cluster, size, upgrade }) => {
      const parts = ['namesrv', 'broker', 'proxy', 'dashboardApi'];
      upgrade(...parts.map((part) => `${part}.podAnnotations.turn=t${Date.now()}`));
      await allRolledOut(cluster);
      await cluster.whole(size.sets, size.members);
    },
  },
  {
    name: 'rollback',
    about: '`helm rollback` to the release before',
    mustNotFail: true,
    run: rollBack,
  },
  {
    name: 'drain',
    about: 'each node is drained in turn',
    nodes: 3,
    mustNotFail: true,
    run: async ({ cluster, size }) => {
      // The clients of this test stay.
      const ours = ['--pod-selector', `app.kubernetes.io/instance=${release}`];
      for (const node of cluster.nodes()) {
        cluster.kubectl('drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=600s', ...ours);
        cluster.kubectl('uncordon', node);
        await cluster.whole(size.sets, size.members);
      }
    },
  },
  {
    name: 'node-off',
    about: 'the node of the leader is powered off, and on again',
    nodes: 3,
    mustNotFail: false,
    run: async ({ cluster, target, size, load }) => {
      const { node } = await cluster.leadElsewhere('broker-0');
      target.node?.('kill', node);
      await load.more(100);
      target.node?.('start', node);
      await cluster.whole(size.sets, size.members);
    },
  },
  {
    name: 'dns-away',
    about: 'the cluster’s DNS is away, and the pod of the leader is killed',
    nodes: 3,
    mustNotFail: true,
    run: async ({ cluster, target, size, load }) => {
      const leader = cluster.leader('broker-0'); // Asked by name, from here on nobody can be.
      target.dns?.('away');
      try {
        cluster.kubectl('delete', 'pod', leader, '--force', '--grace-period=0');
        await load.more(100);
      } finally {
        target.dns?.('back');
      }
      await cluster.whole(size.sets, size.members);
    },
  },
  {
    name: 'cable',
    about: 'the network cable of the leader’s node is pulled, and put back',
    nodes: 3,
    mustNotFail: false,
    run: async ({ cluster, target, size, load }) => {
      const { node } = await cluster.leadElsewhere('broker-0');
      target.node?.('cut', node);
      // A client whose own connection leads there has to notice, which the one for Node.js does not: it pings nobody.
      const goesOn = load.more(100);
      const isBack = await Promise.race([goesOn.then(() => true), sleep(cutMsMax).then(() => false)]);
      target.node?.('join', node);
      await goesOn;
      await cluster.whole(size.sets, size.members);
      const takeOver = /last take-over .*/.exec(cluster.comet('cluster', 'health'))?.[0] ?? 'nobody took over';
      return `${takeOver}${isBack ? '' : `; a client waited for the node of its proxy to come back, after ${cutMsMax / 1_000} s`}`;
    },
  },
  {
    name: 'scale-out',
    about: 'broker sets are added by `kubectl scale`: 2, and then 4',
    mustNotFail: true,
    run: async (world) => {
      const took: string[] = [];
      for (const sets of [2, 4]) took.push(await addSets(world, sets));
      return took.join(', ');
    },
  },
  {
    name: 'scale-in',
    about:
      'of 4 broker sets 2 are taken away by `kubectl scale`, and hand over what a group that is away has not consumed, and delayed messages',
    mustNotFail: true,
    run: async (world) => {
      const { outside } = world;
      const errand = outside.prepare(`away-${Date.now()}`, ['normal']);
      await outside.nodejs({ ...errand, fill: fewMessages });
      await outside.nodejs({ ...errand, take: fewMessages });
      await outside.nodejs({ ...errand, fill: manyMessages });
      const late = outside.prepare(`late-${Date.now()}`, ['delayed']);
      await outside.nodejs({ ...late, fill: manyMessages, fillDueMs: manyDueMs });
      const dueMs = Date.now() + manyDueMs;
      const took = await takeSets(world, 2);
      await outside.nodejs({ ...errand, take: manyMessages });
      await world.cluster.until('the delayed messages are due', () => Date.now() > dueMs, manyDueMs / 1_000);
      await outside.nodejs({ ...late, take: manyMessages, takeKind: 'delayed' });
      return `${took}; the group that was away found all of its ${manyMessages} messages, and ${manyMessages} delayed ones came when they were due`;
    },
  },
  {
    name: 'scale-refused',
    about: 'Kubernetes refuses to scale in a set that holds more than `broker.scaling.heldMax`',
    mustNotFail: true,
    run: async (world) => {
      const { cluster, outside, size, upgrade } = world;
      if (size.sets < 2) await addSets(world, 2);
      upgrade(`broker.scaling.heldMax=${heldMax}`);
      await allRolledOut(cluster);
      const errand = outside.prepare(`many-${Date.now()}`, ['delayed']);
      await outside.nodejs({ ...errand, fill: manyMessages, fillDueMs: manyDueMs });
      const dueMs = Date.now() + manyDueMs;
      await cluster.until('the floor is 2', () => notes(cluster)['floor'] === '2', 120);
      const { status, stderr } = cluster.tryKubectl('scale', ...places, '--replicas=1');
      if (status === 0 || !stderr.includes('2 broker sets must stay for now: broker-1 holds')) {
        throw new Error(`kubectl scale ended with ${String(status)}: ${stderr}`);
      }
      await cluster.until('the delayed messages are due', () => Date.now() > dueMs, manyDueMs / 1_000);
      await outside.nodejs({ ...errand, take: manyMessages, takeKind: 'delayed' });
      await cluster.until('the floor is 1', () => notes(cluster)['floor'] === '1', 120);
      upgrade();
      await allRolledOut(cluster);
      return `"${/ValidatingAdmissionPolicy.*/.exec(stderr)?.[0] ?? ''}"`;
    },
  },
  {
    name: 'grace',
    about: 'a consumer works on messages of a set that is scaled in until its time is over, and it comes back',
    mustNotFail: false,
    run: async (world) => {
      const { cluster, outside, size } = world;
      if (size.sets < 2) await addSets(world, 2);
      const errand = outside.prepare(`few-${Date.now()}`, ['normal']);
      await outside.nodejs({ ...errand, fill: fewMessages });
      const { over } = await outside.hold({ ...errand, hold: fewMessages, holdMs });
      const gone = podsOf(cluster, size.sets - 1);
      cluster.kubectl('scale', ...places, `--replicas=${size.sets - 1}`);
      await cluster.until('the pods stop although the set is needed', () => haveStopped(cluster, gone), 600);
      const said = (): string =>
        cluster.kubectl('get', 'events', '--field-selector=reason=BrokerSetStoppedWithMessages');
      await cluster.until('an event says what is left', () => said().includes('It holds'), 120);
      const health = cluster.tryKubectl(...cometHealth).stdout;
      const event = /broker-\d+ was scaled in.*/.exec(said())?.[0] ?? '';
      cluster.kubectl('scale', ...places, `--replicas=${size.sets}`);
      await cluster.whole(size.sets, size.members);
      await over;
      await outside.nodejs({ ...errand, take: fewMessages });
      return `"${event}" \`comet cluster health\`: "${health.trim().split('\n').slice(-6).join(' / ')}"`;
    },
  },
  {
    name: 'bad-input',
    about: 'wrong values, one place scaled alone, and the volumes of two sets taken for each other',
    mustNotFail: true,
    run: async (world) => {
      const { cluster, size, upgradeArgs } = world;
      if (size.sets < 2) await addSets(world, 2);
      const said = await badInput(cluster, upgradeArgs, size.sets);
      await cluster.whole(size.sets, size.members);
      return said;
    },
  },
  {
    name: 'controller',
    about: 'topics, groups and users as resources of Kubernetes',
    mustNotFail: true,
    run: ({ cluster, outside, upgrade }) => useResources(cluster, outside, source, upgrade),
  },
  {
    name: 'backup',
    about: 'a backup goes into a bucket by the CronJob, and a new release begins with it',
    mustNotFail: true,
    run: async ({ cluster, outside, size, upgrade, upgradeArgs }) => {
      const said = await useBackups(cluster, outside, source, size, upgrade, upgradeArgs);
      await allRolledOut(cluster);
      await cluster.whole(size.sets, size.members);
      return said;
    },
  },
  {
    name: 'stranger',
    about:
      'somebody without credentials tries every port of every pod and service, in the namespace and in another one',
    mustNotFail: true,
    run: ({ cluster }) => meetStrangers(cluster, source),
  },
  {
    name: 'outside',
    about: 'clients from outside, through a NodePort: all of theirs comes, in order',
    mustNotFail: true,
    run: async ({ cluster, outside }) => {
      const said = [`Node.js ${await outside.send(`outside-${Date.now()}`)}`];
      for (const language of cluster.target.languagesImage === undefined ? [] : languages) {
        const name = `outside-${language.toLowerCase()}-${Date.now()}`;
        said.push(`${language} ${await outside.inLanguage(language, name)}`);
      }
      return said.join(', ');
    },
  },
];

/** What a scenario shows that it must not. */
export function broken({ mustNotFail }: Scenario, seen: readonly Seen[]): string | undefined {
  const failed = seen.filter((each) => each.failed > 0);
  if (!mustNotFail || failed.length === 0) return undefined;
  return failed
    .map(({ language, failed: count, why }) => `${count} sends of ${language} failed (${why ?? ''})`)
    .join(', ');
}

const cometHealth = [
  'exec',
  `deployment/${fullName}-dashboard-api`,
  '--',
  '/app/cometmq',
  'comet',
  'cluster',
  'health',
];

async function rollBack({ cluster, size }: World): Promise<void> {
  cluster.helm('rollback', release, '--wait', '--timeout', '10m');
  await allRolledOut(cluster);
  await cluster.whole(size.sets, size.members);
}

/** @returns how long the new sets took: until Kubernetes ran two of their pods, and until a message was stored there */
async function addSets({ cluster, size, load }: World, sets: number): Promise<string> {
  const added = Array.from({ length: sets - size.sets }, (_, i) => size.sets + i);
  const beganMs = Date.now();
  size.sets = sets;
  cluster.kubectl('scale', ...places, `--replicas=${sets}`);
  const stored = await load.firstStored(
    added.map((set) => `broker-${set}`),
    beganMs,
  );
  await cluster.whole(size.sets, size.members);
  const seconds = (atMs: number): string => ((atMs - beganMs) / 1_000).toFixed(1);
  return added
    .map((set) => {
      const second = startsOf(cluster, set)[1] ?? 0;
      return `broker-${set}: two pods run after ${seconds(second)} s, sent to after ${seconds(stored.get(`broker-${set}`) ?? 0)} s`;
    })
    .join(', ');
}

/** When the pods of a set were started, the first one first. */
function startsOf(cluster: Cluster, set: number): number[] {
  const path = '{.status.containerStatuses[0].state.running.startedAt}';
  return podsOf(cluster, set)
    .map((pod) => Date.parse(cluster.kubectl('get', 'pod', pod, '-o', `jsonpath=${path}`)))
    .sort((a, b) => a - b);
}

/** @returns how long it took */
async function takeSets({ cluster, size }: World, sets: number): Promise<string> {
  const seconds = clock();
  const gone: string[] = [];
  for (let set = sets; set < size.sets; set += 1) gone.push(...podsOf(cluster, set));
  size.sets = sets;
  cluster.kubectl('scale', ...places, `--replicas=${sets}`);
  await cluster.until(
    () => `the sets have left and their pods have stopped: ${JSON.stringify(notes(cluster))}`,
    () => haveStopped(cluster, gone),
    300,
  );
  await cluster.whole(size.sets, size.members);
  return `after ${seconds()} s`;
}

function clock(): () => string {
  const beganMs = performance.now();
  return () => ((performance.now() - beganMs) / 1_000).toFixed(1);
}

function podsOf(cluster: Cluster, set: number): string[] {
  return cluster
    .pods('broker')
    .map(({ name }) => name)
    .filter((name) => name.endsWith(`-${set}`));
}

function haveStopped(cluster: Cluster, pods: readonly string[]): boolean {
  return !cluster.pods('broker').some(({ name }) => pods.includes(name));
}

/** What the REST API has written about scaling. */
function notes(cluster: Cluster): Readonly<Record<string, string>> {
  const said = cluster.kubectl('get', 'configmap', `${fullName}-scaling`, '-o', 'jsonpath={.data}');
  return said === '' ? {} : (JSON.parse(said) as Record<string, string>);
}

async function allRolledOut(cluster: Cluster): Promise<void> {
  for (const part of ['namesrv', 'proxy', 'dashboard-api'])
    await rolledOut(cluster, 'deployment', `${fullName}-${part}`);
  const names = cluster
    .kubectl('get', ...places, '-o', 'name')
    .trim()
    .split('\n');
  for (const name of names) await rolledOut(cluster, 'statefulset', name.split('/')[1] as string);
}

/** Without blocking this process: the clients' lines are read meanwhile. */
function rolledOut(cluster: Cluster, kind: string, name: string): Promise<void> {
  return cluster.until(
    `${name} is rolled out`,
    // Of a Deployment "successfully rolled out", of a StatefulSet "rolling update complete".
    () => /successfully|complete/.test(cluster.tryKubectl('rollout', 'status', kind, name, '--watch=false').stdout),
    600,
  );
}
