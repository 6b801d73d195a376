/** A copy of the sources in which bugs are planted, and the runs that have to notice. The sources themselves stay as they are. */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Bug, Plant, Watch } from './bugs.js';

/** What a copy needs beside libs: its node_modules are found above it. */
const besides = [
  'e2e/simulation',
  'tools/build',
  'tools/setup',
  'jest.preset.mjs',
  'tsconfig.base.json',
  'package.json',
];

export interface Noticed {
  /** Undefined: nobody noticed. */
  readonly by: string | undefined;
  readonly seconds: number;
}

/** @throws Error where the source has changed so that the bug does not fit any more */
export function applyPlant(source: string, { file, from, to }: Plant): string {
  const at = source.indexOf(from);
  if (at < 0) throw new Error(`${file} does not hold this any more; plant the bug where it belongs now:\n${from}`);
  if (source.includes(from, at + 1)) throw new Error(`${file} holds this more than once:\n${from}`);
  return source.slice(0, at) + to + source.slice(at + from.length);
}

/** Whether every plant of a bug fits the sources below `root`. @throws Error */
export function checkPlants(root: string, { plants, watch }: Bug): void {
  plants.reduce((changed, plant) => {
    const before = changed.get(plant.file) ?? readFileSync(join(root, plant.file), 'utf8');
    return changed.set(plant.file, applyPlant(before, plant));
  }, new Map<string, string>());
  for (const spec of 'specs' in watch ? watch.specs : []) {
    if (!existsSync(join(root, spec))) throw new Error(`${spec} is gone`);
  }
}

export class PlantedTree {
  private readonly folder: string;

  constructor(
    private readonly root: string,
    name: string,
  ) {
    this.folder = join(root, 'tmp/planted', name);
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
    for (const lib of readdirSync(join(root, 'libs'))) {
      const from = join(root, 'libs', lib);
      const wanted = (path: string): boolean => !path.includes('/node_modules') && !path.includes('/dist/');
      if (existsSync(join(from, 'src')))
        cpSync(from, join(this.folder, 'libs', lib), { recursive: true, filter: wanted });
    }
    for (const path of besides) cpSync(join(root, path), join(this.folder, path), { recursive: true });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Plants the bug, lets those run that have to notice, and takes it out again. */
  async plant({ plants, watch }: Bug, secondsMax: number): Promise<Noticed> {
    const before = new Map<string, string>();
    for (const plant of plants) {
      const path = join(this.folder, plant.file);
      const source = readFileSync(path, 'utf8');
      if (!before.has(path)) before.set(path, source);
      writeFileSync(path, applyPlant(source, plant));
    }
    try {
      return await this.watch(watch, secondsMax);
    } finally {
      for (const [path, source] of before) writeFileSync(path, source);
    }
  }

  private async watch(watch: Watch, secondsMax: number): Promise<Noticed> {
    const startMs = performance.now();
    const by = 'specs' in watch ? await this.specs(watch.specs, secondsMax) : await this.simulation(watch, secondsMax);
    return { by, seconds: Math.round((performance.now() - startMs) / 100) / 10 };
  }

  /** A spec that can't even be loaded has noticed nothing: the plant is no program then. */
  private async specs(files: readonly string[], secondsMax: number): Promise<string | undefined> {
    const config = join(this.folder, 'jest.planted.mjs');
    const report = join(this.folder, 'report.json');
    writeFileSync(
      config,
      `import { common } from './jest.preset.mjs';
export default {
  ...common,
  modulePathIgnorePatterns: [],
  testPathIgnorePatterns: ['/node_modules/'],
  roots: ${JSON.stringify(files.map((file) => `<rootDir>/${file.split('/').slice(0, 3).join('/')}`))},
  testTimeout: 60_000,
};\n`,
    );
    const args = ['--config', config, '--maxWorkers=1', '--bail=1', '--json', `--outputFile=${report}`, '--silent'];
    rmSync(report, { force: true });
    const jest = join(this.root, 'node_modules/jest/bin/jest.js');
    await run([jest, ...args, '--', ...files.map((file) => join(this.folder, file))], this.folder, secondsMax);
    if (!existsSync(report)) return undefined;
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as JestReport;
    for (const { name, assertionResults } of testResults) {
      const failed = assertionResults.find(({ status }) => status === 'failed');
      if (failed) return `${name.slice(this.folder.length + 1)}: ${failed.fullName.trim()}`;
    }
    return undefined;
  }

  private async simulation(
    { seeds, from = 1, members, ms }: Extract<Watch, { seeds: number }>,
    secondsMax: number,
  ): Promise<string | undefined> {
    const bundle = join(this.folder, 'dist/e2e/simulation/main.cjs');
    const build = await run([join(this.folder, 'tools/build/build.mjs'), 'simulation'], this.folder, secondsMax);
    if (build.code !== 0) throw new Error(`what is planted does not build: ${build.said}`);
    const counts = [`--seeds=${seeds}`, `--from=${from}`, `--members=${members}`, `--ms=${ms}`, '--all'];
    const { code, said } = await run([bundle, ...counts], this.folder, secondsMax);
    if (code !== 1) return undefined;
    const found = said.split('\n').find((line) => / at \d+ ms: |a mistake of ours/.test(line));
    return found?.slice(0, 200);
  }
}

interface JestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** A program on our own Node.js, ended when it takes too long. */
function run(args: readonly string[], cwd: string, secondsMax: number): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const hear = (piece: Buffer): void => void (said = (said + piece.toString()).slice(-100_000));
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const timer = setTimeout(() => child.kill('SIGKILL'), secondsMax * 1_000);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, said });
    });
  });
}
