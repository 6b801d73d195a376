// Goal: what a command needs is there when it starts, whatever notes say of it. Method: a root of its own with the real
// tools/setup, a lock file, an npm that notes that it was called and makes what it is told, and a build that does likewise.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { neededToRun } from './packages.mjs';

const packages = {
  '': { name: 'root' },
  'node_modules/one': { version: '1.0.0', integrity: 'sha512-one' },
  'node_modules/two': { version: '2.0.0', integrity: 'sha512-two' },
  'node_modules/two/node_modules/three': { version: '3.0.0', integrity: 'sha512-three' },
  'node_modules/other-platform': { version: '1.0.0', integrity: 'sha512-other', optional: true },
  'node_modules/esbuild': { version: '1.2.3', integrity: 'sha512-esbuild', dev: true, dependencies: { part: '1' } },
  'node_modules/part': { version: '1.0.0', integrity: 'sha512-part', dev: true },
  'node_modules/jest': { version: '1.0.0', integrity: 'sha512-jest', dev: true },
};
interface Lock {
  readonly packages: Readonly<Record<string, { readonly optional?: boolean }>>;
}

const lock = JSON.stringify({ name: 'root', packages });
const wanted = Object.keys(packages).filter((path) => path !== '' && path !== 'node_modules/other-platform');
const comet = 'dist/apps/cli/main.cjs';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cometmq-setup-'));
  for (const file of ['run.mjs', 'packages.mjs', 'said.mjs', 'stamps.mjs'])
    cpSync(join(__dirname, file), join(root, 'tools/setup', file));
  put('package-lock.json', lock);
  put(
    'npm.cjs',
    makes(
      'npm',
      wanted.map((path) => `${path}/package.json`),
    ),
  );
  put(
    'tools/build/build.mjs',
    `import { createRequire } from 'node:module';
    createRequire(import.meta.url)('../../build.cjs');`,
  );
  put('build.cjs', makes('build', [comet]));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** A program that notes its arguments in `<name>.log`, and makes the files; a bundle with its stamp, as the build does. */
function makes(name: string, files: readonly string[]): string {
  return `const { appendFileSync, mkdirSync, writeFileSync } = require('node:fs');
    const { dirname, join } = require('node:path');
    appendFileSync(join(__dirname, '${name}.log'), process.argv.slice(2).join(' ') + '\\n');
    (async () => {
      for (const file of ${JSON.stringify(files)}) {
        mkdirSync(dirname(join(__dirname, file)), { recursive: true });
        writeFileSync(join(__dirname, file), '');
        if (!file.startsWith('dist/')) continue;
        const { buildSources, stampOf, writeStamp } = await import(join(__dirname, 'tools/setup/stamps.mjs'));
        writeStamp(stampOf(file), buildSources());
      }
    })();`;
}

function run(what: string): void {
  const env = { ...process.env, npm_execpath: join(root, 'npm.cjs') };
  const done = spawnSync(process.execPath, ['tools/setup/run.mjs', what], { cwd: root, env, encoding: 'utf8' });
  expect({ status: done.status, stderr: done.status === 0 ? '' : done.stderr }).toEqual({ status: 0, stderr: '' });
}

