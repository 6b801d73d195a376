/**
 * The CustomResourceDefinitions of our resources, made from the schemas of the REST API: `node tools/helm/chart-files.mjs` writes
 * them into the chart cometmq-crds. Kubernetes wants schemas that are "structural": what differs by alternatives is one object with
 * all fields here, and a rule says which belong together.
 */
import type { Schema } from '../api/schema-parts.js';
import { apiGroup, apiVersion } from './resource.js';
import { groupSpec, topicSpec, userSpec } from './spec-schemas.js';

interface Rule {
  readonly rule: string;
  readonly message: string;
}
interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date' | 'boolean';
  readonly jsonPath: string;
  /** Above 0: with `-o wide` only. */
  readonly priority?: number;
}
interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly short: string;
  readonly about: string;
  readonly spec: Schema;
  readonly rules: readonly Rule[];
  /** Of fields of the spec. */
  readonly fieldRules: Readonly<Record<string, readonly Rule[]>>;
  readonly columns: readonly Column[];
}

const fixed = (path: string): Rule => {
  const [has, was] = [`has(self.${path})`, `has(oldSelf.${path})`];
  return {
    rule: `${has} == ${was} && (!${has} || self.${path} == oldSelf.${path})`,
    message: `${path} can not be changed`,
  };
};
/** It may be named later: not another one. */
const releaseStays: Rule = {
  rule: '!has(oldSelf.release) || (has(self.release) && self.release == oldSelf.release)',
  message: 'release can not be changed',
};
const zeroOr = (min: number, unit: string): readonly Rule[] => [
  { rule: `self == 0 || self >= ${min}`, message: `must be 0 or at least ${min} ${unit}` },
];

const definitions: readonly Definition[] = [
  {
    ...{
      kind: 'CometTopic',
      plural: 'comettopics',
      short: 'ctopic',
      about: 'A topic of the CometMQ of its namespace.',
    },
    spec: topicSpec,
    rules: [
      fixed('name'),
      fixed('type'),
      releaseStays,
      {
        rule: '!has(self.readQueues) || !has(self.writeQueues) || self.readQueues >= self.writeQueues',
        message: 'readQueues must not be fewer than writeQueues: what is sent to the others could not be consumed',
      },
      {
        rule: "!has(self.liteExpirationMs) || self.liteExpirationMs == 0 || self.type == 'lite'",
        message: 'liteExpirationMs is for topics of type lite',
      },
    ],
    fieldRules: {
      retentionMs: zeroOr(60_000, 'ms'),
      retentionBytes: zeroOr(1024 * 1024, 'bytes'),
      liteExpirationMs: zeroOr(15 * 60_000, 'ms'),
    },
    columns: [
      { name: 'Type', type: 'string', jsonPath: '.spec.type' },
      { name: 'Queues', type: 'integer', jsonPath: '.spec.writeQueues' },
    ],
  },
  {
    ...{ kind: 'CometGroup', plural: 'cometgroups', short: 'cgroup' },
    about: 'A consumer group of the CometMQ of its namespace.',
    spec: groupSpec,
    rules: [fixed('name'), releaseStays],
    fieldRules: {
      lite: [{ rule: 'self.topic == oldSelf.topic', message: 'topic can not be changed' }],
    },
    columns: [
      { name: 'FIFO', type: 'boolean', jsonPath: '.spec.fifo' },
      { name: 'Attempts', type: 'integer', jsonPath: '.spec.attemptsMax' },
    ],
  },
  {
    ...{ kind: 'CometUser', plural: 'cometusers', short: 'cuser' },
    about: 'A user of the CometMQ of its namespace, with a Secret that has its access key and secret.',
    spec: userSpec,
    rules: [fixed('name'), fixed('secretName'), releaseStays],
    fieldRules: {},
    columns: [
      { name: 'Kind', type: 'string', jsonPath: '.spec.kind' },
      { name: 'Enabled', type: 'boolean', jsonPath: '.spec.enabled' },
    ],
  },
];

