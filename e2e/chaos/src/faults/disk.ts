/** Disks that fail, hang, are slow or full, and files that are damaged while a member is down. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import type { ClusterProcess } from '../../../../tools/cluster/process.ts';
import { troubleDisk } from '../disk-trouble.js';
import type { Need } from '../tools.js';
import { bringBack, type Fault, killAll, rest, type Stage, type Struck } from './fault.js';

type Role = 'leader' | 'follower';

async function victimOf({ victims, set }: Stage, role: Role): Promise<ClusterProcess> {
  const { leader, followers } = await victims.leader(set);
  return role === 'leader' ? leader : victims.one(followers);
}

/** System calls of a live member are changed for so long; then whoever ended because of it is started again. */
function traced(role: Role, words: string, inject: string, ms: number, more: Partial<Fault> = {}): Fault {
  return {
    words,
    needs: ['strace'],
    ...more,
    strike: async (stage) => {
      const victim = await victimOf(stage, role);
      const letGo = await troubleDisk(stage.tools.strace ?? '', victim, inject);
      const atMs = performance.now();
      return {
        atMs,
        undo: async () => {
          await rest(Math.max(0, atMs + ms - performance.now()));
          await letGo();
          await bringBack([victim]);
        },
      };
    },
  };
}

/** The file system of a member is filled to the last byte, which also cuts a write short; then there is space again. */
function full(role: Role): Fault {
  return {
    words: `the disk of ${role === 'leader' ? 'the leader' : 'a follower'} is full for 8 s (a small tmpfs)`,
    needs: ['tmpfs'] satisfies Need[],
    strike: async (stage) => {
      const victim = await victimOf(stage, role);
      const ballast = join(stage.home, victim.name, 'lost+found');
      const atMs = performance.now();
      fill(ballast);
      return {
        atMs,
        undo: async () => {
          // What the broker itself frees meanwhile is taken too.
          for (let i = 0; i < 8; i += 1) {
            await rest(1_000);
            fill(ballast);
          }
          rmSync(ballast);
          await bringBack([victim]);
        },
      };
    },
  };
}

function fill(file: string): void {
  const fd = openSync(file, 'a');
  try {
    for (const bytes of [1 << 20, 1 << 12, 1]) {
      const piece = Buffer.alloc(bytes);
      while (written(fd, piece) === bytes);
    }
  } finally {
    closeSync(fd);
  }
}

function written(fd: number, piece: Buffer): number {
  try {
    return writeSync(fd, piece);
  } catch {
    return 0; // ENOSPC is what it is for.
  }
}

/** A member that is down finds its files changed. */
function changed(words: string, change: (folder: string, stage: Stage) => void): Fault {
  return {
    words,
    keeps: ['every send', 'the leader'],
    strike: async (stage) => {
      const victim = await victimOf(stage, 'follower');
      const atMs = performance.now();
      await killAll([victim]);
      return {
        atMs,
        undo: async (): Promise<void> => {
          change(join(stage.home, victim.name), stage);
          await stage.servesAgain();
          await bringBack([victim]);
        },
      } satisfies Struck;
    },
  };
}

/** The segments of a log, in order, and how far each is written: what lies ahead of that is zeros. */
function segmentsOf(folder: string): { readonly file: string; readonly written: number }[] {
  const log = join(folder, 'broker/log');
  const names = readdirSync(log).filter((name) => /^\d+\.(log|compacted)$/.test(name));
  return names.sort().map((name) => {
    const file = join(log, name);
    const bytes = readFileSync(file);
    let written = bytes.byteLength;
    while (written > 0 && bytes[written - 1] === 0) written -= 1;
    return { file, written };
  });
}

function cutTail(folder: string, { chance, note }: Stage): void {
  const newest = segmentsOf(folder).at(-1);
  if (newest === undefined) throw new Error(`there is no log in ${folder}`);
  const bytes = Math.min(newest.written, 1 + Math.floor(chance() * 4_096));
  truncateSync(newest.file, newest.written - bytes);
  note(`${bytes} of ${newest.written} bytes`);
}

function flipBits(folder: string, { chance, note }: Stage): void {
  const segments = segmentsOf(folder).filter(({ written }) => written > 0);
  const flips = 1 + Math.floor(chance() * 100);
  for (let i = 0; i < flips; i += 1) {
    const { file, written } = segments[Math.floor(chance() * segments.length)] as { file: string; written: number };
    const at = Math.floor(chance() * written);
    const fd = openSync(file, 'r+');
    try {
      const byte = Buffer.alloc(1);
      readSync(fd, byte, 0, 1, at);
      byte[0] = (byte[0] ?? 0) ^ (1 << Math.floor(chance() * 8));
      writeSync(fd, byte, 0, 1, at);
    } finally {
      closeSync(fd);
    }
  }
  note(`${flips} bits`);
}

export const diskFaults = {
  'disk-error': traced('leader', 'each sync and write of the leader fails (EIO) for 4 s', 'error=EIO', 4_000),
  'disk-error-once': traced(
    'leader',
    'one sync or write of the leader fails (EIO), those after it succeed',
    'error=EIO:when=1',
    3_000,
  ),
  'disk-error-follower': traced(
    'follower',
    'each sync and write of a follower fails (EIO) for 4 s',
    'error=EIO',
    4_000,
    { keeps: ['every send', 'the leader'] },
  ),
  'disk-hung': traced(
    'leader',
    'the disk of the leader hangs for 12 s: no sync or write returns',
    'delay_enter=12s',
    12_000,
  ),
  'disk-hung-follower': traced('follower', 'the disk of a follower hangs for 12 s', 'delay_enter=12s', 12_000, {
    keeps: ['every send', 'the leader'],
  }),
  'disk-slow': traced(
    'leader',
    'each sync or write of the leader takes 50 ms more, for 10 s',
    'delay_enter=50ms',
    10_000,
    {
      keeps: ['every send'],
    },
  ),
  'disk-very-slow': traced(
    'leader',
    'each sync or write of the leader takes 500 ms more, for 15 s',
    'delay_enter=500ms',
    15_000,
    { keeps: ['every send'] },
  ),
  'disk-slow-follower': traced(
    'follower',
    'each sync or write of a follower takes 500 ms more, for 15 s',
    'delay_enter=500ms',
    15_000,
    { keeps: ['every send', 'the leader'] },
  ),
  'disk-no-space': traced('leader', 'each write of the leader fails with ENOSPC for 4 s', 'error=ENOSPC', 4_000),
  'disk-full': full('leader'),
  'disk-full-follower': full('follower'),
  'torn-tail': changed('a follower is killed, and the last 1 to 4,096 bytes of its log are cut off', cutTail),
  'bit-flips': changed('a follower is killed, and 1 to 100 bits of its log change', flipBits),
} satisfies Record<string, Fault>;
