// Goal: the official clients work unchanged. Method: the shortened cut of `npm run conformance`, each language's newest
// client in plain text against standalone, with the features that matter most.
import { clients, nameOf } from './src/clients.js';
import { deploy, type Deployment } from './src/deployment.js';
import { features } from './src/features/index.js';
import { inTurn } from './src/in-turn.js';
import { runClient, type Cell } from './src/run.js';
import { wireChecks } from './src/wire/checks/index.js';
import { runWire, type WireCell } from './src/wire/run-wire.js';

const newest = clients.filter((client) => client.newest);
const cut = features.filter(({ core }) => core === true);
const checks = wireChecks.filter(({ core }) => core === true);
/** They wait more than they work; a driver has to be built before it can run. */
const clientsAtOnce = 2;

let deployment: Deployment;
const cells: Cell[] = [];
let wire: WireCell[] = [];

beforeAll(async () => {
  deployment = await deploy('standalone');
  await inTurn(newest, clientsAtOnce, async (client) => {
    cells.push(...(await runClient(client, deployment, 'plain', cut)));
  });
  wire = await runWire(deployment, 'plain', checks);
}, 900_000);
afterAll(() => deployment.stop());

describe.each(newest.map((client) => ({ name: nameOf(client), client })))('the client $name', ({ client }) => {
  it.each(cut.filter(({ id }) => client.lacks[id] === undefined))('$title', ({ id }) => {
    const outcome = cells.find((cell) => cell.client === client && cell.feature === id)?.outcome;
    if (outcome?.kind === 'skipped' && process.env['CI'] !== 'true') {
      console.warn(`${nameOf(client)} is left out: ${outcome.why}`);
      return;
    }
    if (outcome?.kind !== 'passed') throw new Error(outcome?.why ?? 'it was not run');
  });
});

describe('on the wire', () => {
  it.each(checks)('$title', (check) => {
    const outcome = wire.find((cell) => cell.check === check)?.outcome;
    if (outcome?.kind !== 'passed') throw new Error(outcome?.why ?? 'it was not run');
  });
});
