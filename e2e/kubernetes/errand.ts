/** What clients of this test shall do, and as whom: made by an administrator, with `comet`. */
import type { Cluster } from './cluster.ts';

export interface Errand {
  /** host:port of the proxies. */
  readonly endpoints: string;
  readonly user: { readonly accessKey: string; readonly accessSecret: string };
  readonly topics: { readonly normal: string; readonly fifo: string };
  readonly groups: { readonly normal: string; readonly fifo: string };
  /** Ends by itself after so many answered sends to message groups. */
  readonly sendsMax?: number;
}

/** Topics, groups and a user that may send to and consume from these alone. */
export function prepare(cluster: Cluster, name: string, endpoints: string, sendsMax?: number): Errand {
  const topics = { normal: `normal-${name}`, fifo: `fifo-${name}` };
  const groups = { normal: `auditors-${name}`, fifo: `orderly-${name}` };
  cluster.comet('topic', 'create', topics.normal);
  cluster.comet('topic', 'create', topics.fifo, '--type', 'fifo');
  cluster.comet('group', 'create', groups.normal);
  cluster.comet('group', 'create', groups.fifo, '--fifo');
  const rights = Object.values(topics).flatMap((topic) => ['--produce', topic]);
  rights.push('--consume', `${topics.normal}:${groups.normal}`, '--consume', `${topics.fifo}:${groups.fifo}`);
  const said = cluster.comet('user', 'create', name, ...rights, '-o', 'json');
  const { secret } = JSON.parse(said) as { secret: string };
  const user = { accessKey: name, accessSecret: secret };
  return { endpoints, user, topics, groups, ...(sendsMax !== undefined && { sendsMax }) };
}
