/** One seed, and what is said of it. */
import type { Tally } from './tally.js';
import { simulate } from './workload.js';

/** What all seeds of a run have in common. */
export interface Settings {
  readonly simMs: number;
  readonly members: number;
  readonly hasAll: boolean;
}

export interface Ran {
  readonly seed: number;
  readonly hasFailed: boolean;
  /** For people. */
  readonly says: string;
  readonly simMs: number;
  readonly steps: number;
}

export async function runSeed(
  seed: number,
  settings: Settings,
  tally: Tally,
  print?: (line: string) => void,
): Promise<Ran> {
  const startMs = performance.now();
  try {
    const { hash, steps, sent, starts, simMs } = await simulate({ seed, ...settings, tally, print });
    const tookMs = Math.round(performance.now() - startMs);
    const lasted = `${Math.round(simMs / 1_000)} s simulated in ${steps} steps, ${tookMs} ms`;
    const says = `seed ${seed}: ${hash}, ${sent} messages, ${starts} starts, ${lasted}`;
    return { seed, hasFailed: false, says, simMs, steps };
  } catch (caught) {
    return failed(seed, settings, (caught as Error).message);
  }
}

export function failed(seed: number, { simMs, members, hasAll }: Settings, what: string): Ran {
  const again = `--seed ${seed} --ms ${simMs} --members ${members}${hasAll ? ' --all' : ''} --trace`;
  return { seed, hasFailed: true, says: `${what}\nagain: npm run simulate -- ${again}`, simMs: 0, steps: 0 };
}
