/** What the pods of the installation take, as the kubelets say. */
import { type Cluster, release } from './cluster.ts';

interface Summary {
  readonly pods: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string };
    readonly memory?: { readonly workingSetBytes?: number };
  }[];
}

const MiB = 1_024 * 1_024;
/** What the figure is asked of: one set of two members, and two of what there is two of by default. */
const small = { broker: 2, namesrv: 2, proxy: 2, 'dashboard-api': 1 } as const;

/** By component, and of an installation of the preset "small" without etcd. */
export function memoryOf(cluster: Cluster): string {
  const bytes = new Map<string, number[]>();
  for (const node of cluster.nodes()) {
    const said = cluster.kubectl('get', '--raw', `/api/v1/nodes/${node}/proxy/stats/summary`);
    for (const { podRef, memory } of (JSON.parse(said) as Summary).pods) {
      const component = /^(broker|namesrv|proxy|dashboard-api|etcd)-/.exec(
        podRef.name.replace(`${release}-cometmq-`, ''),
      )?.[1];
      if (!podRef.name.startsWith(`${release}-cometmq-`) || component === undefined) continue;
      bytes.set(component, [...(bytes.get(component) ?? []), memory?.workingSetBytes ?? 0]);
    }
  }
  const mean = (component: string): number => {
    const all = bytes.get(component) ?? [];
    return all.length === 0 ? NaN : all.reduce((sum, each) => sum + each, 0) / all.length / MiB;
  };
  const parts = [...bytes.keys()].sort().map((component) => `${component} ${mean(component).toFixed(0)} MiB each`);
  const whole = Object.entries(small).reduce((sum, [component, count]) => sum + count * mean(component), 0);
  return `${parts.join(', ')}; 1 set of 2, 2 name servers, 2 proxies and 1 REST API: ${whole.toFixed(0)} MiB`;
}
