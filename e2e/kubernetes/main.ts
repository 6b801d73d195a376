/**
 * `npm run e2e:kubernetes`: the chart on a real cluster. Installs it in a namespace that enforces the restricted pod
 * security standard, runs `helm test`, lets the official Node.js client send and consume from a pod, kills the broker's
 * pod and a proxy's under it, checks that nothing acknowledged is missing, upgrades, and takes it all away again.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packClient, unpackAndRun } from './parcel.ts';
import { attempt, follow, must, type Ran } from './run.ts';
import { chooseTarget, type Target, type Tool } from './target.ts';

const help = `npm run e2e:kubernetes -- [options]

Installs charts/cometmq on a real Kubernetes cluster and tries it: KUBECONFIG names the cluster and COMETMQ_IMAGE the
image there, or COMETMQ_KUBE (or "kube" on the PATH) is a program that starts a cluster on this machine.

  --keep      leave the release, and the cluster if it was started here, for a look
  --help      this text`;

const source = join(import.meta.dirname, '../..');
const namespace = 'cometmq-e2e';
const release = 'e2e';
const name = `${release}-cometmq`;
const messages = 1_500;
const startMs = performance.now();

function say(line: string): void {
  console.log(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(4)} s  ${line}`);
}

class Cluster {
  private readonly target: Target;

  constructor(target: Target) {
    this.target = target;
  }

  kubectl(...args: string[]): string {
    return must(...this.command(this.target.kubectl, args));
  }

  tryKubectl(...args: string[]): Ran {
    return attempt(...this.command(this.target.kubectl, args));
  }

  /** @param how `create` for what is too large for the note of itself that `apply` leaves */
  put(object: object, how: 'apply' | 'create' = 'apply'): void {
    const [file, args] = this.command(this.target.kubectl, [how, '-f', '-']);
    must(file, args, JSON.stringify(object));
  }

  helm(...args: string[]): string {
    return must(...this.command(this.target.helm, args));
  }

  async logs(pod: string, hear: (line: string) => void): Promise<void> {
    const [file, args] = this.command(this.target.kubectl, ['logs', '--follow', pod]);
    await follow(file, args, process.env, hear);
  }

  private command({ file, before }: Tool, args: readonly string[]): [string, string[]] {
    return [file, [...before, ...args, '--namespace', namespace]];
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help === true) {
    console.log(help);
    return 0;
  }
  const target = chooseTarget(source);
  const cluster = new Cluster(target);
  const ownValues = target.up(say);
  let failed: unknown;
  try {
    await tryOut(cluster, ownValues);
  } catch (caught) {
    failed = caught;
    say(`failed: ${caught instanceof Error ? caught.message : String(caught)}`);
    show(cluster);
  }
  if (values.keep === true) say(`left as it is: namespace ${namespace}`);
  else {
    takeAway(cluster);
    target.down();
  }
  say(failed === undefined ? 'all of it works' : 'failed: see above');
  return failed === undefined ? 0 : 1;
}

