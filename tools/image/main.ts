/** `npm run image`: the one image of all programs, as an OCI archive, made without a container engine. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeArchive } from './oci.ts';
import { emptyFolders, layers, makeRootFolder, running, user } from './root-folder.ts';

const source = join(import.meta.dirname, '../..');
const { version, description } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as {
  version: string;
  description: string;
};
const usualReference = `cometmq/cometmq:${version}`;
const usualArchive = join(source, 'dist/image', `cometmq-${version}.oci.tar`);

const help = `npm run image -- [options]

Makes one image of all programs from Debian's libraries, the project's Node.js and the bundles; no container engine is
needed, but a Debian machine is. The role is the container's first argument: namesrv, broker, proxy, dashboard-api,
standalone or comet. It runs as user ${user}, and writes to /data and /tmp only.

  --tag NAME:TAG   what it is called (default: ${usualReference})
  --output FILE    the archive (default: ${relative(source, usualArchive)})
  --root FOLDER    instead: leave the file system in this folder, and make no archive of it

Load it with  docker load -i FILE,  podman load -i FILE,  ctr -n k8s.io images import FILE  or
skopeo copy oci-archive:FILE docker://REGISTRY/NAME:TAG.

Exit codes: 0 made, 1 failed, 2 wrong options.`;

const options = {
  tag: { type: 'string' },
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
  try {
    if (given.root !== undefined) {
      makeRootFolder(source, resolve(given.root));
      console.log(resolve(given.root));
    } else make(reference, resolve(given.output ?? usualArchive));
    return 0;
  } catch (caught) {
    console.error(`image: ${caught instanceof Error ? caught.message : String(caught)}`);
    return 1;
  }
}

function make(reference: string, archive: string): void {
  const root = mkdtempSync(join(tmpdir(), 'cometmq-image-'));
  try {
    makeRootFolder(source, root);
    writeArchive(
      { reference, root, layers, emptyFolders, config: config(), created: new Date(commitSeconds() * 1000) },
      archive,
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  console.log(`${archive}: ${reference}, ${(statSync(archive).size / 1e6).toFixed(0)} MB`);
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

/** The time of the sources, so that the same sources give the same image. */
function commitSeconds(): number {
  return Number(process.env['SOURCE_DATE_EPOCH'] ?? git('log', '-1', '--format=%ct') ?? 0);
}

function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: source, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

process.exitCode = main();
