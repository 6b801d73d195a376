export * from './filter.js';
export * from './properties.js';
export { TagFilter } from './tag-filter.js';
export { sqlLimits } from './sql/sql-filter.js';
