import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { circles, circlesBelow } from './circles.ts';

describe('circles', () => {
  it('finds none in a tree', () => {
    const graph = new Map([
      ['a', ['b', 'c']],
      ['b', ['c']],
      ['c', []],
    ]);
    expect(circles(graph)).toEqual([]);
  });

  it('tells each knot once, by the shortest way round', () => {
    const graph = new Map([
      ['a', ['b']],
      ['b', ['c', 'd']],
      ['c', ['d']],
      ['d', ['b']],
      ['e', ['e']],
    ]);
    expect(circles(graph)).toEqual([['b', 'd'], ['e']]);
  });
});

describe('circlesBelow', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'circles-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function write(file: string, text: string): void {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }

  it('counts type imports, exports and late imports, and follows .js to .ts and folders to index.ts', () => {
    write('libs/x/a.ts', `import type { B } from './b.js'; export type A = B;`);
    write('libs/x/b.ts', `export * from './c/index.js';`);
    write('libs/x/c/index.ts', `export const d = () => import('../a.js');`);
    expect(circlesBelow(root, ['libs'])).toEqual([['libs/x/a.ts', 'libs/x/b.ts', 'libs/x/c/index.ts']]);
  });

  it('takes no notice of packages, of words in comments and of folders that are not there', () => {
    write('libs/x/a.ts', `// import './b.js'\nimport { b } from 'b';`);
    write('libs/x/b.ts', `import './a.js';`);
    expect(circlesBelow(root, ['libs', 'apps'])).toEqual([]);
  });
});
