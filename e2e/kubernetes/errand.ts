/** What clients of this test shall do, and as whom: made by an administrator, with `comet`. */
import type { Cluster } from './cluster.ts';

const kinds = ['normal', 'fifo', 'delayed'] as const;
export type Kind = (typeof kinds)[number];

export interface Errand {
  /** host:port of the proxies. */
  readonly endpoints: string;
  readonly user: { readonly accessKey: string; readonly accessSecret: string };
  readonly topics: Readonly<Record<Kind, string>>;
  readonly groups: Readonly<Record<Kind, string>>;
  /** Ends by itself after so many answered sends to message groups. */
  readonly sendsMax?: number;
  /** Between two sends of one sender. */
  readonly pauseMs?: number;
  /** Sends so many messages, and does nothing else: to the normal topic, or delayed ones that are due after so long. */
  readonly fill?: number;
  readonly fillDueMs?: number;
  /** Consumes until so many different messages of the normal topic, or delayed ones, have come, and does nothing else. */
  readonly take?: number;
  readonly takeKind?: 'normal' | 'delayed';
  /** Takes so many messages of the normal topic, keeps them for so long without an acknowledgement, and does nothing else. */
  readonly hold?: number;
  readonly holdMs?: number;
}

/** Topics, groups and a user that may send to and consume from these alone; of the kinds that are used. */
export function prepare(cluster: Cluster, name: string, endpoints: string, used: readonly Kind[] = kinds): Errand {
  const topics = { normal: `normal-${name}`, fifo: `fifo-${name}`, delayed: `delayed-${name}` };
  const groups = { normal: `auditors-${name}`, fifo: `orderly-${name}`, delayed: `patient-${name}` };
  const types = { normal: [], fifo: ['--type', 'fifo'], delayed: ['--type', 'delay'] } as const;
  const rights: string[] = [];
  for (const kind of used) {
    cluster.comet('topic', 'create', topics[kind], ...types[kind]);
    cluster.comet('group', 'create', groups[kind], ...(kind === 'fifo' ? ['--fifo'] : []));
    rights.push('--produce', topics[kind], '--consume', `${topics[kind]}:${groups[kind]}`);
  }
  const said = cluster.comet('user', 'create', name, ...rights, '-o', 'json');
  const { secret } = JSON.parse(said) as { secret: string };
  return { endpoints, user: { accessKey: name, accessSecret: secret }, topics, groups };
}
