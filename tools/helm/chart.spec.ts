// Goal: what the chart renders is valid, safe and agrees with the programs. Method: the real Helm, and the programs' own
// declarations of their settings.
import { execFile, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { readConfig } from '@cometmq/shared';

import { brokerConfig } from '../../apps/broker/src/config.js';
import { dashboardApiConfig } from '../../apps/dashboard-api/src/config.js';
import { namesrvConfig } from '../../apps/namesrv/src/config.js';
import { proxyConfig } from '../../apps/proxy/src/config.js';
import { ensureHelm, fromHere } from './ensure.mjs';

// Helm is a program of its own, started for each: on a busy machine that takes long.
jest.setTimeout(240_000);

const repository = join(__dirname, '../..');
const chart = join(repository, 'charts/cometmq');
/** What a program says to variables: throws what is wrong with them. */
const programs: Readonly<Record<string, (env: Readonly<Record<string, string>>) => { readonly kind: string }>> = {
  broker: (env) => readConfig(brokerConfig, { argv: [], env, readFile: () => '' }),
  'dashboard-api': (env) => readConfig(dashboardApiConfig, { argv: [], env, readFile: () => '' }),
  namesrv: (env) => readConfig(namesrvConfig, { argv: [], env, readFile: () => '' }),
  proxy: (env) => readConfig(proxyConfig, { argv: [], env, readFile: () => '' }),
};

interface Probe {
  readonly httpGet?: { readonly port: string };
  readonly tcpSocket?: { readonly port: string };
}
interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { name: string; value?: string; valueFrom?: unknown }[];
  readonly ports?: readonly { name: string; containerPort: number }[];
  readonly securityContext: Record<string, unknown>;
  readonly resources: { requests?: Record<string, string>; limits?: Record<string, string> };
  readonly volumeMounts?: readonly { name: string; mountPath: string }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
}
interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly securityContext: Record<string, unknown>;
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken: boolean;
  readonly volumes?: readonly { name: string }[];
  readonly [host: `host${string}`]: unknown;
}
type Labels = Readonly<Record<string, string>>;
interface Rule {
  readonly ports: readonly { port: string }[];
  readonly from?: readonly { podSelector?: { matchLabels?: Labels } }[];
}
interface Thing {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: Labels };
  readonly spec: {
    readonly replicas?: number;
    readonly serviceName?: string;
    readonly selector?: Labels & { matchLabels?: Labels };
    readonly podSelector?: { matchLabels: Labels };
    readonly jobTemplate?: { spec: { template: { metadata: { labels: Labels }; spec: PodSpec } } };
    readonly template?: { metadata: { labels: Labels }; spec: PodSpec };
    readonly volumeClaimTemplates?: readonly { metadata: { name: string } }[];
    readonly ports?: readonly { name: string; targetPort: string; port: number }[];
    readonly ingress?: readonly Rule[];
    readonly clusterIP?: string;
  };
}
interface Workload {
  readonly thing: Thing;
  readonly labels: Labels;
  readonly pod: PodSpec;
}

let helm: string;
let parseAll: (text: string) => Thing[];
beforeAll(() => {
  ({ helm } = ensureHelm(() => undefined));
  const { parseAllDocuments } = fromHere('yaml') as {
    parseAllDocuments: (text: string) => { errors: unknown[]; toJSON(): Thing | null }[];
  };
  parseAll = (text) =>
    parseAllDocuments(text).flatMap((document) => {
      expect(document.errors).toEqual([]);
      return document.toJSON() ?? [];
    });
});

function runHelm(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(helm, args, { encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: '/nonexistent' } });
}

function render(...set: string[]): Thing[] {
  const { status, stdout, stderr } = runHelm(
    ...['template', 'rel', chart, '--namespace', 'mq'],
    ...set.flatMap((each) => ['--set', each]),
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return parseAll(stdout);
}

const workloads = (things: readonly Thing[]): Workload[] =>
  things.flatMap((thing) => {
    const { template } = thing.spec ?? {};
    return template ? [{ thing, labels: template.metadata.labels, pod: template.spec }] : [];
  });
const jobs = (things: readonly Thing[]): Workload[] =>
  things.flatMap((thing) => {
    const { template } = thing.spec?.jobTemplate?.spec ?? {};
    return template ? [{ thing, labels: template.metadata.labels, pod: template.spec }] : [];
  });
/** All pods, those of jobs and of `helm test` too. */
const pods = (things: readonly Thing[]): PodSpec[] => [
  ...[...workloads(things), ...jobs(things)].map(({ pod }) => pod),
  ...things.filter(({ kind }) => kind === 'Pod').map(({ spec }) => spec as unknown as PodSpec),
];
const containersOf = (pod: PodSpec): Container[] => [...(pod.initContainers ?? []), ...pod.containers];
const fits = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);
const component = ({ labels }: { readonly labels: Labels }): string => labels['app.kubernetes.io/component'] ?? '';
const nameOf = ({ kind, metadata }: Thing): string => `${kind}/${metadata.name}`;

const variables = (env: NonNullable<Container['env']>): Record<string, string> =>
  Object.fromEntries(
    env.map(({ name, value }) => [
      name,
      value?.replaceAll('$(POD_INDEX)', '0').replaceAll('$(POD_NAME)', 'rel-0') ?? '0',
    ]),
  );

/** Objects that select pods of ours, of one component each. */
const selecting = { Service: 1, Deployment: 1, StatefulSet: 1, NetworkPolicy: 1, PodDisruptionBudget: 1 };

const everything = [
  ...['broker.sets=3', 'proxy.tls.secretName=certificate', 'metrics.podMonitor.enabled=true', 'etcd.replicas=5'],
  ...['commonLabels.team=mail', 'image.digest=sha256:' + 'a'.repeat(64), 'namesrv.config.autoCreateTopics=true'],
  ...['broker.config.segmentBytes=67108864', 'proxy.service.type=NodePort', 'proxy.service.nodePort=30081'],
  ...['imagePullSecrets[0].name=pull', 'proxy.podLabels.lane=fast', 'dashboardApi.config.adminHostNames={a,b}'],
  'dashboardApi.config.trustedProxies={10.244.0.0/16,192.0.2.7}',
  ...['proxy.ingress.enabled=true', 'proxy.ingress.host=mq.example', 'dashboardApi.ingress.enabled=true'],
  ...['dashboardApi.ingress.host=console.example', 'proxy.autoscaling.enabled=true', 'proxy.gateway.enabled=true'],
  ...['prometheusRule.enabled=true', 'grafana.dashboards.enabled=true', 'prometheusRule.labels.release=monitoring'],
  ...['metrics.serviceMonitor.enabled=true', 'networkPolicy.egress.enabled=true', 'global.imageRegistry=inner:5000'],
  ...[
    'broker.extraVolumes[0].name=more',
    'broker.extraVolumeMounts[0].name=more',
    'broker.envFrom[0].secretRef.name=env',
  ],
  ...['broker.extraVolumeMounts[0].mountPath=/more', 'etcd.antiAffinity=required', 'broker.members=5'],
  ...['backup.to=s3://backups/mq', 'backup.endpoint=https://minio.storage:9000', 'backup.existingSecret=bucket'],
  ...['backup.caSecret=bucket-ca', 'backup.timeZone=Europe/Berlin', 'backup.restoreFrom=latest'],
  ...['backup.addressing=virtual-host', 'prometheusRule.backupAgeHoursMax=3'],
  ...['etcd.quotaMiB=512', 'etcd.initialClusterState=existing', 'controller.enabled=true'],
  'networkPolicy.dashboardApiFrom[0].namespaceSelector.matchLabels.team=ops',
];
const external = ['etcd.enabled=false', 'etcd.external.endpoints={http://a:2379,http://b:2379}', 'proxy.replicas=1'];
const secured = [
  ...['etcd.enabled=false', 'etcd.external.endpoints={https://a:2379}', 'namesrv.extraEnv[0].name=TZ'],
  ...['etcd.external.tls.secretName=etcd-client', 'etcd.external.tls.clientCertificate=true'],
  ...['etcd.external.auth.secretName=etcd-user', 'namesrv.extraEnv[0].value=UTC'],
];
const cases: [string, string[]][] = [
  ['as it comes', []],
  ['with everything', everything],
  ['with an etcd from outside', external],
  ['with an etcd that wants a certificate and a user', secured],
];

