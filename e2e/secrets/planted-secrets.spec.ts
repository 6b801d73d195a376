/**
 * Goal: no secret that a program knows is ever shown. Method: the program as it is started, with secrets that can be found again
 * planted in all places where there are some; it is used, rightly and wrongly, and everything it says, answers and writes is
 * searched for each of them, plain and as base64, hex and part of a URL.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ownHeaders, Secret } from '@cometmq/auth';
import { PublicClient } from '@cometmq/client';
import { GrpcJsChannel } from '@cometmq/rpc';
import { Prng, systemClock } from '@cometmq/shared';

import { freePort } from '../support/free-port.js';
import { Program, root } from '../support/process.js';
import { until } from '../support/until.js';

const planted = {
  encryptionKey: 'PlantedEncryptionKeyOf32Letters!',
  adminSecret: 'PlantedAdminSecret1',
  userSecret: 'PlantedUserSecret2',
  nextUserSecret: 'PlantedNextSecret3',
  importedSecret: 'PlantedImported4',
  wrongSecret: 'PlantedWrongSecret5',
  webhookToken: 'PlantedWebhookToken6',
  webhookPassword: 'PlantedWebhookPass7',
  otlpPassword: 'PlantedOtlpPass8',
};
const found: string[] = [];
/** What came to be meanwhile: tokens, cookies. */
const issued: Record<string, string> = {};

const home = mkdtempSync(join(tmpdir(), 'cometmq-secrets-'));
const dataDir = join(home, 'data');
const auditFile = join(home, 'audit.jsonl');
let log = '';
let ports: { grpc: number; admin: number; metrics: number; nobody: number };
let program: Program;
let args: string[];

function search(where: string, what: string | Uint8Array): void {
  const text = Buffer.from(what as string).toString('latin1');
  for (const [name, secret] of Object.entries({ ...planted, ...issued })) {
    const bytes = Buffer.from(secret, 'utf8');
    const forms = [
      secret,
      bytes.toString('base64').replace(/=+$/, ''),
      bytes.toString('hex'),
      encodeURIComponent(secret),
    ];
    if (forms.some((form) => text.includes(form))) found.push(`${name} in ${where}`);
  }
}

