import { fieldOf, type KubernetesApi } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

/**
 * Why a pod of a StatefulSet is told to stop.
 * `restart`: one with its name will be there again, here or on another node.
 * `scaledIn`: none will; its broker set shall leave the cluster.
 * `stopped`: the StatefulSet goes, or shall have no pods at all; nobody waits for anybody.
 */
export type StopReason = 'restart' | 'scaledIn' | 'stopped';

/**
 * Asks what the StatefulSet of a pod shall have. What can't be found out is taken for a restart, which is the reason that
 * takes nothing away.
 * @param pod `<StatefulSet>-<ordinal>`
 */
export async function stopReason(api: KubernetesApi, pod: string): Promise<StopReason> {
  const [, name = '', ordinal = ''] = /^(.+)-(\d+)$/.exec(pod) ?? [];
  if (name === '') return 'restart';
  try {
    const set = await api.get(`/apis/apps/v1/namespaces/${api.namespace}/statefulsets/${name}`);
    if (!set || fieldOf(set, 'metadata', 'deletionTimestamp') !== undefined) return 'stopped';
    const replicas = fieldOf(set, 'spec', 'replicas');
    if (typeof replicas !== 'number') return 'restart';
    if (replicas === 0) return 'stopped';
    // Kubernetes can count from another number than 0 on.
    const start = fieldOf(set, 'spec', 'ordinals', 'start');
    const first = typeof start === 'number' ? start : 0;
    return Number(ordinal) >= first + replicas ? 'scaledIn' : 'restart';
  } catch (caught) {
    // Its service account is gone: so is the release it belongs to.
    return MqError.from(caught).code === 'UNAUTHORIZED' ? 'stopped' : 'restart';
  }
}
