/** What an operator may get wrong: refused with the reason, or said in the pod's status, and the rest goes on. */
import { type Cluster, fullName } from './cluster.ts';

interface PodStatus {
  readonly containerStatuses?: readonly {
    readonly ready: boolean;
    readonly restartCount: number;
    readonly lastState: { readonly terminated?: { readonly exitCode: number; readonly message?: string } };
  }[];
}

interface Claim {
  readonly metadata: { readonly name: string; readonly labels: object };
  readonly spec: {
    readonly accessModes: readonly string[];
    readonly resources: object;
    readonly storageClassName: string;
  };
}

const master = `${fullName}-broker-master`;

/** @returns what was said to each */
export async function badInput(cluster: Cluster, upgrade: readonly string[], sets: number): Promise<string> {
  const said = [refused(cluster, upgrade, 'broker.replicsa=3', 'replicsa')];
  said.push(refused(cluster, upgrade, 'broker.sets=many', 'sets'));
  said.push(await onePlaceAlone(cluster, upgrade, sets));
  if (sets > 1) said.push(await volumeOfAnother(cluster));
  return said.join('; ');
}

function refused(cluster: Cluster, upgrade: readonly string[], value: string, about: string): string {
  const { status, stderr } = cluster.tryHelm(...upgrade, '--set', value);
  const line = stderr.split('\n').find((each) => each.includes(about));
  if (status === 0 || line === undefined) throw new Error(`--set ${value} ended with ${String(status)}: ${stderr}`);
  return `\`--set ${value}\`: "${line.trim()}"`;
}

/** Of one place more pods than of the others: the new pod waits, and an upgrade says what is wrong. */
async function onePlaceAlone(cluster: Cluster, upgrade: readonly string[], sets: number): Promise<string> {
  cluster.kubectl('scale', 'statefulset', master, `--replicas=${sets + 1}`);
  const pod = `${master}-${sets}`;
  await cluster.until(`${pod} runs`, () => status(cluster, pod).containerStatuses !== undefined, 120);
  const answer = refused(cluster, upgrade, 'broker.podAnnotations.turn=x', 'must all have the same');
  const [container] = status(cluster, pod).containerStatuses ?? [];
  if (container !== undefined && container.restartCount > 0) throw new Error(`${pod} has restarted`);
  cluster.kubectl('scale', 'statefulset', master, `--replicas=${sets}`);
  await cluster.until(`${pod} is gone`, () => cluster.tryKubectl('get', 'pod', pod).status !== 0, 600);
  return answer;
}

/** The volumes of two sets are taken for each other: both members say so and serve nothing, and nothing of them is written to. */
async function volumeOfAnother(cluster: Cluster): Promise<string> {
  const pods = [0, 1].map((set) => `${master}-${set}`);
  const replicas = cluster.kubectl('get', 'statefulset', master, '-o', 'jsonpath={.spec.replicas}');
  const volumes = pods.map((pod) => cluster.kubectl('get', 'pvc', `data-${pod}`, '-o', 'jsonpath={.spec.volumeName}'));
  for (const volume of volumes) {
    cluster.kubectl('patch', 'pv', volume, '--patch', '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}');
  }
  const bind = async (to: readonly string[]): Promise<void> => {
    // All of a place stops, which takes no set out.
    cluster.kubectl('scale', 'statefulset', master, '--replicas=0');
    await cluster.until(
      'the pods are gone',
      () => pods.every((pod) => cluster.tryKubectl('get', 'pod', pod).status !== 0),
      600,
    );
    const claims = pods.map((pod) => JSON.parse(cluster.kubectl('get', 'pvc', `data-${pod}`, '-o', 'json')) as Claim);
    // All go first: a volume that is free is taken again at once by a claim that names it.
    for (const pod of pods) cluster.kubectl('delete', 'pvc', `data-${pod}`);
    const free = '[{"op":"remove","path":"/spec/claimRef"}]';
    for (const volume of volumes) {
      await cluster.until('the volume is free', () => {
        cluster.tryKubectl('patch', 'pv', volume, '--type=json', '--patch', free);
        return cluster.kubectl('get', 'pv', volume, '-o', 'jsonpath={.spec.claimRef}') === '';
      });
    }
    for (const [i, { metadata, spec }] of claims.entries()) {
      const { accessModes, resources, storageClassName } = spec;
      cluster.put({
        ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
        metadata: { name: metadata.name, labels: metadata.labels },
        spec: { accessModes, resources, storageClassName, volumeName: to[i] },
      });
    }
    cluster.kubectl('scale', 'statefulset', master, `--replicas=${replicas}`);
  };
  await bind([...volumes].reverse());
  let message = '';
  await cluster.until('the pod says whose volume it has', () => {
    const [container] = status(cluster, `${master}-0`).containerStatuses ?? [];
    message = container?.lastState.terminated?.message ?? '';
    return message !== '';
  });
  await bind(volumes);
  return `the volume of another set: "${message.trim().split('\n')[0] ?? ''}"`;
}

function status(cluster: Cluster, pod: string): PodStatus {
  const { stdout } = cluster.tryKubectl('get', 'pod', pod, '-o', 'json');
  return stdout === '' ? {} : (JSON.parse(stdout) as { status: PodStatus }).status;
}
