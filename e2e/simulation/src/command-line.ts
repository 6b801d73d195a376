import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

/** Which simulations to run. */
export interface Wanted {
  readonly first: number;
  readonly count: number;
  readonly simMs: number;
  readonly members: number;
  /** Each seed has everything. */
  readonly hasAll: boolean;
  readonly trace: boolean;
  /** Also behind a seed that fails. */
  readonly goesOn: boolean;
  /** Processes that share the seeds; one seed is run in this process. */
  readonly jobs: number;
}

export const usage = `npm run simulate -- [options]: broker sets, name servers, a proxy and clients on simulated machines, and what breaks

  --seed N       this one seed
  --seeds N      so many (default 10), from --from N (default 1)
  --ms N         how long things break, in simulated milliseconds (default 60000)
  --members N    of the broker set: 1, 2 or 3 (default 3)
  --all          each seed has all kinds of faults and all that clients do, not some
  --trace        prints all that happens
  --go-on        runs the seeds behind one that fails, too
  --jobs N       processes that share the seeds (default: one for each core); which one runs a seed changes nothing
  --help         this

A seed that fails prints what was wrong, and how to run it again; the same seed does the same. Exit status 1: one has failed.
`;

/** @returns what is wrong with the arguments, or that help is wanted, as the text to print */
export function read(args: readonly string[]): Wanted | { readonly print: string; readonly status: number } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seed: { type: 'string' },
        seeds: { type: 'string', default: '10' },
        from: { type: 'string', default: '1' },
        ms: { type: 'string', default: '60000' },
        members: { type: 'string', default: '3' },
        all: { type: 'boolean', default: false },
        trace: { type: 'boolean', default: false },
        'go-on': { type: 'boolean', default: false },
        jobs: { type: 'string', default: String(availableParallelism()) },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return { print: usage, status: 0 };
    const first = whole('seed', values.seed ?? values.from, 0, Number.MAX_SAFE_INTEGER);
    const count = values.seed === undefined ? whole('seeds', values.seeds, 1, 1e9) : 1;
    const simMs = whole('ms', values.ms, 1, 1e9);
    const members = whole('members', values.members, 1, 3);
    // What two print at the same time nobody can read.
    const jobs = values.trace ? 1 : whole('jobs', values.jobs, 1, 1_024);
    return { first, count, simMs, members, hasAll: values.all, trace: values.trace, goesOn: values['go-on'], jobs };
  } catch (caught) {
    // An option that nobody knows, or one without its value.
    const { code, message } = caught as { readonly code?: string; readonly message: string };
    if (!(caught instanceof RangeError) && code?.startsWith('ERR_PARSE_ARGS') !== true) throw caught;
    return { print: `${message}\n\n${usage}`, status: 1 };
  }
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text !== '' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new RangeError(`--${name} ${text}: must be a whole number from ${min} to ${max}`);
}
