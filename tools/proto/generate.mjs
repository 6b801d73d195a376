/**
 * Turns proto/ into TypeScript in libs/proto/src/generated, with buf and ts-proto from node_modules: no network.
 * Adding a .proto file is enough for it to be generated.
 *
 *   node tools/proto/generate.mjs           writes what has changed
 *   node tools/proto/generate.mjs --check   lints and fails if the committed code isn't what proto/ gives
 *
 * Everything is generated into a fresh folder first, so a failure halfway leaves the committed code as it was.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const target = 'libs/proto/src/generated';
const header = '// GENERATED from proto/ by tools/proto/generate.mjs. Change the .proto file, not this one.\n';

/** buf's own launcher finds the binary of this platform; no install script has to have run. */
const launcher = createRequire(import.meta.url).resolve('@bufbuild/buf/bin/buf');
const plainNode = dirname(process.execPath); // The plugin runs on the Node.js that runs us.

function buf(...args) {
  const env = { ...process.env, PATH: `${plainNode}${delimiter}${process.env.PATH ?? ''}` };
  execFileSync(process.execPath, [launcher, ...args], { cwd: root, env, stdio: 'inherit' });
}

/** Relative path → text of every TypeScript file below a folder. An absent folder has none. */
function sources(folder) {
  let entries;
  try {
    entries = readdirSync(folder, { recursive: true });
  } catch (error) {
    if (error.code === 'ENOENT') return new Map();
    throw error;
  }
  const paths = entries.map((path) => path.replaceAll('\\', '/')).filter((path) => path.endsWith('.ts'));
  return new Map(paths.sort().map((path) => [path, readFileSync(join(folder, path), 'utf8')]));
}

function generate() {
  const fresh = mkdtempSync(join(tmpdir(), 'cometmq-proto-'));
  try {
    buf('generate', '--template', 'proto/buf.gen.yaml', '--output', fresh);
    const files = sources(join(fresh, target));
    if (files.size === 0) throw new Error('buf generated nothing');
    files.set('descriptors.ts', descriptors(fresh));
    return new Map([...files].map(([path, text]) => [path, header + text]));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** What clients may call, as a google.protobuf.FileDescriptorSet, for server reflection. */
function descriptors(folder) {
  const file = join(folder, 'descriptors.binpb');
  buf('build', 'proto', '--path', 'proto/apache', '--path', 'proto/grpc', '--exclude-source-info', '--output', file);
  const text = readFileSync(file).toString('base64');
  return `/** The .proto files of what clients may call, as an encoded google.protobuf.FileDescriptorSet, in base64. */\nexport const fileDescriptorSet =\n  '${text}';\n`;
}

function main() {
  const args = process.argv.slice(2);
  const unknown = args.filter((arg) => arg !== '--check');
  if (unknown.length > 0) throw new Error(`${unknown.join(' ')}: the only option is --check`);

  if (args.includes('--check')) buf('lint', 'proto');
  const wanted = generate();
  const found = sources(join(root, target));
  const differing = [...wanted.keys()].filter((path) => found.get(path) !== wanted.get(path));
  const stale = [...found.keys()].filter((path) => !wanted.has(path));

  if (args.includes('--check')) {
    if (differing.length + stale.length === 0) return;
    for (const path of differing) console.error(`${target}/${path}: not what proto/ gives`);
    for (const path of stale) console.error(`${target}/${path}: no .proto file gives this`);
    console.error('Run: node tools/proto/generate.mjs');
    process.exitCode = 1;
    return;
  }
  for (const path of differing) {
    const file = join(root, target, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, wanted.get(path));
  }
  for (const path of stale) rmSync(join(root, target, path));
  console.log(`${target}: ${wanted.size} files, ${differing.length} written, ${stale.length} removed`);
}

try {
  main();
} catch (error) {
  // buf has already said what is wrong; a stack of ours would hide it.
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
