/** A wall clock of its own for each process, that jumps when told to: libfaketime, which reads what to add from a file. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const fileOf = (home: string, name: string): string => join(home, 'clocks', name);

/** The surroundings of a process whose clock can be set; the clock that only goes forward is left alone. */
export function clockEnv(library: string, home: string, name: string): Readonly<Record<string, string>> {
  mkdirSync(join(home, 'clocks'), { recursive: true });
  setClock(home, name, 0);
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: fileOf(home, name),
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_CACHE_DURATION: '1',
  };
}

export function setClock(home: string, name: string, aheadMs: number): void {
  const file = fileOf(home, name);
  const seconds = aheadMs / 1_000;
  writeFileSync(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}s\n`);
  renameSync(`${file}.new`, file);
}
