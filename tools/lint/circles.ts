/**
 * Finds files of one project that import one another in a circle, type imports counted: whoever reads one of them must
 * read all. (Circles between projects can't exist: the floors forbid them.)
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/** Reads the sources below `folders` and gives each circle as the files on it, in an order in which they import. */
export function circlesBelow(root: string, folders: readonly string[]): string[][] {
  const sources = folders.flatMap((folder) => sourcesBelow(root, folder));
  const known = new Set(sources);
  const graph = new Map<string, string[]>();
  for (const file of sources) {
    graph.set(file, importsOf(readFileSync(join(root, file), 'utf8'), file, known));
  }
  return circles(graph);
}

/** The files of `known` that a source imports by relative path: `./x.js` may be written `./x.ts`, or be `./x/index.ts`. */
export function importsOf(text: string, file: string, known: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
    if (!fileName.startsWith('.')) continue;
    const path = join(dirname(file), fileName);
    const target = [path, path.replace(/\.js$/, '.ts'), `${path}.ts`, join(path, 'index.ts')].find((p) => known.has(p));
    if (target !== undefined) found.add(target);
  }
  return [...found].sort();
}

/** One circle for each knot (strongly connected part) of the graph: the shortest through its first file. */
export function circles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  for (const start of [...graph.keys()].sort()) {
    if (done.has(start)) continue;
    const circle = shortestBackTo(start, graph);
    if (circle === undefined) continue;
    found.push(circle);
    // What can reach and be reached from `start` is the same knot, and is told once.
    for (const file of reachable(start, graph)) if (reachable(file, graph).has(start)) done.add(file);
  }
  return found;
}

function shortestBackTo(start: string, graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const from = new Map<string, string>();
  const queue = [start];
  for (const file of queue) {
    for (const next of graph.get(file) ?? []) {
      if (next === start) return pathTo(file, start, from);
      if (from.has(next)) continue;
      from.set(next, file);
      queue.push(next);
    }
  }
  return undefined;
}

function pathTo(last: string, start: string, from: ReadonlyMap<string, string>): string[] {
  const path: string[] = [];
  for (let file: string | undefined = last; file !== undefined && file !== start; file = from.get(file))
    path.push(file);
  return [start, ...path.reverse()];
}

function reachable(start: string, graph: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const queue = [start];
  for (const file of queue) {
    for (const next of graph.get(file) ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      queue.push(next);
    }
  }
  return seen;
}

function sourcesBelow(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  const skipped = new Set(['node_modules', 'dist', 'generated', 'fixtures']);
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : sourcesBelow(root, path);
    return entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.name.endsWith('.d.ts') ? [path] : [];
  });
}
