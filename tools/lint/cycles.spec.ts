// Goal: a circle of files is found, whatever kind of import closes it. Method: dependency-cruiser with our rule, on
// folders of a few files.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(__dirname, '../..');
const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');

describe('circles', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cometmq-cycles-'));
    write('tsconfig.json', '{}');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function write(file: string, text: string): void {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  const cruise = () =>
    spawnSync(process.execPath, [program, '--config', join(root, 'tools/lint/cycles.mjs'), 'libs'], {
      cwd: folder,
      encoding: 'utf8',
      // Whoever runs the specs may ask for colours; the lines are compared as text.
      env: { ...process.env, FORCE_COLOR: '0' },
    });

  it('are made of type imports, exports and late imports too, from .js to .ts and from folders to index.ts', () => {
    write('libs/x/a.ts', `import type { B } from './b.js'; export type A = B;`);
    write('libs/x/b.ts', `export * from './c/index.js'; export type B = 1;`);
    write('libs/x/c/index.ts', `export const d = () => import('../a.js');`);
    const { status, stdout } = cruise();
    expect(stdout).toMatch(/circle: libs\/x\/a\.ts[^]*libs\/x\/b\.ts[^]*libs\/x\/c\/index\.ts/);
    expect(status).not.toBe(0);
  });

  it('are not made of packages, nor of words in comments', () => {
    write('libs/x/a.ts', `// import './b.js'\nimport { b } from 'b'; export const a = b;`);
    write('libs/x/b.ts', `import './a.js';`);
    expect(cruise().status).toBe(0);
  });
});
