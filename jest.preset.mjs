/**
 * How jest runs a spec, whatever started it: the whole repository (jest.config.mjs) or one project (its own
 * jest.config.mjs, by Nx). SWC turns sources into CommonJS; types are checked by tsc, not here.
 */
import { join, relative } from 'node:path';

const root = import.meta.dirname;

/** Packages published as ES modules only: jest runs CommonJS, so SWC turns them too. */
const esmOnly = ['commander', 'content-disposition', 'cookie', 'jose', 'oauth4webapi', 'openid-client'];

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

/** @type {import('jest').Config} */
export const common = {
  rootDir: root,
  testEnvironment: 'node',
  testMatch: ['**/*.spec.ts'],
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
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/tmp/', '<rootDir>/data/', '<rootDir>/apps/[^/]+/dist/'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/', '/fixtures/'],
};

/** Where `npm test` finds what came of a project's specs. Nx keeps it with the outcome. */
export const reportOf = (projectRoot) => join(root, 'dist/reports', `${projectRoot}.jsonl`);

/** The configuration of one project. */
export function project(folder, more = {}) {
  const projectRoot = relative(root, folder);
  return {
    ...common,
    roots: [folder],
    passWithNoTests: true,
    testTimeout: 60_000,
    // Nx runs two projects at a time; each spec file then has a core of its own.
    maxWorkers: 1,
    reporters: [[join(root, 'tools/test/reporter.mjs'), { report: reportOf(projectRoot) }]],
    ...more,
  };
}
