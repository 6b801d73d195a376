import { MqError } from './errors.js';

/**
 * Configuration, declared once: each setting has a name, a kind with its unit and bounds, a default and its reason.
 * Values come from flags over environment over file over defaults; every mistake is told at the start, all at once.
 *
 * A setting `sendTimeoutMs` is the flag `--send-timeout-ms`, the variable `COMETMQ_SEND_TIMEOUT_MS` and the line
 * `sendTimeoutMs = …` of the file named by `--config` or `COMETMQ_CONFIG` (lines `name = value`, `#` starts a comment).
 */
export interface Setting<T> {
  readonly kind: string;
  /** As a text that `parse` would take; undefined: must be given. */
  readonly default: T;
  readonly why: string;
  /** Masked wherever the configuration is shown. `_FILE` behind the variable's name reads it from a file. */
  readonly secret?: boolean;
  readonly allowed: string;
  /** @returns the value, or undefined if the text is not allowed. */
  parse(text: string): T | undefined;
  show(value: T): string;
}

export type Settings = Readonly<Record<string, Setting<unknown>>>;
export type Values<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

export interface Declared<S extends Settings> {
  readonly program: string;
  readonly about: string;
  readonly settings: S;
  /** Rules between settings: a sentence that says what is wrong, or true. */
  readonly rules: readonly ((values: Values<S>) => true | string)[];
}

export function declare<S extends Settings>(
  program: string,
  about: string,
  settings: S,
  ...rules: ((values: Values<S>) => true | string)[]
): Declared<S> {
  return { program, about, settings, rules };
}

interface Common<T> {
  readonly default: T;
  readonly why: string;
}
interface Bounded extends Common<number> {
  readonly min: number;
  readonly max: number;
}

export function text(options: Common<string> & { readonly secret?: boolean }): Setting<string> {
  return { kind: 'text', allowed: 'any text', parse: (given) => given, show: (value) => value, ...options };
}

export function flag(options: Common<boolean>): Setting<boolean> {
  return {
    kind: 'switch',
    allowed: 'true or false',
    parse: (given) => (given === 'true' || given === '' ? true : given === 'false' ? false : undefined),
    show: String,
    ...options,
  };
}

export function oneOf<const T extends string>(
  values: readonly T[],
  options: { readonly default: NoInfer<T>; readonly why: string },
): Setting<T> {
  return {
    kind: 'choice',
    allowed: `one of ${values.join(', ')}`,
    parse: (given) => values.find((value) => value === given),
    show: String,
    ...options,
  };
}

/** Texts joined by commas. */
export function list(options: Common<readonly string[]>): Setting<readonly string[]> {
  return {
    kind: 'list',
    allowed: 'texts joined by commas',
    parse: (given) =>
      given
        .split(',')
        .map((piece) => piece.trim())
        .filter((piece) => piece !== ''),
    show: (value) => value.join(','),
    ...options,
  };
}

export const count = (options: Bounded): Setting<number> => whole('number', {}, options);
export const port = (options: Common<number>): Setting<number> =>
  whole('port', {}, { min: 0, max: 65_535, ...options });

/** Milliseconds; `90s`, `5m`, `72h`, `3d` are understood too. */
export const millis = (options: Bounded): Setting<number> =>
  whole('milliseconds', { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }, options);

/** Bytes; `64KiB`, `4MiB`, `1GiB` are understood too. */
export const bytes = (options: Bounded): Setting<number> =>
  whole('bytes', { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }, options);

function whole(kind: string, unitFactors: Readonly<Record<string, number>>, options: Bounded): Setting<number> {
  const unitNames = Object.keys(unitFactors);
  return {
    kind,
    allowed:
      `a whole number from ${options.min} to ${options.max}` +
      (unitNames.length > 0 ? ` (units ${unitNames.join(', ')} allowed)` : ''),
    parse: (given) => {
      const match = /^(\d+)\s*([A-Za-z]*)$/.exec(given);
      if (!match) return undefined;
      const factor = match[2] === '' ? 1 : unitFactors[match[2] ?? ''];
      const value = Number(match[1]) * (factor ?? Number.NaN);
      return Number.isSafeInteger(value) && value >= options.min && value <= options.max ? value : undefined;
    },
    show: String,
    default: options.default,
    why: options.why,
  };
}

