/**
 * What is checked of the repository as a whole: the scripts at its root, the licences of what is shipped, and that the
 * rules of lint can fail. (Sources are linted project by project, circles of files are dependency-cruiser's.)
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ESLint } from 'eslint';
import { reportOf } from '../../jest.preset.mjs';
import { proveRules } from './proof.ts';

const root = join(import.meta.dirname, '../..');
process.chdir(root);

let passed = 0;
const failures: string[] = [];
function check(name: string, complaints: readonly string[]): void {
  if (complaints.length === 0) passed += 1;
  else failures.push(`${name}: ${complaints.join('\n  ')}`);
}

const eslint = new ESLint({ cwd: root });
const results = await eslint.lintFiles(['*.mjs']);
const faults = results.flatMap((result) =>
  result.messages.map(
    (m) => `${result.filePath.slice(root.length + 1)}:${m.line}:${m.column} ${m.message} (${m.ruleId ?? 'syntax'})`,
  ),
);
check('eslint', faults);

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
failures.push(...proof.wrong);

for (const failure of failures) console.log(failure);
console.log(`${passed} passed, ${failures.length} failed`);
const report = reportOf('rules');
mkdirSync(dirname(report), { recursive: true });
writeFileSync(report, `${JSON.stringify({ ended: 'rules', passed, skipped: 0, failures })}\n`);
process.exitCode = failures.length === 0 ? 0 : 1;
