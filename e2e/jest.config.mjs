import { project } from '../jest.preset.mjs';

export default project(import.meta.dirname, {
  testTimeout: 120_000,
  // The official clients leave timers behind that would keep jest waiting for ever.
  forceExit: true,
});
