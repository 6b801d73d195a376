// Goal: the tests can fail. Method: every planted bug still fits its source; a few are planted, and must be noticed.
import { rootFolder } from '../../tools/cluster/cluster.ts';

import { bugs } from './src/bugs.js';
import { applyPlant, checkPlants, PlantedTree } from './src/planting.js';

const root = rootFolder();

it.each(bugs.map((bug) => [bug.name, bug] as const))('%s: still fits', (_name, bug) => {
  checkPlants(root, bug);
});

it('says so where a bug does not fit its source', () => {
  const plant = { file: 'a.ts', from: 'x', to: 'y' };
  expect(() => applyPlant('none', plant)).toThrow('does not hold this any more');
  expect(() => applyPlant('x and x', plant)).toThrow('more than once');
  expect(applyPlant('a x b', plant)).toBe('a y b');
});

describe('planted', () => {
  let tree: PlantedTree;
  beforeAll(() => void (tree = new PlantedTree(root, `spec-${process.pid}`)));
  afterAll(() => tree.remove());

  it.each(bugs.filter(({ quick }) => quick).map((bug) => [bug.name, bug] as const))(
    '%s: is noticed',
    async (_name, bug) => {
      expect((await tree.plant(bug, 600)).by).toBeDefined();
    },
    600_000,
  );
});
