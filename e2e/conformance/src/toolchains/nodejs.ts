import { join } from 'node:path';

import { sources, type Toolchain } from './toolchain.js';

/** The package is among the project's own, at the version that package.json says. */
export const nodejs: Toolchain = {
  language: 'nodejs',
  build: () => Promise.resolve({ file: process.execPath, args: [join(sources, 'nodejs', 'driver.mjs')] }),
};
