import { DueHeap } from '@cometmq/shared';

import { BlockTable } from './block-table.js';
import type { Lane } from './lane-list.js';
import { LeaseTable } from './lease-table.js';

/** One queue's progress, as far as the tables know it. */
export interface ProgressOwner {
  /** Its number among all that there are. */
  readonly index: number;
}

/** What all queues' progress share. `Progress`: what the queues' owners are to whoever asks. */
export interface Tables<Progress extends ProgressOwner = ProgressOwner> {
  readonly blocks: BlockTable;
  readonly leases: LeaseTable;
  /** Blocks that are gone and had a saved piece, until the next checkpoint. */
  readonly removed: RemovedBlock<Progress>[];
  readonly dirtyHeads: Progress[];
  readonly lanes: LaneTotals<Progress>;
  readonly due: DueTotals;
}

/** Of all queues' lanes. */
export interface LaneTotals<Progress extends ProgressOwner = ProgressOwner> {
  /** Offsets kept in backlogs. */
  kept: number;
  /** Queues with lanes. */
  queues: number;
  /** Lanes whose piece may differ from what was saved. */
  dirty: DirtyLane<Progress>[];
  /** Where clients hold lanes through a reset. */
  held: Set<Progress>;
  /** Where lanes came free since this was last asked for. */
  freed: Set<Progress>;
}

export interface DirtyLane<Progress extends ProgressOwner = ProgressOwner> {
  readonly progress: Progress;
  readonly lane: Lane;
}

export interface RemovedBlock<Progress extends ProgressOwner = ProgressOwner> {
  readonly progress: Progress;
  readonly number: number;
}

/** What became due, wherever it lies. Soft. */
export interface DueTotals {
  /** When each queue's progress must be looked at next, by its index; an entry counts if the progress agrees. */
  readonly alarms: DueHeap;
  /** Messages that have become due since this was last taken: the index of their progress, and the offset, in turn. */
  news: number[];
}

/** More than these are not noted: polls find them. */
const newsMax = 1_000_000;

export function noteDue({ due }: Tables, index: number, offset: number): void {
  if (due.news.length < newsMax) due.news.push(index, offset);
}

export function freshTables<Progress extends ProgressOwner>(): Tables<Progress> {
  return {
    blocks: new BlockTable(),
    leases: new LeaseTable(),
    removed: [],
    dirtyHeads: [],
    lanes: { kept: 0, queues: 0, dirty: [], held: new Set(), freed: new Set() },
    due: { alarms: new DueHeap(), news: [] },
  };
}