/** Where the texts come from. `readFile` is only asked for a file that was named. */
export interface Sources {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readFile(path: string): string;
}

export type Origin = 'flag' | 'environment' | 'file' | 'default';

export type Reading<S extends Settings> =
  | { readonly kind: 'run'; readonly values: Values<S>; readonly origins: Readonly<Record<string, Origin>> }
  /** The user asked to be shown something instead: print it and exit with 0. */
  | { readonly kind: 'show'; readonly text: string };

/** @throws MqError CONFIG with one line a mistake. */
export function readConfig<S extends Settings>(declared: Declared<S>, sources: Sources): Reading<S> {
  const reader = new Reader(declared, sources);
  return reader.read();
}

export const flagName = (name: string): string => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
export const envName = (name: string): string => `COMETMQ_${name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`;

/** Kubernetes gives every pod such variables for services whose name starts like ours; they are nobody's settings. */
const serviceLink = /_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP)(_|$)|_PORT$/;

class Reader<S extends Settings> {
  private readonly mistakes: string[] = [];
  private readonly given = new Map<string, { text: string; origin: Origin; said: string }>();
  private show: 'help' | 'config' | 'version' | undefined;
  private file: string | undefined;

  constructor(
    private readonly declared: Declared<S>,
    private readonly sources: Sources,
  ) {}

  read(): Reading<S> {
    const names = Object.keys(this.declared.settings);
    const flags = this.readFlags(names);
    if (this.show === 'help') return { kind: 'show', text: helpText(this.declared) };
    this.readFile(names);
    this.readEnv(names);
    for (const [name, text] of flags) this.given.set(name, { text, origin: 'flag', said: `${flagName(name)}=${text}` });
    const { values, origins } = this.parse(names);
    if (this.mistakes.length === 0) {
      for (const rule of this.declared.rules) {
        const verdict = rule(values);
        if (verdict !== true) this.mistakes.push(verdict);
      }
    }
    if (this.mistakes.length > 0) throw new MqError('CONFIG', this.mistakes.join('\n'));
    if (this.show === 'config') return { kind: 'show', text: configText(this.declared, values, origins) };
    return { kind: 'run', values: Object.freeze(values), origins };
  }

  private readFlags(names: readonly string[]): Map<string, string> {
    const byFlag = new Map(names.map((name) => [flagName(name), name]));
    const found = new Map<string, string>();
    const { argv } = this.sources;
    for (let i = 0; i < argv.length; i += 1) {
      const word = argv[i] ?? '';
      const equals = word.indexOf('=');
      const key = equals < 0 ? word : word.slice(0, equals);
      const name = byFlag.get(key);
      if (key === '--help' || key === '-h') this.show = 'help';
      else if (key === '--print-config') this.show = 'config';
      else if (name === undefined && key !== '--config') {
        this.mistakes.push(
          `${key}: unknown flag${nearest(key, [...byFlag.keys(), '--config', '--help', '--print-config'])}`,
        );
      } else {
        let value = equals < 0 ? undefined : word.slice(equals + 1);
        if (value === undefined) {
          const next = argv[i + 1];
          const isSwitch = name !== undefined && this.declared.settings[name]?.kind === 'switch';
          if (next !== undefined && !next.startsWith('--') && (!isSwitch || next === 'true' || next === 'false')) {
            value = next;
            i += 1;
          } else value = '';
        }
        if (name === undefined) this.file = value;
        else found.set(name, value);
      }
    }
    return found;
  }

  private readFile(names: readonly string[]): void {
    const path = this.file ?? this.sources.env['COMETMQ_CONFIG'];
    if (path === undefined || path === '') return;
    let content: string;
    try {
      content = this.sources.readFile(path);
    } catch (caught) {
      this.mistakes.push(
        `--config ${path}: can't be read: ${caught instanceof Error ? caught.message : String(caught)}`,
      );
      return;
    }
    content.split(/\r?\n/).forEach((line, index) => {
      const bare = line.trim();
      if (bare === '' || bare.startsWith('#')) return;
      const equals = bare.indexOf('=');
      const name = bare.slice(0, Math.max(equals, 0)).trim();
      const value = bare.slice(equals + 1).trim();
      const place = `${path}:${index + 1}`;
      // Of a line that nobody knows nothing is shown but its name: its value may be a secret.
      if (equals < 0) this.mistakes.push(`${place}: must be "name = value"`);
      else if (!names.includes(name)) this.mistakes.push(`${place}: ${name}: unknown setting${nearest(name, names)}`);
      else this.given.set(name, { text: value, origin: 'file', said: `${place}: ${bare}` });
    });
  }

