// Goal: a seed does the same whoever runs it, and none is lost. Method: the program with several processes, one of which is
// killed, against seeds that this process runs.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { root } from '../support/process.js';
import { until } from '../support/until.js';
import { simulate } from './src/workload.js';

const ms = 3_000;

function simulations(...args: string[]): {
  readonly child: ChildProcess;
  readonly over: Promise<{ readonly code: number | null; readonly said: string }>;
} {
  const bundle = join(root, 'dist/e2e/simulation/main.cjs');
  const child = spawn(process.execPath, [bundle, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (piece: Buffer) => (said += piece.toString()));
  return { child, over: new Promise((resolve) => child.on('close', (code) => resolve({ code, said }))) };
}

/** What it printed of seeds that held. */
function hashesIn(said: string): Map<number, string> {
  return new Map(
    [...said.matchAll(/^seed (\d+): ([0-9a-f]{16}),/gm)].map(([, seed, hash]) => [Number(seed), hash ?? '']),
  );
}

it('shares seeds among processes, and each does what it does here', async () => {
  const { code, said } = await simulations('--seeds=5', '--from=301', `--ms=${ms}`, '--jobs=2').over;
  expect(code).toBe(0);
  const wanted = new Map<number, string>();
  for (let seed = 301; seed < 306; seed += 1) wanted.set(seed, (await simulate({ seed, simMs: ms })).hash);
  expect(new Map([...hashesIn(said)].sort(([a], [b]) => a - b))).toEqual(wanted);
  // What all of them have counted.
  expect(said).toMatch(/a seed has [1-9]\d* faults, [1-9]\d* acknowledged messages/);
  expect(said).toContain('5 seeds, 0 failed');
}, 240_000);

it('counts a seed whose process is killed as failed, and goes on', async () => {
  const { child, over } = simulations('--seeds=3', '--from=301', `--ms=${ms}`, '--jobs=1', '--go-on');
  const children = `/proc/${child.pid}/task/${child.pid}/children`;
  const first = await until('a process that runs seeds', async () => {
    const pid = (await readFile(children, 'utf8')).trim().split(' ')[0];
    return pid !== '' && Number(pid);
  });
  process.kill(first, 'SIGKILL');
  const { code, said } = await over;
  expect(code).toBe(1);
  expect(said).toContain('seed 301: its process ended with SIGKILL');
  expect(said).toContain('again: npm run simulate -- --seed 301');
  expect([...hashesIn(said).keys()]).toEqual([302, 303]);
}, 240_000);
