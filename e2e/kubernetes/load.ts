/** Official clients at work in pods of the cluster while things happen around them; see client.ts, and languages. */
import type { Cluster } from './cluster.ts';
import { type Errand, prepare } from './errand.ts';
import { languages, languagesProgram } from './outside.ts';
import { packClient, unpackAndRun } from './parcel.ts';
import { follow } from './run.ts';

interface Beat {
  readonly answered: number;
  readonly failed: number;
  readonly gapMs: number;
  /** Of the last send that failed. */
  readonly why?: string;
}

/** What clients of one language saw. */
export interface Seen {
  readonly language: string;
  /** Sends that were answered meanwhile. */
  readonly answered: number;
  /** Sends that failed for good, after the client's own retries. */
  readonly failed: number;
  readonly why?: string;
  /** The longest time without an answered send. */
  readonly gapMs: number;
}

/** Beyond this nothing comes back by itself. */
const answerMsMax = 300_000;
/** So much is looked at together: fewer messages than are shown at once. */
const windowMs = 5_000;
const usedMsMax = 60_000;

/** The clients of one language. */
class Voice {
  readonly language: string;
  readonly beats: Beat[] = [];
  verdict = '';
  ended = false;
  over: Promise<void> = Promise.resolve();
  private readonly wake = new Set<() => void>();

  constructor(language: string) {
    this.language = language;
  }

  follow(over: Promise<void>): void {
    this.over = over.then(() => {
      this.ended = true;
      this.awake();
    });
  }

  get last(): Beat {
    return this.beats.at(-1) ?? { answered: 0, failed: 0, gapMs: 0 };
  }

  hear(line: string): void {
    if (line.startsWith('{')) this.beats.push(JSON.parse(line) as Beat);
    else this.verdict = line;
    this.awake();
  }

  async more(count: number): Promise<void> {
    const wanted = this.last.answered + count;
    const endMs = performance.now() + answerMsMax;
    while (this.last.answered < wanted) {
      if (performance.now() > endMs) throw new Error(`sends of ${this.language} are not answered any more`);
      if (this.ended) throw new Error(`the ${this.language} clients ended early: ${this.verdict}`);
      await new Promise<void>((resolve) => this.wake.add(resolve));
    }
  }

  /** Since a beat of this number, and what was counted until then. */
  since(from: number, before: Beat): Seen {
    const beats = this.beats.slice(from);
    const why = beats.findLast((beat) => beat.why !== undefined)?.why;
    return {
      language: this.language,
      ...(why !== undefined && { why }),
      answered: this.last.answered - before.answered,
      failed: this.last.failed - before.failed,
      gapMs: Math.max(0, ...beats.map(({ gapMs }) => gapMs)),
    };
  }

  private awake(): void {
    for (const each of this.wake) each();
    this.wake.clear();
  }
}

export class Load {
  private readonly nodejs = new Voice('Node.js');
  private readonly others: { readonly voice: Voice; end(): void }[] = [];
  private readonly cluster: Cluster;
  private readonly errand: Errand;

  private constructor(cluster: Cluster, errand: Errand) {
    this.cluster = cluster;
    this.errand = errand;
  }

