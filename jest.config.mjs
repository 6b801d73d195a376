/**
 * All specs of the repository in one run: `unit` (beside the code, and those of the tools) and `e2e` (real processes,
 * real sockets). `npm test` goes project by project instead, through Nx; both share jest.preset.mjs.
 */
import { common } from './jest.preset.mjs';

/** @type {import('jest').Config} */
export default {
  testTimeout: 30_000,
  maxWorkers: 2,
  projects: [
    { ...common, displayName: 'unit', roots: ['libs', 'apps', 'tools'].map((folder) => `<rootDir>/${folder}`) },
    { ...common, displayName: 'e2e', roots: ['<rootDir>/e2e'] },
  ],
};
