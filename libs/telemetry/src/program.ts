import {
  MqError,
  readConfig,
  run,
  systemClock,
  type Declared,
  type Part,
  type Settings,
  type Values,
} from '@cometmq/shared';

import { createLogger, type Logger, type LogLevel } from './logger.js';
import { Telemetry } from './telemetry.js';

/** What a `main.ts` says of its program; everything else is the same for all of them. */
export interface Program<S extends Settings> {
  readonly declared: Declared<S>;
  readonly readFile: (path: string) => string;
  /** The parts, in the order they start; they stop in the other. Building does nothing. */
  readonly build: (config: Values<S>, surroundings: Surroundings) => readonly Part[];
  /** A line for a human when all parts have started. */
  readonly ready: (config: Values<S>) => string;
}

export interface Surroundings {
  readonly log: Logger;
  /** A part can't go on: the process stops and exits with 1. */
  readonly fatal: (error: MqError) => void;
}

/** What of a stuck stop is waited for before the process ends anyway. */
const stopMsMax = 30_000;

/**
 * Runs a program from its configuration to its exit code: 0 after SIGTERM or SIGINT, 1 when a part failed, 2 when the
 * configuration was wrong. A second signal ends it at once.
 */
export async function runProgram<S extends Settings>(program: Program<S>): Promise<void> {
  let reading;
  try {
    const { readFile } = program;
    reading = readConfig(program.declared, { argv: process.argv.slice(2), env: process.env, readFile });
  } catch (caught) {
    process.stderr.write(`${MqError.from(caught).reason}\n`);
    process.exit(2);
  }
  if (reading.kind === 'show') {
    process.stdout.write(reading.text);
    return;
  }
  const { values } = reading;
  const log = createLogger(program.declared.program, (values as { logLevel?: LogLevel }).logLevel ?? 'info');
  let failure: MqError | undefined;
  let parts: readonly Part[] = [];
  const until = new Promise<void>((resolve) => {
    const fatal = (error: MqError): void => {
      failure ??= error;
      resolve();
    };
    let signals = 0;
    const onSignal = (signal: string): void => {
      signals += 1;
      if (signals > 1) process.exit(130);
      log.info({ signal }, 'stopping');
      systemClock.after(stopMsMax, () => process.exit(1));
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    process.on('uncaughtException', (error) => {
      log.error({ reason: error.message, stack: error.stack }, 'a mistake of ours');
      fatal(MqError.from(error));
    });
    process.on('unhandledRejection', (reason) => {
      log.error({ reason: String(reason), stack: reason instanceof Error ? reason.stack : '' }, 'a mistake of ours');
      fatal(MqError.from(reason));
    });
    parts = program.build(values, { log, fatal });
  });
  // Ready is who has started whole and is not about to leave, whatever the parts say of themselves.
  let life: 'starting' | 'up' | 'stopping' = 'starting';
  void until.then(() => (life = 'stopping'));
  for (const part of parts) {
    if (part instanceof Telemetry) part.addReadiness(() => (life === 'up' ? undefined : `it is ${life}`));
  }
  // What parts wait with does not keep a process alive; this does, whatever time it is.
  // eslint-disable-next-line no-restricted-globals -- no timer: nothing ever happens when it fires
  const alive = setInterval(() => undefined, 60_000);
  try {
    await run(parts, until, () => {
      life = 'up';
      log.info({}, 'ready');
      process.stderr.write(`${program.ready(values)}\n`);
    });
  } catch (caught) {
    failure ??= MqError.from(caught);
  }
  clearInterval(alive);
  if (failure) {
    process.stderr.write(`${program.declared.program}: ${failure.reason}\n`);
    if (failure.cause instanceof Error) log.error({ cause: failure.cause.message }, 'the cause');
  }
  process.exit(failure ? 1 : 0);
}