it('passes lint', () => {
  const { status, stdout } = runHelm('lint', '--strict', chart);
  expect(stdout).toContain('0 chart(s) failed');
  expect(status).toBe(0);
});

it('has made the files that are made from it', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(__dirname, 'chart-files.mjs'), '--check'], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

it('is of the version of the programs', () => {
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };
  for (const folder of [chart, `${chart}-crds`]) {
    const text = readFileSync(join(folder, 'Chart.yaml'), 'utf8');
    expect(text).toContain(`\nversion: ${version}\n`);
    expect(text).toContain(`\nappVersion: ${version}\n`);
  }
});

describe.each(cases)('%s', (_, set) => {
  let things: Thing[];
  beforeAll(() => (things = render(...set)));

  it('has each object once, in the namespace, with the usual labels', () => {
    const names = things.map(nameOf);
    expect(new Set(names).size).toBe(names.length);
    for (const { kind, metadata } of things) {
      expect(metadata.namespace).toBe(kind.startsWith('ValidatingAdmissionPolicy') ? undefined : 'mq');
      expect(metadata.labels).toMatchObject({
        'app.kubernetes.io/name': 'cometmq',
        'app.kubernetes.io/instance': 'rel',
        'app.kubernetes.io/part-of': 'cometmq',
        'app.kubernetes.io/managed-by': 'Helm',
      });
    }
  });

  it('keeps to the restricted pod security standard, and writes to nothing but its volumes', () => {
    for (const pod of pods(things)) {
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 3000,
        fsGroup: 3000,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(pod.automountServiceAccountToken).toBe(false);
      expect(Object.keys(pod).filter((key) => key.startsWith('host'))).toEqual([]);
      for (const { securityContext, resources } of containersOf(pod)) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(Object.keys(resources.requests ?? {}).sort()).toEqual(['cpu', 'memory']);
        expect(resources.limits?.['memory']).toBeDefined();
      }
    }
  });

  it('watches each container by ports that it has, and mounts volumes that there are', () => {
    for (const { thing, pod } of workloads(things)) {
      const volumes = [...(pod.volumes ?? []), ...(thing.spec.volumeClaimTemplates ?? []).map((c) => c.metadata)];
      for (const container of pod.containers) {
        const ports = (container.ports ?? []).map(({ name }) => name);
        for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) {
          const { httpGet, tcpSocket } = container[probe] ?? {};
          expect(ports).toContain(httpGet?.port ?? tcpSocket?.port);
        }
        for (const { name } of container.volumeMounts ?? []) expect(volumes.map((v) => v.name)).toContain(name);
      }
    }
  });

  it('selects with every selector the pods of one component, and by their own ports', () => {
    const all = [...workloads(things), ...jobs(things)];
    const selected = (selector: Labels | undefined): Workload[] =>
      all.filter(({ labels }) => selector !== undefined && fits(selector, labels));
    for (const thing of things) {
      const { spec, kind } = thing;
      if (!(kind in selecting)) continue;
      const selector =
        kind === 'Service' ? spec.selector : (spec.selector?.matchLabels ?? spec.podSelector?.matchLabels);
      const found = selected(selector);
      if (thing.metadata.name.endsWith('-metrics')) continue; // All of them.
      expect([nameOf(thing), new Set(found.map(component)).size]).toEqual([nameOf(thing), 1]);
      if (kind === 'Deployment' || kind === 'StatefulSet') expect(found.map((w) => w.thing)).toEqual([thing]);
      const ports = found.flatMap(({ pod }) => containersOf(pod)).flatMap((container) => container.ports ?? []);
      const named = [
        ...(spec.ports ?? []).map(({ targetPort }) => targetPort),
        ...(spec.ingress ?? []).flatMap((rule) => rule.ports.map(({ port }) => port)),
      ];
      for (const name of named) expect(ports.map((port) => port.name)).toContain(name);
      for (const peer of (spec.ingress ?? []).flatMap((rule) => rule.from ?? [])) {
        const { matchLabels } = peer.podSelector ?? {};
        // A peer is a component that exists, the pod of `helm test`, or the whole namespace.
        if (
          matchLabels &&
          !things.some(({ kind: is, metadata }) => is === 'Pod' && fits(matchLabels, metadata.labels))
        ) {
          expect(selected(matchLabels)).not.toEqual([]);
        }
      }
    }
  });

  it('gives the programs settings that they take', () => {
    const roles = new Set<string>();
    for (const { pod } of workloads(things)) {
      for (const { args = [], env = [] } of pod.containers) {
        const role = args[0];
        if (role === undefined) continue;
        roles.add(role);
        expect(programs[role]?.(variables(env)).kind).toBe('run');
      }
    }
    expect([...roles].sort()).toEqual(['broker', 'dashboard-api', 'namesrv', 'proxy']);
  });

  it('tells the programs of services that there are', () => {
    const services = new Map(
      things.filter(({ kind }) => kind === 'Service').map((thing) => [thing.metadata.name, thing.spec.ports ?? []]),
    );
    const said = pods(things).flatMap((pod) => containersOf(pod).flatMap(({ env = [] }) => env));
    const addresses = said.flatMap(({ value = '' }) => [
      ...value.matchAll(/([a-z0-9-]+)\.mq\.svc\.cluster\.local:(\d+)/g),
    ]);
    expect(addresses.length).toBeGreaterThan(4);
    for (const [, service = '', port] of addresses) {
      expect([service, (services.get(service) ?? []).map((each) => String(each.port))]).toEqual([
        service,
        expect.arrayContaining([port]),
      ]);
    }
  });
});

