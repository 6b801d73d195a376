import { type Clock } from '@cometmq/shared';
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

const levels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
/** Bold yellow and bold red, for what should be seen. */
const colours: { readonly [level: string]: string } = { warn: '\x1b[1;33m', error: '\x1b[1;31m' };

/** The same as lines for people: the time of day, what happened, the facts. For a terminal. */
export function createTerminalLogger(
  level: LogLevel,
  clock: Pick<Clock, 'wallMs'>,
  write: (text: string) => void,
): Logger {
  const least = levels.indexOf(level);
  const logs =
    (own: Exclude<LogLevel, 'silent'>) =>
    (facts: object, said: string): void => {
      if (levels.indexOf(own) < least) return;
      const time = new Date(clock.wallMs()).toTimeString().slice(0, 8);
      const told = Object.entries(facts)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => ` ${name}=${inOneLine(value)}`);
      const sign = own in colours ? `${colours[own]}${own.toUpperCase()}\x1b[0m ` : '';
      write(`${time} ${sign}${said}${told.length > 0 ? ' ' : ''}${told.join('')}\n`);
    };
  return { debug: logs('debug'), info: logs('info'), warn: logs('warn'), error: logs('error') };
}

/** As it is where that is a plain word, else as JSON: no fact can move the cursor or begin a new line. */
function inOneLine(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value, (_, inner: unknown) => plain(inner));
  return /^[\w.:/@%+-]+$/.test(text) ? text : typeof value === 'string' ? JSON.stringify(text) : text;
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

function ignore(): void {
  // Says nothing: for tests.
}
