/** A disk that fails, hangs or is slow, for one live process: strace changes its system calls until it is told to let go. */
import { spawn } from 'node:child_process';

import type { ClusterProcess } from '../../../tools/cluster/process.ts';
import { until } from '../../support/until.js';

/** Those that a broker makes durable with: it opens its log with O_DSYNC. Sockets are written to by others. */
const durable = 'fdatasync,fsync,pwrite64,pwritev,pwritev2';

/** @param inject as strace has it: `error=EIO`, `delay_enter=500000`, `error=ENOSPC:when=3+` */
export async function troubleDisk(
  strace: string,
  victim: ClusterProcess,
  inject: string,
): Promise<() => Promise<void>> {
  const { pid } = victim;
  if (pid === undefined) throw new Error(`${victim.name} does not run`);
  const args = ['-f', '-o', '/dev/null', '-p', String(pid), '-e', `trace=${durable}`, '-e', 'signal=none'];
  const tracer = spawn(strace, [...args, '-e', `inject=${durable}:${inject}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  let ended = false;
  tracer.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const over = new Promise<void>((resolve) => {
    tracer.once('exit', () => {
      ended = true;
      resolve();
    });
  });
  await until(
    () => `strace to attach to ${victim.name}: ${said}`,
    () => {
      if (ended && !said.includes('attached')) throw new Error(`strace could not attach to ${victim.name}: ${said}`);
      return said.includes('attached');
    },
    30_000,
  );
  return async () => {
    if (!ended) tracer.kill('SIGINT');
    await over;
  };
}
