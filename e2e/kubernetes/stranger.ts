/**
 * Somebody on the cluster's network who has no credentials: a pod in the release's namespace and one in another try every port of
 * every pod and service, and are given nothing but what docs/users.md lists as open.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { Cluster, fullName, namespace, release } from './cluster.ts';
import { methodsIn, tooMuch, type Door, type Tried } from './stranger-calls.ts';

const abroad = `${namespace}-stranger`;
const pod = 'stranger';
/** Also where nothing says that anybody listens. */
const usualPorts = [80, 443, 2379, 2380, 2381, 5557, 8080, 8081, 8082, 9876, 10909, 10911];

/** @returns what was tried, and from where */
export async function meetStrangers(cluster: Cluster, source: string): Promise<string> {
  const image = cluster.kubectl(
    ...['get', 'deployment', `${fullName}-dashboard-api`],
    ...['-o', 'jsonpath={.spec.template.spec.containers[0].image}'],
  );
  const doors = doorsOf(cluster);
  const program = await programOf(source);
  const elsewhere = new Cluster(cluster.target, abroad);
  elsewhere.makeNamespace();
  try {
    const said: string[] = [];
    for (const [where, home] of [
      ['in the namespace', cluster],
      ['in another one', elsewhere],
    ] as const) {
      const tried = await tryFrom(home, image, program, { doors, methods: methodsOf(source) });
      const wrong = tooMuch(tried);
      if (wrong.length > 0) throw new Error(`a stranger ${where} was given ${wrong.join('; ')}`);
      // Who hears nothing at all has not tried.
      for (const what of ['/grpc.health.v1.Health/Check', 'GET /metrics']) {
        if (!tried.given.some((each) => each.what === what))
          throw new Error(`a stranger ${where} did not hear ${what}`);
      }
      const heard = new Set(tried.given.map(({ port }) => port));
      said.push(
        `${where} ${tried.calls} calls on ${tried.open} open ports, ${tried.shut} shut; answered on ${[...heard].sort().join(', ')}`,
      );
    }
    return said.join('; ');
  } finally {
    cluster.tryKubectl('delete', 'pod', pod, '--ignore-not-found', '--grace-period=0', '--force');
    elsewhere.tryKubectl('delete', 'namespace', abroad, '--timeout=120s');
  }
}

interface Listed {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly podIP?: string };
    readonly spec: {
      readonly containers?: readonly { readonly ports?: readonly { readonly containerPort: number }[] }[];
      readonly ports?: readonly { readonly port: number }[];
    };
  }[];
}

function doorsOf(cluster: Cluster): Door[] {
  const list = (kind: string): Listed['items'] =>
    (JSON.parse(cluster.kubectl('get', kind, '-l', `app.kubernetes.io/instance=${release}`, '-o', 'json')) as Listed)
      .items;
  const [pods, services] = [list('pods'), list('services')];
  const ports = new Set([
    ...usualPorts,
    ...pods
      .flatMap(({ spec }) => (spec.containers ?? []).flatMap((each) => each.ports ?? []))
      .map((each) => each.containerPort),
    ...services.flatMap(({ spec }) => spec.ports ?? []).map((each) => each.port),
  ]);
  const hosts = [
    ...pods.flatMap(({ metadata, status }) => (status?.podIP ? [{ name: metadata.name, host: status.podIP }] : [])),
    ...services.map(({ metadata: { name } }) => ({ name, host: `${name}.${namespace}.svc.cluster.local` })),
  ];
  return hosts.flatMap((each) => [...ports].map((port) => ({ ...each, port })));
}

function methodsOf(source: string): string[] {
  const folder = join(source, 'proto');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((each) => each.endsWith('.proto'));
  return methodsIn(files.map((each) => readFileSync(join(folder, each), 'utf8')));
}

/** What the pod runs: reads what to try from its surroundings, and says as JSON what came of it. */
async function programOf(source: string): Promise<string> {
  const contents = `
    import { tryDoors } from './stranger-calls.ts';
    const { doors, methods } = JSON.parse(process.env.TASK);
    tryDoors(doors, methods).then((tried) => {
      process.stdout.write(JSON.stringify(tried) + '\\n', () => process.exit());
    });`;
  const built = await build({
    stdin: { contents, resolveDir: join(source, 'e2e/kubernetes'), loader: 'ts' },
    ...{ bundle: true, platform: 'node', target: 'node24', format: 'cjs', minify: true, write: false },
  });
  return built.outputFiles[0]?.text ?? '';
}

async function tryFrom(home: Cluster, image: string, program: string, task: object): Promise<Tried> {
  home.tryKubectl('delete', 'pod', pod, '--ignore-not-found', '--grace-period=0', '--force');
  home.put(podOf(image, program, JSON.stringify(task)));
  const phase = (): string => home.tryKubectl('get', 'pod', pod, '-o', 'jsonpath={.status.phase}').stdout;
  await home.until(
    () => `a stranger has tried everything; its pod is ${phase()}`,
    () => ['Succeeded', 'Failed'].includes(phase()),
    900,
  );
  const said = home.kubectl('logs', pod).trim().split('\n').at(-1) ?? '';
  if (!said.startsWith('{')) throw new Error(`a stranger could not try: ${said}`);
  return JSON.parse(said) as Tried;
}

function podOf(image: string, program: string, task: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod },
    spec: {
      ...{ restartPolicy: 'Never', terminationGracePeriodSeconds: 1, automountServiceAccountToken: false },
      securityContext: { runAsNonRoot: true, runAsUser: 3000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          ...{ name: pod, image, command: ['/usr/bin/node', '--eval', program], env: [{ name: 'TASK', value: task }] },
          securityContext: {
            ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          },
        },
      ],
    },
  };
}
