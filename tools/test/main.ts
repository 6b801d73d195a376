/**
 * `npm test`: everything that must hold, from the cheap to the dear. A step that fails stops no other; what failed is
 * told again, shortly, at the end, and the very last line counts: `N passed, N failed`.
 *
 *   npm test                        all
 *   npm test -- lint types          the steps named: format, lint, types, proto, build, unit, e2e
 *   npm test -- libs/store          the specs whose path holds this
 *   npm test -- unit libs/store     the same of one step
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensure } from '../debian/ensure.mjs';
import { runJest } from './jest.ts';
import { elapsedS, runProgram, type Outcome } from './program.ts';

const root = join(import.meta.dirname, '../..');
process.chdir(root);

/** Steps that run one program. Each counts as one check, or as many as the program's own last line says. */
const programs: Record<string, readonly string[]> = {
  format: ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'],
  lint: ['tools/lint/main.ts'],
  types: ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--pretty', 'false'],
  proto: ['tools/proto/generate.mjs', '--check'],
  build: ['tools/build/build.mjs'],
};
const jestProjects = ['unit', 'e2e'];
const steps = [...Object.keys(programs), ...jestProjects];

const args = process.argv.slice(2);
const named = steps.filter((step) => args.includes(step));
const patterns = args.filter((arg) => !steps.includes(arg));
const wanted = [...(named.length > 0 ? named : patterns.length > 0 ? jestProjects : steps)];
// Real processes are started from dist/.
if (wanted.includes('e2e') && !wanted.includes('build')) wanted.push('build');

const startMs = performance.now();
const scratch = mkdtempSync(join(tmpdir(), 'cometmq-test-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
const outcomes: Outcome[] = [];

console.log(`To do: ${steps.filter((step) => wanted.includes(step)).join(', ')}`);
// The programs take one core each: two at a time, and each one's output in one piece.
const queue = Object.entries(programs).filter(([step]) => wanted.includes(step));
const workOff = async (): Promise<void> => {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [step, command] = next;
    console.log(`… ${step}`);
    const outcome = await runProgram(step, command);
    console.log(`${outcome.failed === 0 ? '✓' : '✗'} ${step} (${outcome.seconds.toFixed(1)} s)`);
    if (outcome.failed > 0) console.log(outcome.output.trimEnd());
    outcomes.push(outcome);
  }
};
await Promise.all([workOff(), workOff()]);
if (wanted.includes('unit')) provideEtcd();
for (const project of jestProjects.filter((step) => wanted.includes(step))) {
  console.log(`\n… ${project}`);
  outcomes.push(await runJest(project, patterns, scratch));
}

const sum = (of: (outcome: Outcome) => number): number => outcomes.reduce((total, outcome) => total + of(outcome), 0);
const failed = sum((outcome) => outcome.failed);
const skipped = sum((outcome) => outcome.skipped);
if (failed > 0) {
  console.log('\nWhat failed:');
  for (const { step, failures } of outcomes) for (const failure of failures) console.log(`  ${step}: ${failure}`);
}
console.log(`\n${steps.filter((step) => wanted.includes(step)).join(', ')} in ${elapsedS(startMs).toFixed(0)} s`);
console.log(`${sum((outcome) => outcome.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed === 0 ? 0 : 1;

/** The metadata's contract is run against a real etcd. Where it can't be had, its specs are skipped; in CI they fail. */
function provideEtcd(): void {
  try {
    ensure('etcd', 'etcd-server');
  } catch (caught) {
    console.error(
      `the specs on a real etcd are left out: ${caught instanceof Error ? caught.message : String(caught)}`,
    );
  }
}
