/**
 * What was made from what: a stamp is the hash of the sources a thing was made from, kept beside it. Sources are known
 * by path, size and time of change, which is read in milliseconds; a checkout that touches them makes it anew.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

const skipped = new Set(['node_modules', 'dist', 'tmp', 'data', 'fixtures', 'testdata']);

/** A hash of all files below the paths (files or folders, from the root) that `wanted` takes. Absent ones count as such. */
export function hashOf(paths, wanted = () => true) {
  const hash = createHash('sha256');
  const walk = (path) => {
    // Asked apart: before Node.js 22 `throwIfNoEntry: false` still throws ENOTDIR for a path below a file.
    if (!existsSync(join(root, path))) return;
    const stat = statSync(join(root, path));
    if (!stat.isDirectory()) {
      if (wanted(path)) hash.update(`${path}\0${stat.size}\0${stat.mtimeMs}\n`);
      return;
    }
    for (const name of readdirSync(join(root, path)).sort()) if (!skipped.has(name)) walk(`${path}/${name}`);
  };
  for (const path of paths) walk(path);
  return hash.digest('hex');
}

export function contentHashOf(path) {
  return createHash('sha256')
    .update(readFileSync(join(root, path)))
    .digest('hex');
}

export function readStamp(path) {
  return existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8').trim() : undefined;
}

export function writeStamp(path, stamp) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), `${stamp}\n`);
}

/** Beside each bundle: what it was made from. */
export const stampOf = (bundle) => `${dirname(bundle)}/.stamp`;

/** What the bundles are made from. */
export function buildSources() {
  const besides = ['tools', 'e2e'].flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder))
          .sort()
          .map((name) => `${folder}/${name}/src`)
      : [],
  );
  const paths = [
    'libs',
    'apps',
    ...besides,
    'tools/build',
    'tools/cluster',
    'e2e/support',
    'tsconfig.base.json',
    'package-lock.json',
  ];
  const isSource = (path) => /\.(ts|tsx|mjs|json|css|html|svg)$/.test(path) && !/\.(spec|bench)\.tsx?$/.test(path);
  return hashOf(paths, isSource);
}

export const protoStamp = 'dist/.proto-stamp';

export function protoSources() {
  return hashOf(['proto', 'tools/proto']);
}
