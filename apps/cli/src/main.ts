/** `comet`, the command line. */
import { MessageChannel } from 'node:worker_threads';

import { runCli } from './cli.js';
import { realWorld } from './real-world.js';

async function main(): Promise<void> {
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      if (interrupt.signal.aborted) process.exit(130); // Asked twice.
      interrupt.abort();
    });
  }
  // Who reads us has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const { port1: alive } = new MessageChannel();
  alive.ref(); // A clock that is waited for does not keep a process alive.
  try {
    process.exitCode = await runCli(process.argv.slice(2), realWorld(interrupt.signal));
  } finally {
    alive.close();
  }
}

void main();