const ready = (field: string): string => `.status.conditions[?(@.type=="Ready")].${field}`;
const usualColumns: readonly Column[] = [
  { name: 'Ready', type: 'string', jsonPath: ready('status') },
  { name: 'Reason', type: 'string', jsonPath: ready('reason') },
  { name: 'Release', type: 'string', jsonPath: '.status.release', priority: 1 },
  { name: 'Message', type: 'string', jsonPath: ready('message'), priority: 1 },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

const string = { type: 'string' };
const int64 = { type: 'integer', format: 'int64' };
const statusSchema = {
  type: 'object',
  properties: {
    observedGeneration: { ...int64, description: 'The generation that the conditions are about.' },
    id: { ...int64, description: 'Of the topic, group or user that is its own.' },
    name: { ...string, description: 'Its name in the cluster.' },
    release: { ...string, description: 'The release whose cluster has it.' },
    conditions: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
        properties: {
          type: string,
          status: { ...string, enum: ['True', 'False', 'Unknown'] },
          reason: string,
          message: string,
          lastTransitionTime: { ...string, format: 'date-time' },
          observedGeneration: int64,
        },
      },
    },
  },
} as const;

export function customResourceDefinitions(): readonly object[] {
  return definitions.map((definition) => {
    const { kind, plural, short, about, spec, rules, fieldRules, columns } = definition;
    const whole = structural(spec) as { readonly properties: Readonly<Record<string, object>> };
    const properties = Object.fromEntries(
      Object.entries(whole.properties).map(([name, field]) => [name, withRules(field, fieldRules[name] ?? [])]),
    );
    const schema = {
      ...{ type: 'object', description: about },
      properties: { spec: withRules({ ...whole, default: {}, properties }, rules), status: statusSchema },
    };
    return {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.${apiGroup}` },
      spec: {
        ...{ group: apiGroup, scope: 'Namespaced' },
        names: {
          kind,
          listKind: `${kind}List`,
          plural,
          singular: kind.toLowerCase(),
          shortNames: [short],
          categories: ['cometmq'],
        },
        versions: [
          {
            ...{ name: apiVersion, served: true, storage: true, subresources: { status: {} } },
            additionalPrinterColumns: [...columns, ...usualColumns],
            schema: { openAPIV3Schema: schema },
          },
        ],
      },
    };
  });
}

interface Known {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Known>>;
  readonly items?: Known;
  readonly oneOf?: readonly Known[];
  readonly discriminator?: { readonly propertyName: string };
  readonly [name: string]: unknown;
}

function structural(schema: Schema): object {
  const { additionalProperties: _more, const: only, discriminator, oneOf, required, ...rest } = schema as Known;
  if (oneOf && discriminator) return alternatives(rest, oneOf, discriminator.propertyName);
  return {
    ...rest,
    ...(only !== undefined && { enum: [only] }),
    ...(rest.type === 'integer' && { format: 'int64' }),
    // An empty list says nothing.
    ...(required && required.length > 0 && { required }),
    ...(rest.items && { items: structural(rest.items) }),
    ...(rest.properties && { properties: structuralOf(rest.properties) }),
  };
}

function structuralOf(properties: Readonly<Record<string, Known>>): Record<string, object> {
  return Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, structural(field as Schema)]));
}

/** One object with the fields of all; for each tag a rule says which there must be, and which not. */
function alternatives(rest: object, oneOf: readonly Known[], tag: string): object {
  const tagsOf = ({ properties = {} }: Known): readonly unknown[] => properties[tag]?.enum ?? [properties[tag]?.const];
  const fields: Record<string, object> = {};
  for (const { properties = {} } of oneOf) Object.assign(fields, structuralOf(properties));
  fields[tag] = { type: 'string', enum: oneOf.flatMap(tagsOf) };
  const others = Object.keys(fields).filter((name) => name !== tag);
  const rules = oneOf.map((one) => {
    const own = Object.keys(one.properties ?? {}).filter((name) => name !== tag);
    const tags = tagsOf(one).map((value) => `'${String(value)}'`);
    const needs = others.map((name) => `${own.includes(name) ? '' : '!'}has(self.${name})`);
    const wanted = own.length > 0 ? `needs ${own.join(', ')} and no other field` : 'has no other field';
    return {
      rule: `!(self.${tag} in [${tags.join(', ')}]) || (${needs.join(' && ')})`,
      message: `${tag} ${tagsOf(one).join(', ')} ${wanted}`,
    };
  });
  return withRules({ ...rest, required: [tag], properties: fields }, rules);
}

function withRules(schema: object, rules: readonly Rule[]): object {
  return rules.length === 0 ? schema : { ...schema, 'x-kubernetes-validations': rules };
}
