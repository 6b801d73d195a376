import {
  causeText,
  type Declared,
  MqError,
  onUnexpected,
  type Component,
  readConfig,
  run,
  type Settings,
  stopRequests,
  systemClock,
  type Values,
} from '@cometmq/shared';

import { createLogger, createTerminalLogger, type Logger, type LogLevel } from './logger.js';
import { Telemetry } from './telemetry.js';
import { unexpectedFailures } from './unexpected-failures.js';

/** What a `main.ts` says of its program; everything else is the same for all of them. */
export interface Program<S extends Settings> {
  readonly declared: Declared<S>;
  readonly readFile: (path: string) => string;
  /** Building does nothing; the parts are started by who runs the program. */
  readonly build: (config: Values<S>, surroundings: Surroundings) => Built;
}

export interface Built {
  /** In the order they start; they stop in the other. */
  readonly parts: readonly Component[];
  /** How long its parts may take to stop before the process ends anyway, if not as long as usual. */
  readonly stopMsMax?: number;
  /** Asked when all parts have started. */
  readonly ready: () => Readiness;
}

/** What is told once a program is ready: as one JSON line, or as a few lines at a terminal. */
export interface Readiness {
  /** What is ready: "CometMQ 0.1.0", "The broker broker-0". */
  readonly what: string;
  /** Name → value, such as where it is reached. */
  readonly facts: Readonly<Record<string, string>>;
  /** Lines for people, below the facts. */
  readonly advice?: readonly string[];
}

export interface Surroundings {
  readonly log: Logger;
  /** A part can't go on: the process stops and exits with 1. */
  readonly fatal: (error: MqError) => void;
}

/** What of a stuck stop is waited for before the process ends anyway. */
const usualStopMsMax = 30_000;
/** A programming error; sysexits.h calls it EX_SOFTWARE. */
const programmingErrorExitCode = 70;

/**
 * Runs a program from its configuration to its exit code: 0 after SIGTERM or SIGINT, 1 when a part failed, 2 when the
 * configuration was wrong, 70 after a programming error: a failed assertion, or an error that nobody caught. A second
 * signal ends it at once.
 *
 * A programming error ends the process as a power cut would. Stopping the parts would have them write down what they hold in memory
 * (a checkpoint, say), and what that is worth nobody knows any more; what was acknowledged is on disk already.
 */
export async function runProgram<S extends Settings>(program: Program<S>): Promise<void> {
  let reading;
  try {
    const { readFile } = program;
    reading = readConfig(program.declared, { argv: process.argv.slice(2), env: process.env, readFile });
  } catch (caught) {
    process.stderr.write(`${caught instanceof MqError ? caught.reason : causeText(caught)}\n`);
    process.exit(2);
  }
  if (reading.kind === 'show') {
    process.stdout.write(reading.text);
    return;
  }
  const { values } = reading;
  const level = (values as { logLevel?: LogLevel }).logLevel ?? 'info';
  const { isTTY: atTerminal } = process.stderr;
  const print = (text: string): void => void process.stderr.write(text);
  const log = atTerminal
    ? createTerminalLogger(level, systemClock, print)
    : createLogger(program.declared.program, level);
  // Its terminal is closed, or the reader of what it says is gone: that is no reason to stop serving.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  onUnexpected(unexpectedFailures(log));
  let failure: MqError | undefined;
  let stopMsMax = usualStopMsMax;
  const { promise: until, resolve: stop } = Promise.withResolvers<void>();
  const fatal = (error: MqError): void => {
    failure ??= error;
    stop();
  };
  const onSignal = stopRequests(systemClock, (signal, requests) => {
    if (requests > 1) process.exit(130);
    log.info({ signal }, 'stopping');
    systemClock.after(stopMsMax, () => process.exit(1));
    stop();
  });
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  const broken = (caught: unknown): void => {
    const reason = caught instanceof Error ? caught.message : String(caught);
    log.error({ reason, cause: causeText(caught) }, 'a programming error: the process ends');
    print(`${program.declared.program}: a programming error: ${reason}\n`);
    process.exit(programmingErrorExitCode);
  };
  process.on('uncaughtException', broken);
  process.on('unhandledRejection', broken);
  // Ready is who has started whole and is not about to leave, whatever the parts say of themselves.
  let life: 'starting' | 'up' | 'stopping' = 'starting';
  void until.then(() => (life = 'stopping'));
  // What parts wait with does not keep a process alive; this does, whatever time it is.
  // eslint-disable-next-line no-restricted-globals -- no timer: nothing ever happens when it fires
  const alive = setInterval(() => undefined, 60_000);
  try {
    const built = program.build(values, { log, fatal });
    const { parts, ready } = built;
    stopMsMax = built.stopMsMax ?? usualStopMsMax;
    for (const part of parts) {
      if (part instanceof Telemetry) part.addReadiness(() => (life === 'up' ? undefined : `it is ${life}`));
    }
    await run(parts, until, () => {
      life = 'up';
      const readiness = ready();
      if (atTerminal) print(asBlock(readiness));
      else log.info(readiness.facts, 'ready');
    });
  } catch (caught) {
    failure ??= MqError.from(caught); // A failed assertion goes on up, and ends the process above.
  }
  clearInterval(alive);
  if (failure) {
    process.stderr.write(`${program.declared.program}: ${failure.reason}\n`);
    if (failure.cause !== undefined)
      log.error({ reason: failure.reason, cause: causeText(failure.cause) }, 'the cause');
  }
  process.exit(failure ? 1 : 0);
}

/** The readiness as somebody at a terminal reads it. */
export function asBlock({ what, facts, advice = [] }: Readiness): string {
  const width = Math.max(...Object.keys(facts).map((name) => name.length));
  const told = Object.entries(facts).map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
  return ['', `${what} is ready.`, '', ...told, '', ...advice, 'Ctrl-C stops it.', '', ''].join('\n');
}

/** Where a server that listens on an address is reached from this machine. */
export function reachedAt(host: string, port: number): string {
  const everywhere = host === '' || host === '0.0.0.0' || host === '::';
  return `${everywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`;
}
