/** `comet`, the command line. */
import { MessageChannel } from 'node:worker_threads';

import { stopRequests, systemClock } from '@cometmq/shared';

import { runCli } from './cli.js';
import { realWorld } from './real-world.js';

async function main(): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = stopRequests(systemClock, (_, requests) => {
    if (requests > 1) process.exit(130);
    interrupt.abort();
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal);
  // The reader of our output has seen enough (`| head`), or the terminal is gone: what was begun is tidied up, then we end.
  let failed = false;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      failed ||= error.code !== 'EPIPE' && error.code !== 'EIO';
      interrupt.abort();
    });
  }
  const { port1: alive } = new MessageChannel();
  alive.ref(); // A timer that is waited for does not keep a process alive.
  try {
    const code = await runCli(process.argv.slice(2), realWorld(interrupt.signal));
    process.exitCode = failed ? 1 : code;
  } finally {
    alive.close();
  }
}

void main();
