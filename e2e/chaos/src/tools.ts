/**
 * What this machine can inject beyond signals. What is missing is installed where that can be done (Debian, root); what
 * can't be had is told, and the faults that need it are left out.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ensure, find } from '../../../tools/debian/ensure.mjs';
import { mayTrace } from '../../crash/src/trace.js';

/** What a fault needs, beyond processes and signals. */
export type Need = 'relay' | 'strace' | 'tmpfs' | 'faketime' | 'three members';

export interface Tools {
  /** Its path. */
  readonly strace: string | undefined;
  /** The library that is preloaded. */
  readonly faketime: string | undefined;
  /** Small file systems in memory can be mounted. */
  readonly tmpfs: boolean;
  /** Why these faults can't be done here. */
  readonly missing: ReadonlyMap<Need, string>;
}

/** Looks for those that are needed only, as looking may install. */
export function findTools(needs: ReadonlySet<Need>, replicas: number): Tools {
  const missing = new Map<Need, string>();
  const look = <T>(need: Need, find: () => T): T | undefined => {
    if (!needs.has(need)) return undefined;
    try {
      return find();
    } catch (caught) {
      missing.set(need, caught instanceof Error ? caught.message : String(caught));
      return undefined;
    }
  };
  look('relay', () => {
    if (!existsSync('/proc/net/tcp')) throw new Error('who calls is not to be seen here: there is no /proc/net/tcp');
  });
  look('three members', () => {
    if (replicas < 3) throw new Error(`the sets have ${replicas} members`);
  });
  const strace = look('strace', () => {
    const path = ensure('strace', 'strace');
    if (!mayTrace(path)) throw new Error('no process can be traced on this machine');
    return path;
  });
  const faketime = look('faketime', fakeTimeLibrary);
  const tmpfs = look('tmpfs', tryMount) === true;
  return { strace, faketime, tmpfs, missing };
}

function fakeTimeLibrary(): string {
  ensure('faketime', 'faketime');
  const found = ['x86_64', 'aarch64']
    .map((arch) => `/usr/lib/${arch}-linux-gnu/faketime/libfaketime.so.1`)
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error('libfaketime is not where Debian puts it');
  return found;
}

function tryMount(): true {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-mount-'));
  try {
    mountMemory(folder, 1);
    unmount(folder);
    return true;
  } finally {
    rmdirSync(folder);
  }
}

/** A file system of its own in memory. */
export function mountMemory(folder: string, mib: number): void {
  mkdirSync(folder, { recursive: true });
  run('mount', ['-t', 'tmpfs', '-o', `size=${mib}m,mode=0700`, 'cometmq-chaos', folder]);
}

export function unmount(folder: string): void {
  run('umount', [folder]);
}

function run(program: string, args: readonly string[]): void {
  const path = find(program);
  if (path === undefined) throw new Error(`there is no ${program}`);
  const { status, stderr } = spawnSync(path, args, { encoding: 'utf8', timeout: 10_000 });
  if (status !== 0) throw new Error(`${program} failed: ${stderr.trim()}`);
}
