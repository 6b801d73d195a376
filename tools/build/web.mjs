/**
 * The console's pages: apps/dashboard-web, by Vite, into dist/apps/dashboard-web. Each file that compresses has a `.gz`
 * beside it, so that nothing is compressed when it is served. The folder is replaced at once, never half-written.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '../setup/stamps.mjs';
import { writePackages } from './packages.mjs';

/** The console as one of the things there are to build: its first page stands for it. */
export const web = {
  name: 'dashboard-web',
  source: 'apps/dashboard-web/src/main.tsx',
  bundle: 'dist/apps/dashboard-web/index.html',
};

export async function buildWeb() {
  // Loaded here alone: programs are built without it.
  const { build } = await import('vite');
  const target = join(root, dirname(web.bundle));
  const fresh = `${target}.${process.pid}`;
  const old = `${target}.old.${process.pid}`;
  try {
    const { output } = await build({
      configFile: join(root, 'apps/dashboard-web/vite.config.mjs'),
      logLevel: 'error',
      build: { outDir: fresh, emptyOutDir: true },
    });
    writePackages(
      fresh,
      output.flatMap((part) => [...Object.keys(part.modules ?? {}), ...(part.originalFileNames ?? [])]),
    );
    for (const file of readdirSync(fresh, { recursive: true })) {
      if (!/\.(js|css|html|svg)$/.test(file)) continue;
      writeFileSync(join(fresh, `${file}.gz`), gzipSync(readFileSync(join(fresh, file)), { level: 9 }));
    }
    mkdirSync(dirname(target), { recursive: true });
    try {
      renameSync(target, old);
    } catch (error) {
      if (error.code !== 'ENOENT') throw error; // The first time there is none.
    }
    renameSync(fresh, target);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}
