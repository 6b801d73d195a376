import { join } from 'node:path';

import { project } from '../jest.preset.mjs';

export default project(import.meta.dirname, {
  testTimeout: 120_000,
  // Nx runs nothing beside these; they wait more than they work.
  maxWorkers: 2,
  testSequencer: join(import.meta.dirname, 'longest-first.mjs'),
  // The official clients leave timers behind that would keep jest waiting for ever.
  forceExit: true,
});