/** How often a program was called, each time with what. */
function calls(name: string): string[] {
  const file = join(root, `${name}.log`);
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

const installed = [expect.stringMatching(/^install /)];

describe('packages', () => {
  /** As npm leaves node_modules: its own note and a folder a package. */
  const leaveInstalled = (): void => {
    for (const path of wanted) put(`${path}/package.json`, '{}');
    const here = Object.fromEntries(Object.entries(packages).filter(([path]) => wanted.includes(path)));
    put('node_modules/.package-lock.json', JSON.stringify({ packages: here }));
  };

  it('are installed where there are none, once', () => {
    run('setup');
    expect(calls('npm')).toEqual(installed);
    run('setup');
    expect(calls('npm')).toEqual(installed);
  });

  it('are taken as they are where npm has been run by hand; those of other platforms may be missing', () => {
    leaveInstalled();
    run('setup');
    run('setup');
    expect(calls('npm')).toEqual([]);
  });

  it.each(wanted)('are installed when %s is missing, though npm noted it', (path) => {
    leaveInstalled();
    rmSync(join(root, path), { recursive: true });
    run('setup');
    expect(calls('npm')).toEqual(installed);
  });

  it.each(wanted)('are installed when %s is missing, though our own stamp says that all is done', (path) => {
    leaveInstalled();
    run('setup');
    expect(calls('npm')).toEqual([]);
    rmSync(join(root, path), { recursive: true });
    run('setup');
    expect(calls('npm')).toEqual(installed);
  });

  const lean = 'install --no-save --include=optional --loglevel=error --omit=dev --save-prod esbuild@1.2.3';
  const whole = 'install --no-save --include=optional --loglevel=error --include=dev';

  it.each(['', '{"packages": {"node_', '{}', 'null'])('are installed where npm was ended in its note: %s', (note) => {
    leaveInstalled();
    put('node_modules/.package-lock.json', note);
    run('setup');
    expect(calls('npm')).toEqual(installed);
  });

  it('that only tests need are not waited for by who starts the programs, and come with the first that needs them', () => {
    run('comet');
    run('comet');
    expect(calls('npm')).toEqual([lean]);
    run('setup');
    run('setup');
    expect(calls('npm')).toEqual([lean, whole]);
  });

  it('of tests are not taken away again by who starts the programs', () => {
    run('setup');
    put('package-lock.json', lock.replace('"1.0.0"', '"1.0.1"'));
    run('comet');
    expect(calls('npm')).toEqual([whole, whole]);
  });

  it.each(['esbuild', 'part'])('are installed whole when npm leaves %s out', (name) => {
    const made = wanted.filter((path) => path !== `node_modules/${name}`).map((path) => `${path}/package.json`);
    const npm = (file: string, files: readonly string[]): string =>
      `if (process.argv.includes('${file}')) {${makes('npm', files)}}`;
    const every = wanted.map((path) => `${path}/package.json`);
    put('npm.cjs', npm('--omit=dev', made) + npm('--include=dev', every));
    run('comet');
    expect(calls('npm')).toEqual([lean, whole]);
  });

  it('that a first start waits for are a third of all, and no tests or checks are among them', () => {
    const all = (JSON.parse(readFileSync(join(__dirname, '../../package-lock.json'), 'utf8')) as Lock).packages;
    const names = Object.keys(neededToRun(all)).filter((path) => all[path]?.optional !== true);
    expect(names).toEqual(
      expect.arrayContaining(['node_modules/esbuild', 'node_modules/vite', 'node_modules/rolldown']),
    );
    expect(names.filter((path) => /\/(jest|nx|eslint|typescript|prettier|playwright-core)$/.test(path))).toEqual([]);
    expect(names.length).toBeLessThan(Object.keys(all).length / 3);
  });

  it('are installed when another version was noted, or the lock file has changed', () => {
    leaveInstalled();
    run('setup');
    put('package-lock.json', lock.replace('"1.0.0"', '"1.0.1"'));
    run('setup');
    expect(calls('npm')).toEqual(installed);
  });
});

describe('a bundle', () => {
  it('is built once, and again when its sources have changed', () => {
    run('comet');
    run('comet');
    expect(calls('build')).toEqual(['apps/cli']);
    put('libs/any/src/any.ts', '');
    run('comet');
    expect(calls('build')).toEqual(['apps/cli', 'apps/cli']);
  });

  it('is built again when its stamp is there and its file is not', () => {
    run('comet');
    rmSync(join(root, comet));
    run('comet');
    expect(calls('build')).toEqual(['apps/cli', 'apps/cli']);
  });
});
