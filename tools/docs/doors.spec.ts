/**
 * Goal: no port is opened without a rule of who is let in. Method: the ports that the programs declare (docs/configuration.md,
 * which a spec holds to them) against the table of rules in docs/users.md, which people go by.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const page = (name: string): string => readFileSync(join(__dirname, '../../docs', name), 'utf8');
const cellsOf = (line: string): string[] => line.split('|').map((cell) => cell.trim());

/** `program --flag` of every setting that is a port to be opened. */
function declaredPorts(configuration: string): string[] {
  const found: string[] = [];
  let programs: string[] = [];
  for (const line of configuration.split('\n')) {
    if (line.startsWith('## ')) programs = line.slice('## '.length).split(', ');
    const flag = /^\| `(--(?:[a-z]+-)*port)` /.exec(line)?.[1];
    if (flag !== undefined) found.push(...programs.map((program) => `${program} ${flag}`));
  }
  return found.sort();
}

/** The same of the table "Every port", with its rule. */
function ruledPorts(users: string): Map<string, string> {
  const table = users.slice(users.indexOf('## Every port')).split('\n## ')[0] ?? '';
  const rules = new Map<string, string>();
  for (const line of table.split('\n')) {
    const [, flag = '', programs = '', rule = ''] = cellsOf(line);
    if (!/^`--.*`$/.test(flag)) continue;
    for (const program of programs.split(', ')) rules.set(`${program} ${flag.slice(1, -1)}`, rule);
  }
  return rules;
}

const programs = ['broker', 'dashboard-api', 'namesrv', 'proxy', 'standalone'];

it('every port of every program has a rule, and no rule is of a port that is none', () => {
  const declared = declaredPorts(page('configuration.md'));
  const rules = ruledPorts(page('users.md'));
  expect([...rules.keys()].sort()).toEqual(declared);
  expect([...rules].filter(([, rule]) => rule === '').map(([port]) => port)).toEqual([]);
  // Each has metrics and health, and something it is there for.
  for (const program of programs) {
    expect(declared).toContain(`${program} --metrics-port`);
    expect(declared.filter((port) => port.startsWith(`${program} `)).length).toBeGreaterThan(1);
  }
});

it('a port that is new is missed', () => {
  const more = '\n## broker\n\n| `--debug-port` | `1` | a port | Opens all. |\n';
  const declared = declaredPorts(page('configuration.md') + more);
  const rules = ruledPorts(page('users.md'));
  expect(declared.filter((port) => !rules.has(port))).toEqual(['broker --debug-port']);
});