async function tryOut(cluster: Cluster, ownValues: readonly string[]): Promise<void> {
  cluster.put({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  });
  const values = ['etcd.replicas=1', 'etcd.persistence.size=1Gi', 'broker.persistence.size=2Gi', ...ownValues];
  // Small, so that it fits beside other work.
  for (const part of ['etcd', 'namesrv', 'broker', 'proxy', 'dashboardApi']) {
    values.push(`${part}.resources.requests.cpu=20m`, `${part}.resources.requests.memory=96Mi`);
  }
  const install = (...more: string[]): void => {
    const set = [...values, ...more].flatMap((each) => ['--set', each]);
    cluster.helm('upgrade', '--install', release, join(source, 'charts/cometmq'), ...set, '--wait', '--timeout', '5m');
  };
  say('installing the chart …');
  install();
  say('helm test …');
  cluster.helm('test', release, '--timeout', '3m');

  say('a client in a pod …');
  await startClient(cluster, ownValues);
  let sent = 0;
  let verdict = '';
  const wake = new Set<() => void>();
  const end = cluster.logs('client', (line) => {
    if (line.startsWith('sent ')) sent = Number(line.slice(5));
    else verdict = line;
    for (const each of wake) each();
  });
  let ended = false;
  void end.then(() => {
    ended = true;
    for (const each of wake) each();
  });
  const reached = async (count: number): Promise<void> => {
    while (sent < count && !ended) await new Promise<void>((resolve) => wake.add(resolve));
    if (sent < count) throw new Error(`the client ended early: ${verdict}`);
  };
  await reached(messages * 0.2);
  say(`${sent} sends acknowledged: killing the broker's pod`);
  cluster.kubectl('delete', 'pod', `${name}-broker-0-0`, '--force', '--grace-period=0');
  await reached(messages * 0.5);
  say(`${sent} sends acknowledged: killing a proxy's pod`);
  const [proxy = ''] = podsOf(cluster, 'proxy');
  cluster.kubectl('delete', proxy, '--force', '--grace-period=0');
  await reached(messages * 0.7);
  say(`${sent} sends acknowledged: upgrading all programs`);
  install(
    'namesrv.podAnnotations.turn=second',
    'broker.podAnnotations.turn=second',
    'proxy.podAnnotations.turn=second',
  );
  await end;
  say(`the client: ${verdict}`);
  if (!verdict.startsWith('balanced ')) throw new Error('the ledger is not balanced');
  cluster.kubectl('delete', 'pod', 'client');
  say('helm test, again …');
  cluster.helm('test', release, '--timeout', '3m');
}

/** A pod with our image, and the official client from a config map. */
async function startClient(cluster: Cluster, ownValues: readonly string[]): Promise<void> {
  const parcel = (await packClient(source)).toString('base64');
  cluster.kubectl('delete', 'configmap', 'client', '--ignore-not-found');
  cluster.put(
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'client' }, binaryData: { client: parcel } },
    'create',
  );
  const value = (key: string): string =>
    ownValues.find((each) => each.startsWith(`${key}=`))?.slice(key.length + 1) ?? '';
  const locked = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } };
  cluster.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'client' },
    spec: {
      restartPolicy: 'Never',
      securityContext: { runAsNonRoot: true, runAsUser: 3000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'client',
          image: `${value('image.repository')}:${value('image.tag')}`,
          command: ['/usr/bin/node', '--eval', unpackAndRun],
          env: Object.entries({
            NODE_PATH: '/app/node_modules',
            ENDPOINT: `${name}-proxy.${namespace}.svc.cluster.local:8081`,
            REST: `http://${name}-dashboard-api.${namespace}.svc.cluster.local:8082`,
            MESSAGES: String(messages),
          }).map(([key, text]) => ({ name: key, value: text })),
          securityContext: locked,
          volumeMounts: [
            { name: 'client', mountPath: '/parcel' },
            { name: 'scratch', mountPath: '/tmp' },
          ],
        },
      ],
      volumes: [
        { name: 'client', configMap: { name: 'client' } },
        { name: 'scratch', emptyDir: {} },
      ],
    },
  });
  cluster.kubectl('wait', 'pod/client', '--for=condition=Ready', '--timeout=60s');
}

function podsOf(cluster: Cluster, component: string): string[] {
  const selector = `app.kubernetes.io/instance=${release},app.kubernetes.io/component=${component}`;
  return cluster.kubectl('get', 'pods', '-l', selector, '-o', 'name').trim().split('\n');
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
    cluster.helm('uninstall', release, '--ignore-not-found', '--wait', '--timeout', '3m');
    cluster.tryKubectl('wait', 'pods', '-l', `app.kubernetes.io/instance=${release}`, '--for=delete', '--timeout=120s');
    const left = cluster.kubectl(
      'get',
      'pods,services,deployments,statefulsets',
      '-o',
      'name',
      '-l',
      `app.kubernetes.io/instance=${release}`,
    );
    if (left.trim() !== '') say(`left behind by helm uninstall: ${left.trim().split('\n').join(', ')}`);
    // Volumes outlive a release on purpose.
    say(`volumes kept: ${cluster.kubectl('get', 'pvc', '-o', 'name').trim().split('\n').join(', ')}`);
  } finally {
    cluster.tryKubectl('delete', 'namespace', namespace, '--timeout=120s');
  }
}

process.exitCode = await main().catch((caught: unknown) => {
  console.error(`e2e:kubernetes: ${caught instanceof Error ? caught.message : String(caught)}`);
  return 1;
});