describe('broker sets', () => {
  const places = (...set: string[]): Thing[] =>
    render(...set).filter(({ kind, metadata }) => kind === 'StatefulSet' && /broker/.test(metadata.name));
  const settings = ({ spec }: Thing): Record<string, string> => variables(spec.template?.spec.containers[0]?.env ?? []);

  it.each([
    ['small', 1, ['master', 'slave-1']],
    ['medium', 2, ['master', 'slave-1', 'slave-2']],
    ['large', 3, ['master', 'slave-1', 'slave-2']],
  ])('of preset %s: a StatefulSet a place, whose ordinals are the sets', (preset, sets, names) => {
    const found = places(`preset=${preset}`);
    expect(found.map(({ metadata }) => metadata.name)).toEqual(names.map((name) => `rel-cometmq-broker-${name}`));
    for (const [i, place] of found.entries()) {
      expect(place.spec.replicas).toBe(sets);
      expect(settings(place)).toMatchObject({
        COMETMQ_BROKER_NAME: 'broker-0',
        COMETMQ_MEMBER_NAME: names[i],
        COMETMQ_MEMBERS_WANTED: String(names.length),
      });
    }
  });

  it('have as many members as are asked for, whatever the preset', () => {
    expect(places('broker.members=1', 'broker.sets=4').map(({ spec }) => spec.replicas)).toEqual([4]);
  });

  it.each([
    ['preset=small', 'preferredDuringSchedulingIgnoredDuringExecution'],
    ['preset=large', 'requiredDuringSchedulingIgnoredDuringExecution'],
    ['broker.antiAffinity=required', 'requiredDuringSchedulingIgnoredDuringExecution'],
  ])('%s: members of one set stand on different nodes', (set, how) => {
    const [place] = places(set);
    const { affinity } = place?.spec.template?.spec as unknown as {
      affinity: { podAntiAffinity: Record<string, object> };
    };
    expect(JSON.stringify(affinity.podAntiAffinity[how])).toContain(
      '"matchLabelKeys":["apps.kubernetes.io/pod-index"]',
    );
  });

  it('have one budget over all of them', () => {
    const budgets = render('preset=large')
      .filter(({ kind }) => kind === 'PodDisruptionBudget')
      .map(nameOf);
    expect(budgets.filter((name) => name.includes('broker'))).toEqual(['PodDisruptionBudget/rel-cometmq-broker']);
  });

  it('ask Kubernetes why they stop, with an account that may read StatefulSets and nothing else', () => {
    const all = render('broker.terminationGracePeriodSeconds=900');
    const mounts = (name: string): string[] =>
      workloads(all)
        .filter((each) => component(each) === name)
        .flatMap(({ pod }) =>
          pod.containers.flatMap(({ volumeMounts }) => volumeMounts?.map((m) => m.mountPath) ?? []),
        );
    for (const name of ['broker', 'dashboard-api']) expect(mounts(name)).toContain('/kubernetes');
    for (const name of ['proxy', 'namesrv', 'etcd']) expect(mounts(name)).not.toContain('/kubernetes');
    const rulesOf = (name: string): unknown =>
      (all.find(({ kind, metadata }) => kind === 'Role' && metadata.name === name) as { rules?: unknown } | undefined)
        ?.rules;
    expect(rulesOf('rel-cometmq-broker')).toEqual([
      { apiGroups: ['apps'], resources: ['statefulsets'], verbs: ['get'] },
    ]);
    expect(JSON.stringify(rulesOf('rel-cometmq-dashboard-api'))).toContain('"resourceNames":["rel-cometmq-scaling"]');
    const [place] = all.filter(({ kind, metadata }) => kind === 'StatefulSet' && /broker/.test(metadata.name));
    expect(place && settings(place)).toMatchObject({
      COMETMQ_SCALE_IN_WAIT_MS: '870000',
      COMETMQ_KUBERNETES_DIR: '/kubernetes',
    });
    expect(workloads(all).find((each) => component(each) === 'broker')?.pod.serviceAccountName).toBe(
      'rel-cometmq-broker',
    );
    const mine = render('serviceAccount.create=false', 'serviceAccount.name=mine');
    expect(JSON.stringify(mine.filter(({ kind }) => kind === 'RoleBinding'))).toContain('"name":"mine"');
  });

  it('are refused to be scaled in while they hold much, unless nobody shall look', () => {
    const policies = (...set: string[]): Thing[] =>
      render(...set).filter(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy'));
    expect(policies().map(nameOf)).toEqual([
      'ValidatingAdmissionPolicy/mq-rel-cometmq-scaling',
      'ValidatingAdmissionPolicyBinding/mq-rel-cometmq-scaling',
    ]);
    // A ConfigMap would be no parameter for long: see the template.
    const [policy, binding] = policies('broker.members=3') as unknown as [
      { spec: { paramKind: { kind: string }; matchConstraints: { resourceRules: { resourceNames: string[] }[] } } },
      { spec: { paramRef: object } },
    ];
    expect(policy.spec.paramKind.kind).toBe('ServiceAccount');
    expect(policy.spec.matchConstraints.resourceRules[0]?.resourceNames).toEqual(
      ['master', 'slave-1', 'slave-2'].map((place) => `rel-cometmq-broker-${place}`),
    );
    expect(binding.spec.paramRef).toMatchObject({ name: 'rel-cometmq-scaling', parameterNotFoundAction: 'Deny' });
    expect(render().map(nameOf)).toContain('ServiceAccount/rel-cometmq-scaling');
    expect(policies('broker.scaling.admissionPolicy=false')).toEqual([]);
    const off = render('broker.scaling.enabled=false');
    expect(off.filter(({ kind }) => /Role|Policy$|Binding/.test(kind) && kind !== 'NetworkPolicy')).toEqual([]);
    expect(JSON.stringify(off)).not.toContain('/kubernetes');
  });

  it('keep their volumes when they or the release go', () => {
    for (const { spec } of places()) {
      expect(spec).toMatchObject({
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
        volumeClaimTemplates: [{ metadata: { name: 'data' } }],
      });
    }
  });
});

// Goal: what is there already is looked at. Method: Helm asks a Kubernetes API of which a few answers are enough.
const resources = (names: Record<string, string>): object[] =>
  Object.entries(names).map(([name, kind]) => ({ name, kind, namespaced: true, verbs: ['get', 'list'] }));
const list = { kind: 'APIResourceList', apiVersion: 'v1' };
const groups: Readonly<Record<string, Record<string, string>>> = {
  apps: { statefulsets: 'StatefulSet', deployments: 'Deployment' },
  policy: { poddisruptionbudgets: 'PodDisruptionBudget' },
  'networking.k8s.io': { networkpolicies: 'NetworkPolicy' },
  'cert-manager.io': { certificates: 'Certificate' },
  'rbac.authorization.k8s.io': { roles: 'Role', rolebindings: 'RoleBinding' },
  'admissionregistration.k8s.io': {
    validatingadmissionpolicies: 'ValidatingAdmissionPolicy',
    validatingadmissionpolicybindings: 'ValidatingAdmissionPolicyBinding',
  },
};
const discovery: Record<string, object> = {
  '/version': { major: '1', minor: '34', gitVersion: 'v1.34.0' },
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: Object.keys(groups).map((name) => ({ name, versions: [{ groupVersion: `${name}/v1`, version: 'v1' }] })),
  },
  '/api/v1': {
    ...list,
    groupVersion: 'v1',
    resources: resources({
      persistentvolumeclaims: 'PersistentVolumeClaim',
      serviceaccounts: 'ServiceAccount',
      services: 'Service',
      pods: 'Pod',
      secrets: 'Secret',
      configmaps: 'ConfigMap',
    }),
  },
  ...Object.fromEntries(
    Object.entries(groups).map(([name, kinds]) => [
      `/apis/${name}/v1`,
      { ...list, groupVersion: `${name}/v1`, resources: resources(kinds) },
    ]),
  ),
};

