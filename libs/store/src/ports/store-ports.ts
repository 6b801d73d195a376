/**
 * What others may ask of a store. Whoever needs a part of it names that part (`Pick<StorePorts, …>`) and gets no more; only who
 * puts the process together knows the class behind it.
 */
import type { StoreCommits } from './commits.js';
import type { StoreFigures } from './figures.js';
import type { LogInspection } from './inspection.js';
import type { StoreMembership } from './member.js';
import type { StoreReading } from './reading.js';
import type { StoreWriting } from './writing.js';

export interface StorePorts
  extends StoreWriting, StoreCommits, StoreReading, LogInspection, StoreFigures, StoreMembership {}
