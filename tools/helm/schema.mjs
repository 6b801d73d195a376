/**
 * The schema of the chart's values, from one declaration: what every component can be given is written once.
 */

const text = { type: 'string' };
const flag = { type: 'boolean' };
const integer = (minimum, maximum) => ({ type: 'integer', minimum, maximum });
const orNull = (schema) => ({ oneOf: [{ type: 'null' }, schema] });
/**
 * Each of its properties has a default. So one that is missing is of values that an earlier chart had, which `--reuse-values` takes
 * without this one's defaults, or was taken away by null.
 */
const object = (properties, more = {}) => {
  const required = Object.keys(properties).filter((name) => !mayBeMissing(properties[name]));
  return { type: 'object', additionalProperties: false, properties, ...(required.length > 0 && { required }), ...more };
};
const ref = (name) => ({ $ref: `#/$defs/${name}` });
/** Where nothing is as good as empty. */
const mayBeMissing = ({ oneOf, type, properties, $ref }) =>
  oneOf !== undefined ||
  (type === 'object' && properties === undefined) ||
  ['labels', 'anyObject', 'listOfObjects', 'config'].some((name) => $ref === `#/$defs/${name}`);

/** What every component of ours and etcd can be given. */
const pod = {
  resources: ref('anyObject'),
  extraEnv: ref('listOfObjects'),
  podLabels: ref('labels'),
  podAnnotations: ref('labels'),
  nodeSelector: ref('labels'),
  tolerations: ref('listOfObjects'),
  affinity: ref('anyObject'),
  priorityClassName: text,
  topologySpreadConstraints: ref('listOfObjects'),
};
const program = {
  config: ref('config'),
  envFrom: ref('listOfObjects'),
  initContainers: ref('listOfObjects'),
  sidecars: ref('listOfObjects'),
  extraVolumes: ref('listOfObjects'),
  extraVolumeMounts: ref('listOfObjects'),
  updateStrategy: ref('anyObject'),
  terminationGracePeriodSeconds: integer(1, 86_400),
  ...pod,
};
const persistence = object({ size: ref('quantity'), storageClass: text });
const service = object({
  type: { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
  port: ref('port'),
  nodePort: orNull(ref('port')),
  annotations: ref('labels'),
  externalTrafficPolicy: { enum: ['', 'Cluster', 'Local'] },
  loadBalancerClass: text,
  loadBalancerIP: text,
  loadBalancerSourceRanges: { type: 'array', items: text },
});
const ingress = object({
  enabled: flag,
  className: text,
  host: text,
  annotations: ref('labels'),
  tls: ref('listOfObjects'),
});
const interval = { type: 'string', pattern: '^\\d+(ms|s|m)$' };
const monitor = object({ enabled: flag, interval, labels: ref('labels') });

export const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Values of the CometMQ chart',
  description: 'What is not here is refused, so that a mistyped name is an error and not a default.',
  ...object({
    global: { type: 'object' },
    preset: { enum: ['small', 'medium', 'large'] },
    nameOverride: text,
    fullnameOverride: { type: 'string', pattern: '^([a-z]([a-z0-9-]{0,38}[a-z0-9])?)?$' },
    commonLabels: ref('labels'),
    clusterDomain: { type: 'string', minLength: 1 },
    clusterName: text,
    image: ref('image'),
    imagePullSecrets: ref('listOfObjects'),
    podSecurityContext: object({
      runAsUser: orNull(integer(1, 2 ** 31)),
      runAsGroup: orNull(integer(1, 2 ** 31)),
      fsGroup: orNull(integer(1, 2 ** 31)),
    }),
    serviceAccount: object({ create: flag, name: text, annotations: ref('labels') }),
    etcd: object(
      {
        enabled: flag,
        external: object({
          endpoints: { type: 'array', items: { type: 'string', pattern: '^https?://[^,]+:\\d+$' } },
          tls: object({ secretName: text, clientCertificate: flag }),
          auth: object({ secretName: text }),
        }),
        users: object({ enabled: flag, ownCertificates: flag, existingSecret: text }),
        root: { type: 'string', pattern: '^(/([^/]+/)*)?$' },
        image: ref('image'),
        replicas: { enum: [1, 3, 5] },
        antiAffinity: { enum: ['required', 'preferred', 'none'] },
        quotaMiB: integer(64, 8192),
        initialClusterState: { enum: ['new', 'existing'] },
        persistence,
        ...pod,
      },
      {
        if: { properties: { enabled: { const: false } }, required: ['enabled'] },
        then: { properties: { external: { properties: { endpoints: { minItems: 1 } } } } },
      },
    ),
    namesrv: object({ replicas: integer(1, 20), ...program }),
    broker: object({
      sets: orNull(integer(1, 100)),
      members: orNull(integer(1, 5)),
      antiAffinity: orNull({ enum: ['required', 'preferred', 'none'] }),
      durability: { enum: ['available', 'strict'] },
      scaling: object({ enabled: flag, heldMax: integer(0, 1_000_000_000), admissionPolicy: flag }),
      restartWaitSeconds: integer(0, 3_600),
      persistence,
      ...program,
    }),
    proxy: object({
      replicas: integer(0, 1_000),
      tls: object({ secretName: text }),
      service,
      ingress,
      gateway: object({ enabled: flag, parentRefs: ref('listOfObjects'), hostnames: { type: 'array', items: text } }),
      autoscaling: object({
        enabled: flag,
        minReplicas: integer(1, 1_000),
        maxReplicas: integer(1, 1_000),
        targetCPUUtilizationPercentage: integer(1, 100),
      }),
      keda: object({
        enabled: flag,
        minReplicas: integer(0, 1_000),
        maxReplicas: integer(1, 1_000),
        triggers: ref('listOfObjects'),
      }),
      ...program,
    }),
    dashboardApi: object({ replicas: integer(0, 20), service, ingress, ...program }),
    controller: object({ enabled: flag }),
    backup: object(
      {
        to: { type: 'string', pattern: '^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/\\S*)?)?$' },
        endpoint: { type: 'string', pattern: '^(https?://[^/\\s]+/?)?$' },
        region: { type: 'string', minLength: 1 },
        addressing: { enum: ['path', 'virtual-host'] },
        existingSecret: text,
        caSecret: text,
        schedule: text,
        timeZone: text,
        deadlineSeconds: integer(60, 604_800),
        restoreFrom: text,
      },
      {
        if: { properties: { to: { minLength: 1 } }, required: ['to'] },
        then: { properties: { existingSecret: { minLength: 1 } } },
        else: { properties: { restoreFrom: { maxLength: 0 } } },
      },
    ),
    podDisruptionBudget: object({ enabled: flag }),
    users: object({ enabled: flag, existingSecret: text }),
    audit: object({ fileMiB: integer(1, 4_096), topic: flag }),
    internalTls: object({ enabled: flag, issuerRef: ref('labels'), existingSecretPrefix: text }),
    networkPolicy: object({
      enabled: flag,
      dashboardApiFrom: ref('listOfObjects'),
      extraIngress: ref('listOfObjects'),
      egress: object({ enabled: flag, extra: ref('listOfObjects') }),
    }),
    metrics: object({ annotations: flag, podMonitor: monitor, serviceMonitor: monitor }),
    prometheusRule: object({
      enabled: flag,
      labels: ref('labels'),
      lagMax: integer(0, Number.MAX_SAFE_INTEGER),
      diskFreePercentMin: integer(0, 100),
      backupAgeHoursMax: integer(1, 100_000),
      exporterNames: flag,
    }),
    grafana: object({ dashboards: object({ enabled: flag, labels: ref('labels'), annotations: ref('labels') }) }),
    extraObjects: ref('listOfObjects'),
  }),
  $defs: {
    port: integer(1, 65_535),
    quantity: { type: 'string', pattern: '^\\d+(\\.\\d+)?([KMGTPE]i?)?$' },
    labels: { type: 'object', additionalProperties: text },
    anyObject: { type: 'object' },
    listOfObjects: { type: 'array', items: { type: 'object' } },
    config: {
      type: 'object',
      description: 'Settings by the names that --print-config shows.',
      propertyNames: { pattern: '^[a-z][a-zA-Z0-9]*$' },
      additionalProperties: { type: ['string', 'number', 'boolean', 'array'] },
    },
    image: object({
      repository: { type: 'string', minLength: 1 },
      tag: text,
      digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
      pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
    }),
  },
};
