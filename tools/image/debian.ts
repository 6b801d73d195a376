/** The few Debian packages under Node.js, unpacked without being installed: nothing runs, nothing else comes along. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

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
export function unpack(names: readonly string[], root: string, scratch: string): void {
  mkdirSync(scratch, { recursive: true });
  const folder = mkdtempSync(join(scratch, 'debs-'));
  try {
    download(names, folder);
    const notes = join(root, 'var/lib/dpkg/status.d');
    mkdirSync(notes, { recursive: true });
    for (const file of readdirSync(folder).sort()) {
      const deb = join(folder, file);
      run('dpkg-deb', ['--extract', deb, root], folder);
      const control = run('dpkg-deb', ['--field', deb], folder);
      writeFileSync(join(notes, /^Package: (.*)$/m.exec(control)?.[1] ?? file), control);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  run('sh', ['-c', `rm -rf ${useless.join(' ')}`], root);
}

function download(names: readonly string[], folder: string): void {
  const get = ['download', '--quiet', ...names];
  // As root, apt fetches as a user of its own, who may not write here; it says so and goes on as root.
  const first = spawnSync('apt-get', get, { cwd: folder, encoding: 'utf8' });
  if (first.error !== undefined) {
    throw new Error(`apt-get is needed: the image is made of Debian's packages (${first.error.message})`);
  }
  if (first.status === 0) return;
  run('apt-get', ['update', '--quiet'], folder); // A fresh machine knows no package yet.
  run('apt-get', get, folder);
}

function run(file: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd, encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new Error(`${file} ${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
}
