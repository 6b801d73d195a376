import { destination, pino } from 'pino';

/** What happened, in a few words, and the facts beside it. Bodies of messages and secrets never get here. */
export interface Logger {
  debug(facts: object, said: string): void;
  info(facts: object, said: string): void;
  warn(facts: object, said: string): void;
  error(facts: object, said: string): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** JSON lines on standard error: standard output belongs to what a program is asked for. */
export function createLogger(service: string, level: LogLevel): Logger {
  const options = { level, base: { service }, formatters: { level: (label: string) => ({ level: label }) } };
  return pino(options, destination({ fd: 2, sync: true }));
}

export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

function ignore(): void {
  // Says nothing: for tests.
}
