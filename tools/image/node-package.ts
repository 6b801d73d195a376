/** The project's Node.js for an image: as it is installed here, or, for another architecture, as npm has it. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { nodePackageOf, type Architecture } from './architecture.ts';

interface Locked {
  readonly version: string;
  readonly integrity: string;
}

/**
 * @param scratch where a package that is fetched is kept for the next time
 * @returns the package's folder
 */
export function nodeFolder(source: string, architecture: Architecture, scratch: string): string {
  const name = nodePackageOf(architecture);
  const installed = join(source, 'node_modules', name);
  if (existsSync(join(installed, 'bin/node'))) return installed;
  const locked = lockedOf(source, name);
  const kept = join(scratch, `${name}-${locked.version}`);
  if (!existsSync(join(kept, 'bin/node'))) fetch(name, locked, kept, scratch);
  return kept;
}

function fetch(name: string, { version, integrity }: Locked, kept: string, scratch: string): void {
  mkdirSync(scratch, { recursive: true });
  const folder = mkdtempSync(join(scratch, 'node-'));
  try {
    run('npm', ['pack', '--silent', `${name}@${version}`], folder);
    const [archive = ''] = readdirSync(folder);
    checkIntegrity(readFileSync(join(folder, archive)), integrity, `${name}@${version}`);
    run('tar', ['-xzf', archive], folder);
    rmSync(kept, { recursive: true, force: true });
    renameSync(join(folder, 'package'), kept);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws Error where the bytes are not those that package-lock.json names */
export function checkIntegrity(bytes: Uint8Array, integrity: string, what: string): void {
  const [algorithm = '', digest = ''] = integrity.split(/-(.*)/, 2);
  if (createHash(algorithm).update(bytes).digest('base64') === digest) return;
  throw new Error(`${what} is not what package-lock.json names: its ${algorithm} is another`);
}

function lockedOf(source: string, name: string): Locked {
  const lock = JSON.parse(readFileSync(join(source, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Partial<Locked>>>;
  };
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined) throw new Error(`package-lock.json names no ${name}`);
  return { version, integrity };
}

function run(file: string, args: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(file, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
}
