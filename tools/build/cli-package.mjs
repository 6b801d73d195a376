/**
 * Puts the bundle of `comet` where its npm package takes it from: dist/apps/cli/main.cjs → apps/cli/dist/comet.cjs, which
 * the shell can start. `npm pack` in apps/cli calls it; the package has no dependencies and no install script.
 */
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../setup/stamps.mjs';

const target = join(root, 'apps/cli/dist/comet.cjs');
mkdirSync(join(target, '..'), { recursive: true });
copyFileSync(join(root, 'dist/apps/cli/main.cjs'), target);
chmodSync(target, 0o755);
