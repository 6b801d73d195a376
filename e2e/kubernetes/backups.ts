/** Backups by the chart: a bucket in the cluster, the CronJob's Job, and a release in another namespace that begins with one. */
import { Cluster, fullName } from './cluster.ts';
import { nobodySpecial, restricted } from './load.ts';
import { Outside } from './outside.ts';

const restoredNamespace = 'cometmq-e2e-restored';
const bucket = { name: 'bucket', port: 9000 } as const;
const secret = 'bucket-key';
const messages = 200;
/** Before the backup. */
const taken = 80;

/** @returns what is worth telling */
export async function useBackups(
  cluster: Cluster,
  outside: Outside,
  source: string,
  size: { readonly sets: number; readonly members: number },
  upgrade: (...values: string[]) => void,
  upgradeArgs: readonly string[],
): Promise<string> {
  const { languagesImage } = cluster.target;
  if (languagesImage === undefined) return 'left out: there is no image with an S3 server (COMETMQ_LANGUAGES_IMAGE)';
  const restored = new Cluster(cluster.target, restoredNamespace);
  const to = [
    'backup.to=s3://backups/e2e',
    `backup.endpoint=http://${bucket.name}.${cluster.namespace}:${bucket.port}`,
    `backup.existingSecret=${secret}`,
    'backup.schedule=0 0 1 1 *',
  ];
  try {
    putBucket(cluster, languagesImage);
    putKey(cluster);
    upgrade(...to);
    await cluster.whole(size.sets, size.members);
    const errand = outside.prepare(`kept-${Date.now()}`, ['normal']);
    const group = errand.groups.normal;
    await outside.nodejs({ ...errand, fill: messages });
    await outside.nodejs({ ...errand, take: taken });
    const left = lagOf(cluster, group);
    if (left === 0 || left > messages - taken) throw new Error(`${group} has ${left} messages before it`);
    cluster.kubectl('create', 'job', '--from', `cronjob/${fullName}-backup`, 'backup-now');
    cluster.kubectl('wait', 'job/backup-now', '--for=condition=Complete', '--timeout=300s');
    const job = cluster.kubectl('logs', 'job/backup-now').trim().split('\n').at(-1) ?? '';

    restored.makeNamespace();
    putKey(restored);
    const beganMs = performance.now();
    const values = [...to, 'backup.restoreFrom=latest', `broker.sets=${size.sets}`].flatMap((each) => ['--set', each]);
    restored.helm(...upgradeArgs, ...values, '--wait', '--timeout', '10m');
    await restored.whole(size.sets, size.members);
    const seconds = ((performance.now() - beganMs) / 1_000).toFixed(0);
    const leftThere = lagOf(restored, group);
    if (leftThere !== left)
      throw new Error(`${group} has ${leftThere} messages before it after the restore, and had ${left}`);
    // Users are not in a backup.
    const rights = ['--consume', `${errand.topics.normal}:${group}`, '-o', 'json'];
    const made = restored.comet('user', 'create', errand.user.accessKey, ...rights);
    const user = { ...errand.user, accessSecret: (JSON.parse(made) as { secret: string }).secret };
    await new Outside(restored, source).nodejs({ ...errand, user, endpoints: restored.endpoints(), take: left });
    const after = lagOf(restored, group);
    if (after !== 0) throw new Error(`${group} has ${after} messages before it after all of them have come`);
    return `"${job}"; a new release serves it after ${seconds} s, and its consumer group goes on with the ${left} messages that it had left`;
  } finally {
    restored.tryHelm('uninstall', 'e2e', '--ignore-not-found', '--wait', '--timeout', '5m');
    restored.tryKubectl('delete', 'namespace', restoredNamespace, '--timeout=120s', '--ignore-not-found');
    cluster.tryKubectl('delete', 'job/backup-now', '--ignore-not-found');
    upgrade();
    const made = [`pod/${bucket.name}`, `service/${bucket.name}`, `secret/${secret}`];
    cluster.tryKubectl('delete', ...made, '--ignore-not-found');
  }
}

/** An S3 server with an empty bucket, in memory. */
function putBucket(cluster: Cluster, image: string): void {
  const { name, port } = bucket;
  const args = ['-host', `0.0.0.0:${port}`, '-backend', 'mem', '-initialbucket', 'backups'];
  const securityContext = restricted;
  cluster.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 1,
      securityContext: nobodySpecial,
      containers: [
        {
          ...{ name, image, command: ['/driver/s3', ...args], securityContext },
          ...{ ports: [{ containerPort: port }], readinessProbe: { tcpSocket: { port }, periodSeconds: 1 } },
        },
      ],
      nodeName: cluster.firstNode,
    },
  });
  cluster.put({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port, targetPort: port }] },
  });
  cluster.kubectl('wait', `pod/${name}`, '--for=condition=Ready', '--timeout=120s');
}

function putKey(cluster: Cluster): void {
  const stringData = { accessKeyId: 'test', secretKey: 'test' };
  cluster.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: secret }, stringData });
}

/** Messages that a group is not done with. */
function lagOf(cluster: Cluster, group: string): number {
  const groups = JSON.parse(cluster.comet('group', 'ls', '--contains', group, '-o', 'json')) as {
    name: string;
    progress?: { lag: number };
  }[];
  const found = groups.find(({ name }) => name === group)?.progress;
  if (found === undefined) throw new Error(`nobody says how far ${group} is`);
  return found.lag;
}
