/**
 * Goal: the configuration reference says what the programs declare. Method: make it again and compare; and see that a page
 * which says something else is noticed.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const script = join(__dirname, 'configuration.mjs');
const run = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });

it('finds docs/configuration.md as the programs declare it, every setting with its meaning', () => {
  const { status, stderr } = run('--check');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

it('says where a page differs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-docs-'));
  try {
    const page = join(folder, 'page.md');
    const right = readFileSync(join(__dirname, '../../docs/configuration.md'), 'utf8');
    const lines = right.split('\n');
    const at = lines.findIndex((line) => line.includes('`--metrics-port`'));
    writeFileSync(page, right.replace('`5557`', '`5558`'));
    const { status, stderr } = run('--check', '--page', page);
    expect(status).toBe(1);
    expect(stderr).toContain(`${page}:${at + 1}:`);
    expect(stderr).toContain('`5557`');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