async function ask(method: string, path: string, init: { headers?: Record<string, string>; body?: unknown } = {}) {
  const raw = typeof init.body === 'string';
  const answer = await fetch(`http://127.0.0.1:${ports.admin}${path}`, {
    method,
    headers: { ...(init.body !== undefined && { 'content-type': 'application/json' }), ...init.headers },
    ...(init.body !== undefined && { body: raw ? (init.body as string) : JSON.stringify(init.body) }),
  });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

/** What is answered here may hold no secret, whatever was asked. */
async function asked(...request: Parameters<typeof ask>): Promise<{ status: number; text: string }> {
  const { status, text, headers } = await ask(...request);
  search(`${request[0]} ${request[1]}`, `${text}\n${JSON.stringify([...headers])}`);
  return { status, text };
}

const bearer = (): Record<string, string> => ({ authorization: `Bearer ${issued['token'] ?? ''}` });

beforeAll(async () => {
  ports = { grpc: await freePort(), admin: await freePort(), metrics: await freePort(), nobody: await freePort() };
  mkdirSync(join(dataDir, 'identity'), { recursive: true, mode: 0o700 });
  const key = Buffer.from(planted.encryptionKey, 'utf8').toString('base64');
  writeFileSync(join(dataDir, 'identity/keys'), `k1 ${key}\n`, { mode: 0o600 });
  writeFileSync(join(dataDir, 'identity/admin'), `admin ${planted.adminSecret}\n`, { mode: 0o600 });
  const nobody = `127.0.0.1:${ports.nobody}`;
  args = [
    ...[`--data-dir=${dataDir}`, `--audit-file=${auditFile}`, '--log-level=debug'],
    ...[`--proxy-port=${ports.grpc}`, `--admin-port=${ports.admin}`, `--metrics-port=${ports.metrics}`],
    // No disk is ever so empty: an alert fires at once, and can't be told of.
    ...['--alert-disk-free-percent-min=100', '--alert-every-ms=1000', '--alert-hold-ms=0'],
    `--alert-webhook=http://hook:${planted.webhookPassword}@${nobody}/x?token=${planted.webhookToken}`,
    `--otlp-endpoint=http://otlp:${planted.otlpPassword}@${nobody}`,
  ];
  program = new Program('standalone', args);
  program.heard = (text) => void (log += text);
  await program.start(120_000);
}, 150_000);
afterAll(async () => {
  await program.stop();
  rmSync(home, { recursive: true, force: true });
});

it('shows no secret in what it answers, logs and writes', async () => {
  // Who logs in is given a token and a cookie: there alone they may stand.
  await until('the admin is there', async () => {
    const { status, text } = await ask('POST', '/api/v1/login', {
      body: { user: 'admin', secret: planted.adminSecret },
    });
    if (status === 200) issued['token'] = (JSON.parse(text) as { token: string }).token;
    return status === 200;
  });
  const session = await ask('POST', '/api/v1/session', { body: { user: 'admin', secret: planted.adminSecret } });
  const [pair = ''] = (session.headers.get('set-cookie') ?? '').split(';');
  issued['cookie'] = pair.slice(pair.indexOf('=') + 1);
  expect(issued['cookie'].length).toBeGreaterThan(20);
  const { csrfToken } = JSON.parse(session.text) as { csrfToken: string };

  // Rightly.
  const user = { name: 'shop', secret: planted.userSecret, produce: ['orders'] };
  expect(await asked('POST', '/api/v1/users', { headers: bearer(), body: user })).toMatchObject({ status: 201 });
  const changed = await asked('PATCH', '/api/v1/users/shop', {
    headers: { cookie: pair, 'x-csrf-token': csrfToken, origin: `http://127.0.0.1:${ports.admin}` },
    body: { secret: planted.nextUserSecret },
  });
  expect(changed).toMatchObject({ status: 200 });

  // Wrongly, with a secret in each.
  const wrong = planted.wrongSecret;
  const bodies: unknown[] = [
    { user: 'admin', secret: wrong },
    { user: 'nobody', secret: wrong },
    { user: 'admin', secret: [wrong] },
    { user: 'admin', password: wrong },
    { accessKey: 'admin', secretKey: wrong, Passwd: wrong },
    `{"user":"admin","secret":"${wrong}`,
    `${wrong}`,
  ];
  for (const body of bodies) {
    for (const path of ['/api/v1/login', '/api/v1/session', '/api/v1/users', '/api/v1/users/shop/policies']) {
      const method = path.endsWith('policies') ? 'PUT' : 'POST';
      const { status } = await asked(method, path, { headers: path.includes('users') ? bearer() : {}, body });
      expect(status).toBeGreaterThanOrEqual(400);
    }
  }
  for (const secret of [`${wrong} with spaces`, wrong.repeat(50), `${wrong}\u0000`]) {
    await asked('PATCH', '/api/v1/users/shop', { headers: bearer(), body: { secret } });
    await asked('POST', '/api/v1/users', { headers: bearer(), body: { name: 'x', secret } });
  }
  for (const authorization of [`Bearer ${wrong}`, `Basic ${Buffer.from(`a:${wrong}`).toString('base64')}`, wrong]) {
    await asked('GET', '/api/v1/topics', { headers: { authorization, cookie: `${pair}${wrong}` } });
  }

  // Clients, as who they are and as others.
  const channel = new GrpcJsChannel({ address: `127.0.0.1:${ports.grpc}`, clock: systemClock });
  for (const secret of [planted.nextUserSecret, wrong]) {
    const client = new PublicClient({
      ...{ channel, clock: systemClock, chance: new Prng(1) },
      sign: (path, body) => ownHeaders('shop', new Secret(secret), { path, body, nowMs: Date.now() }),
    });
    await client.route('orders').catch((caught: unknown) => search('the answer to a client', String(caught)));
  }
  channel.close();

  // Everything that can be read.
  const document = JSON.parse((await asked('GET', '/openapi.json')).text) as {
    paths: Record<string, Record<string, unknown>>;
  };
  const paths = Object.entries(document.paths).filter(
    ([, item]) => 'get' in item && !/events|export/.test(JSON.stringify(item['get'])),
  );
  expect(paths.length).toBeGreaterThan(20);
  for (const [path] of paths) {
    const named = path.replace('/users/{name}', '/users/shop').replace(/\{\w+\}/g, 'orders');
    for (const headers of [bearer(), {}])
      await asked('GET', named.startsWith('/api') ? named : `/api/v1${named}`, { headers });
  }
  for (const path of ['/metrics', '/healthz', '/readyz']) {
    search(path, await (await fetch(`http://127.0.0.1:${ports.metrics}${path}`)).text());
  }

  // The command line: its file of contexts holds the login, and is its owner's alone.
  const comet = async (...argv: string[]): Promise<void> => {
    const env = { HOME: home, COMET_API: `http://127.0.0.1:${ports.admin}`, COMET_ENDPOINT: `127.0.0.1:${ports.grpc}` };
    const file = join(root, 'dist/apps/cli/main.cjs');
    const run = promisify(execFile)(process.execPath, [file, ...argv], { env, cwd: home });
    const { stdout, stderr } = await run.catch((caught: unknown) => caught as { stdout: string; stderr: string });
    expect(stdout + stderr).not.toBe('');
    search(`comet ${argv.join(' ')}`, stdout + stderr);
  };
  writeFileSync(
    join(home, 'plain_acl.yml'),
    `accounts:\n  - accessKey: old\n    secretKey: ${planted.importedSecret}\n`,
  );
  await comet('login', '--secret-file', join(dataDir, 'identity/admin'));
  await comet('acl', 'import', 'plain_acl.yml', '-o', 'json');
  await comet('acl', 'import', 'plain_acl.yml', '--yes', '-o', 'json');
  for (const argv of [
    'user ls',
    'user describe shop',
    'user describe old',
    'context show',
    'audit',
    'acl why shop pub Topic:orders',
    'user reseal shop',
    'cluster',
  ]) {
    await comet(...argv.split(' '), '-o', 'json');
  }

  await until('the alert was not told of', () => log.includes('an alert could not be told of'));
  await until('the audit is written', () => readFileSync(auditFile, 'utf8').includes('updateUser'));
  await program.stop();
  search('the log', log);
  search('the audit file', readFileSync(auditFile));
  for (const path of readdirSync(dataDir, { recursive: true, encoding: 'utf8' })) {
    const file = join(dataDir, path);
    if (!path.startsWith('identity') && statSync(file).isFile()) search(`data/${path}`, readFileSync(file));
  }
  // What it is set to, and what is wrong with that.
  for (const more of [['--print-config'], ['--help'], ['--alert-every-ms=no']]) {
    const run = promisify(execFile)(process.execPath, [join(root, 'dist/apps/standalone/main.cjs'), ...args, ...more]);
    const { stdout, stderr } = await run.catch((caught: unknown) => caught as { stdout: string; stderr: string });
    expect(stdout + stderr).not.toBe('');
    search(more.join(' '), stdout + stderr);
  }
  expect(log.length).toBeGreaterThan(1_000);
  expect(found).toEqual([]);
}, 240_000);
