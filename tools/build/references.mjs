/**
 * `npm run references`: writes the references of each project's tsconfig.json as its imports ask for, by Nx's own
 * generator. The tsconfig.json at the root is left as it is: it checks all sources in one go, which references forbid.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

process.chdir(join(import.meta.dirname, '../..'));
const run = (...args) =>
  spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, NX_DAEMON: 'false' } });

const whole = readFileSync('tsconfig.json');
const { stdout, stderr } = run('node_modules/nx/dist/bin/nx.js', 'generate', '@nx/js:typescript-sync');
writeFileSync('tsconfig.json', whole);
// Run by hand, the generator writes its files and then ends with a mistake of its own: what it says it wrote counts.
const written = [...stdout.matchAll(/^UPDATE (.*tsconfig\.json)$/gm)].map(([, path]) => path);
const projects = written.filter((path) => path !== 'tsconfig.json');
if (written.length === 0 && !/no changes|up to date/i.test(stdout)) {
  console.error(`${stdout}${stderr}`);
  process.exitCode = 1;
} else {
  if (projects.length > 0) run('node_modules/prettier/bin/prettier.cjs', '--write', ...projects);
  console.log(projects.length === 0 ? 'all references are there' : `written: ${projects.join(', ')}`);
}
