// Goal: the definitions are what Kubernetes takes and what the REST API takes. Method: its rules for structural schemas, one by one,
// on every node; that a real API server takes them is shown by `npm run e2e:kubernetes -- --only controller`.
import { schemas } from '../api/schemas.js';
import { customResourceDefinitions } from './crds.js';

interface Node {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[];
  readonly [name: string]: unknown;
}
interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly names: { readonly kind: string; readonly plural: string };
    readonly versions: readonly {
      readonly additionalPrinterColumns: readonly { readonly name: string; readonly jsonPath: string }[];
      readonly schema: { readonly openAPIV3Schema: Node };
    }[];
  };
}

const definitions = customResourceDefinitions() as readonly Definition[];
const schemaOf = (definition: Definition): Node => definition.spec.versions[0]?.schema.openAPIV3Schema ?? {};
const specOf = (kind: string): Node => {
  const definition = definitions.find(({ spec }) => spec.names.kind === kind);
  return (definition && schemaOf(definition).properties?.['spec']) ?? {};
};

function nodesOf(node: Node, where: string): [string, Node][] {
  const fields = Object.entries(node.properties ?? {}).flatMap(([name, field]) => nodesOf(field, `${where}.${name}`));
  return [[where, node], ...fields, ...(node.items ? nodesOf(node.items, `${where}[]`) : [])];
}

/** What a structural schema may say of a field. */
const allowed = new Set([
  ...['type', 'format', 'description', 'default', 'enum', 'pattern', 'minimum', 'maximum', 'minLength', 'maxLength'],
  ...['minItems', 'maxItems', 'items', 'properties', 'required', 'x-kubernetes-validations'],
  ...['x-kubernetes-list-type', 'x-kubernetes-list-map-keys'],
]);

it('are structural', () => {
  const nodes = definitions.flatMap((definition) => nodesOf(schemaOf(definition), definition.spec.names.kind));
  expect(nodes.length).toBeGreaterThan(60);
  for (const [where, node] of nodes) {
    expect([where, typeof node.type]).toEqual([where, 'string']);
    expect([where, Object.keys(node).filter((name) => !allowed.has(name))]).toEqual([where, []]);
    // What a rule and a requirement name is there.
    for (const name of node.required ?? []) expect(Object.keys(node.properties ?? {})).toContain(name);
    for (const { rule } of node['x-kubernetes-validations'] ?? []) {
      for (const [, name] of rule.matchAll(/(?:self|oldSelf)\.(\w+)/g)) {
        expect([where, Object.keys(node.properties ?? {})]).toEqual([where, expect.arrayContaining([name])]);
      }
    }
  }
});

it('have every field of the REST API that can be asked for', () => {
  for (const [kind, schema, left] of [
    ['CometTopic', 'TopicDraft', []],
    ['CometGroup', 'GroupDraft', []],
    // A secret is made, and stands in a Secret.
    ['CometUser', 'UserDraft', ['secret']],
  ] as const) {
    const fields = Object.keys(specOf(kind).properties ?? {});
    const asked = Object.keys((schemas[schema] as Node).properties ?? {}).filter(
      (name) => !left.includes(name as never),
    );
    expect(fields).toEqual(expect.arrayContaining(asked));
  }
});

it('say which fields of alternatives belong together', () => {
  const { properties = {} } = specOf('CometGroup');
  expect(properties['retryPolicy']?.['x-kubernetes-validations']?.map(({ message }) => message)).toEqual([
    'kind exponential needs initialMs, maxMs, multiplier and no other field',
    'kind customized needs nextMs and no other field',
  ]);
  expect(properties['start']?.properties?.['at']).toEqual({ type: 'string', enum: ['auto', 'first', 'end', 'time'] });
});

it('show how each resource is', () => {
  for (const { metadata, spec } of definitions) {
    expect(metadata.name).toBe(`${spec.names.plural}.cometmq.io`);
    const names = spec.versions[0]?.additionalPrinterColumns.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['Ready', 'Reason', 'Message', 'Age']));
  }
});
