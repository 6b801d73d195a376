/**
 * The pictures of docs/console, from those that the browser tests made last: `node tools/docs/pictures.mjs`, after
 * `npm test -- e2e/console` (or jest on e2e/console).
 */
import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../setup/stamps.mjs';

const from = join(root, 'dist/screenshots');
const to = join(root, 'docs/console');
for (const name of readdirSync(to).filter((file) => file.endsWith('.png'))) {
  if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name));
  else console.error(`no test has made ${name}`);
}
