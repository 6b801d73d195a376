export * from './filter.js';
export { TagFilter } from './tag-filter.js';