  /**
   * @param image of ours: it has Node.js and the packages that the client needs
   * @param pauseMs between two sends of one sender
   */
  static async begin(
    cluster: Cluster,
    image: string,
    source: string,
    endpoints: string,
    pauseMs?: number,
  ): Promise<Load> {
    const name = `inside-${Date.now()}`;
    const errand = { ...prepare(cluster, name, endpoints), ...(pauseMs !== undefined && { pauseMs }) };
    const parcel = (await packClient(source)).toString('base64');
    cluster.kubectl('delete', 'pod/client', 'pod/drivers', 'configmap/client', '--ignore-not-found');
    cluster.put(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'client' }, binaryData: { client: parcel } },
      'create',
    );
    cluster.put(podOf(image, errand, cluster.firstNode));
    cluster.kubectl('wait', 'pod/client', '--for=condition=Ready', '--timeout=180s');
    const load = new Load(cluster, errand);
    const { nodejs } = load;
    nodejs.follow(cluster.logs('client', (line) => nodejs.hear(line)));
    const { languagesImage } = cluster.target;
    if (languagesImage !== undefined) {
      cluster.put(driversOf(languagesImage, cluster.firstNode));
      cluster.kubectl('wait', 'pod/drivers', '--for=condition=Ready', '--timeout=180s');
      for (const language of languages) {
        const own = { ...prepare(cluster, `${language.toLowerCase()}-${name}`, endpoints), language };
        load.speak(language, source, { ...own, before: cluster.inPod('drivers'), inImage: true });
      }
    }
    await load.more(50);
    return load;
  }

  /** What the clients see while `act` goes on, and until more sends of each language were answered. */
  async during(act: () => Promise<void> | void): Promise<Seen[]> {
    const voices = [this.nodejs, ...this.others.map(({ voice }) => voice)];
    const before = voices.map((voice) => [voice, voice.beats.length, voice.last] as const);
    await act();
    await this.more(100);
    return before.map(([voice, from, last]) => voice.since(from, last));
  }

  async more(count: number): Promise<void> {
    await this.nodejs.more(count);
    await Promise.all(this.others.map(({ voice }) => voice.more(count / 5)));
  }

  /** When the first message of the load was stored in each of these sets, by their clocks; waits until there is one. */
  async firstStored(sets: readonly string[], sinceMs: number): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (let fromMs = sinceMs; found.size < sets.length; fromMs += windowMs) {
      const [from, to] = [fromMs, fromMs + windowMs].map((at) => new Date(at).toISOString());
      await this.cluster.until(`the time is ${to}`, () => Date.now() > fromMs + windowMs);
      if (fromMs - sinceMs > usedMsMax)
        throw new Error(`no message is stored in ${sets.join(', ')}: ${[...found.keys()].join(', ')}`);
      const between = ['--from', from as string, '--to', to as string, '--max', '1000', '-o', 'jsonl'];
      for (const line of this.cluster.comet('msg', 'find', this.errand.topics.normal, ...between).split('\n')) {
        if (line === '') continue;
        const { brokerSet, storedMs } = JSON.parse(line) as { brokerSet: string; storedMs: number };
        if (sets.includes(brokerSet)) found.set(brokerSet, Math.min(found.get(brokerSet) ?? Infinity, storedMs));
      }
    }
    return found;
  }

  /** Every acknowledged message has come, or it throws. @returns what the clients say */
  async settle(): Promise<string> {
    this.cluster.kubectl('delete', 'pod', 'client', '--wait=false', '--grace-period=280');
    for (const other of this.others) other.end();
    const voices = [this.nodejs, ...this.others.map(({ voice }) => voice)];
    await Promise.all(voices.map(({ over }) => over));
    const wrong = voices.filter(({ verdict }) => !verdict.startsWith('balanced '));
    if (wrong.length > 0) {
      const said = wrong.map(({ language, verdict }) => `${language}: ${verdict}`).join('; ');
      throw new Error(`the ledgers are not balanced: ${said}`);
    }
    return voices.map(({ language, verdict }) => `${language} ${verdict.slice('balanced '.length)}`).join(', ');
  }

  private speak(language: string, source: string, errand: object): void {
    const env = { ...process.env, ERRAND: JSON.stringify(errand) };
    const voice = new Voice(language);
    const followed = follow(process.execPath, [languagesProgram(source), 'work'], env, (line) => voice.hear(line));
    voice.follow(followed.over);
    this.others.push({ voice, end: () => followed.end('SIGTERM') });
  }
}

/** What a pod of the standard `restricted` says of itself. */
export const restricted = {
  ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
} as const;
export const nobodySpecial = {
  runAsNonRoot: true,
  runAsUser: 3000,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

/** Waits for its standard input to end, which it doesn't; the drivers are run in it. */
function driversOf(image: string, node: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'drivers' },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      securityContext: nobodySpecial,
      containers: [
        {
          ...{ name: 'drivers', image, command: ['/driver/go', '{}'], stdin: true, securityContext: restricted },
          volumeMounts: [{ name: 'scratch', mountPath: '/tmp' }],
          env: [{ name: 'HOME', value: '/tmp' }],
        },
      ],
      nodeName: node,
      volumes: [{ name: 'scratch', emptyDir: {} }],
    },
  };
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
      securityContext: nobodySpecial,
      containers: [
        {
          name: 'client',
          image,
          command: ['/usr/bin/node', '--eval', unpackAndRun],
          env: Object.entries({
            NODE_PATH: '/app/node_modules',
            ERRAND: JSON.stringify(errand),
          }).map(([key, text]) => ({ name: key, value: text })),
          securityContext: restricted,
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
