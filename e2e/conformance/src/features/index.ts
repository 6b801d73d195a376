import { featureIds, type Feature, type FeatureId } from './feature.js';
import { leases } from './leases.js';
import { lite } from './lite.js';
import { mistakes } from './mistakes.js';
import { ordered } from './ordered.js';
import { pushing } from './pushing.js';
import { sending } from './sending.js';
import { timed } from './timed.js';
import { together } from './together.js';
import { transactions } from './transactions.js';

export type { Feature, FeatureId } from './feature.js';

const all = [
  ...sending,
  ...leases,
  ...pushing,
  ...ordered,
  ...timed,
  ...transactions,
  ...lite,
  ...mistakes,
  ...together,
];

/** In the order of the table. */
export const features: readonly Feature[] = featureIds.map((id) => find(id));

function find(id: FeatureId): Feature {
  const found = all.find((feature) => feature.id === id);
  if (found === undefined) throw new Error(`nothing checks ${id}`);
  return found;
}

/** Those that a client goes through by itself, with others beside it. */
export const apart = features.filter((feature) => !together.includes(feature));
export { together };
