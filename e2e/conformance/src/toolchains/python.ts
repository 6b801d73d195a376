import { join } from 'node:path';

import { cache, need, run, sources, unlessMade, type Toolchain } from './toolchain.js';

export const python: Toolchain = {
  language: 'python',
  async build(version) {
    need('python3', '--version');
    const folder = join(cache, 'python', version);
    const requirements = join(sources, 'python', `requirements-${version}.txt`);
    await unlessMade(folder, [requirements], [], async () => {
      await run('python3', ['-m', 'venv', '--clear', folder]);
      await run(join(folder, 'bin/pip'), [
        ...['install', '--quiet', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check'],
        ...['-r', requirements],
      ]);
    });
    return { file: join(folder, 'bin/python'), args: ['-u', join(sources, 'python', 'driver.py')] };
  },
};
