/** All faults there are, by the names that `--faults` takes. */
import { consumerFaults } from './consumers.js';
import { diskFaults } from './disk.js';
import type { Need } from '../tools.js';
import type { Fault } from './fault.js';
import { memberFaults } from './members.js';
import { metadataFaults } from './metadata.js';
import { networkFaults } from './network.js';
import { processFaults } from './processes.js';

const all = {
  ...processFaults,
  ...networkFaults,
  ...diskFaults,
  ...memberFaults,
  ...metadataFaults,
  ...consumerFaults,
};
export type FaultKind = keyof typeof all;
export const faults: Readonly<Record<FaultKind, Fault>> = all;
export const faultKinds = Object.keys(all) as FaultKind[];

export function needsOf(kinds: readonly FaultKind[]): ReadonlySet<Need> {
  return new Set(kinds.flatMap((kind) => faults[kind].needs ?? []));
}
