import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { makeCluster, type Cluster, type ClusterOptions } from '../../tools/cluster/cluster.ts';

export type { Cluster } from '../../tools/cluster/cluster.ts';

/**
 * A cluster on free ports, in a folder of its own that goes with it unless it is given. Topics and groups are made on first
 * use.
 *
 * @param beforeStart told of the cluster before its processes run
 */
export async function freshCluster(
  options: Partial<ClusterOptions> = {},
  beforeStart: (cluster: Cluster) => void = () => undefined,
): Promise<Cluster & { readonly home: string; end(): Promise<void> }> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'cometmq-cluster-'));
  const namesrv = ['--auto-create-topics=true', '--auto-create-groups=true', ...(options.flags?.namesrv ?? [])];
  let cluster: Cluster | undefined;
  const end = async (): Promise<void> => {
    await cluster?.stop();
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  };
  try {
    cluster = await makeCluster({ ports: 'free', ...options, folder, flags: { ...options.flags, namesrv } });
    beforeStart(cluster);
    await cluster.start();
  } catch (caught) {
    await end();
    throw caught;
  }
  return Object.assign(cluster, { home: folder, end });
}
