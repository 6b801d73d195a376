export type { LeaseId } from './client-leases.js';
export * from './decisions.js';
export {
  decodeClientLeases,
  decodeGroupDeleted,
  decodeHandOut,
  decodeLeased,
  decodeReset,
  ackReason,
} from './group-records.js';
export type { ClientLeasesChange, HandOut, HandOutQueue, LeasedOffsets, ProgressReset } from './group-records.js';
export { decodeFifoHandOut, type FifoHandOut, type FifoHandOutQueue, type LaneHandOut } from './fifo-records.js';
export type { WornMessage } from './due-watch.js';
export { GroupsView, type GroupsLimits } from './groups-view.js';
export { OffsetRuns } from './offset-runs.js';
export * from './ports.js';
export { PullOffsets } from './pull-offsets.js';
