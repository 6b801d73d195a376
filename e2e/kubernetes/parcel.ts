/**
 * The client of this test and the packages it stands on, in one piece that fits into a config map: any cluster takes it,
 * with no image of its own. What is in the image already is left out.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';
import { packageFolders } from '../../tools/image/closure.ts';
import { isNeeded, runtimeModules } from '../../tools/image/root-folder.ts';

const clientPackage = 'rocketmq-client-nodejs';

/** Run by Node.js in the pod: unpacks /parcel/client and becomes it. */
export const unpackAndRun = `
  const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
  const { dirname, join } = require('node:path');
  const files = JSON.parse(require('node:zlib').brotliDecompressSync(readFileSync('/parcel/client')));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join('/tmp', path)), { recursive: true });
    writeFileSync(join('/tmp', path), content, 'latin1');
  }
  require('/tmp/client.cjs');`;

/** The program alone; the packages that it needs are found by NODE_PATH. */
export async function bundleClient(source: string): Promise<Uint8Array> {
  const built = await build({
    ...{ entryPoints: [join(source, 'e2e/kubernetes/client.ts')], external: [clientPackage], write: false },
    ...{ bundle: true, platform: 'node', target: 'node24', format: 'cjs', logLevel: 'silent' },
  });
  return built.outputFiles[0]?.contents ?? new Uint8Array();
}

/** @returns path → content, compressed */
export async function packClient(source: string): Promise<Buffer> {
  const files: Record<string, string> = { 'client.cjs': latin1(await bundleClient(source)) };
  const inImage = new Set(packageFolders(source, runtimeModules));
  for (const folder of packageFolders(source, [clientPackage])) {
    if (!inImage.has(folder)) addFolder(files, source, folder, '');
  }
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } };
  return brotliCompressSync(JSON.stringify(files), quality);
}

function addFolder(files: Record<string, string>, source: string, folder: string, below: string): void {
  for (const name of readdirSync(join(source, folder, below))) {
    const path = join(below, name);
    if (!isNeeded(path)) continue;
    const whole = join(source, folder, path);
    if (statSync(whole).isDirectory()) addFolder(files, source, folder, path);
    else files[join(folder, path)] = latin1(readFileSync(whole));
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
