/**
 * What is made of the list of metrics and the table of panels: Grafana's boards in the chart, and docs/metrics.md.
 *
 *   node tools/metrics/files.ts            writes them
 *   node tools/metrics/files.ts --check    says which are not what would be written; 1 if any
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';

import type * as telemetry from '@cometmq/telemetry';

import { boardJson, boards } from './boards.ts';
import { publishedNames, unpublishedNames } from './rocketmq-names.ts';

const root = join(import.meta.dirname, '../..');
/** The file alone: Node.js runs it as it stands. */
const { commonLabels, metrics } = (await import(
  pathToFileURL(join(root, 'libs/telemetry/src/metric-names.ts')).href
)) as Pick<typeof telemetry, 'commonLabels' | 'metrics'>;
const command = 'node tools/metrics/files.ts';
const code = (text: string): string => `\`${text}\``;

function page(): string {
  const all: Readonly<Record<string, telemetry.MetricDescription>> = metrics;
  const ours = Object.entries(all).map(([name, { kind, unit, help, labels = [] }]) => {
    const cells = [code(name), kind, unit, labels.map(code).join(', '), help.replaceAll('|', '\\|')];
    return `| ${cells.join(' | ')} |`;
  });
  const named = (names: string, said: string): string =>
    `| ${names
      .split(' ')
      .map((name) => code(`rocketmq_${name}`))
      .join(', ')} | ${said} |`;
  const theirs = [
    ...publishedNames.map(({ names }) => named(names, 'yes')),
    ...unpublishedNames.map(({ names, why }) => named(names, why)),
  ];
  return `# Metrics

<!-- Made by ${command}. -->

Every process publishes its metrics for Prometheus at \`/metrics\` of its \`metricsPort\` (5557), and pushes them as OTLP
where \`otlpEndpoint\` is set. Every series has the labels ${commonLabels.map(code).join(', ')}; \`node_id\` of a broker is
the name of its set. How to see them in Grafana and be told by Prometheus: [operations](operations.md#metrics-boards-and-alerts).

## What is published

Counters are as of the start of a process, or of a broker's lead.

| name | kind | unit | labels | what it is |
| ---- | ---- | ---- | ------ | ---------- |
${ours.join('\n')}

## RocketMQ's names

Names, kinds, labels, units and buckets of RocketMQ 5 are kept where there is such a thing here. \`rocketmq_finish_message_latency\` is in
seconds, as its buckets are, although RocketMQ declares milliseconds.

| name | published |
| ---- | --------- |
${theirs.join('\n')}

There is no \`rocketmq_config_reload_total\`: settings are read once, at the start, and a changed one is a roll-out. Renewed
certificates are taken up while a process runs, which its log tells.
`;
}

async function main(): Promise<void> {
  const made = new Map([['docs/metrics.md', page()]]);
  for (const board of boards)
    made.set(`charts/cometmq/files/dashboards/${board.uid}.json`, JSON.stringify(boardJson(board)));
  for (const [name, text] of made) {
    const file = join(root, name);
    const whole = await format(text, { ...(await resolveConfig(file)), filepath: file });
    if (!process.argv.includes('--check')) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, whole);
    } else if (contentOf(file) !== whole) {
      console.error(`${name} is not what is made: ${command}`);
      process.exitCode = 1;
    }
  }
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

await main();
