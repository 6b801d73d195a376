/**
 * Goal: the committed code is what proto/ gives. Method: generate again into a folder of its own and compare, as the
 * build does.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const generate = (...args: string[]) =>
  spawnSync(process.execPath, [join(__dirname, 'generate.mjs'), ...args], { encoding: 'utf8' });

it('finds nothing to generate', () => {
  const { status, stderr, stdout } = generate('--check');
  expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' });
});

it('refuses an option that it does not have', () => {
  const { status, stderr } = generate('--chek');
  expect({ status, stderr }).toEqual({ status: 1, stderr: '--chek: the only option is --check\n' });
});
