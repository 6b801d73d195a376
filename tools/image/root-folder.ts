/**
 * The file system of the image, in a folder: Debian's C and C++ libraries, the project's Node.js, the bundles and the
 * packages they find beside themselves. No shell, no package manager, nobody but root and the user it runs as.
 */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { nodeNameOf, ownArchitecture, type Architecture } from './architecture.ts';
import { packageFolders } from './closure.ts';
import { runtimePackages, unpack } from './debian.ts';
import { nodeFolder } from './node-package.ts';
import { bomText, imageSbom } from './sbom.ts';

/** Who the programs run as; the number RocketMQ's images use. */
export const user = 3000;

/** Left out of bundles by tools/build, and needed when they run. */
export const runtimeModules = ['fs-native-extensions', 'etcd3', 'pino', '@fastify/swagger-ui'] as const;

/** What is in the image: CycloneDX JSON. */
export const sbomFile = 'app/sbom.cdx.json';

/** Components of the file system that change at different times, lowest first: what did not change is not sent again. */
export const layers = [
  { name: 'Debian and Node.js', paths: ['etc', 'lib', 'lib64', 'usr', 'var'] },
  { name: 'npm packages', paths: ['app/node_modules'] },
  { name: 'CometMQ', paths: ['app/cometmq', 'app/dist', 'app/LICENSE', 'app/package.json', sbomFile] },
] as const;

/** What may be written to, where the file system as a whole may not be: a volume goes over each. */
export const emptyFolders = [
  { path: 'data', user, mode: '0750' },
  { path: 'tmp', user: 0, mode: '1777' },
] as const;

/** How the image is run; the Dockerfile says the same. */
export const running = {
  User: `${user}:${user}`,
  Entrypoint: ['/app/cometmq'],
  Cmd: ['standalone'],
  Env: ['PATH=/usr/bin', 'NODE_ENV=production'],
  WorkingDir: '/', // The data folder's default, `data`, is /data then.
  ExposedPorts: Object.fromEntries([8081, 8082, 9876, 10_911, 5557].map((port) => [`${port}/tcp`, {}])),
  StopSignal: 'SIGTERM',
};

/** Where Debian packages are kept for the next time. */
export const downloads = (source: string): string => join(source, 'node_modules/.cache/cometmq-image');

export function makeRootFolder(
  source: string,
  root: string,
  architecture = ownArchitecture(),
  created = new Date(0),
): void {
  mkdirSync(root, { recursive: true });
  if (readdirSync(root).length > 0) throw new Error(`${root} is not empty`);
  unpack(runtimePackages, root, downloads(source), architecture);
  addAccounts(root);
  addNode(source, root, architecture);
  addPackages(source, root, architecture);
  addPrograms(source, root);
  writeFileSync(join(root, sbomFile), bomText(imageSbom(source, root, architecture, created)));
  for (const { path, user: owner, mode } of emptyFolders) {
    mkdirSync(join(root, path));
    chmodSync(join(root, path), parseInt(mode, 8));
    if (process.getuid?.() === 0) chownSync(join(root, path), owner, owner);
  }
}

function addAccounts(root: string): void {
  const write = (path: string, lines: readonly string[]): void =>
    writeFileSync(join(root, path), `${lines.join('\n')}\n`);
  mkdirSync(join(root, 'etc'), { recursive: true });
  write('etc/passwd', [
    'root:x:0:0:root:/:/usr/sbin/nologin',
    `cometmq:x:${user}:${user}:CometMQ:/data:/usr/sbin/nologin`,
  ]);
  write('etc/group', ['root:x:0:', `cometmq:x:${user}:`]);
  write('etc/nsswitch.conf', ['passwd: files', 'group: files', 'hosts: files dns']);
  copyFileSync('/etc/os-release', join(root, 'etc/os-release'));
}

function addNode(source: string, root: string, architecture: Architecture): void {
  const from = nodeFolder(source, architecture, downloads(source));
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  copyFileSync(join(from, 'bin/node'), join(root, 'usr/bin/node'));
  chmodSync(join(root, 'usr/bin/node'), 0o755);
  const licence = join(from, 'LICENSE');
  mkdirSync(join(root, 'usr/share/doc/nodejs'), { recursive: true });
  if (existsSync(licence)) copyFileSync(licence, join(root, 'usr/share/doc/nodejs/copyright'));
}

function addPackages(source: string, root: string, architecture: Architecture): void {
  for (const folder of packageFolders(source, runtimeModules)) {
    cpSync(join(source, folder), join(root, 'app', folder), {
      recursive: true,
      filter: (path) => isNeeded(path.slice(join(source, folder).length + 1), architecture),
    });
  }
}

/** @param path within its package */
export function isNeeded(path: string, architecture = ownArchitecture()): boolean {
  if (path === 'node_modules' || path.startsWith('node_modules/')) return false; // Packages of their own.
  if (/\.(map|md|markdown|ts|mts|cts|h|c|cc|cpp|gyp|gypi)$/.test(path)) return false;
  const prebuilt = /^prebuilds\/([^/]+)/.exec(path)?.[1];
  if (prebuilt !== undefined && prebuilt !== `linux-${nodeNameOf(architecture)}`) return false;
  if (/^prebuilds\/.*\.bare$/.test(path) || /\.musl\.node$/.test(path)) return false; // For other runtimes.
  return !/^(test|tests|docs|benchmarks?|examples?|\.github|\.tap|dependencies)(\/|$)/.test(path);
}

function addPrograms(source: string, root: string): void {
  const app = join(root, 'app');
  for (const name of readdirSync(join(source, 'dist/apps')).sort()) {
    const bundle = join(source, 'dist/apps', name, 'main.cjs');
    if (!existsSync(bundle)) continue;
    mkdirSync(join(app, 'dist/apps', name), { recursive: true });
    copyFileSync(bundle, join(app, 'dist/apps', name, basename(bundle)));
  }
  cpSync(join(source, 'dist/apps/dashboard-web'), join(app, 'dist/apps/dashboard-web'), { recursive: true });
  copyFileSync(join(source, 'tools/image/cometmq.cjs'), join(app, 'cometmq'));
  chmodSync(join(app, 'cometmq'), 0o755);
  for (const name of ['LICENSE', 'package.json']) copyFileSync(join(source, name), join(app, name));
  // `docker exec … comet topic ls`, and the same for every role.
  symlinkSync('/app/cometmq', join(root, 'usr/bin/cometmq'));
}
