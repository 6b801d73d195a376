/** `npm run image`: the one image of all programs, as an OCI archive, made without a container engine. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { architectures, isArchitecture, ownArchitecture, type Architecture } from './architecture.ts';
import { writeArchive } from './oci.ts';
import { emptyFolders, layers, makeRootFolder, running, sbomFile, user } from './root-folder.ts';
import { createdAt, git, source } from './sources.ts';

const { version, description } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as {
  version: string;
  description: string;
};
const usualReference = `cometmq/cometmq:${version}`;
const folder = join(source, 'dist/image');

const help = `npm run image -- [options]

Makes one image of all programs from Debian's libraries, the project's Node.js and the bundles; no container engine is
needed, but a Debian machine is. The role is the container's first argument: namesrv, broker, proxy, dashboard-api,
standalone or comet. It runs as user ${user}, and writes to /data and /tmp only.

  --tag NAME:TAG   what it is called (default: ${usualReference})
  --architecture A of the processors it is for: ${architectures.join(' or ')} (default: this machine's)
  --output FILE    the archive (default: ${relative(source, folder)}/cometmq-${version}.oci.tar, with the architecture in its name
                   where one is asked for)
  --root FOLDER    instead: leave the file system in this folder, and make no archive of it

Which packages are in it, with versions and licences, stands in /${sbomFile} and beside the archive (CycloneDX JSON).

Load it with  docker load -i FILE,  podman load -i FILE,  ctr -n k8s.io images import FILE  or
skopeo copy oci-archive:FILE docker://REGISTRY/NAME:TAG.

Exit codes: 0 made, 1 failed, 2 wrong options.`;

const options = {
  tag: { type: 'string' },
  architecture: { type: 'string' },
  output: { type: 'string' },
  root: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

function main(): number {
  let given;
  try {
    given = parseArgs({ options }).values;
  } catch (caught) {
    console.error(`image: ${caught instanceof Error ? caught.message : String(caught)}`);
    return 2;
  }
  if (given.help === true) {
    console.log(help);
    return 0;
  }
  const reference = given.tag ?? usualReference;
  if (!/^[a-z0-9][a-z0-9._/:-]*:[\w][\w.-]{0,127}$/.test(reference)) {
    console.error(`image: --tag=${reference}: must be name:tag, as in ${usualReference}`);
    return 2;
  }
  const asked = given.architecture;
  if (asked !== undefined && !isArchitecture(asked)) {
    console.error(`image: --architecture=${asked}: must be ${architectures.join(' or ')}`);
    return 2;
  }
  try {
    const architecture = asked ?? ownArchitecture();
    if (given.root !== undefined) {
      makeRootFolder(source, resolve(given.root), architecture, createdAt());
      console.log(resolve(given.root));
    } else {
      const usual = join(folder, `cometmq-${asked === undefined ? version : `${version}-${asked}`}.oci.tar`);
      make(reference, architecture, resolve(given.output ?? usual));
    }
    return 0;
  } catch (caught) {
    console.error(`image: ${caught instanceof Error ? caught.message : String(caught)}`);
    return 1;
  }
}

function make(reference: string, architecture: Architecture, archive: string): void {
  const root = mkdtempSync(join(tmpdir(), 'cometmq-image-'));
  try {
    makeRootFolder(source, root, architecture, createdAt());
    writeArchive(
      { reference, architecture, root, layers, emptyFolders, config: config(), created: createdAt() },
      archive,
    );
    copyFileSync(join(root, sbomFile), besideOf(archive));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  console.log(`${archive}: ${reference} for ${architecture}, ${(statSync(archive).size / 1e6).toFixed(0)} MB`);
  console.log(`${besideOf(archive)}: what is in it, as CycloneDX JSON`);
}

function besideOf(archive: string): string {
  return `${archive.replace(/(\.oci)?\.tar$/, '')}.cdx.json`;
}

function config() {
  const revision = git('rev-parse', 'HEAD');
  const Labels = {
    'org.opencontainers.image.title': 'CometMQ',
    'org.opencontainers.image.description': description,
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': 'Apache-2.0',
    ...(revision !== undefined && { 'org.opencontainers.image.revision': revision }),
  };
  return { ...running, Labels };
}

process.exitCode = main();
