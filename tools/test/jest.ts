/** Runs the specs of one of jest's projects whose path holds a pattern, without Nx and its cache. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInGroup } from './group.ts';
import { count, readReport, type Outcome } from './outcome.ts';

export async function runJest(step: string, patterns: readonly string[], report: string): Promise<Outcome> {
  // Options of a reporter can be given in a file of settings only.
  const config = join(import.meta.dirname, '../../jest.config.mjs');
  const reporter = join(import.meta.dirname, 'reporter.mjs');
  const settings = `${report}.config.mjs`;
  const lines = [
    `import all from ${JSON.stringify(config)};`,
    `const reporters = [[${JSON.stringify(reporter)}, { report: ${JSON.stringify(report)} }]];`,
    `export default { ...all, reporters };`,
  ];
  if (!existsSync(settings)) writeFileSync(settings, lines.join('\n'));
  const args = [
    ...['node_modules/jest/bin/jest.js', '--config', settings, '--selectProjects', step, '--passWithNoTests'],
    // The processes under test need the cores more than jest does; the official clients leave timers behind that would
    // keep jest waiting for ever.
    ...(step === 'e2e' ? ['--maxWorkers=1', '--testTimeout=120000', '--forceExit'] : ['--testTimeout=60000']),
    ...['--', ...patterns],
  ];
  const end = await runInGroup(args);
  return count(step, readReport(report), end);
}