  private readEnv(names: readonly string[]): void {
    const byEnv = new Map(names.map((name) => [envName(name), name]));
    for (const [key, text] of Object.entries(this.sources.env)) {
      if (!key.startsWith('COMETMQ_') || key === 'COMETMQ_CONFIG' || text === undefined) continue;
      if (serviceLink.test(key)) continue;
      const name = byEnv.get(key);
      const fromFile = key.endsWith('_FILE') ? byEnv.get(key.slice(0, -'_FILE'.length)) : undefined;
      if (name !== undefined) this.given.set(name, { text, origin: 'environment', said: `${key}=${text}` });
      else if (fromFile !== undefined && this.declared.settings[fromFile]?.secret) {
        try {
          const secret = this.sources.readFile(text).trim();
          this.given.set(fromFile, { text: secret, origin: 'environment', said: `${key}=${text}` });
        } catch (caught) {
          this.mistakes.push(
            `${key}=${text}: can't be read: ${caught instanceof Error ? caught.message : String(caught)}`,
          );
        }
      } else this.mistakes.push(`${key}: unknown setting${nearest(key, [...byEnv.keys(), 'COMETMQ_CONFIG'])}`);
    }
  }

  private parse(names: readonly string[]): { values: Values<S>; origins: Record<string, Origin> } {
    const values: Record<string, unknown> = {};
    const origins: Record<string, Origin> = {};
    for (const name of names) {
      const setting = this.declared.settings[name];
      if (!setting) continue;
      const given = this.given.get(name);
      origins[name] = given?.origin ?? 'default';
      values[name] = given ? setting.parse(given.text) : setting.default;
      if (values[name] === undefined) {
        const said = setting.secret ? envName(name) : (given?.said ?? name);
        this.mistakes.push(`${said}: must be ${setting.allowed}`);
      }
    }
    return { values: values as Values<S>, origins };
  }
}

function nearest(wrong: string, names: readonly string[]): string {
  let best: string | undefined;
  let bestDistance = Math.max(3, Math.ceil(wrong.length / 3));
  for (const name of names) {
    const distance = editDistance(wrong.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best === undefined ? '' : `; did you mean ${best}?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

export function helpText<S extends Settings>(declared: Declared<S>): string {
  const lines = [`${declared.program}: ${declared.about}`, '', 'Settings (flag, variable, default):'];
  for (const [name, setting] of Object.entries(declared.settings)) {
    const shown = setting.secret ? '(secret)' : setting.show(setting.default) || '(empty)';
    lines.push(
      `  ${flagName(name)}  ${envName(name)}  ${shown}`,
      `      ${setting.why}`,
      `      ${setting.kind}: ${setting.allowed}`,
    );
  }
  lines.push(
    '',
    '  --config FILE  COMETMQ_CONFIG   a file with lines `name = value`; variables override it, flags override both',
    '  --print-config                  show what is in force and where each value comes from',
    '  --help                          this text',
    '',
  );
  return lines.join('\n');
}

function configText<S extends Settings>(
  declared: Declared<S>,
  values: Values<S>,
  origins: Readonly<Record<string, Origin>>,
): string {
  const lines = Object.entries(declared.settings).map(([name, setting]) => {
    const shown = setting.secret ? '******' : setting.show(values[name]);
    return `${name} = ${shown}  # ${origins[name] ?? 'default'}`;
  });
  return `${lines.join('\n')}\n`;
}

/** One row a setting, for the configuration reference. */
export function settingRows<S extends Settings>(
  declared: Declared<S>,
): { name: string; flag: string; env: string; kind: string; allowed: string; default: string; why: string }[] {
  return Object.entries(declared.settings).map(([name, setting]) => ({
    name,
    flag: flagName(name),
    env: envName(name),
    kind: setting.kind,
    allowed: setting.allowed,
    default: setting.secret ? '' : setting.show(setting.default),
    why: setting.why,
  }));
}
