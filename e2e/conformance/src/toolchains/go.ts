import { join } from 'node:path';

import { cache, need, run, sources, type Toolchain } from './toolchain.js';

const newest = '5.1.4';

export const go: Toolchain = {
  language: 'go',
  async build(version) {
    need('go', 'version');
    const file = join(cache, 'go', version);
    const which = version === newest ? [] : ['-modfile=older.mod', '-tags=older'];
    // Go keeps what it has built; there is no need to look whether it must.
    await run('go', ['build', '-mod=readonly', ...which, '-o', file, '.'], { cwd: join(sources, 'go') });
    return { file, args: [] };
  },
};
