// Goal: `comet` as somebody has it who never saw this repository. Method: the packed package, installed in an empty
// folder, run as a process of its own against a real system, its output piped into programs that stop reading.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { root } from '../support/process.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const run = promisify(execFile);

describe('the package of comet', () => {
  let system: Standalone;
  let folder: string;
  let program: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cometmq-comet-'));
    // Under `npm test` npm hands its settings down; here it is called as by somebody at a terminal, who lets prepack run.
    const pack = ['pack', '--ignore-scripts=false', '--pack-destination', folder];
    await run('npm', pack, { cwd: join(root, 'apps/cli') });
    const [tarball = ''] = readdirSync(folder);
    await run('npm', ['install', '--prefix', folder, '--offline', join(folder, tarball)], { cwd: folder });
    program = join(folder, 'node_modules/.bin/comet');
    system = await new Standalone().start();
  }, 60_000);
  afterAll(async () => {
    await system.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const env = (): NodeJS.ProcessEnv => ({
    PATH: process.env['PATH'],
    HOME: folder,
    COMET_API: `http://127.0.0.1:${system.adminPort}`,
    COMET_ENDPOINT: system.endpoints,
  });
  const comet = async (...args: string[]): Promise<string> => (await run(program, args, { env: env() })).stdout;
  const groups = async (): Promise<string[]> => (await comet('group', 'ls', '-o', 'name')).split('\n').filter(Boolean);

  it('has one file of code and no dependencies, and runs from where npm puts it', async () => {
    const { dependencies } = JSON.parse((await run('npm', ['ls', '--prefix', folder, '--all', '--json'])).stdout) as {
      dependencies: Record<string, { dependencies?: object }>;
    };
    expect(Object.keys(dependencies)).toEqual(['@cometmq/comet']);
    expect(dependencies['@cometmq/comet']?.dependencies).toBeUndefined();
    await comet('send', 'packed', 'hello');
    expect(await comet('receive', 'packed', '--group', 'unpacked', '-o', 'jsonl')).toContain('"body":"hello"');
  });

  it('deletes the group of a tail whose reader has seen enough, and ends well', async () => {
    await comet('send', 'piped', 'x', '--count', '10');
    const piped = run('bash', ['-c', `set -o pipefail; "${program}" tail piped --from-start -o name | head -1`], {
      env: env(),
    });
    // A pipe tells that nobody reads it with the next thing written to it: messages go on coming.
    let over = false;
    void piped.finally(() => (over = true)).catch(() => undefined);
    await until('the end of the pipe', async () => over || (await comet('send', 'piped', 'more'), over));
    const shell = await piped;
    expect(shell.stdout).toMatch(/^01[0-9A-F]{32}\n$/);
    expect((await groups()).filter((name) => name.startsWith('comet-tail-'))).toEqual([]);
  });

  it('deletes the group of a tail whose terminal is closed', async () => {
    const child = spawn(program, ['tail', 'piped'], { env: env(), stdio: 'ignore' });
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    await until('the group', async () => (await groups()).some((name) => name.startsWith('comet-tail-')));
    child.kill('SIGHUP');
    expect(await ended).toBe(0);
    expect((await groups()).filter((name) => name.startsWith('comet-tail-'))).toEqual([]);
  });

  it('names the address that does not answer', async () => {
    const failed = run(program, ['send', 'a', 'b'], { env: { ...env(), COMET_ENDPOINT: '127.0.0.1:1' } });
    await expect(failed).rejects.toMatchObject({
      code: 5,
      stderr: expect.stringContaining('no connection: connect ECONNREFUSED 127.0.0.1:1'),
    });
  });
});
