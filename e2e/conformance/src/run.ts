/** Runs features with one client against one deployment over one transport, several at a time. */
import type { Client } from './clients.js';
import type { Deployment, Transport } from './deployment.js';
import type { Feature, FeatureId } from './features/index.js';
import { ProcessDriver } from './process-driver.js';
import { Scene } from './scene.js';
import { MissingToolchain } from './toolchains/toolchain.js';

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

export async function runClient(
  client: Client,
  deployment: Deployment,
  transport: Transport,
  features: readonly Feature[],
  told: (cell: Cell) => void = () => undefined,
): Promise<Cell[]> {
  const cells: Cell[] = [];
  const tell = (feature: Feature, outcome: Outcome): void => {
    const cell = { client, deployment: deployment.name, transport, feature: feature.id, outcome };
    cells.push(cell);
    told(cell);
  };
  const able = features.filter((feature) => {
    const why = client.lacks[feature.id];
    if (why !== undefined) tell(feature, { kind: 'n/a', why });
    return why === undefined;
  });
  const target = deployment.target(transport);
  let driver: ProcessDriver;
  try {
    driver = new ProcessDriver(await client.toolchain.build(client.version), target);
  } catch (caught) {
    const why = caught instanceof Error ? caught.message : String(caught);
    const kind = caught instanceof MissingToolchain ? 'skipped' : 'failed';
    for (const feature of able) tell(feature, { kind, why });
    return cells;
  }
  const mark = `${client.language.replace('.', '')}-${client.version.replaceAll('.', '')}-${transport}`;
  const queue = [...able];
  const workOff = async (): Promise<void> => {
    for (let feature = queue.shift(); feature !== undefined; feature = queue.shift()) {
      const scene = new Scene(driver, deployment.admin, client.traits, `${mark}-${feature.id}`);
      tell(feature, await outcomeOf(feature, scene, driver));
    }
  };
  try {
    await Promise.all(Array.from({ length: atOnceMax }, workOff));
  } finally {
    await driver.stop();
  }
  return cells;
}

async function outcomeOf(feature: Feature, scene: Scene, driver: ProcessDriver): Promise<Outcome> {
  const startMs = performance.now();
  try {
    await feature.check(scene);
    return { kind: 'passed', ms: performance.now() - startMs };
  } catch (caught) {
    const why = caught instanceof Error ? (caught.stack ?? caught.message) : String(caught);
    return {
      kind: 'failed',
      why: driver.noise === '' ? why : `${why}\nThe client said:\n${driver.noise.slice(-600)}`,
    };
  } finally {
    await scene.close();
  }
}