/** What Helm says to an API that has these objects. What is rendered is then checked against the API's schema, which is not there. */
async function saidTo(answers: Readonly<Record<string, object>>, set: string): Promise<string> {
  const answersOf: Record<string, object> = { ...discovery, ...answers };
  const server = createServer((request, response) => {
    const body = answersOf[new URL(request.url ?? '', 'http://api').pathname];
    response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(body ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 }),
    );
  }).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const args = ['template', 'rel', chart, '--namespace', 'mq', '--dry-run=server', '--set', set];
    const asked = promisify(execFile)(
      helm,
      [...args, '--disable-openapi-validation', '--kube-apiserver', `http://127.0.0.1:${port}`],
      { env: { PATH: process.env['PATH'], HOME: '/nonexistent' }, maxBuffer: 16 * 1024 * 1024 },
    );
    return await asked.then(
      ({ stdout }) => stdout,
      (failed: { stderr: string }) => failed.stderr,
    );
  } finally {
    server.close();
  }
}

/** As an object of this release. */
const ours = (annotations: Readonly<Record<string, string>> = {}): object => ({
  labels: { 'app.kubernetes.io/managed-by': 'Helm' },
  annotations: { 'meta.helm.sh/release-name': 'rel', 'meta.helm.sh/release-namespace': 'mq', ...annotations },
});
const apps = (plural: string, name: string): string => `/apis/apps/v1/namespaces/mq/${plural}/rel-cometmq-${name}`;

describe('etcd', () => {
  it('is reached with the secrets that are named, by name servers alone', () => {
    const things = workloads(render(...secured));
    const [namesrv] = things.filter((one) => component(one) === 'namesrv');
    const container = namesrv?.pod.containers[0];
    const values = new Map(container?.env?.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));
    expect(values.get('TZ')).toBe('UTC');
    expect(values.get('COMETMQ_ETCD_CA_FILE')).toBe('/etcd-tls/ca.crt');
    expect(values.get('COMETMQ_ETCD_CERT_FILE')).toBe('/etcd-tls/tls.crt');
    expect(values.get('COMETMQ_ETCD_KEY_FILE')).toBe('/etcd-tls/tls.key');
    expect(values.get('COMETMQ_ETCD_USER')).toEqual({ secretKeyRef: { name: 'etcd-user', key: 'username' } });
    expect(values.get('COMETMQ_ETCD_PASSWORD')).toEqual({ secretKeyRef: { name: 'etcd-user', key: 'password' } });
    expect(namesrv?.pod.volumes).toContainEqual(
      expect.objectContaining({ name: 'etcd-tls', secret: expect.objectContaining({ secretName: 'etcd-client' }) }),
    );
    expect(JSON.stringify(things.filter((one) => one !== namesrv))).not.toContain('etcd-user');
  });

  const rootSecrets = (text: string): { readonly data: Readonly<Record<string, string>> }[] =>
    parseAll(text)
      .filter(({ kind, metadata }) => kind === 'Secret' && metadata.name === 'rel-cometmq-etcd-root')
      .map((thing) => thing as unknown as { readonly data: Readonly<Record<string, string>> });

  it('has users: the password of root is made once, kept over upgrades, and mounted by name servers alone', async () => {
    const [made] = rootSecrets(await saidTo({}, 'preset=small'));
    expect(atob(made?.data['password'] ?? '')).toMatch(/^[A-Za-z0-9]{40}$/);
    const secret = {
      ...{ apiVersion: 'v1', kind: 'Secret', data: made?.data },
      metadata: { name: 'rel-cometmq-etcd-root', namespace: 'mq', ...ours() },
    };
    const there = { '/api/v1/namespaces/mq/secrets/rel-cometmq-etcd-root': secret };
    expect(rootSecrets(await saidTo(there, 'preset=medium'))).toMatchObject([{ data: made?.data }]);
    for (const each of workloads(render())) {
      const isOf = component(each) === 'namesrv';
      expect(JSON.stringify(each.pod).includes('etcd-root')).toBe(isOf);
      if (!isOf) continue;
      const { COMETMQ_ETCD_ROOT_PASSWORD_FILE: file } = variables(each.pod.containers[0]?.env ?? []);
      expect(file).toBe('/etcd-root/password');
    }
  });

  it.each([
    ['of your own password', ['etcd.users.existingSecret=mine'], 'mine'],
    ['none where they are turned off', ['etcd.users.enabled=false'], undefined],
    ['none where certificates are yours, which may say no name', ['internalTls.existingSecretPrefix=mine'], undefined],
    [
      'with certificates of yours that have names',
      ['internalTls.existingSecretPrefix=mine', 'etcd.users.ownCertificates=true', 'etcd.users.existingSecret=root'],
      'root',
    ],
    [
      'none with such certificates where they are turned off',
      ['internalTls.existingSecretPrefix=mine', 'etcd.users.ownCertificates=true', 'etcd.users.enabled=false'],
      undefined,
    ],
    ['none where there are no certificates', ['internalTls.enabled=false'], undefined],
    ['none of an etcd from outside', secured, undefined],
  ])('has users: %s', (_what, set, name) => {
    const all = render(...set);
    expect(all.filter(({ metadata }) => metadata.name === 'rel-cometmq-etcd-root')).toEqual([]);
    const [namesrv] = workloads(all).filter((each) => component(each) === 'namesrv');
    const volume = namesrv?.pod.volumes?.find((each) => each.name === 'etcd-root');
    expect(volume).toEqual(name && { name: 'etcd-root', secret: { secretName: name, defaultMode: 0o440 } });
  });

  it.each([
    ['with the certificates that it knows them by', 'preset=small', undefined],
    ['where they are not seen to any more', 'etcd.users.enabled=false', undefined],
    ['without certificates', 'internalTls.enabled=false', /auth disable/],
    ['with certificates that may say no name', 'internalTls.existingSecretPrefix=mine', /auth disable/],
    [
      'with certificates of yours that have names',
      'internalTls.existingSecretPrefix=mine,etcd.users.ownCertificates=true',
      undefined,
    ],
  ])('that has users is not left without whom it knows: %s', async (_what, set, refused) => {
    const secret = {
      ...{ apiVersion: 'v1', kind: 'Secret', data: { password: btoa('secret') } },
      metadata: { name: 'rel-cometmq-etcd-root', namespace: 'mq', ...ours() },
    };
    const there = { '/api/v1/namespaces/mq/secrets/rel-cometmq-etcd-root': secret };
    expect(await saidTo(there, set)).toMatch(refused ?? /kind: StatefulSet/);
  });

  it('refuses to grow beyond what its volume holds, and takes one back that has lost its volume', () => {
    const words = (...set: string[]): readonly string[] =>
      workloads(render(...set)).find((each) => component(each) === 'etcd')?.pod.containers[0]?.command ?? [];
    expect(words()).toEqual(expect.arrayContaining(['--quota-backend-bytes=805306368', '--initial-cluster-state=new']));
    const other = words('etcd.quotaMiB=256', 'etcd.initialClusterState=existing');
    expect(other).toEqual(
      expect.arrayContaining(['--quota-backend-bytes=268435456', '--initial-cluster-state=existing']),
    );
  });

  // Goal: its size is never changed by the chart.
  const statefulSet = apps('statefulsets', 'etcd');
  const claims = '/api/v1/namespaces/mq/persistentvolumeclaims';
  const made = (replicas: number): Record<string, object> => ({
    [statefulSet]: { kind: 'StatefulSet', apiVersion: 'apps/v1', metadata: ours(), spec: { replicas } },
  });
  const left = (...names: string[]): Record<string, object> => ({
    [claims]: {
      kind: 'PersistentVolumeClaimList',
      apiVersion: 'v1',
      items: names.map((name) => ({ kind: 'PersistentVolumeClaim', apiVersion: 'v1', metadata: { name } })),
    },
  });
  const [one, two, three] = [0, 1, 2].map((member) => `data-rel-cometmq-etcd-${member}`) as [string, string, string];

  it.each([
    ['nothing is there yet', left(), 'etcd.replicas=5', undefined],
    ['it stays as it is', made(3), 'etcd.replicas=3', undefined],
    ['one becomes three', made(1), 'etcd.replicas=3', /made with 1 members, and 3 are asked for.*etcdctl member/],
    ['three become one', made(3), 'etcd.replicas=1', /made with 3 members, and 1 are asked for/],
    ['it is installed again', left(one, two, three, 'data-rel-cometmq-broker-0-0'), 'etcd.replicas=3', undefined],
    ['it is installed again, larger', left(one), 'etcd.replicas=3', /made with 1 members/],
    ['it is not ours', made(1), 'etcd.enabled=false,etcd.external.endpoints={http://a:2379}', undefined],
  ])('has a size that is fixed: %s', async (_what, answers, set, refused) => {
    expect(await saidTo(answers, set)).toMatch(refused ?? /kind: StatefulSet/);
  });
});

