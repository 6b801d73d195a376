/** docs/compatibility.md: what each client can do, as the last whole run has seen it. */
import { nameOf, type Client } from './clients.js';
import { features } from './features/index.js';
import type { Cell } from './run.js';
import type { WireCell } from './wire/run-wire.js';

export function reportOf(cells: readonly Cell[], wire: readonly WireCell[]): string {
  const ran = [...new Set(cells.map(({ client }) => client))];
  const notes: string[] = [];
  const note = (why: string): string => {
    if (!notes.includes(why)) notes.push(why);
    return `[${notes.indexOf(why) + 1}](#notes)`;
  };
  const rows = features.map(({ id, title }) => [
    title,
    ...ran.map((client) => {
      const those = cells.filter((cell) => cell.client === client && cell.feature === id);
      return wordOf(those, note);
    }),
  ]);
  const failures = cells.flatMap(({ client, deployment, transport, feature, outcome }) =>
    outcome.kind === 'failed'
      ? [`- ${nameOf(client)}, ${transport}, ${deployment}: ${feature}: ${firstLine(outcome.why)}`]
      : [],
  );
  const second = cells.flatMap(({ client, deployment, transport, feature, outcome }) =>
    outcome.kind === 'passed' && outcome.firstWhy !== undefined
      ? [`- ${nameOf(client)}, ${transport}, ${deployment}: ${feature}: ${firstLine(outcome.firstWhy)}`]
      : [],
  );
  const ways = [...new Set(cells.map(({ deployment, transport }) => `${transport} against ${deployment}`))];
  return [
    '<!-- Written by `npm run conformance`. -->',
    '# Compatibility: which client can do what',
    `Seen by running the official, unmodified clients against CometMQ: each in ${ways.join(', ')}. A tick means that all of these passed.`,
    'In the cluster everybody has to say who they are, and clients are given a user’s access key and secret; in standalone nobody has to.',
    '"n/a": the client has no such feature, or its own fault prevents it whatever the server does; the note says which. It never counts as passed. C++, C# and PHP clients are not run: their protobuf messages, headers and timing are reproduced instead.',
    '`npm run conformance` runs it all again and writes this page.',
    '## Clients',
    table([['Language', 'Package', 'Version'], ...ran.map((client) => rowOf(client))]),
    '## Features',
    table([['', ...ran.map(nameOf)], ...rows]),
    '## On the wire',
    'Checked by plain protobuf messages, with the headers, deadlines and mistakes that clients are known for:',
    table([['', ''], ...wireRows(wire)]),
    ...(failures.length > 0 ? ['## What failed', failures.join('\n')] : []),
    ...(second.length > 0
      ? ['## Passed at the second try', 'By themselves, after they had failed beside the others:', second.join('\n')]
      : []),
    '## Notes',
    notes.map((why, i) => `${i + 1}. ${why}`).join('\n'),
    '',
  ].join('\n\n');
}

const rowOf = ({ language, package: name, version, newest }: Client): string[] => [
  language,
  `\`${name}\``,
  newest ? version : `${version} (an older one)`,
];

function wordOf(cells: readonly Cell[], note: (why: string) => string): string {
  const passed = cells.filter(({ outcome }) => outcome.kind === 'passed').length;
  const failed = cells.filter(({ outcome }) => outcome.kind === 'failed').length;
  if (failed > 0) return `**failed** ${failed} of ${cells.length}`;
  const other = cells.find(({ outcome }) => outcome.kind === 'n/a' || outcome.kind === 'skipped')?.outcome;
  if (other !== undefined && 'why' in other) return `${other.kind} ${note(other.why)}`;
  return passed > 0 ? '✓' : '';
}

function wireRows(wire: readonly WireCell[]): string[][] {
  return [...new Set(wire.map(({ check }) => check))].map((check) => {
    const those = wire.filter((cell) => cell.check === check);
    const failed = those.filter(({ outcome }) => outcome.kind === 'failed').length;
    return [check.title, failed === 0 ? '✓' : `**failed** ${failed} of ${those.length}`];
  });
}

function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows.map(
    (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`,
  );
  const line = `|${(rows[0] ?? []).map(() => ' --- |').join('')}`;
  return [head, line, ...body].join('\n');
}

const firstLine = (text: string): string => text.split('\n')[0] ?? '';
