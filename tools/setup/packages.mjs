/**
 * Brings node_modules to what package-lock.json says: all of it, or what building and running the programs takes, which is a
 * third of the packages and half of the time. What is there once stays: nobody's tests lose theirs to an `npm start`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { say, Stop } from './said.mjs';
import { contentHashOf, readStamp, root, writeStamp } from './stamps.mjs';

/** What the programs are built with. They are for development, as no release holds them. */
const buildTools = ['esbuild', 'vite', '@vitejs/plugin-react'];
const stampFile = 'node_modules/.cometmq-stamp';
/** npm's own note of what it installed. */
const npmNote = 'node_modules/.package-lock.json';

/**
 * @param {'all' | 'run'} scope
 * @throws Stop
 */
export function installPackages(scope) {
  const before = readStamp(stampFile);
  const isFirst = before === undefined && !existsSync(join(root, npmNote));
  if (!isFirst && before?.endsWith(' run') !== true) scope = 'all';
  const wanted = `${contentHashOf('package-lock.json')} ${process.platform} ${process.arch} ${scope}`;
  const all = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const packages = scope === 'all' ? all : neededToRun(all);
  if (before === wanted && isThere(packages)) return;
  if (!isInstalled(packages) || !isThere(packages)) {
    say('installing packages …');
    install(scope === 'all' ? ['--include=dev'] : ['--omit=dev', '--save-prod', ...versionsOf(buildTools, all)]);
    if (!isThere(packages)) {
      if (scope === 'all') throw new Stop('npm install left packages out: delete node_modules, and try again');
      return installPackages('all');
    }
  }
  writeStamp(stampFile, wanted);
}

/** Of the packages of a lock file, by path, those that building and running the programs takes. */
export function neededToRun(packages) {
  const needed = {};
  for (const [path, entry] of Object.entries(packages)) {
    if (entry.dev !== true && entry.devOptional !== true) needed[path] = entry;
  }
  const add = (name, from) => {
    const path = lookUp(packages, name, from);
    if (path === undefined || Object.hasOwn(needed, path)) return;
    needed[path] = packages[path];
    const { dependencies, optionalDependencies } = packages[path];
    for (const each of Object.keys({ ...dependencies, ...optionalDependencies })) add(each, path);
  };
  for (const tool of buildTools) add(tool, '');
  return needed;
}

/** As Node.js looks: in the package's own folder, then further out. */
export function lookUp(packages, name, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = folder === '' || folder === '.' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (Object.hasOwn(packages, path)) return path;
    if (folder === '' || folder === '.') return undefined;
  }
}

/** As the lock file has them: named so, npm takes them although it leaves the others for development out. */
function versionsOf(names, packages) {
  return names
    .map((name) => [name, packages[`node_modules/${name}`]])
    .flatMap(([name, entry]) => (entry ? [`${name}@${entry.version}`] : []));
}

function install(more) {
  // npm's own path when npm started us: the same npm, whatever the PATH says.
  const npm = process.env.npm_execpath;
  const [file, before] = npm && /\.[cm]?js$/.test(npm) ? [process.execPath, [npm]] : ['npm', []];
  // Not `npm ci`: it refuses a lock file that lacks packages of other platforms which the registry at hand didn't have.
  // This too installs what the lock file says, and leaves the file alone.
  const args = [...before, 'install', '--no-save', '--include=optional', '--loglevel=error', ...more];
  const done = spawnSync(file, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (done.status !== 0) throw new Stop('npm install failed: see above; nothing was started');
}

/**
 * Whether every package is in its folder, whatever notes say of it: node_modules may have been copied, cleared in part, or
 * share its notes with another folder.
 */
function isThere(packages) {
  return Object.entries(packages).every(
    ([path, { optional }]) => path === '' || optional || existsSync(join(root, path, 'package.json')),
  );
}

/** True when npm's own note of what it installed agrees with the lock file: somebody has run npm by hand. */
function isInstalled(wanted) {
  const installed = noted();
  if (installed === undefined) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    // Packages for other platforms are in the lock file, but not here.
    if (
      found === undefined ? !entry.optional : found.version !== entry.version || found.integrity !== entry.integrity
    ) {
      return false;
    }
  }
  return true;
}

/** Undefined: npm has left no note, or was ended while it wrote it. */
function noted() {
  if (!existsSync(join(root, npmNote))) return undefined;
  try {
    return JSON.parse(readFileSync(join(root, npmNote), 'utf8')).packages;
  } catch {
    return undefined;
  }
}
