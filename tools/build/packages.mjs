/** Which npm packages went into a bundle: kept beside it, for the bill of materials. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const packagesFile = '.packages.json';

/** Paths of files → the packages they are of, as package-lock.json names them. */
export function packagesOf(paths) {
  const found = paths.map((path) =>
    /(?:^|[/\\\0])((?:node_modules\/(?:@[^/]+\/)?[^/]+\/)+)/.exec(path)?.[1]?.slice(0, -1),
  );
  return [...new Set(found.filter((path) => path !== undefined))].sort();
}

export function writePackages(folder, paths) {
  writeFileSync(join(folder, packagesFile), `${JSON.stringify(packagesOf(paths), undefined, 1)}\n`);
}
