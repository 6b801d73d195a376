/**
 * The languages README.md has a program in. What each needs is fetched with the very commands that the page prints, all
 * but the last of a block, which runs the program.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ensure } from '../debian/ensure.mjs';
import { shell } from './programs.mjs';
import { commandsOf } from './readme.mjs';

/** Heading → the programs it takes, each with the Debian package that has it. */
const needs = {
  'Node.js': [],
  Java: [
    ['javac', 'default-jdk-headless'],
    ['mvn', 'maven'],
  ],
  Go: [['go', 'golang-go']],
  Python: [['python3', 'python3-venv']],
};

/**
 * Begins to fetch everything, one language after the other: other things are done meanwhile, on few cores.
 * @returns {{ heading: string, prepared: Promise<{ folder: string, file: string, missing?: string }> }[]}
 */
export function prepareLanguages(place, blocks, env) {
  let before = Promise.resolve();
  return Object.keys(needs).map((heading) => {
    const prepared = before.then(() => prepare(heading, join(place, 'languages', heading), blocks, env));
    before = prepared.catch(() => undefined); // Told where it is waited for.
    return { heading, prepared };
  });
}

async function prepare(heading, folder, blocks, env) {
  const ours = blocks.filter((block) => block.heading === heading);
  const program = ours.find(({ file }) => file !== undefined);
  const commands = ours.find(({ language }) => language === 'sh');
  if (program === undefined || commands === undefined) throw new Error(`README.md has no program under "${heading}"`);
  mkdirSync(folder, { recursive: true });
  const { file } = program;
  for (const [binary, debianPackage] of needs[heading]) {
    try {
      ensure(binary, debianPackage);
    } catch (error) {
      return { folder, file, missing: error.message };
    }
  }
  // Debian has the part of Python that makes environments in a package of its own.
  if (heading === 'Python' && spawnSync('python3', ['-c', 'import venv, ensurepip'], { env }).status !== 0) {
    return { folder, file, missing: 'python3 can make no venv: apt-get install python3-venv' };
  }
  for (const line of commandsOf(commands.text).slice(0, -1)) {
    await shell(line, { cwd: folder, env, withinMs: 240_000 });
  }
  writeFileSync(join(folder, file), program.text);
  // Compiled now, so that it runs in no time later.
  if (heading === 'Go') await shell('go build -o /dev/null .', { cwd: folder, env, withinMs: 240_000 });
  return { folder, file };
}
