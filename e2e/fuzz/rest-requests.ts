/** What the REST fuzzer asks: requests made by chance from the API's own OpenAPI document, most of them wrong somewhere. */
import fc from 'fast-check';

export interface RestRequest {
  readonly operation: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly contentType: string | undefined;
  readonly body: string | undefined;
}

/** The parts of the document that are read here. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}
interface Operation {
  readonly operationId?: string;
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: JsonSchema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
}
interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly oneOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly minimum?: number;
  readonly maximum?: number;
}

const bodyMethods = new Set(['post', 'put', 'patch']);
/** Of which some exist and some do not. */
const names = ['fuzzed', 'fuzzers', 'other', 'lite', '%DLQ%fuzzers', 'a', ''];

/** `count` requests, each operation of the document about as often as any other. */
export function restRequests(seed: number, count: number, document: OpenApi): RestRequest[] {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => requestOf(document, method, path, operation)),
  );
  return fc.sample(fc.oneof(...operations), { seed, numRuns: count });
}

function requestOf(document: OpenApi, method: string, path: string, operation: Operation): fc.Arbitrary<RestRequest> {
  const { parameters = [] } = operation;
  const inPath = parameters.filter((parameter) => parameter.in === 'path');
  const inQuery = parameters.filter((parameter) => parameter.in === 'query');
  const schema = operation.requestBody?.content['application/json']?.schema;
  return fc.record({
    operation: fc.constant(operation.operationId ?? `${method} ${path}`),
    method: fc.constant(method.toUpperCase()),
    path: fc
      .tuple(
        fc.tuple(...inPath.map(() => word)),
        fc.tuple(...inQuery.map((parameter) => fc.option(wrongOr(document, parameter.schema), { freq: 3 }))),
        mostly(fc.constant(''), fc.constantFrom('&unknown=1', '&limit=2&limit=3', '&%', '&__proto__=1'), 8),
      )
      .map(([inside, query, more]) => pathOf(path, inPath, inside, inQuery, query, more)),
    contentType: mostly(
      fc.constant('application/json'),
      fc.constantFrom(undefined, 'text/plain', 'application/xml', 'application/json; charset=utf-7', '\u00e9/x', ''),
      12,
    ),
    body: bodyOf(document, method, schema),
  });
}

function pathOf(
  path: string,
  inPath: readonly { readonly name: string }[],
  inside: readonly string[],
  inQuery: readonly { readonly name: string }[],
  query: readonly unknown[],
  more: string,
): string {
  let filled = path;
  for (const [i, { name }] of inPath.entries())
    filled = filled.replace(`{${name}}`, encodeURIComponent(inside[i] ?? ''));
  const asked = inQuery.flatMap(({ name }, i) => {
    const value = query[i];
    return value === null ? [] : [`${name}=${encodeURIComponent(typeof value === 'string' ? value : textOf(value))}`];
  });
  return `${filled}?${asked.join('&')}${more}`;
}

function bodyOf(document: OpenApi, method: string, schema: JsonSchema | undefined): fc.Arbitrary<string | undefined> {
  if (!bodyMethods.has(method)) return fc.constant(undefined);
  const json = schema ? wrongOr(document, schema) : anything;
  return mostly<string | undefined>(
    json.map(textOf),
    fc.constantFrom(
      ...[undefined, '', '{', '{"a":1}}', 'null', '[]', '"text"', '1e999', '{"a":\u0000}', '\ufeff{}'],
      ...['{"__proto__":{"name":"x"}}', '{"constructor":{"prototype":{}}}', '{"name":"a","name":"b"}'],
      ...['['.repeat(5_000), `{"name":"${'x'.repeat(60_000)}"}`, `{"name":"${'x'.repeat(70_000)}"}`],
      `{"name":"x","retryPolicy":${'{"retryPolicy":'.repeat(400)}1${'}'.repeat(401)}`,
    ),
    8,
  );
}

/** What a schema asks for; or, at every place in it, something left out, added, or of another kind. */
function wrongOr(document: OpenApi, schema: JsonSchema): fc.Arbitrary<unknown> {
  return mostly(rightOf(document, schema), anything, 10);
}

function rightOf(document: OpenApi, schema: JsonSchema): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) {
    const named = document.components.schemas[schema.$ref.split('/').at(-1) ?? ''];
    if (!named) throw new Error(`the document has no ${schema.$ref}`);
    return rightOf(document, named);
  }
  if (schema.oneOf) return fc.oneof(...schema.oneOf.map((one) => rightOf(document, one)));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'object':
      return objectOf(document, schema.properties ?? {});
    case 'array':
      return fc.array(wrongOr(document, schema.items ?? {}), { maxLength: 4 });
    case 'boolean':
      return fc.boolean();
    case 'integer':
    case 'number': {
      const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema;
      return fc.oneof(
        fc.constantFrom(minimum, maximum, minimum - 1, maximum + 1),
        fc.integer({ min: 0, max: 100_000 }),
      );
    }
    default:
      return word;
  }
}

function objectOf(document: OpenApi, properties: Readonly<Record<string, JsonSchema>>): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, wrongOr(document, one)]));
  return fc
    .tuple(
      fc.record(fields, { requiredKeys: [] }),
      mostly(fc.constant({}), fc.constantFrom({ unknown: 1 }, { '': {} }), 9),
    )
    .map(([known, more]) => ({ ...known, ...more }));
}

const word = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...names) },
  { weight: 1, arbitrary: fc.string({ maxLength: 300, unit: 'binary' }) },
  { weight: 1, arbitrary: fc.constantFrom('..', '%', '\u0000', 'ü', '__proto__', 'x'.repeat(255), '💥'.repeat(70)) },
);
const anything = fc.oneof(
  fc.constantFrom<unknown>(null, true, '', 'now', -1, 0.5, 1e300, 2 ** 53, [], {}, [null], '9'.repeat(400)),
  fc.jsonValue({ maxDepth: 3 }),
  word,
);

function mostly<T>(usual: fc.Arbitrary<T>, seldom: fc.Arbitrary<T>, weight: number): fc.Arbitrary<T> {
  return fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: seldom });
}

const textOf = (value: unknown): string => JSON.stringify(value) ?? '';
