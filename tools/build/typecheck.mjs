/** Checks the types of one folder's own sources, and of what they import. `node tools/build/typecheck.mjs libs/store` */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const house = join(import.meta.dirname, '../..');
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node tools/build/typecheck.mjs <folder>');
  process.exit(2);
}
const config = join(house, 'tmp', `tsconfig.${folder.replaceAll('/', '-')}-${process.pid}.json`);
mkdirSync(join(house, 'tmp'), { recursive: true });
writeFileSync(config, JSON.stringify({ extends: '../tsconfig.base.json', include: [`../${folder}/**/*.ts`] }));
try {
  const tsc = join(house, 'node_modules/typescript/bin/tsc');
  process.exitCode = spawnSync(process.execPath, [tsc, '-p', config], { cwd: house, stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(config, { force: true });
}
