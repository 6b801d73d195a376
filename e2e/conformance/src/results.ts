/** The outcome of each cell when it was last run, kept in tmp/: a part can be run again, and the whole told. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { clients, nameOf } from './clients.js';
import { features } from './features/index.js';
import type { Cell, Outcome } from './run.js';
import { cache } from './toolchains/toolchain.js';
import { wireChecks } from './wire/checks/index.js';
import type { WireCell } from './wire/run-wire.js';

interface Kept {
  readonly who: string;
  readonly what: string;
  readonly deployment: Cell['deployment'];
  readonly transport: Cell['transport'];
  readonly outcome: Outcome;
}

const file = join(cache, 'results.json');
const onTheWire = 'wire';

/** Puts these in the place of what was kept of the same cells. @returns all that is known, in the order of the tables */
export function keepResults(cells: readonly Cell[], wire: readonly WireCell[]): { cells: Cell[]; wire: WireCell[] } {
  const kept = new Map<string, Kept>();
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Kept[]) : [];
  const now: Kept[] = [
    ...cells.map(({ client, feature, ...more }) => ({ ...more, who: nameOf(client), what: feature })),
    ...wire.map(({ check, ...more }) => ({ ...more, who: onTheWire, what: check.title })),
  ];
  for (const one of [...before, ...now]) kept.set([one.who, one.what, one.deployment, one.transport].join('|'), one);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify([...kept.values()]));
  const known = [...kept.values()];
  return {
    cells: clients.flatMap((client) =>
      features.flatMap(({ id }) =>
        known
          .filter(({ who, what }) => who === nameOf(client) && what === id)
          .map(({ deployment, transport, outcome }) => ({ client, feature: id, deployment, transport, outcome })),
      ),
    ),
    wire: wireChecks.flatMap((check) =>
      known
        .filter(({ who, what }) => who === onTheWire && what === check.title)
        .map(({ deployment, transport, outcome }) => ({ check, deployment, transport, outcome })),
    ),
  };
}
