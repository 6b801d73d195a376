/** Runs features with one client against one deployment over one transport, several at a time. */
import { join } from 'node:path';

import type { Driver } from './calls.js';
import type { Client } from './clients.js';
import type { Deployment, Transport } from './deployment.js';
import { surviving, type Feature, type FeatureId } from './features/index.js';
import { inTurn } from './in-turn.js';
import { Scene } from './scene.js';
import { cache, MissingToolchain } from './toolchains/toolchain.js';

export type Outcome =
  | { readonly kind: 'passed'; readonly ms: number }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'n/a'; readonly why: string }
  | { readonly kind: 'skipped'; readonly why: string };

export interface Cell {
  readonly client: Client;
  readonly deployment: Deployment['name'];
  readonly transport: Transport;
  readonly feature: FeatureId;
  readonly outcome: Outcome;
}

/** Scenes wait for most of their time: for back-offs, due times and leases. */
const atOnceMax = 6;
const closeMsMax = 3_000;

export async function runClient(
  client: Client,
  deployment: Deployment,
  transport: Transport,
  features: readonly Feature[],
  restart?: () => Promise<void>,
): Promise<Cell[]> {
  const cells: Cell[] = [];
  const tell = (feature: Feature, outcome: Outcome): void => {
    cells.push({ client, deployment: deployment.name, transport, feature: feature.id, outcome });
  };
  const able = features.filter((feature) => {
    const why = client.lacks[feature.id];
    if (why !== undefined) tell(feature, { kind: 'n/a', why });
    return why === undefined;
  });
  const [target] = deployment.targets(transport);
  const mark = `${plainName(client.language)}-${client.version.replaceAll('.', '')}-${transport}`;
  let driver: Driver;
  try {
    const log = join(cache, 'logs', `${mark}-${deployment.name}.log`);
    driver = await client.start(target, log);
  } catch (caught) {
    const why = caught instanceof Error ? caught.message : String(caught);
    const kind = caught instanceof MissingToolchain ? 'skipped' : 'failed';
    for (const feature of able) tell(feature, { kind, why });
    return cells;
  }
  // Some clients take long to close: they wait for their polls.
  const closing: Promise<void>[] = [];
  try {
    await inTurn(able, atOnceMax, async (feature) => {
      const scene = new Scene(driver, deployment.admin, client.traits, `${mark}-${feature.id}`, restart);
      tell(feature, await outcomeOf(feature, scene));
      closing.push(scene.close());
    });
  } finally {
    await Promise.race([Promise.all(closing), new Promise((resolve) => setTimeout(resolve, closeMsMax).unref())]);
    await driver.stop();
  }
  return cells;
}

/** All clients live through one restart of the server, together. */
export async function runThroughRestart(
  clients: readonly Client[],
  deployment: Deployment,
  transport: Transport,
): Promise<Cell[]> {
  let missing = clients.length;
  let go: (restarted: Promise<void>) => void;
  const everybody = new Promise<void>((resolve) => (go = resolve));
  const arrive = (): void => {
    if ((missing -= 1) === 0) go(deployment.restart());
  };
  const cells = await Promise.all(
    clients.map(async (client) => {
      let arrived = false;
      const restart = (): Promise<void> => {
        arrived = true;
        arrive();
        return everybody;
      };
      const own = await runClient(client, deployment, transport, [surviving], restart);
      // Nobody waits for one that didn't get so far.
      if (!arrived) arrive();
      return own;
    }),
  );
  return cells.flat();
}

async function outcomeOf(feature: Feature, scene: Scene): Promise<Outcome> {
  const startMs = performance.now();
  try {
    await feature.check(scene);
    return { kind: 'passed', ms: performance.now() - startMs };
  } catch (caught) {
    const why = caught instanceof Error ? (caught.stack ?? caught.message) : String(caught);
    return { kind: 'failed', why };
  }
}

/** The language in letters that a topic's name may hold. */
function plainName(language: string): string {
  return language.replace('.', '').replace('#', 'sharp').replaceAll('+', 'p');
}
