import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

// Goal: the console's files are served, and no others. Method: a folder with a console, and a secret beside it.
const folder = mkdtempSync(join(tmpdir(), 'cometmq-console-'));
let fixture: AdminFixture;

beforeAll(async () => {
  mkdirSync(join(folder, 'web/assets'), { recursive: true });
  writeFileSync(join(folder, 'secret.js'), 'secret');
  writeFileSync(join(folder, 'web/index.html'), '<!doctype html>');
  writeFileSync(join(folder, 'web/assets/index-1.js'), 'let a;');
  writeFileSync(join(folder, 'web/assets/index-1.js.gz'), gzipSync('let a;'));
  fixture = await startAdminFixture({ consoleFolder: join(folder, 'web') });
});
afterAll(async () => {
  await fixture.stop();
  rmSync(folder, { recursive: true });
});

const page = { headers: { accept: 'text/html' } };

it('every view is the first page; what is no view is a problem document', async () => {
  for (const path of ['/', '/groups/a%2Fb', '/messages?topic=t']) {
    const answer = await fetch(`${fixture.url}${path}`, page);
    expect([answer.status, await answer.text()]).toEqual([200, '<!doctype html>']);
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    expect(answer.headers.get('content-security-policy')).toContain("script-src 'self'");
  }
  for (const path of ['/api/v1/nothing', '/assets/nothing.js', '/docs/nothing']) {
    expect((await fetch(`${fixture.url}${path}`, page)).status).toBe(404);
  }
  expect((await fetch(`${fixture.url}/groups/a`)).status).toBe(404); // Not a browser's address bar.
});

it('a file goes out as it was compressed, to who takes that, and for good', async () => {
  const packed = await fetch(`${fixture.url}/assets/index-1.js`);
  expect(packed.headers.get('content-encoding')).toBe('gzip');
  expect(packed.headers.get('cache-control')).toContain('immutable');
  expect(await packed.text()).toBe('let a;');
  const plain = await fetch(`${fixture.url}/assets/index-1.js`, { headers: { 'accept-encoding': 'identity' } });
  expect([plain.headers.get('content-encoding'), await plain.text()]).toEqual([null, 'let a;']);
});

it.each(['/assets/../../secret.js', '/assets/%2e%2e/%2e%2e/secret.js', '/assets/..%2f..%2fsecret.js'])(
  'nothing beside the folder is served: %s',
  async (path) => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      // Not `fetch`, which tidies the path up before it is sent.
      request(`${fixture.url}`, { path }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(404);
  },
);
