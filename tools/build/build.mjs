/**
 * Bundles every program into one file each: apps/<name>/src/main.ts → dist/apps/<name>/main.cjs, and in
 * the same way the larger tools and test helpers, tools/<name>/src/main.ts and e2e/<name>/src/main.ts.
 *
 *   node tools/build/build.mjs              all of them
 *   node tools/build/build.mjs broker cli   some of them
 *   node tools/build/build.mjs apps/cli     those of a project
 *
 * The console, apps/dashboard-web, is built with them (web.mjs).
 *
 * One that does not build fails alone: the others are written, and the exit code is 1. A file is replaced at once, never
 * half-written, so that a process that starts meanwhile finds the old one or the new one.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { buildSources, root, stampOf, writeStamp } from '../setup/stamps.mjs';
import { writePackages } from './packages.mjs';
import { buildWeb, web } from './web.mjs';

/**
 * What stays outside the bundles, found in node_modules at run time: what has binaries of its own
 * (fs-native-extensions), or finds files beside itself (etcd3 its .proto files, swagger-ui its pages; pino starts
 * worker threads from theirs), and what is for development only.
 */
export const external = [
  'fs-native-extensions',
  'etcd3',
  'pino',
  '@fastify/swagger-ui',
  'rocketmq-client-nodejs',
  'esbuild',
  'prettier',
  'typescript',
  'supports-color', // `debug` asks for it where it is there: it is for development, and is not shipped.
];

/** The programs there are: path of the source → path of the bundle. */
export function programs() {
  return ['apps', 'tools', 'e2e'].flatMap((folder) =>
    (existsSync(join(root, folder)) ? readdirSync(join(root, folder)).sort() : [])
      .map((name) => ({ name, source: `${folder}/${name}/src/main.ts`, bundle: `dist/${folder}/${name}/main.cjs` }))
      .filter(({ source }) => existsSync(join(root, source))),
  );
}

/** Bundles programs in one go: what they share is read once. Writes nothing if one of them can't be built. */
async function bundle(wanted) {
  // `comet` is also a package of its own: it runs on older versions of Node.js, and its size is time at every start.
  const isPackage = ({ source }) => source === 'apps/cli/src/main.ts';
  await bundleAs(
    wanted.filter((program) => !isPackage(program)),
    {},
  );
  await bundleAs(wanted.filter(isPackage), { target: 'node20', minifyWhitespace: true, minifySyntax: true });
}

async function bundleAs(wanted, more) {
  if (wanted.length === 0) return;
  const result = await build({
    absWorkingDir: root,
    entryPoints: wanted.map(({ source, bundle: target }) => ({ in: source, out: target.slice(0, -'.cjs'.length) })),
    outdir: '.',
    outExtension: { '.js': '.cjs' },
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    minify: false,
    legalComments: 'none',
    external,
    tsconfig: 'tsconfig.base.json',
    // Sources are written as ES modules; a bundle is CommonJS.
    define: {
      'import.meta.url': '__bundleUrl',
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
    },
    banner: { js: `#!/usr/bin/env node\nconst __bundleUrl = require('node:url').pathToFileURL(__filename).href;` },
    logLevel: 'silent',
    ...more,
  });
  for (const { bundle: target } of wanted) {
    const { inputs } = result.metafile.outputs[target];
    const used = Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
    mkdirSync(dirname(join(root, target)), { recursive: true });
    writePackages(
      dirname(join(root, target)),
      used.map(([path]) => path),
    );
  }
  for (const { path, contents } of result.outputFiles) {
    const fresh = join(dirname(path), `.${basename(path)}.${process.pid}`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(fresh, contents);
    renameSync(fresh, path);
  }
}

/** Builds the programs named, by name or by their project's folder (all if none is); gives a line for each mistake. */
export async function buildAll(names = []) {
  const sources = buildSources();
  const all = [...programs(), web];
  const isNamed = (program, name) => program.name === name || program.source.startsWith(`${name}/`);
  const unknown = names.filter((name) => !all.some((program) => isNamed(program, name)));
  if (unknown.length > 0)
    return [`no program is called ${unknown.join(', ')}: there are ${all.map((p) => p.name).join(', ')}`];
  const wanted = names.length === 0 ? all : all.filter((program) => names.some((name) => isNamed(program, name)));
  const bundled = wanted.filter((program) => program !== web);
  const mistakes = await bundle(bundled).then(
    () => [],
    () => buildEach(bundled),
  );
  if (wanted.includes(web)) await buildWeb().catch((error) => mistakes.push(...mistakesOf(web.source, error)));
  if (mistakes.length === 0) for (const { bundle: file } of wanted) writeStamp(stampOf(file), sources);
  return [...new Set(mistakes)];
}

/** One by one, so that those which can be built are, and each mistake is told. */
async function buildEach(wanted) {
  const mistakes = [];
  for (const program of wanted) {
    await bundle([program]).catch((error) => mistakes.push(...mistakesOf(program.source, error)));
  }
  return mistakes;
}

function mistakesOf(source, error) {
  if (!Array.isArray(error.errors)) return [`${source}: ${error.message}`];
  return error.errors.map(({ text, location }) => {
    const place = location ? `${relative(root, join(root, location.file))}:${location.line}` : source;
    return `${place}: ${text}`;
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const startMs = performance.now();
  const mistakes = await buildAll(process.argv.slice(2));
  for (const mistake of mistakes) console.error(`build: ${mistake}`);
  if (mistakes.length > 0) process.exitCode = 1;
  else console.error(`build: dist/ in ${Math.round(performance.now() - startMs)} ms`);
}
