/**
 * Bills of materials, as CycloneDX JSON: of all npm packages that programs may need at run time, and of the image with its
 * Debian packages and Node.js. The same sources give the same bytes.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packagesFile } from '../build/packages.mjs';
import { isAllowed, licenceOnDisk } from '../lint/licences.mjs';
import { lookUp } from '../setup/packages.mjs';
import { nodePackageOf, type Architecture } from './architecture.ts';
import { packageFolders } from './closure.ts';

interface LockEntry {
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
type Lock = Readonly<Record<string, LockEntry>>;

interface Component {
  readonly type: 'application' | 'library' | 'platform';
  readonly 'bom-ref': string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: readonly object[];
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
}

export interface Sbom {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: string;
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** Every package of package-lock.json that is not for development alone, of all platforms. */
export function workspaceSbom(source: string, created: Date): Sbom {
  const lock = lockOf(source);
  const paths = Object.keys(lock).filter((path) => path.startsWith('node_modules/') && isShipped(lock[path]));
  return bom(source, created, lock, paths, []);
}

/**
 * What is in the image: the packages that went into bundles, those beside them, Node.js, and Debian's.
 * @param root the image's file system
 * @throws Error for a package that is for development alone: nobody looked at its licence
 */
export function imageSbom(source: string, root: string, architecture: Architecture, created: Date): Sbom {
  const lock = lockOf(source);
  const node = `node_modules/${nodePackageOf(architecture)}`;
  const beside = packageFolders(source, folders(join(root, 'app/node_modules')));
  const paths = [...new Set([...bundledPackages(source), ...beside, node])].sort();
  const stray = paths.filter((path) => !isShipped(lock[path]));
  if (stray.length > 0) throw new Error(`in the image, but for development alone: ${stray.join(', ')}`);
  return bom(source, created, lock, paths, debianPackages(root));
}

/** The npm packages in the bundles of all programs, and in the console. */
export function bundledPackages(source: string): string[] {
  const apps = join(source, 'dist/apps');
  const lists = readdirSync(apps).map((name) => join(apps, name, packagesFile));
  const read = (file: string): string[] => JSON.parse(readFileSync(file, 'utf8')) as string[];
  return [...new Set(lists.filter((file) => existsSync(file)).flatMap(read))].sort();
}

/** The npm packages in it whose licence is not on the list. Debian's are linked to, not built in, and say theirs in files. */
export function wrongLicencesIn({ components }: Sbom): string[] {
  const npm = components.filter(({ purl: ref }) => ref.startsWith('pkg:npm/'));
  return npm.filter(({ licenses }) => !isAllowed(licenceIn(licenses?.[0]))).map(({ purl: ref }) => ref);
}

function licenceIn(one: object | undefined): string | undefined {
  const { license, expression } = (one ?? {}) as { license?: { id: string }; expression?: string };
  return expression ?? license?.id;
}

export function bomText(sbom: Sbom): string {
  return `${JSON.stringify(sbom, undefined, 2)}\n`;
}

function bom(source: string, created: Date, lock: Lock, paths: readonly string[], debian: readonly Component[]): Sbom {
  const { name, version, license } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Record<
    'name' | 'version' | 'license',
    string
  >;
  const refs = new Map(paths.map((path) => [path, purlOf(path, lock[path])]));
  const npm = new Map(paths.map((path) => [purlOf(path, lock[path]), npmComponent(source, path, lock[path])]));
  const components = [...npm.values(), ...debian];
  const own = purl(name, version);
  const needs = new Map<string, Set<string>>([[own, new Set(components.map((one) => one['bom-ref']))]]);
  for (const [path, ref] of refs) {
    const { dependencies, optionalDependencies } = lock[path] ?? {};
    const found = Object.keys({ ...dependencies, ...optionalDependencies }).map((need) => lookUp(lock, need, path));
    const known = found.flatMap((at) => refs.get(at ?? '') ?? []);
    needs.set(ref, new Set([...(needs.get(ref) ?? []), ...known]));
  }
  for (const each of debian) needs.set(each['bom-ref'], new Set());
  const body = {
    metadata: {
      timestamp: created.toISOString(),
      component: { type: 'application', 'bom-ref': own, name, version, purl: own, licenses: licencesOf(license) },
    },
    components,
    dependencies: [...needs].map(([ref, all]) => ({ ref, dependsOn: [...all].sort() })),
  } as const;
  return {
    ...{ $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json', bomFormat: 'CycloneDX', specVersion: '1.6' },
    ...{ serialNumber: `urn:uuid:${uuidOf(JSON.stringify(body))}`, version: 1 },
    ...body,
  };
}

function npmComponent(source: string, path: string, entry: LockEntry | undefined): Component {
  const name = nameOf(path);
  const [group, short = ''] = name.startsWith('@') ? name.split('/') : [undefined, name];
  const ref = purlOf(path, entry);
  const [alg, digest] = /^(sha\d+)-(.+)$/.exec(entry?.integrity ?? '')?.slice(1) ?? [];
  const hash = digest === undefined ? undefined : Buffer.from(digest, 'base64').toString('hex');
  return {
    type: /^node-(linux|win|darwin)-/.test(name) ? 'platform' : 'library',
    'bom-ref': ref,
    ...(group !== undefined && { group }),
    ...{ name: short, version: entry?.version ?? '', purl: ref },
    licenses: licencesOf(entry?.license ?? licenceOnDisk(source, path)),
    ...(hash !== undefined && { hashes: [{ alg: `${alg?.replace('sha', 'SHA-')}`, content: hash }] }),
  };
}

/** As Debian's own notes in the image name them. Their licences lie beside them. */
function debianPackages(root: string): Component[] {
  const notes = join(root, 'var/lib/dpkg/status.d');
  return readdirSync(notes)
    .sort()
    .map((file) => {
      const control = readFileSync(join(notes, file), 'utf8');
      const field = (title: string): string => new RegExp(`^${title}: (.*)$`, 'm').exec(control)?.[1] ?? '';
      const [name, version] = [field('Package'), field('Version')];
      const ref = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${field('Architecture')}`;
      const licenses = [{ license: { name: `see usr/share/doc/${name}/copyright in the image` } }];
      return { type: 'library', 'bom-ref': ref, name, version, purl: ref, licenses };
    });
}

/** One name is an id, what joins several is an expression. */
function licencesOf(text: string | undefined): readonly object[] {
  if (text === undefined) return [];
  return /[\s()]/.test(text) ? [{ expression: text }] : [{ license: { id: text } }];
}

function lockOf(source: string): Lock {
  return (JSON.parse(readFileSync(join(source, 'package-lock.json'), 'utf8')) as { packages: Lock }).packages;
}

function isShipped(entry: LockEntry | undefined): boolean {
  return entry !== undefined && entry.dev !== true && entry.link !== true;
}

/** The packages in a node_modules folder, first of all those that stand there. */
function folders(modules: string): string[] {
  return readdirSync(modules).flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(modules, name)).map((short) => `${name}/${short}`) : [name],
  );
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

function purlOf(path: string, entry: LockEntry | undefined): string {
  return purl(nameOf(path), entry?.version ?? '');
}

function purl(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  // The bits that say what kind of UUID it is: made from a name.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
