/** `npm run conformance`: every official client, both transports, both deployments, every feature; and the table. */
import { parseArgs } from 'node:util';

import { clients, nameOf } from './clients.js';
import { deploy, deployments, transports, type Deployment, type DeploymentName, type Transport } from './deployment.js';
import { apart, features, together, type FeatureId } from './features/index.js';
import { inTurn } from './in-turn.js';
import { writeReport } from './publish.js';
import { keepResults } from './results.js';
import { runClient, runTogether, type Cell, type Outcome } from './run.js';
import { runWire, type WireCell } from './wire/run-wire.js';

const help = `npm run conformance -- [options]

Runs the official RocketMQ clients, unmodified, against CometMQ and writes what they can do to docs/compatibility.md.
With any choice below, it prints the outcome and leaves the page alone, unless it is told to update it.

  --client TEXT          only clients whose name holds this: "Java", "Go 5.1.4"; may be given more than once;
                         "wire": the checks by plain protobuf messages
  --feature ID           only this feature; may be given more than once
  --transport NAME       only plain or tls
  --deployment NAME      only standalone or cluster
  --at-once N            so many clients at a time (default 4): they wait more than they work
  --update               write the page with these outcomes, and the last ones known of all others
  --list                 the clients and features there are
  --help                 this text

Exit codes: 0 nothing failed, 1 something failed (or, where CI=true, was skipped), 2 wrong options.`;

const options = {
  client: { type: 'string', multiple: true },
  feature: { type: 'string', multiple: true },
  transport: { type: 'string' },
  deployment: { type: 'string' },
  'at-once': { type: 'string', default: '4' },
  update: { type: 'boolean' },
  list: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

interface Choice {
  /** The page is to be written. */
  readonly publish: boolean;
  /** The checks on the wire are wanted. */
  readonly wire: boolean;
  readonly clients: typeof clients;
  readonly features: typeof features;
  readonly transports: readonly Transport[];
  readonly deployments: readonly DeploymentName[];
  readonly atOnce: number;
}

async function main(): Promise<number> {
  const choice = choose();
  if (typeof choice === 'number') return choice;
  const cells: Cell[] = [];
  const wire: WireCell[] = [];
  const startMs = performance.now();
  const running: Deployment[] = [];
  const stop = async (): Promise<void> => {
    for (const deployment of running) await deployment.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop().then(() => process.exit(130)));
  try {
    for (const name of choice.deployments) running.push(await deploy(name));
    const places = running.flatMap((deployment) =>
      choice.transports.map((transport) => ({ deployment, transport, where: `${transport}, ${deployment.name}` })),
    );
    const alone = apart.filter((feature) => choice.features.includes(feature));
    const jobs = places.flatMap(({ deployment, transport, where }) => [
      ...(choice.wire ? [() => checkWire(deployment, transport, where)] : []),
      ...(alone.length === 0 ? [] : choice.clients).map((client) => async () => {
        const ran = await runClient(client, deployment, transport, alone);
        tell(
          `${nameOf(client)}, ${where}`,
          ran.map(({ feature, outcome }) => [feature, outcome]),
        );
        cells.push(...ran);
      }),
    ]);
    const checkWire = async (deployment: Deployment, transport: Transport, where: string): Promise<void> => {
      const checked = await runWire(deployment, transport);
      tell(
        `on the wire, ${where}`,
        checked.map(({ check, outcome }) => [check.title, outcome]),
      );
      wire.push(...checked);
    };
    await inTurn(jobs, choice.atOnce, (job) => job());
    await tryAgain(cells, running);
    for (const feature of together.filter((one) => choice.features.includes(one))) {
      for (const { deployment, transport, where } of places) {
        const ran = await runTogether(feature, choice.clients, deployment, transport);
        tell(
          `all together, ${feature.id}, ${where}`,
          ran.map(({ client, outcome }) => [nameOf(client), outcome]),
        );
        cells.push(...ran);
      }
    }
  } finally {
    await stop();
  }
  const count = (kind: Outcome['kind']): number =>
    [...cells, ...wire].filter(({ outcome }) => outcome.kind === kind).length;
  const seconds = Math.round((performance.now() - startMs) / 1000);
  const known = keepResults(cells, wire);
  if (choice.publish) console.log(`\nwritten: ${await writeReport(known.cells, known.wire)}`);
  console.log(`\n${count('n/a')} n/a, in ${seconds} s`);
  const skipped = cells.flatMap(({ client, outcome: { kind, ...more } }) =>
    kind === 'skipped' && 'why' in more ? [`${nameOf(client)}: ${more.why}`] : [],
  );
  for (const line of new Set(skipped)) console.log(`skipped: ${line}`);
  console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
  return count('failed') > 0 || (process.env['CI'] === 'true' && count('skipped') > 0) ? 1 : 0;
}

/**
 * What failed is run once more, by itself: clients give up after 3 s, and many clients on few cores may take that long
 * to start. The page says what passed at the second try only.
 */
async function tryAgain(cells: Cell[], running: readonly Deployment[]): Promise<void> {
  for (const [i, { client, transport, outcome, ...cell }] of cells.entries()) {
    const feature = features.find(({ id }) => id === cell.feature);
    const deployment = running.find(({ name }) => name === cell.deployment);
    if (outcome.kind !== 'failed' || feature === undefined || deployment === undefined) continue;
    const [again] = await runClient(client, deployment, transport, [feature], undefined, 'again');
    if (again?.outcome.kind !== 'passed') continue;
    cells[i] = { ...again, outcome: { ...again.outcome, firstWhy: outcome.why } };
    console.log(`\n${nameOf(client)}, ${transport}, ${cell.deployment}: ${cell.feature} passed at the second try`);
  }
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
    const { client, feature, transport, deployment, update } = values;
    const atOnce = Number(values['at-once']);
    if (!Number.isInteger(atOnce) || atOnce < 1) throw new RangeError(`--at-once ${values['at-once']}: not a count`);
    const named = feature?.map((id) => one('feature', featureIds(), id));
    return {
      atOnce,
      publish: update === true || [client, feature, transport, deployment].every((chosen) => chosen === undefined),
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
