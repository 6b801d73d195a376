/** Which npm packages the bundles find beside themselves at run time, and the packages those need. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Folders of packages, from the root, as npm has laid them out here. Optional ones count where they are installed: they
 * are the binaries of this platform.
 *
 * @throws Error where one that must be there is not
 */
export function packageFolders(root: string, names: readonly string[]): string[] {
  const found = new Set<string>();
  const add = (name: string, from: string, optional: boolean): void => {
    const folder = find(root, name, from);
    if (folder === undefined) {
      if (optional) return;
      throw new Error(`package ${name}, needed by ${relative(root, from) || 'a program'}, is not installed`);
    }
    if (found.has(folder)) return;
    found.add(folder);
    const { dependencies, optionalDependencies } = manifestOf(folder);
    for (const each of Object.keys(optionalDependencies ?? {})) add(each, folder, true);
    for (const each of Object.keys(dependencies ?? {})) {
      add(each, folder, Object.hasOwn(optionalDependencies ?? {}, each));
    }
  };
  for (const name of names) add(name, root, false);
  return [...found].map((folder) => relative(root, folder)).sort();
}

/** As Node.js looks: in the folder's own node_modules, then further out. */
function find(root: string, name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (folder === root) return undefined;
  }
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}
