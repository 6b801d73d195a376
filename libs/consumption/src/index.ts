export type { LeaseId } from './client-leases.js';
export * from './decisions.js';
export {
  decodeClientLeases,
  decodeGroupDeleted,
  encodeGroupDeleted,
  decodeDelivery,
  decodeLeased,
  decodeReset,
  ackReason,
} from './group-records.js';
export type {
  ClientLeasesChange,
  DeliveryRecord,
  DeliveryQueue,
  LeasedOffsets,
  ProgressReset,
} from './group-records.js';
export {
  decodeFifoDelivery,
  type FifoDeliveryRecord,
  type FifoDeliveryQueue,
  type LaneDelivery,
} from './fifo-records.js';
export type { ExhaustedMessage } from './due-watch.js';
export { GroupsView, type BusyLane, type GroupsLimits, type MessageNeeds } from './groups-view.js';
export { OffsetRuns } from './offset-runs.js';
export * from './ports.js';
export { PullOffsets } from './pull-offsets.js';
export type { QueueAudiences } from './queue-audiences.js';
export { countOf, isOfPending, TransfersView, type OpenTransfer, type Taken } from './transfers-view.js';