const ownedByHelm = {
  labels: { 'app.kubernetes.io/managed-by': 'Helm' },
  annotations: { 'meta.helm.sh/release-name': 'rel', 'meta.helm.sh/release-namespace': 'mq' },
};

describe('backups', () => {
  const bucket = ['backup.to=s3://backups/mq', 'backup.existingSecret=bucket'];
  const brokerEnv = (things: readonly Thing[]): Record<string, unknown> => {
    const { pod } = workloads(things).find((one) => component(one) === 'broker') as Workload;
    return Object.fromEntries(
      (pod.containers[0]?.env ?? []).map(({ name, value, valueFrom }) => [name, value ?? valueFrom]),
    );
  };

  it('are made by a job, never by two, of brokers that get the bucket and its secret', () => {
    const things = render(...bucket, 'backup.caSecret=ca', 'backup.schedule=5 4 * * *');
    const [job] = jobs(things);
    expect(job?.thing.spec).toMatchObject({ schedule: '5 4 * * *', concurrencyPolicy: 'Forbid' });
    expect(job?.pod).toMatchObject({ restartPolicy: 'Never' });
    const [container] = job?.pod.containers ?? [];
    expect(container?.args).toEqual(['comet', 'backup', 'run']);
    const volumes = job?.pod.volumes?.map(({ name }) => name);
    expect(container?.volumeMounts?.map(({ name }) => name)).toEqual(volumes);
    expect(brokerEnv(things)).toMatchObject({
      COMETMQ_BACKUP_TO: 's3://backups/mq',
      COMETMQ_BACKUP_REGION: 'us-east-1',
      COMETMQ_BACKUP_SECRET_KEY: { secretKeyRef: { name: 'bucket', key: 'secretKey' } },
      COMETMQ_BACKUP_ACCESS_KEY_ID: { secretKeyRef: { name: 'bucket', key: 'accessKeyId' } },
      NODE_EXTRA_CA_CERTS: '/backup-ca/ca.crt',
    });
  });

  it('are nowhere unless there is a bucket, and made by nobody without a time', () => {
    expect(jobs(render())).toEqual([]);
    expect(JSON.stringify(render())).not.toContain('BACKUP');
    const asked = render(...bucket, 'backup.schedule=');
    expect(jobs(asked)).toEqual([]);
    expect(brokerEnv(asked)).toHaveProperty('COMETMQ_BACKUP_TO');
  });

  it.each([
    ['', 443],
    ['http://minio.storage:9000', 9000],
    ['http://minio.storage', 80],
  ])('may reach the bucket where little else may be: %s', (endpoint, port) => {
    const things = render(...bucket, `backup.endpoint=${endpoint}`, 'networkPolicy.egress.enabled=true');
    const policy = things.find(
      ({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'rel-cometmq-broker',
    );
    expect((policy?.spec as unknown as { egress: object[] }).egress).toContainEqual({
      ports: [{ port, protocol: 'TCP' }],
    });
    const api = things.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'rel-cometmq-backup');
    expect(api?.spec).toMatchObject({ policyTypes: ['Ingress', 'Egress'] });
  });
});

describe('users', () => {
  const secretOf = (text: string): unknown =>
    parseAll(text).find(({ kind, metadata }) => kind === 'Secret' && metadata.name === 'rel-cometmq-users');

  it('are asked for from the first installation on, by proxies and the REST API', () => {
    const all = render('preset=small');
    for (const component of ['proxy', 'dashboard-api']) {
      const text = JSON.stringify(
        all.find(({ kind, metadata: { name } }) => kind === 'Deployment' && name.endsWith(component)),
      );
      expect(text).toContain('"secretName":"rel-cometmq-users"');
      expect(text).toContain('/users/keys');
    }
    expect(JSON.stringify(render('users.enabled=false'))).not.toContain('cometmq-users');
    expect(JSON.stringify(render('users.existingSecret=mine'))).toContain('"secretName":"mine"');
  });

  it('are no hindrance to `comet` in a pod of the REST API: it knows where the cluster is, and who it is there', () => {
    const container = (...set: string[]): Container | undefined =>
      workloads(render(...set)).find((each) => component(each) === 'dashboard-api')?.pod.containers[0];
    const found = container('dashboardApi.service.port=9082');
    expect(variables(found?.env ?? [])).toMatchObject({
      COMET_API: 'http://rel-cometmq-dashboard-api.mq.svc.cluster.local:9082',
      COMET_ENDPOINT: 'rel-cometmq-proxy.mq.svc.cluster.local:8081',
      COMET_SECRET_FILE: '/users/admin',
    });
    expect(found?.volumeMounts?.map(({ mountPath }) => mountPath)).toContain('/users');
    expect(variables(container('users.enabled=false')?.env ?? [])).not.toHaveProperty('COMET_SECRET_FILE');
  });

  it('keep their keys and the admin over upgrades', async () => {
    const data = { keys: 'a2V5cw==', admin: 'YWRtaW4=' };
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'rel-cometmq-users', namespace: 'mq', ...ownedByHelm },
      data,
    };
    const there = { '/api/v1/namespaces/mq/secrets/rel-cometmq-users': secret };
    expect(secretOf(await saidTo(there, 'preset=small'))).toMatchObject({ data });
    const made = secretOf(await saidTo({}, 'preset=small')) as { data: Record<string, string> };
    expect(atob(made.data['keys'] ?? '')).toMatch(/^k1 [A-Za-z0-9+/]{43}=$/);
    expect(atob(made.data['admin'] ?? '')).toMatch(/^admin [A-Za-z0-9]{40}$/);
  });
});

