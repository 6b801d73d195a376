/**
 * What somebody does who has just found the repository, done by CI before anything else: from a clean clone of HEAD, in
 * an environment in which nothing of ours is set, first with the machine's Node.js and then with the lowest that
 * README.md promises. The system is started, an official client sends, receives and acknowledges, Ctrl-C, start again,
 * what was not acknowledged is there. Then every block of README.md, as printed.
 *
 *   node tools/newcomer/main.mjs           what needs a program that can't be installed here is left out, and said so
 *   node tools/newcomer/main.mjs --all     … is a failure
 *
 * Plain JavaScript on nothing but Node.js 20: it runs where nothing is installed yet. The last line counts.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Checks } from './checks.mjs';
import { prepareLanguages } from './languages.mjs';
import { firstMinute, Newcomer } from './newcomer.mjs';
import { bareEnvironment, ownFolder, shell } from './programs.mjs';
import { blocksOf } from './readme.mjs';
import { walk } from './walk.mjs';

const source = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const read = (file) => readFileSync(join(source, file), 'utf8');
const checks = new Checks({ nothingLeftOut: process.argv.includes('--all') });
const place = ownFolder('cometmq-newcomer-');

async function main() {
  const env = bareEnvironment();
  const changed = await shell(`git -C "${source}" status --porcelain`, { env });
  if (changed !== '') checks.note('what is not committed is not in the clone');
  // Fetched while the first clone installs its packages.
  const languages = prepareLanguages(place, blocksOf(read('README.md')), env);
  const lowest = lowestNode(env);
  lowest.catch(() => undefined); // Told where it is waited for.

  let clientFolder;
  await checks.part(async () => {
    await checks.must('the official Node.js client is installed', async () => {
      clientFolder = (await languages[0].prepared).folder;
    });
    const newcomer = await newcomerWith(env);
    await firstMinute(checks, newcomer, { source, clientFolder, inTerminal: true });
    await checks.must('Ctrl-C again', () => newcomer.stop());
    newcomer.remove();
  });
  await checks.part(async () => {
    let nodeFolder;
    await checks.must('the lowest Node.js that is promised is installed', async () => (nodeFolder = await lowest));
    const newcomer = await newcomerWith(bareEnvironment(nodeFolder), nodeFolder);
    await firstMinute(checks, newcomer, { source, clientFolder, inTerminal: false });
    await walk(checks, newcomer, languages);
  });
}

async function newcomerWith(env, nodeFolder) {
  const version = (await shell('node --version', { env })).trim().slice(1);
  return new Newcomer(`Node.js ${version}`, join(place, `clone-${version}`), nodeFolder);
}

/** The lowest that package.json lets in, from npm. @returns the folder of its binary */
async function lowestNode(env) {
  const [major, minor = '0', patch = '0'] = JSON.parse(read('package.json')).engines.node.replace('>=', '').split('.');
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(place, 'lowest');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{}');
  await shell(`npm install --no-audit --no-fund ${name}@${major}.${minor}.${patch}`, { cwd: folder, env });
  return join(folder, 'node_modules', name, 'bin');
}

try {
  await main();
} catch (error) {
  checks.fail('the newcomer', error);
}
process.exit(checks.end());
