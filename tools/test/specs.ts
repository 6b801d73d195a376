/** Which specs there are, by step, and which of them patterns mean: as jest reads them, before anything is started. */
import { globSync } from 'node:fs';
import { join } from 'node:path';

const folders: Readonly<Record<string, string>> = { unit: '{libs,apps,tools}', e2e: 'e2e' };

export function specsOf(root: string, step: string): readonly string[] {
  const exclude = (file: string): boolean => /(^|\/)(node_modules|dist|fixtures)$/.test(file);
  return globSync(`${folders[step]}/**/*.spec.ts`, { cwd: root, exclude }).map((file) => join(root, file));
}

/** @returns the first pattern that no spec's path holds, where there is one */
export function unmatched(patterns: readonly string[], specs: readonly string[]): string | undefined {
  return patterns.find((pattern) => !matches([pattern], specs));
}

/** At least one of the patterns is held by the path of at least one spec. */
export function matches(patterns: readonly string[], specs: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const held = expression(pattern);
    return held !== undefined && specs.some((spec) => held.test(spec));
  });
}

function expression(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern, 'i');
  } catch {
    return undefined;
  }
}
