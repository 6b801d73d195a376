/** `npm run sbom`: the bill of materials of what programs may need at run time. The image's is made with the image. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bomText, workspaceSbom } from './sbom.ts';
import { createdAt, source } from './sources.ts';

const { version } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as { version: string };
const usualFile = join(source, `dist/sbom/cometmq-${version}.cdx.json`);
const help = `npm run sbom -- [options]

Writes which npm packages the programs may need at run time, with versions, licences and checksums, as CycloneDX JSON.

  --output FILE   (default: ${relative(source, usualFile)})

The image has one of its own, with Node.js and Debian's packages: npm run image.`;

try {
  const options = { output: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
  const given = parseArgs({ options }).values;
  if (given.help === true) console.log(help);
  else {
    const file = resolve(given.output ?? usualFile);
    mkdirSync(dirname(file), { recursive: true });
    const sbom = workspaceSbom(source, createdAt());
    writeFileSync(file, bomText(sbom));
    console.log(`${file}: ${sbom.components.length} packages`);
  }
} catch (caught) {
  console.error(`sbom: ${caught instanceof Error ? caught.message : String(caught)}`);
  process.exitCode = 2;
}
