import { join } from 'node:path';

import { cache, need, run, sources, type Toolchain } from './toolchain.js';

const newest = '5.0.0';

export const rust: Toolchain = {
  language: 'rust',
  async build(version) {
    need('cargo', '--version');
    const name = version === newest ? 'driver-newest' : 'driver-older';
    const target = join(cache, 'rust');
    // Cargo keeps what it has built; there is no need to look whether it must.
    await run('cargo', ['build', '--quiet', '--locked', '-p', name], {
      cwd: join(sources, 'rust'),
      env: { CARGO_TARGET_DIR: target },
    });
    return { file: join(target, 'debug', name), args: [] };
  },
};
