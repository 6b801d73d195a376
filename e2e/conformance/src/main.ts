/** `npm run conformance`: every official client, both transports, both deployments, every feature; and the table. */
import { parseArgs } from 'node:util';

import { clients, nameOf } from './clients.js';
import { deploy, deployments, transports, type DeploymentName, type Transport } from './deployment.js';
import { apart, features, together, type FeatureId } from './features/index.js';
import { inTurn } from './in-turn.js';
import { writeReport } from './publish.js';
import { runClient, runTogether, type Cell, type Outcome } from './run.js';
import { runWire, type WireCell } from './wire/run-wire.js';

const help = `npm run conformance -- [options]

Runs the official RocketMQ clients, unmodified, against CometMQ and writes what they can do to docs/compatibility.md.
With any choice below, it prints the outcome and leaves the page alone.

  --client TEXT          only clients whose name holds this: "Java", "Go 5.1.4"; may be given more than once;
                         "wire": the checks by plain protobuf messages
  --feature ID           only this feature; may be given more than once
  --transport NAME       only plain or tls
  --deployment NAME      only standalone or cluster
  --list                 the clients and features there are
  --help                 this text

Exit codes: 0 nothing failed, 1 something failed (or, where CI=true, was skipped), 2 wrong options.`;

/** They wait more than they work. */
const clientsAtOnce = 2;

const options = {
  client: { type: 'string', multiple: true },
  feature: { type: 'string', multiple: true },
  transport: { type: 'string' },
  deployment: { type: 'string' },
  list: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

interface Choice {
  readonly all: boolean;
  /** The checks on the wire are wanted. */
  readonly wire: boolean;
  readonly clients: typeof clients;
  readonly features: typeof features;
  readonly transports: readonly Transport[];
  readonly deployments: readonly DeploymentName[];
}

async function main(): Promise<number> {
  const choice = choose();
  if (typeof choice === 'number') return choice;
  const cells: Cell[] = [];
  const wire: WireCell[] = [];
  const startMs = performance.now();
  for (const name of choice.deployments) {
    const deployment = await deploy(name);
    try {
      for (const transport of choice.wire ? choice.transports : []) {
        const checked = await runWire(deployment, transport);
        tell(
          `on the wire, ${transport}, ${name}`,
          checked.map(({ check, outcome }) => [check.title, outcome]),
        );
        wire.push(...checked);
      }
      const features = apart.filter((feature) => choice.features.includes(feature));
      const jobs = choice.clients.flatMap((client) => choice.transports.map((transport) => ({ client, transport })));
      await inTurn(features.length === 0 ? [] : jobs, clientsAtOnce, async ({ client, transport }) => {
        const ran = await runClient(client, deployment, transport, features);
        tell(
          `${nameOf(client)}, ${transport}, ${name}`,
          ran.map(({ feature, outcome }) => [feature, outcome]),
        );
        cells.push(...ran);
      });
      for (const feature of together.filter((one) => choice.features.includes(one))) {
        for (const transport of choice.transports) {
          const ran = await runTogether(feature, choice.clients, deployment, transport);
          const title = `all together, ${feature.id}, ${transport}, ${name}`;
          tell(
            title,
            ran.map(({ client, outcome }) => [nameOf(client), outcome]),
          );
          cells.push(...ran);
        }
      }
    } finally {
      await deployment.stop();
    }
  }
  const count = (kind: Outcome['kind']): number =>
    [...cells, ...wire].filter(({ outcome }) => outcome.kind === kind).length;
  const seconds = Math.round((performance.now() - startMs) / 1000);
  if (choice.all) console.log(`\nwritten: ${await writeReport(cells, wire)}`);
  console.log(`\n${count('n/a')} n/a, in ${seconds} s`);
  const skipped = cells.flatMap(({ client, outcome: { kind, ...more } }) =>
    kind === 'skipped' && 'why' in more ? [`${nameOf(client)}: ${more.why}`] : [],
  );
  for (const line of new Set(skipped)) console.log(`skipped: ${line}`);
  console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
  return count('failed') > 0 || (process.env['CI'] === 'true' && count('skipped') > 0) ? 1 : 0;
}

function tell(title: string, outcomes: readonly (readonly [string, Outcome])[]): void {
  const signs = { passed: '✓', failed: '✗', 'n/a': '–', skipped: '○' };
  console.log(`\n${title}`);
  for (const [what, outcome] of outcomes) {
    const more = outcome.kind === 'passed' ? `(${(outcome.ms / 1000).toFixed(1)} s)` : indent(outcome.why);
    console.log(`  ${signs[outcome.kind]} ${what} ${more}`);
  }
}

const indent = (text: string): string => text.trimEnd().replaceAll('\n', '\n      ');

function choose(): Choice | number {
  try {
    const { values } = parseArgs({ options });
    if (values.help === true) {
      console.log(help);
      return 0;
    }
    if (values.list === true) {
      for (const client of clients) console.log(nameOf(client));
      for (const { id, title } of features) console.log(`${id.padEnd(22)}${title}`);
      return 0;
    }
    const { client, feature, transport, deployment } = values;
    const named = feature?.map((id) => one('feature', featureIds(), id));
    return {
      all: [client, feature, transport, deployment].every((chosen) => chosen === undefined),
      wire: feature === undefined && (client === undefined || client.includes('wire')),
      clients: clients.filter((one) => client?.some((text) => nameOf(one).includes(text)) ?? true),
      features: features.filter(({ id }) => named?.includes(id) ?? true),
      transports: transport === undefined ? transports : [one('transport', transports, transport)],
      deployments: deployment === undefined ? deployments : [one('deployment', deployments, deployment)],
    };
  } catch (caught) {
    console.error(caught instanceof Error ? caught.message : String(caught));
    return 2;
  }
}

const featureIds = (): FeatureId[] => features.map(({ id }) => id);

function one<Name extends string>(what: string, names: readonly Name[], wanted: string): Name {
  const found = names.find((name) => name === wanted);
  if (found === undefined) throw new RangeError(`there is no ${what} "${wanted}": there are ${names.join(', ')}`);
  return found;
}

void main().then((code) => process.exit(code));
