/**
 * The one way in: `npm start`, `npm test` and all other commands come through here. It makes sure that what a command
 * needs is there (packages, generated code, bundles; each is made only when its sources have changed), and then becomes
 * the command, on the project's own Node.js.
 *
 *   node tools/setup/run.mjs <what> [arguments of the command]
 *
 * Plain JavaScript on nothing but Node.js 20: it must run where nothing is installed yet.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installPackages } from './packages.mjs';
import { say, Stop } from './said.mjs';
import { buildSources, protoSources, protoStamp, readStamp, root, stampOf, writeStamp } from './stamps.mjs';

const roles = ['namesrv', 'broker', 'proxy', 'dashboard-api'].map((name) => `dist/apps/${name}/main.cjs`);
const standalone = 'dist/apps/standalone/main.cjs';
const web = 'dist/apps/dashboard-web/index.html';
const comet = 'dist/apps/cli/main.cjs';
const bench = 'dist/tools/bench/main.cjs';
const conformance = 'dist/e2e/conformance/main.cjs';
const simulation = 'dist/e2e/simulation/main.cjs';
const planted = 'dist/e2e/planted/main.cjs';
const chaos = 'dist/e2e/chaos/main.cjs';
const languages = 'dist/e2e/languages/main.cjs';

/**
 * What → the program that does it, and the bundles it needs up to date. A program that is a .ts is run as it is; its
 * types are stripped by Node.js. A newcomer's first commands wait for no more packages than they need.
 */
const commands = {
  standalone: { program: standalone, bundles: [standalone, web], packages: 'run' },
  comet: { program: comet, bundles: [comet], packages: 'run' },
  cluster: { program: 'tools/cluster/main.ts', bundles: [...roles, web], packages: 'run' },
  bench: { program: bench, bundles: [bench, standalone, web] },
  image: { program: 'tools/image/main.ts', bundles: [...roles, standalone, comet, web] },
  sbom: { program: 'tools/image/sbom-main.ts' },
  conformance: { program: conformance, bundles: [conformance, ...roles, standalone] },
  simulate: { program: simulation, bundles: [simulation] },
  planted: { program: planted, bundles: [planted] },
  chaos: { program: chaos, bundles: [chaos, ...roles] },
  'e2e:kubernetes': { program: 'e2e/kubernetes/main.ts', bundles: [...roles, standalone, comet, web, languages] },
  // Nx builds what its tasks need.
  test: { program: 'tools/test/main.ts' },
  build: { bundles: 'all' },
  setup: {},
};

const nodeAtLeast = [22, 15];

async function main([what, ...args]) {
  if (what === undefined || !Object.hasOwn(commands, what)) {
    throw new Stop(`unknown command "${what ?? ''}": there are ${Object.keys(commands).join(', ')}`);
  }
  const command = commands[what];
  installPackages(command.packages ?? 'all');
  const node = findNode();
  if (command.bundles !== undefined) {
    generateProto(node);
    buildBundles(node, command.bundles);
  }
  if (command.program !== undefined) await become(node, command.program, args);
}

/** The Node.js that the project brings with it, else the one that runs this if it will do. */
function findNode() {
  const os = process.platform === 'win32' ? 'win' : process.platform;
  const file = join(
    root,
    `node_modules/node-${os}-${process.arch}/bin/node${process.platform === 'win32' ? '.exe' : ''}`,
  );
  if (existsSync(file)) return file;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [majorMin, minorMin] = nodeAtLeast;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return process.execPath;
  throw new Stop(
    `Node.js ${process.versions.node} is too old, and there is no package of Node.js 24 for ${process.platform}-${process.arch}: ` +
      `install Node.js ${majorMin}.${minorMin} or newer`,
  );
}

/** The generated code is kept in the repository; it is made anew when proto/ has changed since it was last looked at. */
function generateProto(node) {
  if (!existsSync(join(root, 'tools/proto/generate.mjs'))) return;
  const wanted = protoSources();
  const known = readStamp(protoStamp);
  if (known === wanted) return;
  if (known !== undefined || !existsSync(join(root, 'libs/proto/src/generated'))) {
    installPackages('all');
    say('proto/ has changed: generating libs/proto …');
    const done = spawnSync(node, ['tools/proto/generate.mjs'], { cwd: root, stdio: ['ignore', 2, 2] });
    if (done.status !== 0) throw new Stop('proto/ could not be turned into code: see above');
  }
  writeStamp(protoStamp, wanted);
}

/** Builds those that were made from other sources than there are now. */
function buildBundles(node, bundles) {
  const sources = buildSources();
  const stale =
    bundles === 'all'
      ? []
      : bundles.filter((bundle) => readStamp(stampOf(bundle)) !== sources || !existsSync(join(root, bundle)));
  if (bundles !== 'all' && stale.length === 0) return;
  say('building …');
  const projects = stale.map((bundle) => dirname(bundle).slice('dist/'.length));
  const done = spawnSync(node, ['tools/build/build.mjs', ...projects], { cwd: root, stdio: ['ignore', 2, 2] });
  if (done.status !== 0) throw new Stop('the build failed: see above');
}

/**
 * Becomes the program: this process is replaced where Node.js can do that, so that a signal, kill -9 included, reaches
 * the program itself. Where it can't, the program runs as a child in a process group of its own, and each request to
 * stop is passed on once: a Ctrl-C comes from the terminal and from npm too.
 */
async function become(node, program, args) {
  const [major = 0, minor = 0] = readVersion(node);
  const flags =
    program.endsWith('.ts') && (major < 22 || (major === 22 && minor < 18)) ? ['--experimental-strip-types'] : [];
  const all = [...flags, join(root, program), ...args];
  // Programs that start others of ours use the same Node.js.
  const env = { ...process.env, COMET_NODE: node };
  if (typeof process.execve === 'function' && process.platform !== 'win32') {
    process.execve(node, [node, ...all], env);
  }
  process.exitCode = await runChild(node, all, env);
}

/** The version of the Node.js found: known by its package, or our own. */
function readVersion(node) {
  const own = join(node, '../../package.json');
  const text =
    node !== process.execPath && existsSync(own)
      ? JSON.parse(readFileSync(own, 'utf8')).version
      : process.versions.node;
  return text.split('.').map(Number);
}

function runChild(node, args, env) {
  const child = spawn(node, args, { stdio: 'inherit', env, detached: process.platform !== 'win32' });
  let passedOnMs = -Infinity;
  const passOn = (signal) => {
    const nowMs = performance.now();
    if (nowMs - passedOnMs < 500) return;
    passedOnMs = nowMs;
    child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => passOn(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signalNumbers[signal] ?? 0)));
  });
}

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

main(process.argv.slice(2)).catch((error) => {
  say(error instanceof Stop ? error.message : (error.stack ?? String(error)));
  process.exitCode = 1;
});
