/** Runs features with one client against one deployment over one transport, several at a time. */
import { join } from 'node:path';

import type { Driver } from './calls.js';
import type { Client } from './clients.js';
import type { Deployment, Transport } from './deployment.js';
import type { Feature, FeatureId } from './features/index.js';
import { inTurn } from './in-turn.js';
import { Scene, type Crowd } from './scene.js';
import { cache, MissingToolchain } from './toolchains/toolchain.js';

export type Outcome =
  /** `firstWhy`: why it had failed at the first try, while others ran beside it. */
  | { readonly kind: 'passed'; readonly ms: number; readonly firstWhy?: string }
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
  crowd?: Crowd,
  /** In every name, beside the client's and the feature's. */
  round = 'once',
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
  const mark = `${plainName(client.language)}-${client.version.replaceAll('.', '')}-${transport}-${round}`;
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
      const scene = new Scene(driver, deployment.admin, client.traits, `${mark}-${feature.id}`, crowd);
      tell(feature, await outcomeOf(feature, scene));
      closing.push(scene.close());
    });
  } finally {
    await Promise.race([Promise.all(closing), new Promise((resolve) => setTimeout(resolve, closeMsMax).unref())]);
    await driver.stop();
  }
  return cells;
}

/** All clients go through a feature together; when everybody has come so far, the restart is a restart of the server. */
export async function runTogether(
  feature: Feature,
  clients: readonly Client[],
  deployment: Deployment,
  transport: Transport,
): Promise<Cell[]> {
  const topic = `together-${transport}-${feature.id}`;
  await deployment.admin.createTopic({ name: topic, type: 'normal' });
  let awaited = clients.length;
  let arrived = 0;
  let go: (met: Promise<number>) => void;
  const everybody = new Promise<number>((resolve) => (go = resolve));
  const one = (): void => {
    if ((awaited -= 1) > 0) return;
    go((feature.id === 'restart' ? deployment.restart() : Promise.resolve()).then(() => arrived));
  };
  const cells = await Promise.all(
    clients.map(async (client) => {
      let met = false;
      const meet = (): Promise<number> => {
        met = true;
        arrived += 1;
        one();
        return everybody;
      };
      const own = await runClient(client, deployment, transport, [feature], { topic, meet });
      // Nobody waits for one that didn't get so far.
      if (!met) one();
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
