import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

/** JSON Schema 2020-12, by the validator that fastify brings with it. */
interface Validator {
  addKeyword(name: string): void;
  addSchema(schema: object): void;
  compile(schema: object): unknown;
  validate(schema: object, value: unknown): boolean;
  readonly errors?: unknown;
}
const { default: Ajv2020 } = createRequire(require.resolve('@fastify/ajv-compiler'))('ajv/dist/2020') as {
  default: new (options: object) => Validator;
};

interface Operation {
  operationId?: string;
  summary?: string;
  tags?: string[];
  parameters?: { name: string; in: string; required?: boolean; schema: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}
interface OpenApi {
  openapi: string;
  info: { title: string; version: string };
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

let fixture: AdminFixture;
let document: OpenApi;
const operations: { path: string; method: string; operation: Operation }[] = [];

beforeAll(async () => {
  fixture = await startAdminFixture();
  document = (await (await fetch(`${fixture.url}/openapi.json`)).json()) as OpenApi;
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item)) operations.push({ path, method, operation });
  }
});
afterAll(() => fixture.stop());

it('covers every route there is, and no other', () => {
  const listed = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`).sort();
  expect(listed).toEqual(
    [
      ['POST /api/v1/cluster/adoption'],
      ['GET /api/v1/backups', 'POST /api/v1/backups', 'POST /api/v1/backups/{id}/verification'],
      ['GET /api/v1/audit'],
      ['POST /api/v1/session/second-factor', 'PUT /api/v1/session/second-factor'],
      ['POST /api/v1/session/second-factor/end', 'DELETE /api/v1/users/{name}/second-factor'],
      ['GET /api/v1/broker-sets', 'GET /api/v1/broker-sets/{name}'],
      ['election', 'replacement', 'unclean-election'].map((what) => `POST /api/v1/broker-sets/{name}/${what}`),
      ['GET', 'DELETE'].map((method) => `${method} /api/v1/broker-sets/{name}/damage`),
      ['DELETE /api/v1/broker-sets/{name}', 'GET /api/v1/broker-sets/{name}/remains'],
      ['PUT /api/v1/broker-sets/{name}/stage'],
      ['GET /api/v1/health', 'GET /api/v1/cluster', 'DELETE /api/v1/broker-sets/{name}/members'],
      ['GET /api/v1/topics', 'POST /api/v1/topics'],
      ['GET', 'PATCH', 'DELETE'].map((method) => `${method} /api/v1/topics/{name}`),
      ['GET /api/v1/topics/{name}/lite-topics'],
      ['GET', 'DELETE'].map((method) => `${method} /api/v1/topics/{name}/lite-topics/{liteTopic}`),
      ['GET /api/v1/groups', 'POST /api/v1/groups'],
      ['GET', 'PATCH', 'DELETE'].map((method) => `${method} /api/v1/groups/{name}`),
      ['', '/search', '/{id}', '/{id}/life', '/{id}/why'].map((path) => `GET /api/v1/messages${path}`),
      ['GET /api/v1/clients', 'GET /api/v1/dead-letters', 'GET /api/v1/groups/{name}/lanes'],
      ['GET /api/v1/deleted', 'POST /api/v1/deleted/{kind}/{id}/restore'],
      ['', '/counts', '/replays', '/export'].map((what) => `GET /api/v1/dead-letters/{name}${what}`),
      ['replay', 'resend', 'replays'].map((what) => `POST /api/v1/dead-letters/{name}/${what}`),
      ['DELETE /api/v1/dead-letters/{name}/replays/{replay}'],
      ['moves', 'lag'].map((what) => `GET /api/v1/groups/{name}/${what}`),
      ['POST /api/v1/groups/{name}/moves/{move}/undo'],
      ['pause', 'resume', 'reset'].map((what) => `POST /api/v1/groups/{name}/${what}`),
      ['stack-trace', 'reconnect', 'verify'].map((what) => `POST /api/v1/clients/{clientId}/${what}`),
      ['GET /api/v1/delayed'],
      ['GET', 'PATCH', 'DELETE'].map((method) => `${method} /api/v1/delayed/{id}`),
      ['GET /api/v1/transactions', 'GET /api/v1/transactions/audits', 'GET /api/v1/transactions/{id}'],
      ['GET /api/v1/alerts', 'POST /api/v1/alerts/silences', 'DELETE /api/v1/alerts/silences/{key}'],
      ['POST /api/v1/login/oidc', 'GET /api/v1/session/oidc', 'GET /api/v1/session/oidc/callback'],
      ['POST /api/v1/session/oidc/logout'],
      ['POST /api/v1/login', ...['GET', 'POST', 'DELETE'].map((method) => `${method} /api/v1/session`)],
      ['POST /api/v1/session/secret'],
      ['GET /api/v1/users', 'POST /api/v1/users', 'PUT /api/v1/users/{name}/policies', 'POST /api/v1/access/test'],
      ['GET', 'PATCH', 'DELETE'].map((method) => `${method} /api/v1/users/{name}`),
      ['GET', 'POST'].map((method) => `${method} /api/v1/users/{name}/tokens`),
      ['DELETE /api/v1/users/{name}/tokens/{id}'],
      ['commit', 'rollback'].map((word) => `POST /api/v1/transactions/{id}/${word}`),
    ]
      .flat()
      .sort(),
  );
  // Every route in the sources is in the list above.
  const resources = [
    ...[
      'cluster',
      'set',
      'set-stage',
      'topic',
      'lite',
      'group',
      'progress',
      'client',
      'delayed',
      'transaction',
      'message',
    ],
    ...['session', 'second-factor', 'oidc', 'user', 'token', 'alert', 'dead-letter', 'audit', 'deleted', 'backup'],
  ];
  const sources = resources.map((name) => readFileSync(`${__dirname}/${name}-routes.ts`, 'utf8'));
  const declared = sources.join('').match(/(app|inner)\.(get|post|put|patch|delete)\b/g) ?? [];
  expect(declared).toHaveLength(operations.length);
});

it('is OpenAPI 3.1: every operation is named, told and answered, every path parameter declared', () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  expect(document.info).toMatchObject({ title: expect.any(String), version: '0.1.0' });
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(operations.length);
  const tags = document.tags.map(({ name }) => name);
  for (const { path, method, operation } of operations) {
    expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/);
    expect(operation.summary).toMatch(/\.$/);
    expect(tags).toEqual(expect.arrayContaining(operation.tags ?? ['missing']));
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
    expect(declared.map(({ name, required }) => [name, required])).toEqual(inPath.map((name) => [name, true]));
    expect(Object.keys(operation.responses).some((status) => /^[23]/.test(status))).toBe(true);
    for (const [status, { description, content }] of Object.entries(operation.responses)) {
      expect(description).not.toBe('');
      expect(status).toMatch(/^\d{3}$/);
      if (status >= '400') expect(Object.keys(content ?? {})).toEqual(['application/problem+json']);
    }
    const saysAll = [
      'undoGroupMove',
      'restoreDeleted',
      'resumeGroup',
      'askStackTrace',
      'askReconnect',
      'allowAdoption',
    ].includes(operation.operationId ?? '');
    if (['post', 'patch'].includes(method) && !saysAll) {
      // Identity providers send forms.
      const type = operation.operationId === 'endOidcSessions' ? 'x-www-form-urlencoded' : 'json';
      expect(Object.keys(operation.requestBody?.content ?? {})).toEqual([`application/${type}`]);
    }
  }
});

it('has schemas that are JSON Schema 2020-12, with every reference leading somewhere', () => {
  const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, discriminator: true });
  ajv.addKeyword('components'); // Of the document around them.
  ajv.addSchema({ $id: 'https://document.test/', components: document.components });
  for (const name of Object.keys(document.components.schemas)) {
    expect(() => ajv.compile({ $ref: `https://document.test/#/components/schemas/${name}` })).not.toThrow();
  }
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to ?? '');
  expect(references.length).toBeGreaterThan(10);
  for (const reference of references) {
    expect(reference).toMatch(/^#\/components\/schemas\/\w+$/);
    expect(document.components.schemas).toHaveProperty(reference.split('/').at(-1) ?? '');
  }
  expect(Object.keys(document.components.schemas).sort()).toEqual(
    [...new Set(references.map((reference) => reference.split('/').at(-1)))].sort(),
  );
});

it('shapes what is really answered', async () => {
  const ajv = new Ajv2020({ strict: false, discriminator: true });
  ajv.addSchema({ $id: 'https://document.test/', components: document.components });
  const fits = (name: string, value: unknown): void => {
    const valid = ajv.validate({ $ref: `https://document.test/#/components/schemas/${name}` }, value);
    expect({ name, errors: valid ? [] : ajv.errors }).toEqual({ name, errors: [] });
  };
  await fixture.nameService.createTopic({ name: 'orders' });
  await fixture.nameService.createGroup({ name: 'billing' });
  await fixture.directory.until(() => fixture.directory.group('billing'), 60_000, 'the group');
  const get = async (path: string) => (await fetch(`${fixture.url}/api/v1/${path}`)).json();
  fits('Cluster', await get('cluster'));
  fits('TopicPage', await get('topics'));
  fits('TopicDescription', await get('topics/orders'));
  fits('GroupPage', await get('groups'));
  fits('GroupDescription', await get('groups/billing'));
  fits('Problem', await get('groups/nobody'));
});
