// Goal: nothing is missing in the image. Method: its file system as the root of a process that is not root, and the
// official client.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { makeRootFolder, runtimeModules, sbomFile, user } from '../../tools/image/root-folder.ts';
import { bundledPackages, wrongLicencesIn, type Sbom } from '../../tools/image/sbom.ts';
import { bodiesOf, Clients, receive } from '../support/clients.js';
import { freePort } from '../support/free-port.js';
import { rootFolder } from '../../tools/cluster/cluster.ts';
import { until } from '../support/until.js';

describe('the image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-image-'));
  const root = join(folder, 'root');
  // Who is not root here becomes one in a user namespace of its own.
  const enter =
    process.getuid?.() === 0
      ? ['chroot', `--userspec=${user}:${user}`, root]
      : ['unshare', '--map-root-user', 'chroot', root];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const command = (...args: string[]): [string, string[]] => [enter[0]!, [...enter.slice(1), '/app/cometmq', ...args]];

  beforeAll(() => makeRootFolder(rootFolder(), root));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('knows its roles, and says which there are', () => {
    const run = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(...command(...args), { encoding: 'utf8', env });
      return { status, stdout, stderr };
    };
    for (const role of ['namesrv', 'broker', 'proxy', 'dashboard-api', 'standalone', 'comet']) {
      expect(run(role, '--help')).toMatchObject({ status: 0, stderr: '' });
    }
    expect(run('brokr')).toMatchObject({ status: 2, stderr: expect.stringContaining('broker, comet, dashboard-api') });
    expect(run('../cli/main')).toMatchObject({ status: 2 });
  });

  it('has a bill of materials that names each package in it, under a licence that is allowed', () => {
    const sbom = JSON.parse(readFileSync(join(root, sbomFile), 'utf8')) as Sbom;
    const names = new Set(sbom.components.map(({ group, name }) => (group ? `${group}/${name}` : name)));
    const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const bundled = bundledPackages(rootFolder()).map(nameOf);
    const installed = readdirSync(join(root, 'app/node_modules'), { recursive: true, encoding: 'utf8' })
      .filter((path) => /(^|node_modules\/)(@[^/]+\/)?[^/@]+\/package\.json$/.test(path))
      .map((path) => nameOf(`node_modules/${path}`).replace(/\/package\.json$/, ''));
    expect(bundled.length).toBeGreaterThan(50);
    expect(installed).toEqual(expect.arrayContaining([...runtimeModules]));
    const inside = [...bundled, ...installed, ...readdirSync(join(root, 'var/lib/dpkg/status.d'))];
    expect(inside.filter((name) => !names.has(name))).toEqual([]);
    expect(wrongLicencesIn(sbom)).toEqual([]);
  });

  it('runs the whole system, with nothing but what is in it', async () => {
    const [grpc, rest] = [await freePort(), await freePort()];
    const args = ['standalone', '--proxy-host=127.0.0.1', `--proxy-port=${grpc}`, `--admin-port=${rest}`];
    const child = spawn(...command(...args, '--metrics-port=65536'), { stdio: ['ignore', 'pipe', 'pipe'], env });
    let said = '';
    const hear = (chunk: Buffer): void => void (said += chunk.toString());
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const ended = once(child, 'exit');
    await until('the system in the image', () => {
      if (child.exitCode !== null) throw new Error(said);
      return said.includes('"msg":"ready"');
    });
    // Others can reach a container, so it has users from its first start on, and prints its admin once.
    const [, accessKey = ''] = /^Access key: (\S+)$/m.exec(said) ?? [];
    const [, accessSecret = ''] = /^Secret: +(\S+)$/m.exec(said) ?? [];
    const user = { accessKey, accessSecret, adminToken: '' };
    const clients = new Clients(
      () => import('rocketmq-client-nodejs'),
      () => ({ endpoints: `127.0.0.1:${grpc}`, tls: false, restUrl: `http://127.0.0.1:${rest}`, user }),
    );
    expect((await fetch(`http://127.0.0.1:${rest}/api/v1/topics`)).status).toBe(401);
    const sender = await clients.producer();
    await sender.send({ topic: 'packed', body: Buffer.from('hello') });
    const reader = await clients.simple('packed-readers', 'packed');
    expect(bodiesOf(await receive(reader, 1))).toEqual(['hello']);
    expect((await fetch(`http://127.0.0.1:${rest}/docs/`)).status).toBe(200); // The pages come from a package's files.
    await clients.end();
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });
});
