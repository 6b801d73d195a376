// Goal: the official clients work unchanged. Method: the shortened cut of `npm run conformance`, each language's newest
// client in plain text against standalone, with the features that matter most, as a user; and that it gets in where there are none.
import { clients, nameOf, type Client } from './src/clients.js';
import { deploy, type Deployment } from './src/deployment.js';
import { features, type FeatureId } from './src/features/index.js';
import { inTurn } from './src/in-turn.js';
import { runClient, type Cell } from './src/run.js';
import { wireChecks } from './src/wire/checks/index.js';
import { runWire, type WireCell } from './src/wire/run-wire.js';

const newest = clients.filter((client) => client.newest);
const cut = features.filter(({ core }) => core === true);
const first = cut.filter(({ id }) => id === 'send');
const checks = wireChecks.filter(({ core }) => core === true);
/** They wait more than they work; a driver has to be built before it can run. */
const clientsAtOnce = 2;

let deployment: Deployment;
let open: Deployment;
const cells: Cell[] = [];
const openCells: Cell[] = [];
let wire: WireCell[] = [];

beforeAll(async () => {
  deployment = await deploy('standalone', true);
  open = await deploy('standalone', false);
  await inTurn(newest, clientsAtOnce, async (client) => {
    cells.push(...(await runClient(client, deployment, 'plain', cut)));
    openCells.push(...(await runClient(client, open, 'plain', first, undefined, 'nobody')));
  });
  wire = await runWire(deployment, 'plain', checks);
}, 900_000);
afterAll(async () => {
  await deployment.stop();
  await open.stop();
});

function check(found: readonly Cell[], client: Client, id: FeatureId): void {
  const outcome = found.find((cell) => cell.client === client && cell.feature === id)?.outcome;
  if (outcome?.kind === 'skipped' && process.env['CI'] !== 'true') {
    console.warn(`${nameOf(client)} is left out: ${outcome.why}`);
    return;
  }
  if (outcome?.kind !== 'passed') throw new Error(outcome?.why ?? 'it was not run');
}

describe.each(newest.map((client) => ({ name: nameOf(client), client })))('the client $name', ({ client }) => {
  it.each(cut.filter(({ id }) => client.lacks[id] === undefined))('$title', ({ id }) => check(cells, client, id));
  it.each(first)('where nobody has to say who they are: $title', ({ id }) => check(openCells, client, id));
});

describe('on the wire', () => {
  it.each(checks)('$title', (check) => {
    const outcome = wire.find((cell) => cell.check === check)?.outcome;
    if (outcome?.kind !== 'passed') throw new Error(outcome?.why ?? 'it was not run');
  });
});
