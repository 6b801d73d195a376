/** A real cluster, by kubectl and helm, in a namespace of this test's own. */
import { attempt, follow, must, type Ran } from './run.ts';
import type { Target, Tool } from './target.ts';

export const namespace = 'cometmq-e2e';
export const release = 'e2e';
/** What names of objects begin with. */
export const fullName = `${release}-cometmq`;
const comet = ['/app/cometmq', 'comet'];
export const selector = (component: string): string =>
  `app.kubernetes.io/instance=${release},app.kubernetes.io/component=${component}`;

export interface PodSeen {
  readonly name: string;
  readonly node: string;
}

/** A broker set as its members tell it; what is needed here. */
export interface SetSeen {
  readonly name: string;
  readonly protection: string;
  readonly says: string;
  readonly stage: string;
  readonly leader?: string;
  readonly members: readonly { readonly member: string; readonly address: string; readonly inSync: boolean }[];
}

export class Cluster {
  readonly target: Target;
  readonly namespace: string;

  constructor(target: Target, inNamespace = namespace) {
    this.target = target;
    this.namespace = inNamespace;
  }

  /** In which pods are held to the standard `restricted`. */
  makeNamespace(): void {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    this.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace, labels } });
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

  tryPut(object: object): Ran {
    const [file, args] = this.command(this.target.kubectl, ['apply', '-f', '-']);
    return attempt(file, args, JSON.stringify(object));
  }

  helm(...args: string[]): string {
    return must(...this.command(this.target.helm, args));
  }

  tryHelm(...args: string[]): Ran {
    return attempt(...this.command(this.target.helm, args));
  }

  async logs(pod: string, hear: (line: string) => void): Promise<void> {
    const [file, args] = this.command(this.target.kubectl, ['logs', '--follow', pod]);
    await follow(file, args, process.env, hear).over;
  }

  /** The words of a command that runs another one in a pod, with this process's stdin and stdout. */
  inPod(pod: string): string[] {
    const [file, args] = this.command(this.target.kubectl, ['exec', '--stdin', pod, '--']);
    return [file, ...args];
  }

  pods(component: string): PodSeen[] {
    const { items } = JSON.parse(this.kubectl('get', 'pods', '-l', selector(component), '-o', 'json')) as {
      items: { metadata: { name: string }; spec: { nodeName?: string } }[];
    };
    return items.map(({ metadata, spec }) => ({ name: metadata.name, node: spec.nodeName ?? '' }));
  }

  /** The nodes that pods may be put on. */
  nodes(): string[] {
    return this.kubectl('get', 'nodes', '-o', 'name')
      .trim()
      .split('\n')
      .map((name) => name.replace('node/', ''));
  }
  /** The clients are here, so no scenario takes it away. */
  get firstNode(): string {
    return this.nodes()[0] as string;
  }

  /** `comet`, as an operator runs it: in a pod of the REST API, as the first admin. */
  comet(...args: string[]): string {
    return this.kubectl('exec', `deployment/${fullName}-dashboard-api`, '--', ...comet, ...args);
  }

  /** Where clients outside reach the proxies: a node, and a port of it. */
  endpoints(): string {
    const address = '{.items[0].status.addresses[?(@.type=="InternalIP")].address}';
    const node = this.kubectl('get', 'nodes', '-o', `jsonpath=${address}`);
    const service = ['get', 'service', `${fullName}-proxy`];
    return `${node}:${this.kubectl(...service, '-o', 'jsonpath={.spec.ports[0].nodePort}')}`;
  }

  /** Undefined while nobody answers. */
  sets(): SetSeen[] | undefined {
    const args = ['exec', `deployment/${fullName}-dashboard-api`, '--', ...comet, 'cluster', 'health', '-o', 'json'];
    const { stdout } = this.tryKubectl(...args); // Ends with 1 where the cluster is not healthy.
    if (!stdout.startsWith('{')) return undefined;
    // One that has left is remembered.
    return (JSON.parse(stdout) as { brokerSets: SetSeen[] }).brokerSets.filter(({ stage }) => stage !== 'gone');
  }

  /** The pod that leads a set. */
  leader(name: string): string {
    const set = this.sets()?.find((each) => each.name === name);
    const address = set?.members.find(({ member }) => member === set.leader)?.address;
    if (address === undefined || address === '') throw new Error(`nobody leads ${name}: ${set?.says ?? 'no answer'}`);
    return address.split('.')[0] as string;
  }

  /** Has a set led from another node than the clients are on. */
  async leadElsewhere(name: string): Promise<PodSeen> {
    const node = (pod: string): string => this.pods('broker').find((each) => each.name === pod)?.node ?? '';
    if (node(this.leader(name)) === this.firstNode) {
      this.comet('cluster', 'elect', name);
      await this.until(`${name} is led from another node`, () => node(this.leader(name)) !== this.firstNode, 30);
    }
    const pod = this.leader(name);
    return { name: pod, node: node(pod) };
  }

  async until(what: string | (() => string), holds: () => boolean, secondsMax = 180): Promise<void> {
    const endMs = performance.now() + secondsMax * 1_000;
    while (!holds()) {
      if (performance.now() > endMs) {
        throw new Error(`${secondsMax} s were not enough: ${typeof what === 'string' ? what : what()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  /** Every set has a leader, and all members that it shall have. */
  async whole(sets: number, members: number): Promise<void> {
    const seen = (): string => JSON.stringify(this.sets()?.map(({ name, says }) => `${name}: ${says}`) ?? 'no answer');
    await this.until(
      () => `${sets} broker set(s) of ${members} in sync; they are: ${seen()}`,
      () => {
        const all = this.sets();
        const inSync = (set: SetSeen): number => set.members.filter((member) => member.inSync).length;
        return all?.length === sets && all.every((set) => set.leader !== undefined && inSync(set) >= members);
      },
    );
  }

  private command({ file, before }: Tool, args: readonly string[]): [string, string[]] {
    return [file, [...before, '--namespace', this.namespace, ...args]]; // Before a `--` of theirs.
  }
}
