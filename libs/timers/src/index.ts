export * from './ports.js';
export { decodeTimers, TimerList } from './timer-list.js';
export { decodeMoves } from './timer-records.js';
export type { TimerMove } from './timer-records.js';
export { eachGone, isGoneKey } from './time-bucket.js';
export { TimersView, type FarBucket, type Standing } from './timers-view.js';