it('write down who did what in files of their pods, which can not fill a node', () => {
  for (const [set, wanted] of [
    [[], true],
    [['users.enabled=false'], false],
  ] as const) {
    for (const each of workloads(render(...set))) {
      const writes = wanted && ['proxy', 'dashboard-api'].includes(component(each) ?? '');
      const env = variables(each.pod.containers[0]?.env ?? []);
      expect(env['COMETMQ_AUDIT_FILE']).toBe(writes ? '/audit/audit.jsonl' : undefined);
      const volume = each.pod.volumes?.find((one) => one.name === 'audit');
      expect(volume).toEqual(writes ? { name: 'audit', emptyDir: { sizeLimit: '160Mi' } } : undefined);
      if (writes) expect(Number(env['COMETMQ_AUDIT_FILE_BYTES_MAX']) * 4).toBe(128 * 1024 * 1024);
    }
  }
});

describe('certificates between the programs', () => {
  interface Made {
    readonly metadata: { readonly name: string; readonly annotations?: Labels };
    readonly data: Readonly<Record<string, string>>;
  }
  const roles = ['namesrv', 'broker', 'proxy', 'dashboard-api', 'etcd'];
  const secretsIn = (text: string): Made[] =>
    parseAll(text)
      .filter(({ kind, metadata }) => kind === 'Secret' && metadata.name.startsWith('rel-cometmq-tls-'))
      .map((thing) => thing as unknown as Made);
  const certificateOf = (made: Made[], what: string): X509Certificate => {
    const found = made.find(({ metadata }) => metadata.name === `rel-cometmq-tls-${what}`);
    return new X509Certificate(Buffer.from(found?.data['tls.crt'] ?? '', 'base64'));
  };
  const asThere = (made: readonly Made[]): Record<string, object> =>
    Object.fromEntries(
      made.map((secret) => [
        `/api/v1/namespaces/mq/secrets/${secret.metadata.name}`,
        {
          ...{ apiVersion: 'v1', kind: 'Secret', data: secret.data },
          metadata: { name: secret.metadata.name, namespace: 'mq', ...ours(secret.metadata.annotations) },
        },
      ]),
    );

  it('are made at the first installation, one for each role, by one authority', async () => {
    const made = secretsIn(await saidTo({}, 'preset=small'));
    const authority = certificateOf(made, 'ca');
    expect(authority.ca).toBe(true);
    for (const role of roles) {
      const certificate = certificateOf(made, role);
      expect(certificate.verify(authority.publicKey)).toBe(true);
      expect(certificate.checkHost(`${role}.cometmq.internal`)).toBe(`${role}.cometmq.internal`);
    }
    for (const { pod, labels } of workloads(render())) {
      expect(pod.volumes).toContainEqual({
        name: 'internal-tls',
        secret: { secretName: `rel-cometmq-tls-${component({ labels })}`, defaultMode: 0o440 },
      });
    }
  });

  it('are kept over upgrades; another number of members of etcd makes a new one for etcd, by the same authority', async () => {
    const first = secretsIn(await saidTo({}, 'preset=small,etcd.replicas=1'));
    const second = secretsIn(await saidTo(asThere(first), 'preset=medium,etcd.replicas=1'));
    expect(second.map(({ data }) => data)).toEqual(first.map(({ data }) => data));
    const third = secretsIn(await saidTo(asThere(first), 'preset=small,etcd.replicas=3'));
    const changed = third.filter(({ data }, i) => data['tls.crt'] !== first[i]?.data['tls.crt']);
    expect(changed.map(({ metadata }) => metadata.name)).toEqual(['rel-cometmq-tls-etcd']);
    expect(certificateOf(third, 'etcd').verify(certificateOf(first, 'ca').publicKey)).toBe(true);
  });

  it('may be cert-manager’s, or there already', () => {
    const all = render('internalTls.issuerRef.name=ca', 'internalTls.issuerRef.kind=Issuer');
    const asked = all.filter(({ kind }) => kind === 'Certificate');
    expect(asked.map(({ metadata }) => metadata.name)).toEqual(roles.map((role) => `rel-cometmq-tls-${role}`));
    const named = asked.map((each) => (each as unknown as { spec: { commonName: string } }).spec.commonName);
    expect(named).toEqual(roles.map((role) => `${role}.cometmq.internal`)); // etcd knows its user by it.
    expect(all.filter(({ metadata, kind }) => kind === 'Secret' && metadata.name.includes('-tls-'))).toEqual([]);
    expect(JSON.stringify(render('internalTls.existingSecretPrefix=mine'))).toContain('"secretName":"mine-broker"');
    expect(JSON.stringify(render('internalTls.enabled=false'))).not.toContain('internal-tls');
  });

  it('are not asked for among members of etcd that were made without: they know each other by those addresses', async () => {
    const peers = (text: string): string | undefined => /listen-peer-urls=(https?)/.exec(text)?.[1];
    const claims = {
      '/api/v1/namespaces/mq/persistentvolumeclaims': {
        kind: 'PersistentVolumeClaimList',
        apiVersion: 'v1',
        items: [{ kind: 'PersistentVolumeClaim', apiVersion: 'v1', metadata: { name: 'data-rel-cometmq-etcd-0' } }],
      },
    };
    expect(peers(await saidTo({}, 'etcd.replicas=1'))).toBe('https');
    expect(peers(await saidTo(claims, 'etcd.replicas=1'))).toBe('http');
    const kept = secretsIn(await saidTo({}, 'etcd.replicas=1'));
    expect(peers(await saidTo({ ...claims, ...asThere(kept) }, 'etcd.replicas=1'))).toBe('https');
  });

  describe('when they are turned off, are kept by members of etcd that were made with them', () => {
    const command = (scheme: string): object => ({ command: [`--listen-peer-urls=${scheme}://0.0.0.0:2380`] });
    const made = (scheme: string): Record<string, object> => ({
      [apps('statefulsets', 'etcd')]: {
        ...{ kind: 'StatefulSet', apiVersion: 'apps/v1', metadata: ours() },
        spec: { replicas: 3, template: { spec: { containers: [command(scheme)] } } },
      },
    });
    /** What etcd names, mounts and has as volumes of certificates, and who else has any. */
    const usedIn = (text: string): object => {
      const all = workloads(parseAll(text));
      const etcd = all.find((one) => component(one) === 'etcd')?.pod;
      const certificate = ({ name }: { name: string }): boolean => name === 'internal-tls';
      return {
        names: JSON.stringify(etcd?.containers).includes('=/internal-tls/tls.crt'),
        clients: /listen-client-urls=(https?)/.exec(text)?.[1],
        mounts: etcd?.containers.flatMap(({ volumeMounts = [] }) => volumeMounts.filter(certificate)).length,
        volumes: etcd?.volumes?.filter(certificate) ?? [],
        others: all.filter(({ pod }) => pod !== etcd && JSON.stringify(pod).includes('internal-tls')).length,
      };
    };
    const volume = (secretName: string): object => ({
      ...{ names: true, clients: 'http', mounts: 1, others: 0 },
      volumes: [{ name: 'internal-tls', secret: { secretName, defaultMode: 0o440 } }],
    });

    it('the chart’s', async () => {
      const before = secretsIn(await saidTo({}, 'etcd.replicas=3'));
      const said = await saidTo({ ...made('https'), ...asThere(before) }, 'internalTls.enabled=false');
      expect(usedIn(said)).toEqual(volume('rel-cometmq-tls-etcd'));
      const kept = secretsIn(said);
      expect(kept.map(({ metadata }) => metadata.name)).toEqual(['rel-cometmq-tls-ca', 'rel-cometmq-tls-etcd']);
      for (const { metadata, data } of kept) {
        expect(data).toEqual(before.find((one) => one.metadata.name === metadata.name)?.data);
      }
    });

    it('cert-manager’s, which goes on renewing it', async () => {
      const issuer = 'internalTls.issuerRef.name=ca,internalTls.issuerRef.kind=Issuer';
      const said = await saidTo(made('https'), `internalTls.enabled=false,${issuer}`);
      expect(usedIn(said)).toEqual(volume('rel-cometmq-tls-etcd'));
      const asked = parseAll(said).filter(({ kind }) => kind === 'Certificate');
      expect(asked.map(({ metadata }) => metadata.name)).toEqual(['rel-cometmq-tls-etcd']);
      expect(secretsIn(said)).toEqual([]);
    });

    it('those that were there already', async () => {
      const said = await saidTo(made('https'), 'internalTls.enabled=false,internalTls.existingSecretPrefix=mine');
      expect(usedIn(said)).toEqual(volume('mine-etcd'));
      expect(secretsIn(said)).toEqual([]);
    });

    it('and by no others', async () => {
      const said = await saidTo(made('http'), 'internalTls.enabled=false');
      expect(usedIn(said)).toEqual({ names: false, clients: 'http', mounts: 0, volumes: [], others: 0 });
      expect(secretsIn(said)).toEqual([]);
    });
  });
});

