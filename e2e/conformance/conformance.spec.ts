// Goal: the official clients work unchanged. Method: the shortened cut of `npm run conformance`, each language's newest
// client in plain text against standalone, with the features that matter most.
import { clients, nameOf } from './src/clients.js';
import { deploy, type Deployment } from './src/deployment.js';
import { features } from './src/features/index.js';
import { runClient, type Cell } from './src/run.js';

const cut = features.filter(({ core }) => core === true);

let deployment: Deployment;
beforeAll(async () => {
  deployment = await deploy('standalone');
});
afterAll(() => deployment.stop());

describe.each(clients.filter(({ newest }) => newest).map((client) => ({ name: nameOf(client), client })))(
  'the official client $name',
  ({ client }) => {
    let cells: Cell[] = [];
    beforeAll(async () => {
      cells = await runClient(client, deployment, 'plain', cut);
    }, 600_000);

    it.each(cut.filter(({ id }) => client.lacks[id] === undefined))('$title', ({ id }) => {
      const outcome = cells.find(({ feature }) => feature === id)?.outcome;
      if (outcome?.kind === 'skipped' && process.env['CI'] !== 'true') {
        console.warn(`${nameOf(client)} is left out: ${outcome.why}`);
        return;
      }
      if (outcome?.kind !== 'passed') throw new Error(outcome?.why ?? 'it was not run');
    });
  },
);
