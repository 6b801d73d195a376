// Goal: the archive is what container engines expect, and the Dockerfile says the same. Method: a small folder packed
// and taken apart again with tar.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { packageFolders } from './closure.ts';
import { checkIntegrity } from './node-package.ts';
import { writeArchive, type Image } from './oci.ts';
import { isNeeded, running, runtimeModules } from './root-folder.ts';

const repository = join(__dirname, '../..');
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'cometmq-image-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function tar(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
const digest = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

describe('an archive', () => {
  interface Descriptor {
    readonly digest: string;
    readonly size: number;
  }

  function image(): Image {
    const root = join(folder, 'root');
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    mkdirSync(join(root, 'app'), { recursive: true });
    writeFileSync(join(root, 'usr/bin/tool'), 'a tool', { mode: 0o777 });
    writeFileSync(join(root, 'app/main'), 'a program', { mode: 0o600 });
    return {
      reference: 'cometmq/cometmq:1.2.3',
      architecture: 'arm64',
      root,
      layers: [
        { name: 'low', paths: ['usr'] },
        { name: 'high', paths: ['app'] },
      ],
      emptyFolders: [{ path: 'data', user: 3000, mode: '0750' }],
      config: { ...running, Labels: {} },
      created: new Date('2026-01-02T03:04:05Z'),
    };
  }

  function unpacked(): (path: string) => Buffer {
    writeArchive(image(), join(folder, 'image.tar'));
    mkdirSync(join(folder, 'out'));
    tar('-xf', join(folder, 'image.tar'), '-C', join(folder, 'out'));
    return (path) => readFileSync(join(folder, 'out', path));
  }

  it('names its parts by what is in them, from the index down to each layer', () => {
    const read = unpacked();
    const blob = ({ digest: named, size }: Descriptor): Buffer => {
      const bytes = read(`blobs/${named.replace(':', '/')}`);
      expect(digest(bytes)).toBe(named);
      expect(bytes.length).toBe(size);
      return bytes;
    };
    const parse = <T>(bytes: Buffer): T => JSON.parse(bytes.toString()) as T;
    expect(parse(read('oci-layout'))).toEqual({ imageLayoutVersion: '1.0.0' });
    const [entry] = parse<{ manifests: (Descriptor & Record<'annotations' | 'platform', unknown>)[] }>(
      read('index.json'),
    ).manifests;
    expect(entry?.platform).toEqual({ architecture: 'arm64', os: 'linux' });
    expect(entry?.annotations).toEqual({
      'io.containerd.image.name': 'docker.io/cometmq/cometmq:1.2.3',
      'org.opencontainers.image.ref.name': '1.2.3',
    });
    const manifest = parse<{ config: Descriptor; layers: Descriptor[] }>(blob(entry!));
    const config = parse<{ config: { User: string }; rootfs: { diff_ids: string[] }; architecture: string }>(
      blob(manifest.config),
    );
    expect(config.architecture).toBe('arm64');
    expect(config.config.User).toBe('3000:3000');
    expect(config.rootfs.diff_ids).toEqual(manifest.layers.map((layer) => digest(gunzipSync(blob(layer)))));
    const [docker] = parse<{ Config: string; RepoTags: string[]; Layers: string[] }[]>(read('manifest.json'));
    expect(docker?.RepoTags).toEqual(['cometmq/cometmq:1.2.3']);
    expect(docker?.Layers.map((path) => digest(read(path)))).toEqual(manifest.layers.map((layer) => layer.digest));
    expect(digest(read(docker!.Config))).toBe(manifest.config.digest);
  });

  it('has files of nobody but root, readable by all and written by none, and the folders of the user', () => {
    const read = unpacked();
    const index = JSON.parse(read('manifest.json').toString()) as { Layers: string[] }[];
    const lists = index[0]!.Layers.map((path) => tar('--numeric-owner', '-tvzf', join(folder, 'out', path)));
    expect(lists[0]).toMatch(/^-rwxr-xr-x 0\/0 +6 2026-01-02 03:04 usr\/bin\/tool$/m);
    expect(lists[0]).toMatch(/^drwxr-x--- 3000\/3000 .* data\/$/m);
    expect(lists[1]).toMatch(/^-rw-r--r-- 0\/0 .* app\/main$/m);
    expect(lists[1]).not.toContain('data');
  });

  it('is the same, byte for byte, when made again', () => {
    const made = ['a.tar', 'b.tar'].map((name) => {
      writeArchive(image(), join(folder, name));
      return digest(readFileSync(join(folder, name)));
    });
    expect(made[0]).toBe(made[1]);
  });
});

describe('the packages beside the bundles', () => {
  function lay(path: string, manifest: object): void {
    mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, path, 'package.json'), JSON.stringify(manifest));
  }

  it('are all that are needed, in the version that is found first', () => {
    lay('node_modules/a', { dependencies: { b: '1', c: '1' } });
    lay('node_modules/b', {});
    lay('node_modules/c', { dependencies: { a: '1', b: '2' }, optionalDependencies: { 'not-here': '1' } });
    lay('node_modules/c/node_modules/b', {});
    lay('node_modules/unused', {});
    expect(packageFolders(folder, ['a'])).toEqual([
      'node_modules/a',
      'node_modules/b',
      'node_modules/c',
      'node_modules/c/node_modules/b',
    ]);
  });

  it('are missed when one is not installed', () => {
    lay('node_modules/a', { dependencies: { b: '1' } });
    expect(() => packageFolders(folder, ['a'])).toThrow(/package b, needed by node_modules.a, is not installed/);
  });

  it('come without what no process reads', () => {
    const needed = (path: string): boolean => isNeeded(path, 'arm64');
    expect(['index.js', 'lib/a.cjs', 'src/index.js', 'LICENSE', 'docs.js', 'a.node'].filter(needed)).toHaveLength(6);
    const left = ['README.md', 'index.js.map', 'types.d.ts', 'test/a.js', 'node_modules/b/index.js', 'a.musl.node'];
    expect([...left, 'prebuilds/win32-x64/a.node', 'prebuilds/linux-x64/a.node'].filter(needed)).toEqual([]);
    expect(needed('prebuilds/linux-arm64/a.node')).toBe(true);
  });

  it('are installed here', () => {
    expect(packageFolders(repository, runtimeModules)).toEqual(
      expect.arrayContaining(runtimeModules.map((name) => join('node_modules', name))),
    );
  });
});

it('a package of Node.js is what package-lock.json names, or it is refused', () => {
  const bytes = Buffer.from('an archive');
  const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  expect(() => checkIntegrity(bytes, integrity, 'node')).not.toThrow();
  expect(() => checkIntegrity(Buffer.from('another'), integrity, 'node@1')).toThrow(
    'node@1 is not what package-lock.json names',
  );
});

it('the Dockerfile runs the image as the archive does', () => {
  const lines = readFileSync(join(repository, 'Dockerfile'), 'utf8').split('\n');
  const said = (word: string): string =>
    lines.findLast((line) => line.startsWith(`${word} `))?.slice(word.length + 1) ?? '';
  expect({
    User: said('USER'),
    Entrypoint: JSON.parse(said('ENTRYPOINT')) as unknown,
    Cmd: JSON.parse(said('CMD')) as unknown,
    Env: said('ENV').split(' '),
    WorkingDir: said('WORKDIR'),
    ExposedPorts: Object.fromEntries(
      said('EXPOSE')
        .split(' ')
        .map((port) => [`${port}/tcp`, {}]),
    ),
    StopSignal: said('STOPSIGNAL'),
  }).toEqual(running);
});
