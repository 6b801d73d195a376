/**
 * Writes a folder as one OCI archive: an image layout (oci-layout, index.json, blobs) that containerd, podman and skopeo
 * read, with the manifest.json that `docker load` asks for. The same folder gives the same bytes: names are sorted, times
 * are the one given, owners are numbers.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Architecture } from './architecture.ts';

export interface Layer {
  readonly name: string;
  /** From the root folder; not every architecture has each of them. */
  readonly paths: readonly string[];
}

export interface Image {
  /** As people type it: cometmq/cometmq:1.2.3 */
  readonly reference: string;
  readonly architecture: Architecture;
  readonly root: string;
  readonly layers: readonly Layer[];
  /** To be written to: who owns them, and how they are open. */
  readonly emptyFolders: readonly { readonly path: string; readonly user: number; readonly mode: string }[];
  readonly config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly Cmd: readonly string[];
    readonly Env: readonly string[];
    readonly WorkingDir: string;
    readonly ExposedPorts: Readonly<Record<string, object>>;
    readonly Labels: Readonly<Record<string, string>>;
    readonly StopSignal: string;
  };
  /** The time of everything in it. */
  readonly created: Date;
}

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const types = {
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  config: 'application/vnd.oci.image.config.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
} as const;

export function writeArchive(image: Image, archive: string): void {
  mkdirSync(dirname(archive), { recursive: true });
  const scratch = mkdtempSync(join(dirname(archive), '.oci-'));
  try {
    const layout = join(scratch, 'layout');
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
    const put = (mediaType: string, bytes: Uint8Array): Blob => {
      const hex = sha256(bytes);
      writeFileSync(join(layout, 'blobs/sha256', hex), bytes);
      return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
    };
    const made = image.layers.map((layer, i) => {
      const tar = tarOf(image, layer, i === 0, join(scratch, 'layer.tar'));
      return { name: layer.name, diffId: `sha256:${sha256(tar)}`, blob: put(types.layer, gzipSync(tar, { level: 6 })) };
    });
    const created = image.created.toISOString();
    const platform = { architecture: image.architecture, os: 'linux' };
    const config = put(
      types.config,
      json({
        created,
        ...platform,
        config: image.config,
        rootfs: { type: 'layers', diff_ids: made.map(({ diffId }) => diffId) },
        history: made.map(({ name }) => ({ created, created_by: 'tools/image', comment: name })),
      }),
    );
    const layerBlobs = made.map(({ blob }) => blob);
    const manifest = put(
      types.manifest,
      json({ schemaVersion: 2, mediaType: types.manifest, config, layers: layerBlobs }),
    );
    const annotations = {
      'io.containerd.image.name': fullName(image.reference),
      'org.opencontainers.image.ref.name': image.reference.split(':')[1] ?? 'latest',
    };
    const write = (name: string, content: unknown): void => writeFileSync(join(layout, name), json(content));
    write('oci-layout', { imageLayoutVersion: '1.0.0' });
    write('index.json', {
      schemaVersion: 2,
      mediaType: types.index,
      manifests: [{ ...manifest, platform, annotations }],
    });
    write('manifest.json', [
      { Config: pathOf(config), RepoTags: [image.reference], Layers: layerBlobs.map((blob) => pathOf(blob)) },
    ]);
    const whole = join(scratch, 'archive.tar');
    tar(['--create', `--file=${whole}`, ...steady(image.created, 0), '-C', layout, '.']);
    renameSync(whole, archive);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function tarOf(image: Image, layer: Layer, isFirst: boolean, file: string): Buffer {
  rmSync(file, { force: true });
  const root = image.root;
  const paths = layer.paths.filter((path) => existsSync(join(root, path)));
  tar(['--create', `--file=${file}`, ...steady(image.created, 0), '-C', root, ...paths]);
  for (const { path, user, mode } of isFirst ? image.emptyFolders : []) {
    const around = mkdtempSync(join(dirname(file), 'empty-'));
    mkdirSync(join(around, path));
    tar(['--append', `--file=${file}`, ...steady(image.created, user, mode), '-C', around, path]);
    rmSync(around, { recursive: true });
  }
  return readFileSync(file);
}

/** @param mode by default as it is, whatever the umask was */
function steady(time: Date, owner: number, mode = 'u+rwX,go+rX,go-w'): string[] {
  return [
    '--format=gnu',
    '--sort=name',
    `--mtime=@${Math.floor(time.getTime() / 1000)}`,
    `--owner=:${owner}`,
    `--group=:${owner}`,
    '--numeric-owner',
    `--mode=${mode}`,
  ];
}

function tar(args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('tar', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tar failed: ${error?.message ?? stderr.trim()}`);
}

function fullName(reference: string): string {
  const [first = ''] = reference.split('/');
  return /[.:]|^localhost$/.test(first) && reference.includes('/') ? reference : `docker.io/${reference}`;
}

function pathOf({ digest }: Blob): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
