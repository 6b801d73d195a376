/** The few Debian packages under Node.js, unpacked without being installed: nothing runs, nothing else comes along. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownArchitecture, type Architecture } from './architecture.ts';

/** What a dynamically linked Node.js needs to run. */
export const runtimePackages = ['libc6', 'libgcc-s1', 'libstdc++6'] as const;

/** Of no use without a shell, a user or a compiler. Licences stay. */
const useless = [
  'usr/share/lintian',
  'usr/share/doc-base',
  'usr/share/locale',
  'usr/share/man',
  'usr/share/gcc',
  'usr/share/gdb',
  'usr/lib/*/gconv',
  'usr/lib/*/audit',
];

/** Unpacks packages of this machine's Debian into a folder, and notes there which they are, where scanners look. */
export function unpack(
  names: readonly string[],
  root: string,
  scratch: string,
  architecture = ownArchitecture(),
): void {
  mkdirSync(scratch, { recursive: true });
  const folder = mkdtempSync(join(scratch, 'debs-'));
  const lists = mkdtempSync(join(scratch, 'lists-'));
  try {
    download(names, folder, architecture, lists);
    const notes = join(root, 'var/lib/dpkg/status.d');
    mkdirSync(notes, { recursive: true });
    for (const file of readdirSync(folder).sort()) {
      const deb = join(folder, file);
      run('dpkg-deb', ['--extract', deb, root], folder);
      const control = run('dpkg-deb', ['--field', deb], folder);
      writeFileSync(join(notes, /^Package: (.*)$/m.exec(control)?.[1] ?? file), control);
    }
  } finally {
    for (const made of [folder, lists]) rmSync(made, { recursive: true, force: true });
  }
  run('sh', ['-c', `rm -rf ${useless.join(' ')}`], root);
}

/** Debian's own architecture of this machine is known to apt; what another one has is looked up beside it, in `lists`. */
function download(names: readonly string[], folder: string, architecture: Architecture, lists: string): void {
  const own = run('dpkg', ['--print-architecture'], folder).trim();
  const beside = architecture === own ? [] : foreign(architecture, lists);
  const get = [...beside, 'download', '--quiet', ...names];
  if (beside.length === 0) {
    // As root, apt fetches as a user of its own, who may not write here; it says so and goes on as root.
    if (spawnSync('apt-get', get, { cwd: folder, encoding: 'utf8' }).status === 0) return;
  }
  run('apt-get', [...beside, 'update', '--quiet'], folder); // A fresh machine knows no package yet.
  run('apt-get', get, folder);
}

/** Nothing of this machine's own is changed: what apt keeps of the other architecture lies in `lists`. */
function foreign(architecture: Architecture, lists: string): string[] {
  for (const name of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(lists, name), { recursive: true });
  writeFileSync(join(lists, 'status'), '');
  const settings = {
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'Dir::State': join(lists, 'state'),
    'Dir::State::status': join(lists, 'status'),
    'Dir::Cache': join(lists, 'cache'),
    'APT::Sandbox::User': 'root',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

function run(file: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd, encoding: 'utf8' });
  if (status === 0) return stdout;
  if (error !== undefined && /^(apt|dpkg)/.test(file)) {
    throw new Error(`apt-get and dpkg are needed: the image is made of Debian's packages (${error.message})`);
  }
  throw new Error(`${file} ${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
}
