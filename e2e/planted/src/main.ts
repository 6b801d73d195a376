/**
 * `npm run planted`: plants one bug after another in a copy of the sources, lets those run that have to notice it, and writes
 * what came of it to docs/proof/planted.md. Ends with 1 where a bug goes unnoticed. `-- --only WORDS`: those whose name holds
 * the words, and nothing is written.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { rootFolder } from '../../../tools/cluster/cluster.ts';

import { bugs, type Bug } from './bugs.js';
import { PlantedTree, type Noticed } from './planting.js';

/** A machine that has other work is slower than the budgets say. */
const patience = 5;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: 'string' } } });
  const { only } = values;
  const wanted = bugs.filter(({ name }) => only === undefined || name.includes(only));
  const tree = new PlantedTree(rootFolder(), `run-${process.pid}`);
  const rows: { readonly bug: Bug; readonly noticed: Noticed }[] = [];
  try {
    for (const bug of wanted) {
      const noticed = await tree.plant(bug, bug.secondsMax * patience);
      rows.push({ bug, noticed });
      process.stdout.write(`${noticed.seconds} s\t${bug.name}\t${noticed.by ?? 'UNNOTICED'}\n`);
    }
  } finally {
    tree.remove();
  }
  if (only === undefined) writeFileSync(join(rootFolder(), 'docs/proof/planted.md'), report(rows));
  return rows.every(({ noticed }) => noticed.by !== undefined) ? 0 : 1;
}

function report(rows: readonly { readonly bug: Bug; readonly noticed: Noticed }[]): string {
  const lines = rows.map(({ bug, noticed: { by, seconds } }) => {
    const cell = (text: string): string => text.replaceAll('|', '\\|');
    return `| ${bug.name} | ${bug.layer} | ${cell(by ?? '**unnoticed**')} | ${seconds} |`;
  });
  return `# Planted bugs

\`npm run planted\` writes this page. It plants one bug at a time in a copy of the sources (\`e2e/planted/src/bugs.ts\` has the
changes, a few words each; the product has no switches) and lets those tests run that have to notice it. A test that fails
to load notices nothing. Some are planted in every \`npm test\`, which also sees that all of them still fit their sources.

${rows.filter(({ noticed }) => noticed.by !== undefined).length} of ${rows.length} were noticed. Seconds are those of the machine that ran it, the start of the test runner included.

| planted | layer | noticed by | s |
| --- | --- | --- | --- |
${lines.join('\n')}
`;
}

void main().then((code) => process.exit(code));
