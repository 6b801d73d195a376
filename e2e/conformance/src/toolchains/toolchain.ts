/** How the drivers are made: each language with its own tools, anew only when a source has changed. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { FileDisk } from '@cometmq/store';

import { root } from '../../../support/process.js';
import { until } from '../../../support/until.js';
import type { Program } from '../process-driver.js';

/** Where drivers and what they need are kept. Outside the sources, and not thrown away with a build. */
export const cache = join(root, 'node_modules', '.cache', 'cometmq-conformance');
/** From nothing, on a busy machine. */
const buildMsMax = 600_000;
export const sources = join(root, 'e2e', 'conformance');

/** A language's tools are not on this machine: its rows are skipped, not failed. */
export class MissingToolchain extends Error {}

export interface Toolchain {
  readonly language: string;
  /** Makes the driver for a version of the client, if it has to be made. @throws MissingToolchain */
  build(version: string): Promise<Program>;
}

/** As `toolchain.build`; of all processes that make drivers of a language, one at a time. */
export async function build(toolchain: Toolchain, version: string): Promise<Program> {
  const disk = new FileDisk(cache);
  await disk.makeFolder('');
  const name = `${toolchain.language}.lock`;
  let lock: Awaited<ReturnType<FileDisk['lock']>>;
  await until(`who builds ${toolchain.language}`, async () => (lock = await disk.lock(name)) !== undefined, buildMsMax);
  try {
    return await toolchain.build(version);
  } finally {
    await lock?.release();
  }
}

/** @throws MissingToolchain when the program can't be run at all */
export function need(program: string, versionArg: string): void {
  const { error, status } = spawnSync(program, [versionArg], { stdio: 'ignore' });
  if (error !== undefined || status !== 0) throw new MissingToolchain(`"${program}" is not there, or does not run`);
}

/** @throws Error with the last of what the program said */
export async function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const child = spawn(program, args, {
    cwd: options.cwd ?? sources,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let all = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    all += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => void (all += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${String(code)}:\n${all.slice(-4_000)}`);
  return out;
}

/** Makes a thing unless it was made from these very sources. */
export async function unlessMade(
  folder: string,
  files: readonly string[],
  words: readonly string[],
  make: () => Promise<void>,
): Promise<void> {
  const hash = createHash('sha256');
  for (const word of words) hash.update(`${word}\0`);
  for (const file of files) hash.update(readFileSync(file));
  const wanted = hash.digest('hex');
  const stamp = join(folder, '.stamp');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  mkdirSync(folder, { recursive: true });
  await make();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}
