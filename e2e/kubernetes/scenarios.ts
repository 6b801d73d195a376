/** What is done to an installation while clients are at work, and what they may see of it. */
import { type Cluster, fullName, selector } from './cluster.ts';
import type { Load, Seen } from './load.ts';
import type { Target } from './target.ts';

export interface World {
  readonly cluster: Cluster;
  readonly target: Target;
  readonly load: Load;
  /** Broker sets and members of each. */
  readonly size: { sets: number; readonly members: number };
  /** `helm upgrade` with these values besides those of the installation. */
  readonly upgrade: (...values: string[]) => void;
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** Nodes that it needs, and a cluster whose nodes can be switched off. */
  readonly nodes?: number;
  /** True: no send may fail for good. What is away for a while may make sends fail only where nothing says otherwise. */
  readonly mustNotFail: boolean;
  run(world: World): Promise<void>;
}

const places = ['sts', '-l', selector('broker')] as const;

export const scenarios: readonly Scenario[] = [
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
    run: async ({ cluster, size }) => {
      cluster.helm('rollback', 'e2e', '--wait', '--timeout', '10m');
      await allRolledOut(cluster);
      await cluster.whole(size.sets, size.members);
    },
  },
  {
    name: 'drain',
    about: 'each node but the clients’ own is drained in turn',
    nodes: 3,
    mustNotFail: true,
    run: async ({ cluster, size }) => {
      for (const node of cluster.nodes().slice(1)) {
        cluster.kubectl('drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=300s');
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
    name: 'cable',
    about: 'the network cable of the leader’s node is pulled, and put back',
    nodes: 3,
    mustNotFail: false,
    run: async ({ cluster, target, size, load }) => {
      const { node } = await cluster.leadElsewhere('broker-0');
      target.node?.('cut', node);
      await load.more(100);
      target.node?.('join', node);
      await cluster.whole(size.sets, size.members);
    },
  },
  {
    name: 'scale-out',
    about: 'a broker set is added by `kubectl scale`',
    mustNotFail: true,
    run: async ({ cluster, size, load }) => {
      size.sets += 1;
      cluster.kubectl('scale', ...places, `--replicas=${size.sets}`);
      await cluster.whole(size.sets, size.members);
      await load.usesSet(`broker-${size.sets - 1}`);
    },
  },
  {
    name: 'scale-in',
    about: 'a broker set is taken away by `kubectl scale`, once what it holds is consumed',
    mustNotFail: true,
    run: async ({ cluster, size }) => {
      const gone = cluster.pods('broker').filter(({ name }) => name.endsWith(`-${size.sets - 1}`));
      size.sets -= 1;
      cluster.kubectl('scale', ...places, `--replicas=${size.sets}`);
      const left = (): string => cluster.kubectl('get', 'configmap', `${fullName}-scaling`, '-o', 'jsonpath={.data}');
      await cluster.until(
        () => `the set has left and its pods have stopped: ${left()}`,
        () => !cluster.pods('broker').some(({ name }) => gone.some((each) => each.name === name)),
        300,
      );
      await cluster.whole(size.sets, size.members);
    },
  },
];

/** What a scenario shows that it must not. */
export function broken({ mustNotFail }: Scenario, { failed }: Seen): string | undefined {
  return mustNotFail && failed > 0 ? `${failed} sends failed` : undefined;
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
