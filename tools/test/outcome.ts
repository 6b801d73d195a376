/** What came of one task, and the lines of JSON that tasks with many checks leave of them (see reporter.mjs). */
import { existsSync, readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

export interface Outcome {
  readonly task: string;
  readonly passed: number;
  readonly skipped: number;
  /** A line for each failure, for the summary. */
  readonly failures: readonly string[];
}

interface Started {
  readonly started: string;
}
interface Ended {
  readonly ended: string;
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly string[];
}

export interface End {
  /** 0 where all was well. */
  readonly code: number;
  /** Why it was ended before its time, where it was. */
  readonly cut?: string | undefined;
}

export function readReport(file: string): readonly string[] {
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
}

/** What a report's lines and the task's end come to. What did not run, or not to its end, counts as one failure. */
export function count(task: string, lines: readonly string[], { code, cut }: End): Outcome {
  const open = new Set<string>();
  const failures: string[] = [];
  let passed = 0;
  let skipped = 0;
  for (const line of lines) {
    const told = JSON.parse(line) as Started | Ended;
    if ('started' in told) {
      open.add(told.started);
      continue;
    }
    open.delete(told.ended);
    passed += told.passed;
    skipped += told.skipped;
    failures.push(...told.failures.map((failure) => `${told.ended}: ${shortly(failure)}`));
  }
  for (const spec of open) failures.push(`${spec}: ${cut ?? 'never ended'}`);
  if (failures.length === 0 && code !== 0) failures.push(cut ?? `failed with exit code ${code}: see above`);
  return { task, passed, skipped, failures };
}

function shortly(failure: string): string {
  const lines = stripVTControlCharacters(failure).split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, 3)
    .join(' · ')
    .slice(0, 240);
}

export function elapsedS(sinceMs: number): number {
  return (performance.now() - sinceMs) / 1000;
}