it('gives a proxy that stops its grace period to serve on, but for what the stop takes', () => {
  const drainMs = (...set: string[]): string | undefined => {
    const proxy = workloads(render(...set)).find((each) => component(each) === 'proxy');
    return variables(proxy?.pod.containers[0]?.env ?? [])['COMETMQ_DRAIN_MS'];
  };
  expect(drainMs()).toBe('90000');
  expect(drainMs('proxy.terminationGracePeriodSeconds=60')).toBe('20000');
  expect(drainMs('proxy.terminationGracePeriodSeconds=30')).toBe('0');
  expect(drainMs('proxy.config.drainMs=1000')).toBe('1000');
});

describe('what is there already', () => {
  const place = (name: string, replicas: number, storage = '20Gi'): Record<string, object> => ({
    [apps('statefulsets', `broker-${name}`)]: {
      kind: 'StatefulSet',
      apiVersion: 'apps/v1',
      metadata: ours(),
      spec: {
        replicas,
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { resources: { requests: { storage } } } }],
      },
    },
  });
  const proxies = (replicas: number, last: string): Record<string, object> => ({
    [apps('deployments', 'proxy')]: {
      kind: 'Deployment',
      apiVersion: 'apps/v1',
      metadata: ours({ 'cometmq/replicas': last }),
      spec: { replicas },
    },
  });
  const replicasOf = (said: string, name: string): number | undefined =>
    parseAll(said).find(({ metadata, spec }) => metadata.name === `rel-cometmq-${name}` && spec?.replicas !== undefined)
      ?.spec.replicas;

  it('a number of proxies that somebody has scaled to is theirs', async () => {
    expect(replicasOf(await saidTo(proxies(4, '2'), 'proxy.replicas=2'), 'proxy')).toBe(4);
  });

  it('and one that is asked for anew is the chart’s', async () => {
    expect(replicasOf(await saidTo(proxies(4, '2'), 'proxy.replicas=3'), 'proxy')).toBe(3);
  });

  it('broker sets that somebody has added stay', async () => {
    const said = await saidTo({ ...place('master', 5), ...place('slave-1', 5) }, 'broker.sets=2');
    expect([replicasOf(said, 'broker-master'), replicasOf(said, 'broker-slave-1')]).toEqual([5, 5]);
  });

  const setsOf = (members: number): Record<string, object> =>
    Object.fromEntries(
      Array.from({ length: members }, (_, i) => place(i === 0 ? 'master' : `slave-${i}`, 2)).flatMap(
        Object.entries<object>,
      ),
    );

  it.each([
    ['a forgotten preset', 3, 'broker.sets=2', /have 3 members each .*-broker-slave-2\), and 2 are asked for/],
    ['a forgotten number of members', 5, 'preset=large', /have 5 members each .*Keep broker\.members=5.*Fewer members/],
    ['a single member', 2, 'broker.members=1', /have 2 members each .*-broker-slave-1\), and 1 are asked for/],
    ['as many are well', 3, 'preset=medium', undefined],
    ['more are well', 3, 'broker.members=5', undefined],
  ])('members of all broker sets are not taken away: %s', async (_what, members, set, refused) => {
    const said = await saidTo(setsOf(members), set);
    if (refused) expect(said).toMatch(refused);
    else expect(replicasOf(said, `broker-slave-${members - 1}`)).toBe(2);
  });

  it('and the place with the highest number that there may be is looked for', async () => {
    const text = readFileSync(join(chart, 'values.schema.json'), 'utf8');
    const { properties } = JSON.parse(text) as { properties: Record<string, { properties: Record<string, unknown> }> };
    const most = /"maximum":(\d+)/.exec(JSON.stringify(properties['broker']?.properties['members']))?.[1];
    const said = await saidTo({ ...setsOf(2), ...place(`slave-${Number(most) - 1}`, 2) }, 'preset=small');
    expect(said).toMatch(new RegExp(`have ${most} members each`));
  });

  it.each([
    [
      'places of different sizes',
      { ...place('master', 3), ...place('slave-1', 2) },
      /scale statefulset -l .* --replicas=3/,
    ],
    ['a release of the older layout', place('0', 1), /one StatefulSet a broker set.*From 0\.1\.0/],
    ['volumes of another size', place('master', 1, '10Gi'), /broker\.persistence\.size: .* 10Gi.*Larger volumes/],
  ])('refused, with the way: %s', async (_what, answers, refused) => {
    expect(await saidTo(answers, 'preset=small')).toMatch(refused);
  });
});

