import type { World } from './world.js';

export const formats = ['table', 'wide', 'json', 'jsonl', 'name'] as const;
export type Format = (typeof formats)[number];

export interface Column<T> {
  readonly title: string;
  /** Shown by `wide` only. */
  readonly wide?: boolean;
  readonly value: (row: T) => string | number | boolean | undefined;
}

/** How a thing is shown: as a line of a table, by its name, or as the JSON it is. */
export interface View<T> {
  readonly columns: readonly Column<T>[];
  readonly name: (row: T) => string;
  /** Where the JSON is not the thing itself. */
  readonly json?: (row: T) => unknown;
}

/** Rows that come one by one. */
export interface Listing<T> {
  add(rows: readonly T[]): void;
  end(): void;
}

/** Standard output in the format that was asked for. What a message contains can't move the cursor or ring the bell. */
export class Printer {
  constructor(
    private readonly world: Pick<World, 'out' | 'terminal'>,
    readonly format: Format,
    private readonly colour: boolean,
  ) {}

  /** True where each row is seen as it comes. */
  get toTerminal(): boolean {
    return this.world.terminal.out;
  }

  get forPeople(): boolean {
    return this.format === 'table' || this.format === 'wide';
  }

  list<T>(view: View<T>, rows: readonly T[]): void {
    const listing = this.listing(view);
    listing.add(rows);
    listing.end();
  }

  listing<T>(view: View<T>): Listing<T> {
    const { format, world } = this;
    const json = view.json ?? ((row: T) => row);
    switch (format) {
      case 'name':
        return { add: (rows) => rows.forEach((row) => world.out(`${visible(view.name(row))}\n`)), end: nothing };
      case 'jsonl':
        return { add: (rows) => rows.forEach((row) => world.out(`${JSON.stringify(json(row))}\n`)), end: nothing };
      case 'json':
        return jsonArray(world, json);
      case 'table':
      case 'wide':
        return this.table(view);
    }
  }

  /** One thing: its fields, and lists that belong to it. */
  one<T>(view: View<T>, thing: T, ...parts: readonly { title: string; print: () => void; empty: boolean }[]): void {
    if (!this.forPeople) {
      const json = view.json ?? ((row: T) => row);
      if (this.format === 'name') this.world.out(`${visible(view.name(thing))}\n`);
      else this.world.out(`${JSON.stringify(json(thing), undefined, this.format === 'json' ? 2 : undefined)}\n`);
      return;
    }
    const fields = view.columns.map(({ title, value }) => [title, cell(value(thing))] as const);
    const width = Math.max(...fields.map(([title]) => title.length));
    for (const [title, value] of fields) this.world.out(`${this.bold(title.padEnd(width))}  ${value}\n`);
    for (const { title, print, empty } of parts) {
      if (empty) continue;
      this.world.out(`\n${this.bold(title)}\n`);
      print();
    }
  }

  good(text: string): string {
    return this.coloured(32, text);
  }

  bad(text: string): string {
    return this.coloured(31, text);
  }

  private bold(text: string): string {
    return this.coloured(1, text);
  }

  private coloured(colour: number, text: string): string {
    return this.colour ? `\x1b[${colour}m${visible(text)}\x1b[0m` : visible(text);
  }

  /** The first rows decide how wide the columns are; later ones may push them out. */
  private table<T>(view: View<T>): Listing<T> {
    const columns = view.columns.filter(({ wide }) => this.format === 'wide' || !wide);
    let widths: readonly number[] | undefined;
    const line = (cells: readonly string[]): string =>
      cells.map((text, i) => (i === cells.length - 1 ? text : text.padEnd(widths?.[i] ?? 0))).join('  ');
    const add = (rows: readonly T[]): void => {
      const lines = rows.map((row) => columns.map(({ value }) => cell(value(row))));
      if (!widths) {
        // As many rows as somebody has asked for: too many for one call's arguments.
        widths = columns.map(({ title }, i) =>
          lines.reduce((width, cells) => Math.max(width, cells[i]?.length ?? 0), title.length),
        );
        this.world.out(`${this.bold(line(columns.map(({ title }) => title)))}\n`);
      }
      for (const cells of lines) this.world.out(`${line(cells)}\n`);
    };
    return { add, end: nothing };
  }
}

function jsonArray<T>(world: Pick<World, 'out'>, json: (row: T) => unknown): Listing<T> {
  let empty = true;
  const add = (rows: readonly T[]): void => {
    for (const row of rows) {
      world.out(`${empty ? '[' : ','}\n  ${JSON.stringify(json(row))}`);
      empty = false;
    }
  };
  return { add, end: () => world.out(empty ? '[]\n' : '\n]\n') };
}

function nothing(): void {
  // The lines are out already.
}

function cell(value: string | number | boolean | undefined): string {
  return value === undefined || value === '' ? '-' : visible(String(value));
}

/** Control characters as escapes: a message must not be able to write to the terminal. */
export function visible(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    if (c === '\n') return '\\n';
    if (c === '\t') return '\\t';
    if (c === '\r') return '\\r';
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Colours that `Printer` gives, and the line of a progress that is written over. */
// eslint-disable-next-line no-control-regex -- the escape character begins them
const ours = /(^\r\u001b\[K|\u001b\[(?:0|1|31|32)m|\n|\t)/;

/** What goes to the terminal at last, whoever wrote it: nothing in it but text, its lines, and our own colours. */
export function harmless(text: string): string {
  return text
    .split(ours)
    .map((part, i) => (i % 2 === 1 ? part : visible(part)))
    .join('');
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

const durations = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1000, 's'],
  [1, 'ms'],
] as const;

/** A setting, exactly, as it may be typed again: `7d`, `90m`, `1500ms`. */
export function durationText(ms: number): string {
  const [factor, unit] = durations.find(([size]) => ms >= size && ms % size === 0) ?? [1, 'ms'];
  return `${ms / factor}${unit}`;
}

/** How long something takes, for people: the two largest units that matter, `24d 7h`, `3m 20s`, `1.5s`. */
export function aboutText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${Math.round(ms / 100) / 10}s`;
  const whole = Math.round(ms / 1000) * 1000;
  const first = durations.findIndex(([size]) => whole >= size);
  const [[large, largeUnit], [small, smallUnit]] = [
    durations[first] ?? durations[3],
    durations[first + 1] ?? durations[4],
  ];
  const rest = Math.floor((whole % large) / small);
  return `${Math.floor(whole / large)}${largeUnit}${rest > 0 && smallUnit !== 'ms' ? ` ${rest}${smallUnit}` : ''}`;
}

export function timeText(ms: number | undefined): string {
  if (ms === undefined || ms === 0) return '';
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? String(ms) : time.toISOString(); // Beyond the year 275760.
}
