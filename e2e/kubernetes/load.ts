/** Official clients in a pod of the cluster, at work while things happen around them; see client.ts. */
import type { Cluster } from './cluster.ts';
import type { Errand } from './errand.ts';
import { packClient, unpackAndRun } from './parcel.ts';

interface Beat {
  readonly answered: number;
  readonly failed: number;
  readonly gapMs: number;
  /** Of the last send that failed. */
  readonly why?: string;
}

export interface Seen {
  /** Sends that were answered meanwhile. */
  readonly answered: number;
  /** Sends that failed for good, after the client's own retries. */
  readonly failed: number;
  readonly why?: string;
  /** The longest time without an answered send. */
  readonly gapMs: number;
}

export class Load {
  private readonly beats: Beat[] = [];
  private verdict = '';
  private readonly wake = new Set<() => void>();
  private readonly over: Promise<void>;
  private ended = false;
  private readonly cluster: Cluster;

  private readonly errand: Errand;

  private constructor(cluster: Cluster, errand: Errand) {
    this.cluster = cluster;
    this.errand = errand;
    this.over = cluster
      .logs('client', (line) => this.hear(line))
      .then(() => {
        this.ended = true;
        this.awake();
      });
  }

  /** @param image of ours: it has Node.js and the packages that the client needs */
  static async begin(cluster: Cluster, image: string, source: string, errand: Errand): Promise<Load> {
    const parcel = (await packClient(source)).toString('base64');
    cluster.kubectl('delete', 'pod/client', 'configmap/client', '--ignore-not-found');
    cluster.put(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'client' }, binaryData: { client: parcel } },
      'create',
    );
    cluster.put(podOf(image, errand, cluster.firstNode));
    cluster.kubectl('wait', 'pod/client', '--for=condition=Ready', '--timeout=60s');
    const load = new Load(cluster, errand);
    await load.more(50);
    return load;
  }

  /** What the clients see while `act` goes on, and until a hundred more sends were answered. */
  async during(act: () => Promise<void> | void): Promise<Seen> {
    const from = this.beats.length;
    const before = this.last;
    await act();
    await this.more(100);
    const since = this.beats.slice(from);
    const why = since.findLast((beat) => beat.why !== undefined)?.why;
    return {
      ...(why !== undefined && { why }),
      answered: this.last.answered - before.answered,
      failed: this.last.failed - before.failed,
      gapMs: Math.max(...since.map(({ gapMs }) => gapMs)),
    };
  }

  async more(count: number): Promise<void> {
    const wanted = this.last.answered + count;
    while (this.last.answered < wanted) {
      if (this.ended) throw new Error(`the client ended early: ${this.verdict}`);
      await new Promise<void>((resolve) => this.wake.add(resolve));
    }
  }

  /** Messages of the load are in this broker set, ten seconds after it is there. */
  async usesSet(name: string): Promise<void> {
    const used = (): boolean => {
      const said = this.cluster.comet('topic', 'describe', this.errand.topics.normal, '-o', 'json');
      const { queues } = JSON.parse(said) as { queues: { brokerSet: string; maxOffset: number }[] };
      return queues.some(({ brokerSet, maxOffset }) => brokerSet === name && maxOffset > 0);
    };
    await this.cluster.until(`${name} is sent to`, used, 10);
  }

  /** Every acknowledged message has come, or it throws. @returns what the client says */
  async settle(): Promise<string> {
    this.cluster.kubectl('delete', 'pod', 'client', '--wait=false', '--grace-period=280');
    await this.over;
    if (!this.verdict.startsWith('balanced ')) throw new Error(`the ledgers are not balanced: ${this.verdict}`);
    return this.verdict;
  }

  private get last(): Beat {
    return this.beats.at(-1) ?? { answered: 0, failed: 0, gapMs: 0 };
  }

  private hear(line: string): void {
    if (line.startsWith('{')) this.beats.push(JSON.parse(line) as Beat);
    else this.verdict = line;
    this.awake();
  }

  private awake(): void {
    for (const each of this.wake) each();
    this.wake.clear();
  }
}

/** On a node that no scenario takes away. */
function podOf(image: string, errand: Errand, node: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'client' },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 280,
      securityContext: { runAsNonRoot: true, runAsUser: 3000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'client',
          image,
          command: ['/usr/bin/node', '--eval', unpackAndRun],
          env: Object.entries({
            NODE_PATH: '/app/node_modules',
            ERRAND: JSON.stringify(errand),
          }).map(([key, text]) => ({ name: key, value: text })),
          securityContext: {
            ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          },
          volumeMounts: [
            { name: 'client', mountPath: '/parcel' },
            { name: 'scratch', mountPath: '/tmp' },
          ],
        },
      ],
      nodeName: node,
      volumes: [
        { name: 'client', configMap: { name: 'client' } },
        { name: 'scratch', emptyDir: {} },
      ],
    },
  };
}