describe('values', () => {
  it.each([
    ['proxy.replica=3', /additional properties 'replica' not allowed/],
    ['broker.members=6', /broker\/members/],
    ['preset=huge', /preset/],
    ['broker.config.brokerName=mine', /broker\.config\.brokerName: the chart sets it/],
    ['broker.config.metricsPort=9000', /broker\.config\.metricsPort: .* probes and Services that lead to it/],
    ['namesrv.config.metricsHost=127.0.0.1', /namesrv\.config\.metricsHost: /],
    ['proxy.config.proxyPort=9081', /proxy\.config\.proxyPort: /],
    ['dashboardApi.config.adminPort=9082', /dashboardApi\.config\.adminPort: /],
    ['etcd.replicas=2', /etcd\/replicas/],
    ['etcd.enabled=false', /endpoints.*minItems/],
    ['image.digest=sha256:abc', /image\/digest/],
    ['broker.persistence.size=many', /persistence\/size/],
    ['fullnameOverride=Not_A_Name', /fullnameOverride/],
    ['proxy.service.type=Router', /service\/type/],
    ['backup.to=s3://backups', /backup\/existingSecret/],
    ['backup.to=/backups', /backup\/to/],
    ['backup.restoreFrom=latest', /backup\/restoreFrom/],
    // As --reuse-values does with values of a chart that had none of them.
    ['audit=null', /missing property 'audit'/],
    ['etcd.users=null', /etcd'?: missing property 'users'/],
    ['broker.restartWaitSeconds=null', /broker'?: missing property 'restartWaitSeconds'/],
  ])('%s is refused, and it is said where', (set, said) => {
    const { status, stderr } = runHelm('template', 'rel', chart, '--set', set);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(said);
  });

  it('that are the chart’s own are settings of their programs, and all addresses and ports that it leads to are', () => {
    // What a template knows is seen in an object that is rendered from it.
    const shown = { apiVersion: 'v1', kind: 'ConfigMap', data: { own: '{{ include "cometmq.ownSettings" . }}' } };
    const { stdout } = runHelm('template', 'rel', chart, '--set-json', `extraObjects=${JSON.stringify([shown])}`);
    const [said] = parseAll(stdout).flatMap((thing) => (thing as unknown as Partial<typeof shown>).data?.own ?? []);
    const own = JSON.parse(said ?? '{}') as Record<string, string[]>;
    const declared = {
      broker: brokerConfig,
      namesrv: namesrvConfig,
      proxy: proxyConfig,
      dashboardApi: dashboardApiConfig,
    };
    expect(Object.keys(own).sort()).toEqual(Object.keys(declared).sort());
    for (const [program, { settings }] of Object.entries(declared)) {
      const known = Object.keys(settings);
      expect([program, own[program]?.filter((name) => !known.includes(name))]).toEqual([program, []]);
      // KEDA’s is opened by whoever wants it.
      const opened = known.filter((name) => /(^h|H)ost$|(^p|P)ort$/.test(name) && name !== 'kedaPort');
      expect(opened).toHaveLength(4);
      expect([program, own[program]]).toEqual([program, expect.arrayContaining(opened)]);
    }
  });

  it('that make a program’s setting unknown are found by the program', () => {
    const broker = render('broker.config.segmentByte=1').find(
      ({ kind, metadata }) => `${kind}/${metadata.name}` === 'StatefulSet/rel-cometmq-broker-master',
    );
    const env = broker?.spec.template?.spec.containers[0]?.env ?? [];
    expect(() => programs['broker']?.(variables(env))).toThrow(
      /COMETMQ_SEGMENT_BYTE=?.*: unknown setting; did you mean COMETMQ_SEGMENT_BYTES/,
    );
  });
});

describe('the controller of resources', () => {
  const on = ['controller.enabled=true'];
  const find = (things: readonly Thing[], kind: string, name: string): Thing | undefined =>
    things.find((thing) => thing.kind === kind && thing.metadata.name === name);
  const settingsOf = (things: readonly Thing[]): Record<string, string> => {
    const api = workloads(things).find((each) => component(each) === 'dashboard-api');
    return variables(api?.pod.containers[0]?.env ?? []);
  };

  it('is off, and then has no right', () => {
    const things = render();
    expect(settingsOf(things)).not.toHaveProperty('COMETMQ_CONTROLLER_LEASE');
    for (const kind of ['Lease', 'Role', 'RoleBinding']) {
      expect(find(things, kind, 'rel-cometmq-controller')).toBeUndefined();
    }
    expect(JSON.stringify(things.filter(({ kind }) => kind === 'Role'))).not.toContain('secrets');
  });

  it.each([
    ['beside the scaling of broker sets', on],
    ['alone', [...on, 'broker.scaling.enabled=false']],
  ])('has the account, the token and the rights that it needs %s', (_how, values) => {
    const things = render(...values);
    const settings = settingsOf(things);
    expect(settings).toMatchObject({ COMETMQ_CONTROLLER_LEASE: 'rel-cometmq-controller' });
    expect(settings['COMETMQ_KUBERNETES_DIR']).toBe('/kubernetes');
    expect(find(things, 'Lease', 'rel-cometmq-controller')).toBeDefined();
    const api = workloads(things).find((each) => component(each) === 'dashboard-api');
    const account = api?.pod.serviceAccountName ?? '';
    expect(find(things, 'ServiceAccount', account)).toBeDefined();
    expect(find(things, 'RoleBinding', 'rel-cometmq-controller')).toMatchObject({ subjects: [{ name: account }] });
    const { rules } = find(things, 'Role', 'rel-cometmq-controller') as unknown as {
      rules: { resources: string[]; verbs: string[]; resourceNames?: string[] }[];
    };
    const verbs = (resource: string): string[] =>
      rules.find(({ resources }) => resources.includes(resource))?.verbs ?? [];
    expect(verbs('comettopics')).toEqual(['get', 'list', 'watch', 'patch']);
    expect(verbs('cometusers/status')).toEqual(['patch']);
    // It can neither list secrets nor delete any, and change no lease but its own.
    expect(verbs('secrets')).toEqual(['get', 'create', 'patch']);
    expect(rules.filter(({ resources }) => resources.includes('leases'))).toMatchObject([
      { resourceNames: ['rel-cometmq-controller'], verbs: ['get', 'patch'] },
      { verbs: ['list'] },
    ]);
    // By which other releases know of it.
    expect(find(things, 'Lease', 'rel-cometmq-controller')?.metadata).toMatchObject({
      labels: {
        'app.kubernetes.io/part-of': 'cometmq',
        'app.kubernetes.io/component': 'dashboard-api',
        'app.kubernetes.io/instance': 'rel',
      },
    });
    // No other program has the token of this account.
    const others = workloads(things).filter((each) => component(each) !== 'dashboard-api');
    expect(others.map(({ pod }) => pod.serviceAccountName)).not.toContain(account);
  });
});

it('makes the kinds of the controller a chart of their own, which leaves them when it goes', () => {
  const { status, stdout, stderr } = runHelm('template', 'crds', join(repository, 'charts/cometmq-crds'));
  expect([status, stderr]).toEqual([0, '']);
  const things = parseAll(stdout) as unknown as { kind: string; metadata: { name: string; annotations: object } }[];
  expect(things.map(({ metadata }) => metadata.name).sort()).toEqual([
    ...['cometgroups.cometmq.io', 'comettopics.cometmq.io', 'cometusers.cometmq.io'],
  ]);
  for (const { kind, metadata } of things) {
    expect(kind).toBe('CustomResourceDefinition');
    expect(metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
  }
  expect(runHelm('lint', '--strict', join(repository, 'charts/cometmq-crds')).status).toBe(0);
});
