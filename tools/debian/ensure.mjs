/**
 * Tools that are no npm package come from Debian: `ensure('etcd', 'etcd-server')` gives the path of the binary, after
 * installing the package if it is missing. Installing needs root; without it, the error says what to type.
 *
 *   node tools/debian/ensure.mjs etcd etcd-server
 */
import { spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const policyFile = '/usr/sbin/policy-rc.d';

/** The path of `binary`, or undefined. Looks where Debian puts programs too, whatever the PATH says. */
export function find(binary) {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/local/bin',
    '/usr/bin',
    '/usr/sbin',
    '/bin',
    '/sbin',
  ];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, binary))
    .find(isExecutable);
}

/** @throws Error with the command to type, where the package is missing and can't be installed from here */
export function ensure(binary, debianPackage, say = (line) => process.stderr.write(`${line}\n`)) {
  const found = find(binary);
  if (found !== undefined) return found;
  const byHand = `install it: apt-get update && apt-get install ${debianPackage}`;
  if (find('apt-get') === undefined) {
    throw new Error(`${binary} is missing, and this is no Debian system to install it on: put "${binary}" on the PATH`);
  }
  if (process.getuid?.() !== 0)
    throw new Error(`${binary} is missing, and only root can install it; as root, ${byHand}`);
  say(`${binary} is missing: installing Debian's ${debianPackage} …`);
  withoutServices(() => {
    apt(['update', '-qq'], byHand);
    apt(['install', '-y', '-qq', '--no-install-recommends', debianPackage], byHand);
  });
  const installed = find(binary);
  if (installed === undefined) throw new Error(`${debianPackage} is installed, but has no "${binary}"`);
  return installed;
}

function apt(args, byHand) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  const locked = ['-o', 'DPkg::Lock::Timeout=120'];
  const { status, stdout, stderr, error } = spawnSync('apt-get', [...locked, ...args], { env, encoding: 'utf8' });
  if (status === 0) return;
  const last = `${stdout ?? ''}\n${stderr ?? ''}\n${error?.message ?? ''}`.trim().split('\n').slice(-5).join('\n');
  throw new Error(`apt-get ${args[0]} failed; ${byHand}\n${last}`);
}

/** A package's service isn't started: we start what we need ourselves, on ports of our own. */
function withoutServices(act) {
  if (existsSync(policyFile)) return act(); // The machine has a policy of its own.
  writeFileSync(policyFile, '#!/bin/sh\nexit 101\n');
  chmodSync(policyFile, 0o755);
  try {
    return act();
  } finally {
    rmSync(policyFile, { force: true });
  }
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

// By its own name: as a part of a bundle it is not the program that was started.
if (process.argv[1]?.endsWith('ensure.mjs') && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [binary, debianPackage] = process.argv.slice(2);
  if (binary === undefined || debianPackage === undefined) {
    console.error('usage: node tools/debian/ensure.mjs <binary> <package>');
    process.exitCode = 2;
  } else {
    try {
      console.log(ensure(binary, debianPackage));
    } catch (error) {
      console.error(error.message);
      process.exitCode = 1;
    }
  }
}
