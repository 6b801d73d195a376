import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';

import { root } from '../../support/process.js';
import { reportOf } from './report.js';
import type { Cell } from './run.js';
import type { WireCell } from './wire/run-wire.js';

const page = 'docs/compatibility.md';

/** Writes the table in the form that the repository's pages have. @returns where */
export async function writeReport(cells: readonly Cell[], wire: readonly WireCell[]): Promise<string> {
  const file = join(root, page);
  const text = await format(reportOf(cells, wire), { ...(await resolveConfig(file)), filepath: file });
  writeFileSync(file, text);
  return page;
}
