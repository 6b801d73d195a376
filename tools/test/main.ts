/**
 * `npm test`: everything that must hold. Nx runs the tasks of all projects, two at a time, and keeps what came of them
 * in its cache; what has not changed since is not run again, but counted. A task that fails stops no other that does not
 * stand on it; what failed is told again, shortly, at the end, and the very last line counts: `N passed, N failed`.
 *
 * `npm test -- --help` lists what can be named.
 *
 * One project, or only what a change touches: `npx nx run store:test`, `npx nx affected -t lint typecheck test`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensure } from '../debian/ensure.mjs';
import { runJest } from './jest.ts';
import { runNx } from './nx.ts';
import { elapsedS, type Outcome } from './outcome.ts';
import { matches, specsOf, unmatched } from './specs.ts';

const root = join(import.meta.dirname, '../..');
process.chdir(root);

const help = `npm test                        all
npm test -- lint unit           the steps named: format, rules, cycles, proto, lint, types, build, unit, e2e
npm test -- libs/store          the specs whose path holds this
npm test -- unit libs/store     the same of one step

One project, or only what a change touches: npx nx run store:test, npx nx affected -t lint typecheck test.

Exit codes: 0 all passed, 1 something failed, 2 nothing of that name.`;

/** Step → the target of Nx, in the order in which they are told. */
const targets: Readonly<Record<string, string>> = {
  format: 'format',
  rules: 'rules',
  cycles: 'cycles',
  proto: 'proto',
  lint: 'lint',
  types: 'typecheck',
  build: 'build',
  unit: 'test',
  e2e: 'e2e',
};
const steps = Object.keys(targets);
const specSteps = ['unit', 'e2e'];

const args = process.argv.slice(2);
const named = steps.filter((step) => args.includes(step));
const patterns = args.filter((arg) => !steps.includes(arg));
if (args.includes('--help') || args.includes('-h')) {
  console.log(help);
  process.exit(0);
}
const option = args.find((arg) => arg.startsWith('-'));
if (option !== undefined) refuse(`${option}: there are no options`);
const wantedSpecs = (named.length > 0 ? specSteps.filter((step) => named.includes(step)) : specSteps).map((step) => ({
  step,
  specs: specsOf(root, step),
}));
const lost = unmatched(
  patterns,
  wantedSpecs.flatMap(({ specs }) => specs),
);
if (lost !== undefined) refuse(`no spec's path holds ${lost}`);
const startMs = performance.now();
const scratch = mkdtempSync(join(tmpdir(), 'cometmq-test-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

const outcomes: Outcome[] = [];
if (patterns.length === 0) {
  const wanted = named.length > 0 ? named : steps;
  console.log(`To do: ${wanted.join(', ')}`);
  provide(wanted);
  outcomes.push(
    ...(await runNx(
      root,
      wanted.map((step) => targets[step] ?? step),
    )),
  );
} else {
  const wanted = wantedSpecs.filter(({ specs }) => matches(patterns, specs)).map(({ step }) => step);
  console.log(`To do: the specs of ${wanted.join(' and ')} whose path holds ${patterns.join(' or ')}`);
  // Real processes are started from dist/.
  if (wanted.includes('e2e')) outcomes.push(...(await runNx(root, ['build'])));
  provide(wanted.filter((step) => step === 'unit'));
  for (const step of wanted) {
    outcomes.push(await runJest(step, patterns, join(scratch, `${step}.jsonl`)));
  }
}

const sum = (of: (outcome: Outcome) => number): number => outcomes.reduce((total, outcome) => total + of(outcome), 0);
const failed = sum((outcome) => outcome.failures.length);
const skipped = sum((outcome) => outcome.skipped);
if (failed > 0) {
  console.log('\nWhat failed:');
  for (const { task, failures } of outcomes) for (const failure of failures) console.log(`  ${task}: ${failure}`);
}
console.log(`\n${outcomes.length} tasks in ${elapsedS(startMs).toFixed(0)} s`);
console.log(`${sum((outcome) => outcome.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed === 0 ? 0 : 1;

function refuse(why: string): never {
  console.error(`${why}\n\n${help}`);
  process.exit(2);
}

/**
 * What specs need from Debian is brought before they run: two at once may not install. Where it can't be had, those specs
 * say so and are skipped; in CI they fail.
 */
function provide(steps: readonly string[]): void {
  const wanted = [
    { step: 'unit', binary: 'etcd', debianPackage: 'etcd-server', specs: 'the specs on a real etcd' },
    { step: 'e2e', binary: 'strace', debianPackage: 'strace', specs: 'crashes of the real disk' },
    { step: 'e2e', binary: 'chromium', debianPackage: 'chromium', specs: 'the specs of the console in a browser' },
  ];
  for (const { step, binary, debianPackage, specs } of wanted) {
    if (!steps.includes(step)) continue;
    try {
      ensure(binary, debianPackage);
    } catch (caught) {
      console.error(`${specs} may be left out: ${caught instanceof Error ? caught.message : String(caught)}`);
    }
  }
}
