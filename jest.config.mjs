/**
 * Two projects: `unit` (specs beside the code, and those of the tools) and `e2e` (real processes, real sockets).
 * SWC turns sources into CommonJS; types are checked by tsc, not here.
 */

/** Packages published as ES modules only: jest runs CommonJS, so SWC turns them too. */
const esmOnly = ['commander', 'content-disposition', 'cookie'];

const swc = [
  '@swc/jest',
  {
    jsc: {
      target: 'es2024',
      parser: { syntax: 'typescript', decorators: false },
      keepClassNames: true,
      // Class fields are defined as Node.js and esbuild define them.
      transform: { useDefineForClassFields: true },
    },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  },
];

const common = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  transform: { '\\.[mc]?[jt]s$': swc },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join('|')})/)`],
  extensionsToTreatAsEsm: [],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  moduleNameMapper: {
    '^@cometmq/([^/]+)/testing$': '<rootDir>/libs/$1/src/testing.ts',
    '^@cometmq/([^/]+)$': '<rootDir>/libs/$1/src/index.ts',
    // Sources import `./thing.js` where the file beside them is `./thing.ts`; packages mean the .js they say.
    '^(\\.{1,2}/.*)\\.js$': ['$1.js', '$1.ts'],
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/tmp/', '<rootDir>/data/'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/', '/fixtures/'],
};

/** @type {import('jest').Config} */
export default {
  testTimeout: 30_000,
  maxWorkers: 2,
  projects: [
    {
      ...common,
      displayName: 'unit',
      roots: ['libs', 'apps', 'tools'].map((folder) => `<rootDir>/${folder}`),
      testMatch: ['**/*.spec.ts'],
    },
    {
      ...common,
      displayName: 'e2e',
      roots: ['<rootDir>/e2e'],
      testMatch: ['**/*.spec.ts'],
    },
  ],
};
