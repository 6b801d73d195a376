export * from './candidate.js';
export * from './common-end.js';
export * from './follower.js';
export * from './leader.js';
export * from './members.js';
export * from './promises.js';
export * from './standing.js';
