/**
 * The console's types of the REST API, made from the OpenAPI document that the API itself serves:
 *
 *   node tools/web/api-types.mjs            writes apps/dashboard-web/src/api/schema.ts
 *   node tools/web/api-types.mjs --check    exits with 1 when it is not what would be written
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build } from 'esbuild';
import { format, resolveConfig } from 'prettier';
import { external } from '../build/build.mjs';
import { root } from '../setup/stamps.mjs';

const target = join(root, 'apps/dashboard-web/src/api/schema.ts');

/** Served by the real API over a cluster that is all fake. */
async function openApiDocument() {
  const folder = mkdtempSync(join(root, 'node_modules/.api-types-'));
  try {
    const outfile = join(folder, 'document.cjs');
    await build({
      stdin: { contents: `export * from './libs/admin/src/testing/admin-fixture.ts';`, resolveDir: root, loader: 'ts' },
      ...{ absWorkingDir: root, outfile, bundle: true, platform: 'node', format: 'cjs', external },
      ...{ tsconfig: 'tsconfig.base.json', logLevel: 'silent' },
    });
    const { startAdminFixture } = createRequire(import.meta.url)(outfile);
    const fixture = await startAdminFixture();
    try {
      return await (await fetch(`${fixture.url}/openapi.json`)).json();
    } finally {
      await fixture.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const nameOf = (ref) => ref.slice(ref.lastIndexOf('/') + 1);
const either = (types) => [...new Set(types)].join(' | ');
const comment = (text) => (text === undefined ? '' : `/** ${text.replaceAll('*/', '* /')} */\n`);

function typeOf(schema) {
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return either(schema.enum.map((value) => JSON.stringify(value)));
  if (schema.oneOf) return either(schema.oneOf.map(typeOf));
  if (Array.isArray(schema.type)) return either(schema.type.map((type) => typeOf({ ...schema, type })));
  switch (schema.type) {
    case 'integer':
    case 'number':
      return 'number';
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'array':
      return `readonly (${typeOf(schema.items)})[]`;
    case 'object':
      return objectOf(schema);
    default:
      throw new Error(`a schema that has no type in TypeScript: ${JSON.stringify(schema)}`);
  }
}

function objectOf({ properties = {}, required = [], additionalProperties }) {
  if (typeof additionalProperties === 'object') return `Readonly<Record<string, ${typeOf(additionalProperties)}>>`;
  const fields = Object.entries(properties).map(
    ([name, schema]) =>
      `${comment(schema.description)}readonly ${JSON.stringify(name)}${required.includes(name) ? '' : '?'}: ${typeOf(schema)};`,
  );
  return `{ ${fields.join('\n')} }`;
}

function parametersOf(parameters, place) {
  const wanted = parameters.filter((one) => one.in === place);
  const required = wanted.filter((one) => one.required).map(({ name }) => name);
  const properties = Object.fromEntries(
    wanted.map(({ name, schema, description }) => [name, { ...schema, description }]),
  );
  return wanted.length === 0 ? 'undefined' : objectOf({ properties, required });
}

function operationOf({ parameters = [], requestBody, responses }) {
  const content = Object.values(requestBody?.content ?? {})[0];
  const good = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1];
  const [mediaType, answer] = Object.entries(good?.content ?? {})[0] ?? [];
  const known = mediaType === 'application/json' && answer.schema.type !== 'null';
  return `{
    readonly params: ${parametersOf(parameters, 'path')};
    readonly query: ${parametersOf(parameters, 'query')};
    readonly body: ${content ? typeOf(content.schema) : 'undefined'};
    readonly answer: ${known ? typeOf(answer.schema) : 'undefined'};
  }`;
}

export async function apiTypes() {
  const { paths, components } = await openApiDocument();
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) => `${comment(schema.description)}export type ${name} = ${typeOf(schema)};`,
  );
  const text = `/** Made from the OpenAPI document by tools/web/api-types.mjs: not to be changed by hand. */

    ${schemas.join('\n\n')}

    /** What each call of the API takes and answers, by its operation id. */
    export interface Operations {
      ${operations.map(({ operation }) => `${comment(operation.summary)}readonly ${operation.operationId}: ${operationOf(operation)};`).join('\n')}
    }

    export const operations = {
      ${operations.map(({ method, path, operation }) => `${operation.operationId}: ['${method}', '${path}'],`).join('\n')}
    } as const satisfies Record<keyof Operations, readonly [string, string]>;
    `;
  return format(text, { ...(await resolveConfig(target)), parser: 'typescript' });
}

const text = await apiTypes();
if (process.argv.includes('--check')) {
  const found = readFileSync(target, 'utf8');
  if (found !== text) {
    console.error(
      'apps/dashboard-web/src/api/schema.ts is not what the API says of itself: node tools/web/api-types.mjs',
    );
    process.exitCode = 1;
  }
} else writeFileSync(target, text);
