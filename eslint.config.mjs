/**
 * The rules of this repository. Layers are checked by Nx, who may use what from outside by tools/lint/rooms.mjs, circles
 * of files by dependency-cruiser (tools/lint/cycles.mjs); tools/lint/proof.ts shows that each of these can fail.
 */
import js from '@eslint/js';
import nx from '@nx/eslint-plugin';
import { createProjectGraphAsync } from 'nx/src/project-graph/project-graph.js';
import tseslint from 'typescript-eslint';
import { roomBlocks, sources, timeRooms, timeRules } from './tools/lint/rooms.mjs';

// The layers are checked against Nx's project graph, and silently not at all where there is none: make it first. A task
// of Nx finds the graph that Nx has just made.
if (process.env.NX_TASK_TARGET_PROJECT === undefined) {
  process.env.NX_DAEMON ??= 'false';
  await createProjectGraphAsync({ exitOnError: false });
}

const specs = ['**/*.spec.ts', '**/testing.ts', '**/testing/**/*.ts', '**/*.bench.ts', '**/bench/**/*.ts'];
const floors = [0, 1, 2, 3, 4];

export default tseslint.config(
  {
    ignores: [
      '**/node_modules',
      '**/dist',
      'tmp',
      'coverage',
      'data',
      '.nx',
      '**/fixtures',
      'libs/proto/src/generated',
      'apps/dashboard-web/dist',
      'apps/dashboard-web/src/api/schema.ts',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    name: 'typescript',
    files: ['**/*.ts', '**/*.tsx'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],

      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-deprecated': 'error',
      '@typescript-eslint/no-unnecessary-boolean-literal-compare': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // An implementation of an async port need not wait for anything.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': ['error', { ignoreStatic: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      'no-promise-executor-return': 'off',
      'no-constant-condition': ['error', { checkLoops: 'allExceptWhileTrue' }],
    },
  },
  {
    name: 'floors',
    files: ['**/*.ts', '**/*.tsx'],
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        {
          enforceBuildableLibDependency: false,
          // What starts programs for people starts them for the end-to-end specs too; a chart's spec asks the programs
          // what settings they take.
          allow: [
            '^(\\.\\./)+tools/(cluster|debian|helm|image|metrics)/',
            '^(\\.\\./)+apps/[a-z-]+/src/config',
            '^(\\.\\./)+jest\\.preset\\.mjs$',
          ],
          // A part that is seldom needed may be loaded late by one and early by another.
          checkDynamicDependenciesExceptions: ['@cometmq/.*'],
          depConstraints: [
            ...floors.map((floor) => ({
              sourceTag: `floor:${floor}`,
              onlyDependOnLibsWithTags: floors.filter((below) => below < floor).map((below) => `floor:${below}`),
            })),
            { sourceTag: 'beside', onlyDependOnLibsWithTags: ['*'] },
          ],
        },
      ],
    },
  },
  { name: 'seams of time and chance', files: sources, ignores: timeRooms, rules: timeRules },
  ...roomBlocks(),
  {
    name: 'specs and benches',
    files: specs,
    rules: {
      // They may look where they like: into files on disk, at a real clock, at a wire.
      'no-restricted-globals': 'off',
      'no-restricted-properties': 'off',
      'no-restricted-syntax': 'off',
      'no-restricted-imports': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off', // expect.any() and its kin are any.
    },
  },
  {
    name: 'scripts and tests beside the sources',
    files: ['tools/**', 'e2e/**', '*.mjs'],
    languageOptions: { globals: nodeGlobals() },
    rules: { 'no-console': 'off' },
  },
  {
    name: 'a program prints',
    files: ['apps/*/src/**/*.ts', '**/*.bench.ts', '**/bench/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    name: 'CommonJS where a tool asks for it',
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs', globals: nodeGlobals() },
  },
);

/** Globals of Node.js for plain scripts; in TypeScript the compiler knows them. */
function nodeGlobals() {
  const names = [
    ...['AbortController', 'AbortSignal', 'Buffer', 'TextDecoder', 'TextEncoder', 'URL', 'clearInterval'],
    ...['clearTimeout', 'console', 'fetch', 'globalThis', 'performance', 'process', 'queueMicrotask'],
    ...['setImmediate', 'setInterval', 'setTimeout', 'structuredClone', '__dirname', 'module', 'require'],
  ];
  return Object.fromEntries(names.map((name) => [name, 'readonly']));
}
