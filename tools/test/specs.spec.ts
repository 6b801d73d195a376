// Goal: a mistyped path is no success. Method: the specs of this repository, and a program that is asked for others.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { matches, specsOf, unmatched } from './specs.ts';

const root = join(__dirname, '../..');
const run = (...args: string[]) =>
  spawnSync(process.execPath, [join(__dirname, 'main.ts'), ...args], { encoding: 'utf8' });

describe('the specs that patterns mean', () => {
  it('are those whose path holds one', () => {
    const unit = specsOf(root, 'unit');
    expect(unit).toContain(__filename);
    expect(unit.filter((spec) => /node_modules|\/dist\/|\/e2e\//.test(spec.slice(root.length)))).toEqual([]);
    expect(matches(['tools/test/specs', 'nope'], unit)).toBe(true);
    expect(unmatched(['tools/test/specs', 'nope'], unit)).toBe('nope');
    expect(matches(['tools/test/specs'], specsOf(root, 'e2e'))).toBe(false);
    expect(matches(['e2e/cli'], specsOf(root, 'e2e'))).toBe(true);
  });

  it.each([
    ['libs/nope', /no spec's path holds libs\/nope/],
    ['--bogus', /--bogus: there are no options/],
    ['libs/(', /no spec's path holds libs\/\(/],
  ])('refuses %s', (arg, said) => {
    expect(run(arg)).toMatchObject({ status: 2, stderr: expect.stringMatching(said) });
  });

  it('says what there is when asked', () => {
    expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('npm test -- libs/store') });
  });
});
