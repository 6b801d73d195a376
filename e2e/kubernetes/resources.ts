/** Topics, groups and users as resources of Kubernetes, as somebody with kubectl has them. */
import { join } from 'node:path';

import { type Cluster, fullName, selector } from './cluster.ts';
import type { Outside } from './outside.ts';

interface Resource {
  readonly metadata: { readonly generation: number; readonly finalizers?: readonly string[] };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly { readonly status: string; readonly reason: string; readonly message: string }[];
  };
}
interface Wrong {
  readonly what: string;
  readonly spec: object;
  readonly said: RegExp;
}

const definitions = 'cometmq-crds';
const kinds = ['comettopics', 'cometgroups', 'cometusers'] as const;
type Kind = (typeof kinds)[number];
const kindOf = { comettopics: 'CometTopic', cometgroups: 'CometGroup', cometusers: 'CometUser' } as const;

/** What Kubernetes itself refuses, by the schemas of the kinds. */
const wrong: readonly Wrong[] = [
  { what: 'too few queues', spec: { writeQueues: 0 }, said: /writeQueues.*greater than or equal to 1/s },
  { what: 'an unknown type', spec: { type: 'fast' }, said: /Unsupported value: "fast"/ },
  { what: 'a short retention', spec: { retentionMs: 5 }, said: /must be 0 or at least 60000 ms/ },
  { what: 'an unknown field', spec: { colour: 'red' }, said: /unknown field "spec\.colour"/ },
  { what: 'fewer read queues', spec: { writeQueues: 4, readQueues: 2 }, said: /readQueues must not be fewer/ },
];

const messages = 50;

/** @returns what is worth telling */
export async function useResources(
  cluster: Cluster,
  outside: Outside,
  source: string,
  upgrade: (...values: string[]) => void,
): Promise<string> {
  cluster.helm('upgrade', '--install', definitions, join(source, 'charts', definitions), '--wait');
  upgrade('controller.enabled=true');
  try {
    return await new Resources(cluster, outside).all();
  } finally {
    takeAway(cluster);
    upgrade();
  }
}

class Resources {
  private readonly cluster: Cluster;
  private readonly outside: Outside;

  constructor(cluster: Cluster, outside: Outside) {
    this.cluster = cluster;
    this.outside = outside;
  }

  async all(): Promise<string> {
    const took = await this.make();
    this.refused();
    await this.repaired();
    await this.handedOver();
    await this.used();
    const said = await this.deleted();
    return `a topic is ready ${took} s after kubectl apply; a deletion that waits says "${said}"`;
  }

  /** @returns seconds until the topic was ready */
  private async make(): Promise<string> {
    // The kinds are new, and a controller that did not find them looks for them now and then.
    this.apply('comettopics', 'first', {});
    await this.ready('comettopics', 'first');
    const beganMs = performance.now();
    this.apply('comettopics', 'orders', { writeQueues: 4, retentionMs: 3_600_000 });
    await this.ready('comettopics', 'orders');
    const seconds = ((performance.now() - beganMs) / 1_000).toFixed(1);
    this.expectInCluster('"writeQueues":4');
    this.apply('cometgroups', 'billing', {
      attemptsMax: 5,
      retryPolicy: { kind: 'customized', nextMs: [1_000, 5_000] },
    });
    this.apply('cometusers', 'shop', { produce: ['orders'], consume: [{ topics: 'orders', group: 'billing' }] });
    await this.ready('cometgroups', 'billing');
    await this.ready('cometusers', 'shop');
    return seconds;
  }

  private refused(): void {
    for (const { what, spec, said } of wrong)
      this.expectRefused(what, this.tryApply('comettopics', 'wrong', spec), said);
    this.expectRefused(
      'another type',
      this.tryApply('comettopics', 'orders', { type: 'fifo' }),
      /type can not be changed/,
    );
    const policy = { retryPolicy: { kind: 'exponential', nextMs: [1] } };
    this.expectRefused(
      'fields of two policies',
      this.tryApply('cometgroups', 'wrong', policy),
      /exponential needs initialMs/,
    );
  }

  private async repaired(): Promise<void> {
    this.cluster.comet('topic', 'alter', 'orders', '--write-queues', '2');
    await this.event('DriftRepaired');
    this.expectInCluster('"writeQueues":4');
    this.cluster.comet('topic', 'delete', 'orders', '--yes');
    await this.event('Restored');
    this.expectInCluster('"writeQueues":4');
  }

  /** The pod that looks after them is gone, and another one does. */
  private async handedOver(): Promise<void> {
    this.cluster.kubectl('delete', 'pod', '-l', selector('dashboard-api'), '--force', '--grace-period=0');
    this.apply('comettopics', 'orders', { writeQueues: 6, retentionMs: 3_600_000 });
    await this.ready('comettopics', 'orders');
    // It may have done that before Kubernetes sends calls to it.
    const available = ['get', 'deployment', `${fullName}-dashboard-api`, '-o', 'jsonpath={.status.availableReplicas}'];
    await this.cluster.until('the REST API is there again', () => this.cluster.kubectl(...available) === '1', 60);
    this.expectInCluster('"writeQueues":6');
  }

