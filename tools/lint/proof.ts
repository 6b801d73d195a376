/**
 * A rule that can't fail protects nothing. Each line says what a source file must not do and which rule says so;
 * the text is linted as if it stood in that file. The lines with no rule show that the rooms themselves are open.
 */
import type { ESLint } from 'eslint';

interface Proof {
  readonly file: string;
  readonly text: string;
  /** The rule that must complain, and nothing else; undefined: nothing may. */
  readonly rule?: string;
}

const floors = '@nx/enforce-module-boundaries';
const model = 'libs/model/src/units.ts';
const shared = 'libs/shared/src/clock.ts';
const rpc = 'libs/rpc/src/index.ts';

/** The files must exist: types are known of files only. */
const proofs: readonly Proof[] = [
  // Floors.
  { file: shared, text: `export * from '@cometmq/model';`, rule: floors },
  { file: model, text: `export * from '@cometmq/rpc';`, rule: floors },
  { file: model, text: `export type { BrokerLink } from '@cometmq/client';`, rule: floors },
  { file: model, text: `export * from '../../shared/src/index.js';`, rule: floors },
  { file: model, text: `export * from '@cometmq/model';`, rule: floors },
  { file: model, text: `export * from '@cometmq/shared';` },
  // One room for each outside library.
  { file: model, text: `export * from 'fs-native-extensions';`, rule: 'no-restricted-imports' },
  { file: model, text: `export * from '@opentelemetry/api';`, rule: 'no-restricted-imports' },
  { file: model, text: `export type { Server } from '@grpc/grpc-js';`, rule: 'no-restricted-imports' },
  { file: rpc, text: `export type { Server } from '@grpc/grpc-js';` },
  // The words of the wire stay at the doors.
  { file: rpc, text: `export * from '@cometmq/proto';`, rule: 'no-restricted-imports' },
  // Seams.
  { file: model, text: `export const x = Date.now();`, rule: 'no-restricted-properties' },
  { file: model, text: `export const x = new Date();`, rule: 'no-restricted-syntax' },
  { file: model, text: `export const x = new Date(5);` },
  { file: model, text: `export const x = Math.random();`, rule: 'no-restricted-properties' },
  { file: model, text: `export const x = performance.now();`, rule: 'no-restricted-globals' },
  { file: model, text: `export const x = globalThis.performance.now();`, rule: 'no-restricted-properties' },
  { file: model, text: `setTimeout(() => undefined, 5);`, rule: 'no-restricted-globals' },
  { file: model, text: `setInterval(() => undefined, 5);`, rule: 'no-restricted-globals' },
  { file: model, text: `setImmediate(() => undefined);` },
  { file: model, text: `export * from 'node:fs';`, rule: 'no-restricted-imports' },
  { file: model, text: `export * from 'fs/promises';`, rule: 'no-restricted-imports' },
  { file: model, text: `export const x = import('node:net');`, rule: 'no-restricted-syntax' },
  { file: model, text: `export * from 'node:http2';`, rule: 'no-restricted-imports' },
  { file: rpc, text: `export { connect } from 'node:tls';` },
  { file: model, text: `export { connect } from 'node:net';`, rule: 'no-restricted-imports' },
  { file: model, text: `export { isIP } from 'node:net';` },
  { file: rpc, text: `export * from 'node:fs';`, rule: 'no-restricted-imports' },
  { file: shared, text: `export const x = Date.now();` },
  { file: shared, text: `export * from 'node:fs';`, rule: 'no-restricted-imports' },
  // Types.
  { file: model, text: `Promise.resolve(5);`, rule: '@typescript-eslint/no-floating-promises' },
  { file: model, text: `export const x = (y: any) => typeof y;`, rule: '@typescript-eslint/no-explicit-any' },
  {
    file: model,
    text: `export const x = (y: string | undefined) => y!;`,
    rule: '@typescript-eslint/no-non-null-assertion',
  },
  {
    file: model,
    text: `export const x = (y: 'a' | 'b') => {\n  switch (y) {\n    case 'a':\n      return 1;\n  }\n  return 2;\n};`,
    rule: '@typescript-eslint/switch-exhaustiveness-check',
  },
];

/** How many rules spoke as they must, and a line for each that did not. */
export async function proveRules(
  eslint: ESLint,
  exists: (file: string) => boolean,
): Promise<{ passed: number; wrong: string[] }> {
  let passed = 0;
  const wrong: string[] = [];
  for (const { file, text, rule } of proofs) {
    if (!exists(file)) {
      wrong.push(`proof: ${file} is gone: name another file of its room`);
      continue;
    }
    const results = await eslint.lintText(`${text}\n`, { filePath: file });
    const told = [
      ...new Set(results.flatMap((result) => result.messages.map((message) => message.ruleId ?? 'syntax'))),
    ];
    if (told.join() === (rule ?? '')) passed += 1;
    else
      wrong.push(
        `proof: ${file}: ${text.split('\n')[0]}: expected ${rule ?? 'no complaint'}, got ${told.join() || 'none'}`,
      );
  }
  return { passed, wrong };
}
