// Goal: Nx never serves from its cache what a change of a tool would make otherwise. Method: whatever the tools of a
// target import is among that target's inputs.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(__dirname, '../..');
const { namedInputs } = JSON.parse(readFileSync(join(root, 'nx.json'), 'utf8')) as {
  namedInputs: Record<string, (string | { externalDependencies?: string[] })[]>;
};

/** The files that a script is made of, by its relative imports. */
function filesOf(script: string, found = new Set<string>()): Set<string> {
  if (found.has(script)) return found;
  found.add(script);
  const text = readFileSync(join(root, script), 'utf8');
  for (const [, path = ''] of text.matchAll(/^(?:import|export)[^;]*? from '(\.[^']+)';/gm)) {
    const file = relative(root, join(root, dirname(script), path));
    expect([file, existsSync(join(root, file))]).toEqual([file, true]);
    filesOf(file, found);
  }
  return found;
}

it.each([
  ['lint', 'rules', 'eslint.config.mjs', ['eslint', 'typescript-eslint', '@nx/eslint-plugin']],
  ['build', 'bundler', 'tools/build/build.mjs', ['esbuild']],
  ['test', 'specs', 'jest.preset.mjs', ['jest', '@swc/jest', '@swc/core']],
  ['test', 'specs', 'tools/test/reporter.mjs', []],
])('%s is done anew when what %s is made of changes: %s', (_, named, script, packages) => {
  const inputs = namedInputs[named]!;
  expect(inputs).toEqual(expect.arrayContaining([...filesOf(script)].map((file) => `{workspaceRoot}/${file}`)));
  const external = inputs.flatMap((input) => (typeof input === 'string' ? [] : (input.externalDependencies ?? [])));
  expect(external).toEqual(expect.arrayContaining(packages));
});

it('a target has its tools among its inputs', () => {
  const { targetDefaults } = JSON.parse(readFileSync(join(root, 'nx.json'), 'utf8')) as {
    targetDefaults: Record<string, { inputs: string[] }>;
  };
  expect(targetDefaults['lint']!.inputs).toEqual(['default', '^default', 'types', 'rules']);
  expect(targetDefaults['typecheck']!.inputs).toEqual(['default', '^default', 'types']);
  expect(targetDefaults['build']!.inputs).toEqual(['production', '^production', 'bundler']);
  expect(targetDefaults['test']!.inputs).toEqual(['default', '^default', 'specs']);
});

/** For programs that run without a bundle, to whom the whole lib would be too much. */
const narrow: Readonly<Record<string, Record<string, string>>> = {
  'libs/rpc': { './authority': './src/tls/authority.ts' },
};

describe('a lib', () => {
  it('exports what the paths of TypeScript and jest name, and nothing else', () => {
    const libs = (JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: object }).packages;
    for (const folder of Object.keys(libs).filter((path) => path.startsWith('libs/'))) {
      const { name, exports } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
        name: string;
        exports: Record<string, string>;
      };
      const testing = existsSync(join(root, folder, 'src/testing.ts')) ? { './testing': './src/testing.ts' } : {};
      expect({ name, exports }).toEqual({
        name: `@cometmq/${folder.slice('libs/'.length)}`,
        exports: { '.': './src/index.ts', ...testing, ...narrow[folder] },
      });
    }
  });
});