  /** An official client works with what stands in the user's Secret, and with nothing else. */
  private async used(): Promise<void> {
    const { user, ...errand } = this.outside.prepare('resources', ['normal']);
    const topics = { ...errand.topics, normal: 'orders' };
    const groups = { ...errand.groups, normal: 'billing' };
    const mine = { ...errand, topics, groups };
    await this.outside.nodejs({ ...mine, user: this.held(), fill: messages });
    await this.outside.nodejs({ ...mine, user: this.held(), take: messages });
    const before = this.held();
    this.cluster.kubectl('annotate', 'cometuser', 'shop', 'cometmq.io/rotate-secret=one');
    await this.cluster.until('the secret is another one', () => this.held().accessSecret !== before.accessSecret, 60);
    await this.ready('cometusers', 'shop');
    await this.cluster.until('it is told', () => this.events().includes('a new secret is in Secret shop'), 60);
    await this.outside.nodejs({ ...mine, user: this.held(), fill: messages });
    if (user.accessKey === before.accessKey) throw new Error('the user of the errand is the same');
  }

  /** @returns what the topic says while it waits */
  private async deleted(): Promise<string> {
    this.cluster.kubectl('delete', 'comettopic', 'orders', '--wait=false');
    const condition = (): string => this.get('comettopics', 'orders')?.status?.conditions?.[0]?.message ?? '';
    await this.cluster.until(
      () => `the topic waits: ${condition()}`,
      () => condition().includes(`${messages} messages are not consumed`),
      120,
    );
    const said = condition();
    this.cluster.kubectl('annotate', 'comettopic', 'orders', 'cometmq.io/delete-with-backlog=true');
    await this.cluster.until('the topic is gone', () => !this.get('comettopics', 'orders'), 60);
    if (this.topics().includes('"name":"orders"')) throw new Error('the topic is there still');
    this.cluster.kubectl('delete', 'cometuser', 'shop', '--timeout=60s');
    await this.cluster.until(
      'its Secret is gone',
      () => this.cluster.tryKubectl('get', 'secret', 'shop').status !== 0,
      60,
    );
    return said;
  }

  private apply(kind: Kind, name: string, spec: object): void {
    const { status, said } = this.tryApply(kind, name, spec);
    if (status !== 0) throw new Error(`kubectl apply of ${kind} ${name}: ${said}`);
  }

  private tryApply(kind: Kind, name: string, spec: object): { status: number | null; said: string } {
    const object = { apiVersion: 'cometmq.io/v1alpha1', kind: kindOf[kind], metadata: { name }, spec };
    const { status, stderr } = this.cluster.tryPut(object);
    return { status, said: stderr };
  }

  private expectRefused(what: string, { status, said }: { status: number | null; said: string }, wanted: RegExp): void {
    if (status === 0 || !wanted.test(said)) throw new Error(`${what}: kubectl apply ended with ${status}: ${said}`);
  }

  private expectInCluster(part: string): void {
    const said = this.cluster.comet('topic', 'describe', 'orders', '-o', 'json').replace(/\s/g, '');
    if (!said.includes(part)) throw new Error(`topic orders is not ${part}: ${said.slice(0, 500)}`);
  }

  private topics(): string {
    return this.cluster.comet('topic', 'ls', '-o', 'json').replace(/\s/g, '');
  }

  private async ready(kind: Kind, name: string): Promise<void> {
    const seen = (): string => JSON.stringify(this.get(kind, name)?.status);
    await this.cluster.until(
      () => `${kind} ${name} is ready: ${seen()}`,
      () => {
        const { metadata, status } = this.get(kind, name) ?? {};
        return status?.conditions?.[0]?.status === 'True' && status.observedGeneration === metadata?.generation;
      },
      120,
    );
  }

  private get(kind: Kind, name: string): Resource | undefined {
    const { stdout } = this.cluster.tryKubectl('get', kind, name, '--ignore-not-found', '-o', 'json');
    return stdout === '' ? undefined : (JSON.parse(stdout) as Resource);
  }

  private events(): string {
    return this.cluster.kubectl('get', 'events', '--field-selector=involvedObject.kind!=Pod', '-o', 'wide');
  }

  private async event(reason: string): Promise<void> {
    await this.cluster.until(`an event says ${reason}`, () => this.events().includes(reason), 60);
  }

  private held(): { accessKey: string; accessSecret: string } {
    const data = JSON.parse(this.cluster.kubectl('get', 'secret', 'shop', '-o', 'jsonpath={.data}')) as Record<
      string,
      string
    >;
    const decoded = (field: string): string => Buffer.from(data[field] ?? '', 'base64').toString();
    return { accessKey: decoded('accessKey'), accessSecret: decoded('secretKey') };
  }
}

/** While there is somebody to do it: without a controller, nothing would ever end their deletion. */
function takeAway(cluster: Cluster): void {
  for (const kind of kinds) {
    cluster.tryKubectl('annotate', kind, '--all', 'cometmq.io/delete-with-backlog=true', '--overwrite');
  }
  cluster.tryKubectl('delete', kinds.join(','), '--all', '--timeout=60s');
  const left = cluster.tryKubectl('get', kinds.join(','), '-o', 'name').stdout.trim();
  for (const name of left === '' ? [] : left.split('\n')) {
    cluster.tryKubectl('patch', name, '--type=merge', '--patch={"metadata":{"finalizers":null}}');
  }
  cluster.tryHelm('uninstall', definitions);
  cluster.tryKubectl('delete', 'crd', ...kinds.map((kind) => `${kind}.cometmq.io`), '--timeout=60s');
}
