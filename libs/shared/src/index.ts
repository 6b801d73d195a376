export * from './byte-cursor.js';
export * from './bytes.js';
export * from './clock.js';
export * from './config.js';
export * from './errors.js';
export * from './lifecycle.js';
export * from './prng.js';
export * from './version.js';
