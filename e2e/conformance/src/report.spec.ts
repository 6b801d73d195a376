// Goal: the table says what was seen, no more. Method: made-up outcomes, looked up in the page.
import { clients, type Client } from './clients.js';
import { reportOf } from './report.js';
import type { Cell, Outcome } from './run.js';

const [java] = clients as readonly [Client];

function rowOf(title: string, outcomes: readonly Outcome[]): string {
  const cells = outcomes.map((outcome, i): Cell => {
    const transport = i % 2 === 0 ? 'plain' : 'tls';
    return { client: java, deployment: 'standalone', transport, feature: 'send', outcome };
  });
  const row = reportOf(cells, [])
    .split('\n')
    .find((line) => line.startsWith(`| ${title} |`));
  return row ?? '';
}

const passed: Outcome = { kind: 'passed', ms: 5 };
const failed: Outcome = { kind: 'failed', why: 'no\nmore of it' };
const lacking: Outcome = { kind: 'n/a', why: 'it has none' };
const skipped: Outcome = { kind: 'skipped', why: '"javac" is not there' };

it('ticks what passed everywhere, and nothing else', () => {
  expect(rowOf('send and receive', [passed, passed])).toBe('| send and receive | ✓ |');
  expect(rowOf('send and receive', [passed, failed])).toBe('| send and receive | **failed** 1 of 2 |');
  expect(rowOf('send and receive', [lacking, lacking])).toBe('| send and receive | n/a [1](#notes) |');
  expect(rowOf('send and receive', [passed, skipped])).toBe('| send and receive | skipped [1](#notes) |');
  expect(rowOf('push consumer', [passed])).toBe('| push consumer |  |');
});

it('names each failure with its place and its first line, and each reason once', () => {
  const cell = { client: java, deployment: 'cluster', transport: 'tls' } as const;
  const cells: Cell[] = [
    { ...cell, feature: 'send', outcome: failed },
    { ...cell, feature: 'push', outcome: lacking },
    { ...cell, feature: 'sql', outcome: lacking },
  ];
  const page = reportOf(cells, []);
  expect(page).toContain(`- ${java.language} ${java.version}, tls, cluster: send: no\n`);
  expect(page.match(/it has none/g)).toHaveLength(1);
});

it('says what passed at the second try only', () => {
  const outcome: Outcome = { ...passed, firstWhy: 'too slow\nby far' };
  const cell: Cell = { client: java, deployment: 'cluster', transport: 'plain', feature: 'send', outcome };
  const page = reportOf([cell], []);
  expect(page).toContain(`## Passed at the second try`);
  expect(page).toContain(`- ${java.language} ${java.version}, plain, cluster: send: too slow\n`);
  expect(reportOf([{ ...cell, outcome: passed }], [])).not.toContain('second try');
});
