/**
 * All that reads sources without running them: ESLint, circles of files, licences, and the proof that the rules can
 * fail. One process, so that the types are read once. Ends with `N passed, N failed`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ESLint } from 'eslint';
import { circlesBelow } from './circles.ts';
import { proveRules } from './proof.ts';

const root = join(import.meta.dirname, '../..');
process.chdir(root);

let passed = 0;
let failed = 0;
function check(name: string, complaints: readonly string[]): void {
  if (complaints.length === 0) passed += 1;
  else failed += 1;
  for (const complaint of complaints) console.log(`${name}: ${complaint}`);
}

const eslint = new ESLint({ cwd: root });
const results = await eslint.lintFiles(['.']);
const faults = results.flatMap((result) =>
  result.messages.map(
    (m) => `${result.filePath.slice(root.length + 1)}:${m.line}:${m.column} ${m.message} (${m.ruleId ?? 'syntax'})`,
  ),
);
check('eslint', faults);

check(
  'circle',
  circlesBelow(root, ['libs', 'apps', 'tools', 'e2e']).map((files) => [...files, files[0]].join(' → ')),
);

interface Licences {
  isAllowed(expression: unknown): boolean;
  wrongLicencesOf(root: string): string[];
}
const licences = (await import(join(root, 'tools/lint/licences.mjs'))) as Licences;
check('licence', licences.wrongLicencesOf(root));
const expressions: [string | undefined, boolean][] = [
  ['MIT', true],
  ['(MIT OR GPL-3.0)', true],
  ['MIT AND GPL-3.0', false],
  ['(BSD-2-Clause OR MIT) AND Apache-2.0', true],
  ['GPL-3.0', false],
  ['SEE LICENSE IN LICENSE', false],
  [undefined, false],
];
check(
  'proof',
  expressions.filter(([text, good]) => licences.isAllowed(text) !== good).map(([text]) => `licence ${text} misjudged`),
);

const proof = await proveRules(eslint, existsSync);
passed += proof.passed;
failed += proof.wrong.length;
for (const line of proof.wrong) console.log(line);

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
